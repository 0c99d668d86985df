/* How a receive window follows its user's speed, with a connection that is nothing but its numbers. */
#include <criterion/criterion.h>

#include "tcp/tcp_inside.h"

enum { MOST = 4 << 20 };

static struct tcp tcp;
static struct conn conn;

static void begin(void)
{
    tcp = (struct tcp){.options.rx_window_max = MOST, .now_us = 1000000};
    conn = (struct conn){.tcp = &tcp, .rcv_buffer = RX_WINDOW_FIRST, .tune_us = tcp.now_us};
}

/* The user reads one window's bytes in took_us. */
static uint32_t read_window(uint64_t took_us)
{
    tcp.now_us += took_us;
    conn.rcv_unread = conn.rcv_buffer;
    data_consumed(&conn, conn.rcv_buffer);
    return conn.rcv_buffer;
}

Test(tcp_window, doubles_while_it_is_read_fast, .init = begin)
{
    for (uint32_t window = 2 * RX_WINDOW_FIRST; window <= MOST; window *= 2)
        cr_assert_eq(read_window(1000), window);
    cr_assert_eq(read_window(1000), MOST);
}

Test(tcp_window, stays_when_it_is_read_slowly, .init = begin)
{
    for (unsigned i = 0; i < 10; i++)
        cr_assert_eq(read_window(TUNE_US), RX_WINDOW_FIRST);
}

Test(tcp_window, shrinks_when_the_peer_is_ahead_of_us, .init = begin)
{
    read_window(1000);
    tcp_set_behind(&tcp, true);
    cr_assert_eq(read_window(1000), 2 * RX_WINDOW_FIRST - 2 * RX_WINDOW_FIRST / TUNE_SHRINK);
    for (unsigned i = 0; i < 50; i++)
        cr_assert_geq(read_window(1000), RX_WINDOW_FIRST - RX_WINDOW_FIRST / TUNE_SHRINK);
    cr_assert_leq(conn.rcv_buffer, RX_WINDOW_FIRST);
    tcp_set_behind(&tcp, false);
    cr_assert_gt(read_window(1000), RX_WINDOW_FIRST);
}

Test(tcp_window, what_was_told_is_not_taken_back, .init = begin)
{
    read_window(1000);
    conn.mss = 1448;
    conn.scale_out = WINDOW_SCALE;
    conn.rcv_adv = conn.rcv_nxt + conn.rcv_buffer;
    tcp_set_behind(&tcp, true);
    uint32_t told = conn.rcv_buffer, now = read_window(1000);
    cr_assert_lt(now, told);
    cr_assert_eq(data_window(&conn), told);
}
