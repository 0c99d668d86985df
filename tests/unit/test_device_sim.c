/* The simulated wire: what it promises, and that it does what is hostile in it. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/span.h"
#include "tcp/device_sim.h"

enum { HEAD = 54 };

struct pair {
    struct sim_wire *wire;
    struct device *a, *b;
};

static struct pair make(uint64_t seed, struct device_sim_options a)
{
    struct pair p = {.wire = sim_wire_new(seed)};
    memcpy(a.mac, "\x02\0\0\0\0\x01", 6);
    struct device_sim_options b = {.mac = {2, 0, 0, 0, 0, 2}, .checks_sums = true};
    p.a = device_sim_new(p.wire, &a);
    p.b = device_sim_new(p.wire, &b);
    return p;
}

static void end(struct pair *p)
{
    p->a->ops->close(p->a);
    p->b->ops->close(p->b);
    sim_wire_free(p->wire);
}

/* A TCP segment over IPv4 from a to b; its sums are right if flags ask for none. */
static void segment(uint8_t head[HEAD], uint32_t seq, const uint8_t *payload, uint32_t len, uint16_t flags)
{
    uint8_t *l3 = head + 14, *l4 = head + 34;
    memset(head, 0, HEAD);
    memcpy(head, "\x02\0\0\0\0\x02\x02\0\0\0\0\x01\x08", 13);
    l3[0] = 0x45;
    put_be16(l3 + 2, (uint16_t)(40 + len));
    l3[8] = 64;
    l3[9] = 6;
    memcpy(l3 + 12, "\xc0\0\x02\x01\xc0\0\x02\x02", 8);
    put_be32(l4 + 4, seq);
    l4[12] = 0x50;
    l4[13] = 0x18;
    if (!flags) {
        put_be16(l3 + 10, sim_sum_field(sim_sum(0, l3, 20)));
        uint32_t sum = sim_sum(sim_sum_pseudo(l3, 6, 20 + len), l4, 20);
        put_be16(l4 + 16, sim_sum_field(sim_sum(sum, payload, len)));
    } else {
        put_be16(l4 + 16, (uint16_t)sim_sum_pseudo(l3, 6, flags & TX_TSO ? 0 : 20 + len));
    }
}

static bool send(struct pair *p, uint32_t seq, const uint8_t *payload, uint32_t len, uint16_t flags)
{
    uint8_t head[HEAD];
    struct iovec piece = {(void *)payload, len};
    segment(head, seq, payload, len, flags);
    struct tx_frame f = {.head = head, .head_len = HEAD, .l3_at = 14, .l4_at = 34, .mss = 100};
    f.flags = flags;
    f.pieces = len > 0;
    f.payload = len;
    f.piece = &piece;
    bool taken = p->a->ops->tx(p->a, &f);
    p->a->ops->flush(p->a);
    return taken;
}

/* The sequence number of the next frame that has come to b, UINT32_MAX if there is none; *sums: its flags. */
static uint32_t receive(struct pair *p, uint8_t *copy, uint32_t *len, uint16_t *sums)
{
    struct frame f;
    if (!p->b->ops->rx(p->b, &f, 1))
        return UINT32_MAX;
    cr_assert(f.at - f.room >= FRAME_HEADROOM);
    uint32_t seq = f.len >= 42 ? get_be32(f.at + 38) : 0;
    if (copy)
        memcpy(copy, f.at, f.len);
    if (len)
        *len = f.len;
    if (sums)
        *sums = f.flags;
    p->b->ops->free(p->b, f.buffer);
    return seq;
}

Test(device_sim, frames_arrive_in_order_with_their_bytes)
{
    struct pair p = make(1, (struct device_sim_options){0});
    uint8_t payload[500], got[2048];
    uint32_t len;
    uint16_t sums;
    memset(payload, 7, sizeof payload);
    sim_wire_faults(p.wire)->delay_max_ns = 1000;
    for (uint32_t i = 0; i < 100; i++)
        cr_assert(send(&p, i, payload, 5 * i, 0));
    cr_assert_eq(p.a->tx_given, 99);
    cr_assert_eq(receive(&p, NULL, NULL, NULL), UINT32_MAX);
    sim_wire_advance(p.wire, 2000);
    cr_assert_eq(p.a->tx_done, 99);
    for (uint32_t i = 0; i < 100; i++) {
        cr_assert_eq(receive(&p, got, &len, &sums), i);
        cr_assert_eq(len, HEAD + 5 * i < 60 ? 60 : HEAD + 5 * i);
        cr_assert_eq(sums, FRAME_IP_SUM_GOOD | FRAME_L4_SUM_GOOD);
        cr_assert_eq(memcmp(got + HEAD, payload, 5 * i), 0);
    }
    cr_assert_eq(device_sim_lent(p.b), 0);
    cr_assert_eq(sim_wire_deadline(p.wire), UINT64_MAX);
    end(&p);
}

Test(device_sim, payload_is_read_when_the_frame_leaves)
{
    struct pair p = make(2, (struct device_sim_options){0});
    uint8_t payload[4] = "old", got[2048];
    sim_wire_faults(p.wire)->leave_ns = 1000;
    send(&p, 1, payload, 4, 0);
    cr_assert_eq(p.a->tx_done, 0);
    memcpy(payload, "new", 4);
    sim_wire_advance(p.wire, 1001);
    cr_assert_eq(p.a->tx_done, 1);
    uint16_t sums;
    receive(&p, got, NULL, &sums);
    cr_assert_str_eq((char *)got + HEAD, "new");
    cr_assert(sums & FRAME_L4_SUM_BAD);
    end(&p);
}

Test(device_sim, nothing_leaves_before_flush)
{
    struct pair p = make(2, (struct device_sim_options){0});
    uint8_t head[HEAD];
    segment(head, 1, NULL, 0, 0);
    struct tx_frame f = {.head = head, .head_len = HEAD};
    cr_assert(p.a->ops->tx(p.a, &f));
    sim_wire_advance(p.wire, 1000000);
    cr_assert_eq(receive(&p, NULL, NULL, NULL), UINT32_MAX);
    p.a->ops->flush(p.a);
    sim_wire_advance(p.wire, 1000001);
    cr_assert_eq(receive(&p, NULL, NULL, NULL), 1);
    end(&p);
}

Test(device_sim, a_large_frame_is_cut_into_segments_with_right_sums)
{
    struct device_sim_options o = {.offers = TX_IP_SUM | TX_TCP_SUM | TX_TSO};
    struct pair p = make(3, o);
    uint8_t payload[250], got[2048];
    for (unsigned i = 0; i < sizeof payload; i++)
        payload[i] = (uint8_t)i;
    send(&p, 1000, payload, 250, TX_IP_SUM | TX_TCP_SUM | TX_TSO);
    cr_assert_eq(p.a->tx_given, 1);
    sim_wire_advance(p.wire, 10);
    for (uint32_t i = 0; i < 3; i++) {
        uint16_t sums;
        uint32_t len, expected = i < 2 ? 100 : 50;
        cr_assert_eq(receive(&p, got, &len, &sums), 1000 + 100 * i);
        cr_assert_eq(len, HEAD + expected);
        cr_assert_eq(sums, FRAME_IP_SUM_GOOD | FRAME_L4_SUM_GOOD);
        cr_assert_eq(got[47], i < 2 ? 0x10 : 0x18);
        cr_assert_eq(memcmp(got + HEAD, payload + 100 * i, expected), 0);
    }
    cr_assert_eq(p.a->tx_done, 1);
    send(&p, 5, payload, 99, TX_IP_SUM | TX_TCP_SUM);
    sim_wire_advance(p.wire, 20);
    uint16_t sums;
    receive(&p, NULL, NULL, &sums);
    cr_assert_eq(sums, FRAME_IP_SUM_GOOD | FRAME_L4_SUM_GOOD);
    end(&p);
}

Test(device_sim, a_full_ring_refuses)
{
    struct pair p = make(4, (struct device_sim_options){.tx_ring = 3});
    for (unsigned i = 0; i < 5; i++)
        cr_assert_eq(send(&p, i, NULL, 0, 0), i < 3);
    sim_wire_advance(p.wire, 1);
    cr_assert(send(&p, 9, NULL, 0, 0));
    end(&p);
}

Test(device_sim, damage_is_always_seen_by_the_sums)
{
    struct pair p = make(5, (struct device_sim_options){0});
    uint8_t payload[100] = {0};
    sim_wire_faults(p.wire)->damaged_ppm = 1000000;
    for (unsigned i = 0; i < 5000; i++) {
        uint16_t sums;
        send(&p, i, payload, sizeof payload, 0);
        sim_wire_advance(p.wire, i * 10 + 9);
        receive(&p, NULL, NULL, &sums);
        cr_assert_neq(sums, FRAME_IP_SUM_GOOD | FRAME_L4_SUM_GOOD);
    }
    end(&p);
}

static uint64_t hostile_run(uint64_t seed, struct sim_wire_stats *stats)
{
    struct pair p = make(seed, (struct device_sim_options){0});
    *sim_wire_faults(p.wire) = (struct sim_faults){.delay_max_ns = 500,
                                                   .late_ns = 5000,
                                                   .bits_per_s = 10000000000u,
                                                   .queue_max = 20,
                                                   .overtaken_ppm = 50000,
                                                   .lost_ppm = 50000,
                                                   .duplicated_ppm = 50000,
                                                   .damaged_ppm = 50000,
                                                   .truncated_ppm = 50000,
                                                   .full_ppm = 50000,
                                                   .leave_ns = 100,
                                                   .rx_some_ppm = 100000};
    for (unsigned i = 0; i < 2000; i++) {
        uint8_t payload[64] = {0};
        send(&p, i, payload, i % 64, 0);
        sim_wire_advance(p.wire, i * 40);
        if (i % 500 == 400)
            sim_wire_cut(p.wire, true);
        if (i % 500 == 450)
            sim_wire_cut(p.wire, false);
        while (receive(&p, NULL, NULL, NULL) != UINT32_MAX)
            ;
    }
    *stats = *sim_wire_stats(p.wire);
    uint64_t trace = sim_wire_trace(p.wire);
    end(&p);
    return trace;
}

Test(device_sim, every_fault_happens_and_a_seed_repeats)
{
    struct sim_wire_stats s, again;
    uint64_t trace = hostile_run(6, &s);
    cr_assert_eq(hostile_run(6, &again), trace);
    cr_assert_neq(hostile_run(7, &again), trace);
    cr_assert(s.lost && s.duplicated && s.damaged && s.truncated && s.overtaken && s.refused &&
              s.queue_full && s.unplugged);
    cr_assert(s.delivered > 1000);
}

Test(device_sim, what_is_overtaken_comes_later)
{
    struct pair p = make(8, (struct device_sim_options){0});
    sim_wire_faults(p.wire)->overtaken_ppm = 100000;
    sim_wire_faults(p.wire)->late_ns = 1000;
    unsigned overtakings = 0;
    for (uint32_t i = 0; i < 200; i++)
        send(&p, i, NULL, 0, 0);
    sim_wire_advance(p.wire, 10000);
    for (uint32_t last = 0, seq; (seq = receive(&p, NULL, NULL, NULL)) != UINT32_MAX; last = seq)
        overtakings += seq < last;
    cr_assert(overtakings > 5);
    end(&p);
}

Test(device_sim, an_owner_who_keeps_buffers_misses_frames)
{
    struct pair p = make(9, (struct device_sim_options){.buffers_max = 2});
    struct frame f[4];
    for (unsigned i = 0; i < 4; i++)
        send(&p, i, NULL, 0, 0);
    /* To a from b: the other way round is not limited. */
    sim_wire_advance(p.wire, 10);
    cr_assert_eq(p.b->ops->rx(p.b, f, 4), 4);
    for (unsigned i = 0; i < 4; i++) {
        memcpy(f[i].at, p.a->mac, 6);
        struct tx_frame back = {.head = f[i].at, .head_len = (uint16_t)f[i].len};
        cr_assert(p.b->ops->tx(p.b, &back));
        p.b->ops->free(p.b, f[i].buffer);
    }
    p.b->ops->flush(p.b);
    sim_wire_advance(p.wire, 20);
    cr_assert_eq(p.a->ops->rx(p.a, f, 4), 2);
    cr_assert_eq(sim_wire_stats(p.wire)->missed, 2);
    cr_assert_eq(device_sim_lent(p.a), 2);
    end(&p);
}

Test(device_sim, giving_back_twice_is_a_mistake, .signal = SIGABRT)
{
    struct pair p = make(10, (struct device_sim_options){0});
    struct frame f;
    send(&p, 1, NULL, 0, 0);
    sim_wire_advance(p.wire, 1);
    p.b->ops->rx(p.b, &f, 1);
    p.b->ops->free(p.b, f.buffer);
    p.b->ops->free(p.b, f.buffer);
}
