#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>

#include "base/prng.h"
#include "tcp/device_sim.h"
#include "transport/transport_tcp.h"

/* Two ends on a wire; both know what the other's bytes are. */

enum { PATTERN = 1 << 16, UNIT = 100 };
#define SECOND_NS UINT64_C(1000000000)

struct end {
    struct device *device;
    struct stack *stack;
    struct transport *transport;
    uint64_t stream, got, sent;
    size_t unit;       /* data() uses up whole units of so many bytes */
    uint64_t pause_at; /* a pause when so many bytes have come */
    bool keeps;        /* buffers are not released */
    uint64_t epoch;
    bool open, closed, paused;
    int error;
};

static struct world {
    struct sim_wire *wire;
    struct end end[2];
    uint64_t now_ns;
    uint8_t pattern[PATTERN];
} w;

static void *on_accepted(void *owner, uint64_t stream, int tag, const char *peer, const char *local)
{
    struct end *e = owner;
    cr_assert_eq(tag, 3);
    cr_assert_eq(strncmp(peer, "10.0.0.1:", 9), 0);
    cr_assert_str_eq(local, "10.0.0.2:5672");
    e->stream = stream;
    e->open = true;
    return e;
}

static size_t on_data(void *owner, void *user, struct span bytes, uint64_t epoch)
{
    struct end *e = owner;
    cr_assert_eq(user, owner);
    cr_assert(!e->paused && !e->closed);
    cr_assert_geq(epoch, e->epoch);
    e->epoch = epoch;
    size_t used = bytes.len - bytes.len % e->unit;
    for (size_t i = 0; i < used; i++)
        cr_assert_eq(bytes.at[i], w.pattern[(e->got + i) % PATTERN]);
    e->got += used;
    if (e->pause_at && e->got >= e->pause_at) {
        e->pause_at = 0;
        e->paused = true;
        e->transport->ops->pause(e->transport, e->stream);
    }
    return used;
}

static void on_connected(void *owner, void *user)
{
    cr_assert_eq(user, owner);
    ((struct end *)owner)->open = true;
}

static void on_writable(void *owner, void *user)
{
    cr_assert_eq(user, owner);
}

static void on_closed(void *owner, void *user, int error)
{
    struct end *e = owner;
    cr_assert_eq(user, owner);
    e->closed = true;
    e->error = error;
}

static void make_end(unsigned i, const char *address)
{
    struct end *e = &w.end[i];
    struct device_sim_options device = {.mac = {2, 0, 0, 0, 0, (uint8_t)(i + 1)}, .buffers_max = 6000};
    e->device = device_sim_new(w.wire, &device);
    struct stack_options options = {.ip = {.device = e->device, .addresses = 1, .mtu = 1500, .seed = i + 1},
                                    .tcp = {.seed = i + 7, .give_up_ms = 3000}};
    cr_assert(ip_prefix_parse(address, &options.ip.address[0]));
    e->stack = stack_new(&options);
    e->transport = transport_tcp_new(e->stack, (struct transport_user){.owner = e,
                                                                       .accepted = on_accepted,
                                                                       .data = on_data,
                                                                       .connected = on_connected,
                                                                       .writable = on_writable,
                                                                       .closed = on_closed});
    e->unit = UNIT;
}

static void poll_both(void)
{
    unsigned work = 0;
    sim_wire_advance(w.wire, w.now_ns);
    for (unsigned i = 0; i < 2; i++) {
        struct end *e = &w.end[i];
        work += e->transport->ops->poll(e->transport, w.now_ns);
        if (!e->keeps)
            e->transport->ops->rx_release(e->transport, e->epoch);
        e->transport->ops->flush(e->transport);
    }
    uint64_t next = sim_wire_deadline(w.wire);
    for (unsigned i = 0; i < 2; i++)
        next = stack_deadline(w.end[i].stack) < next ? stack_deadline(w.end[i].stack) : next;
    w.now_ns = !work && next != UINT64_MAX && next > w.now_ns ? next : w.now_ns + 1000;
}

/* For so long, or until it is so. */
#define RUN_UNTIL(what, seconds)                                                                             \
    do {                                                                                                     \
        for (uint64_t until_ns = w.now_ns + (seconds)*SECOND_NS; !(what) && w.now_ns < until_ns;)            \
            poll_both();                                                                                     \
    } while (0)

static void begin(void)
{
    char error[200];
    uint16_t port;
    memset(&w, 0, sizeof w);
    for (unsigned i = 0; i < PATTERN; i++)
        w.pattern[i] = (uint8_t)(i * 2654435761u >> 24);
    w.now_ns = SECOND_NS;
    w.wire = sim_wire_new(5);
    sim_wire_faults(w.wire)->delay_min_ns = sim_wire_faults(w.wire)->delay_max_ns = 20000;
    make_end(0, "10.0.0.1/24");
    make_end(1, "10.0.0.2/24");
    struct transport *client = w.end[0].transport, *server = w.end[1].transport;
    cr_assert_eq(server->ops->listen(server, "0.0.0.0:5672", 3, &port, error, sizeof error), 0, "%s", error);
    cr_assert_eq(port, 5672);
    w.end[0].stream = client->ops->connect(client, "10.0.0.2:5672", &w.end[0], error, sizeof error);
    cr_assert_neq(w.end[0].stream, 0, "%s", error);
    RUN_UNTIL(w.end[0].open && w.end[1].open, 1);
    cr_assert(w.end[0].open && w.end[1].open);
}

static void finish(void)
{
    for (unsigned i = 0; i < 2; i++) {
        w.end[i].transport->ops->free(w.end[i].transport);
        stack_free(w.end[i].stack);
        cr_assert_eq(device_sim_lent(w.end[i].device), 0, "a buffer is lost");
        w.end[i].device->ops->close(w.end[i].device);
    }
    sim_wire_free(w.wire);
}

static void send_some(struct end *e, uint64_t bytes)
{
    uint64_t target = e->sent + bytes;
    for (uint64_t until_ns = w.now_ns + 20 * SECOND_NS; e->sent < target && w.now_ns < until_ns;) {
        uint64_t at = e->sent % PATTERN, part = target - e->sent;
        struct iovec iov = {w.pattern + at, part < PATTERN - at ? part : PATTERN - at};
        e->sent += e->transport->ops->send(e->transport, e->stream, &iov, 1);
        poll_both();
    }
    cr_assert_eq(e->sent, target);
}

Test(transport_tcp, rests_small_and_large)
{
    static const size_t units[] = {1, 7, 100, 1447, 1449, 5000, 65536};
    begin();
    for (unsigned i = 0; i < sizeof units / sizeof *units; i++) {
        struct end *to = &w.end[1];
        to->unit = units[i];
        uint64_t whole = to->got + units[i] * (1 + 400000 / units[i]);
        send_some(&w.end[0], whole - to->got);
        RUN_UNTIL(to->got == whole, 5);
        cr_assert_eq(to->got, whole, "%zu: %lu of %lu", units[i], (unsigned long)to->got,
                     (unsigned long)whole);
        RUN_UNTIL(w.end[0].transport->ops->released(w.end[0].transport, w.end[0].stream) == w.end[0].sent, 5);
        cr_assert_eq(w.end[0].transport->ops->released(w.end[0].transport, w.end[0].stream), w.end[0].sent);
    }
    finish();
}

Test(transport_tcp, a_paused_stream_holds_its_peer_back_and_goes_on)
{
    begin();
    struct end *from = &w.end[0], *to = &w.end[1];
    to->pause_at = 1000;
    uint64_t offered = 0;
    for (unsigned i = 0; i < 20000; i++) {
        struct iovec iov = {w.pattern + from->sent % PATTERN, UNIT};
        if (from->sent % PATTERN + UNIT > PATTERN)
            iov.iov_len = PATTERN - from->sent % PATTERN;
        from->sent += from->transport->ops->send(from->transport, from->stream, &iov, 1);
        offered += iov.iov_len;
        poll_both();
    }
    uint64_t got = to->got;
    cr_assert_lt(got, offered / 2);
    RUN_UNTIL(false, 2);
    cr_assert_eq(to->got, got, "data came in spite of the pause");
    to->paused = false;
    to->transport->ops->resume(to->transport, to->stream);
    RUN_UNTIL(to->got / UNIT == from->sent / UNIT, 10);
    cr_assert_eq(to->got / UNIT, from->sent / UNIT);
    finish();
}

/* The front has all that may be held: nothing more is handed up until it gives some back. */
Test(transport_tcp, buffers_not_released_stop_the_reading_and_no_more)
{
    begin();
    struct end *from = &w.end[0], *to = &w.end[1];
    to->keeps = true;
    for (unsigned i = 0; i < 200000 && from->sent < 20 * (uint64_t)PATTERN * 16; i++) {
        struct iovec iov = {w.pattern + from->sent % PATTERN, PATTERN - from->sent % PATTERN};
        from->sent += from->transport->ops->send(from->transport, from->stream, &iov, 1);
        poll_both();
    }
    RUN_UNTIL(false, 1);
    cr_assert_lt(to->got, from->sent, "reading went on");
    cr_assert_gt(to->got, 0);
    to->keeps = false;
    RUN_UNTIL(to->got / UNIT == from->sent / UNIT, 20);
    cr_assert_eq(to->got / UNIT, from->sent / UNIT);
    finish();
}

Test(transport_tcp, closing_sends_all_first)
{
    begin();
    struct end *from = &w.end[0], *to = &w.end[1];
    send_some(from, 300 * UNIT);
    from->transport->ops->close(from->transport, from->stream);
    RUN_UNTIL(from->closed && to->closed, 8);
    cr_assert(from->closed && to->closed);
    cr_assert_eq(from->error, 0);
    cr_assert_eq(to->error, 0);
    cr_assert_eq(to->got, 300 * UNIT);
    finish();
}

Test(transport_tcp, an_abort_is_a_reset_and_the_last_word)
{
    begin();
    struct end *from = &w.end[0], *to = &w.end[1];
    send_some(from, 10 * UNIT);
    from->transport->ops->abort(from->transport, from->stream);
    cr_assert_eq(from->transport->ops->send(from->transport, from->stream, &(struct iovec){w.pattern, 1}, 1),
                 0);
    RUN_UNTIL(to->closed, 2);
    cr_assert(to->closed && !from->closed);
    cr_assert_eq(to->error, ECONNRESET);
    RUN_UNTIL(from->transport->ops->released(from->transport, from->stream) == UINT64_MAX, 2);
    cr_assert_eq(from->transport->ops->released(from->transport, from->stream), UINT64_MAX);
    finish();
}

Test(transport_tcp, a_vanished_peer_ends_the_stream)
{
    begin();
    struct end *from = &w.end[0];
    send_some(from, UNIT);
    RUN_UNTIL(w.end[1].got == UNIT, 1);
    sim_wire_cut(w.wire, true);
    send_some(from, UNIT);
    RUN_UNTIL(from->closed, 30);
    cr_assert(from->closed);
    cr_assert_eq(from->error, ETIMEDOUT);
    finish();
}

Test(transport_tcp, nobody_listens)
{
    char error[200];
    begin();
    struct end *client = &w.end[0];
    struct end other = {.transport = client->transport};
    client->stream =
        client->transport->ops->connect(client->transport, "10.0.0.2:1", client, error, sizeof error);
    cr_assert_neq(client->stream, 0);
    RUN_UNTIL(client->closed, 2);
    cr_assert_eq(client->error, ECONNREFUSED);
    cr_assert_eq(other.transport->ops->connect(client->transport, "2001:db8::1", client, error, sizeof error),
                 0);
    cr_assert_eq(
        other.transport->ops->connect(client->transport, "[2001:db8::1]:5672", client, error, sizeof error),
        0);
    cr_assert(strstr(error, "unreachable"), "%s", error);
    finish();
}

Test(transport_tcp, addresses_that_are_not_ours)
{
    char error[200];
    uint16_t port;
    begin();
    struct transport *t = w.end[1].transport;
    cr_assert_lt(t->ops->listen(t, "10.0.0.9:5672", 1, &port, error, sizeof error), 0);
    cr_assert(strstr(error, "dpdk.address"), "%s", error);
    cr_assert_lt(t->ops->listen(t, "10.0.0.2:5672", 1, &port, error, sizeof error), 0);
    cr_assert(strstr(error, "in use"), "%s", error);
    cr_assert_eq(t->ops->listen(t, "10.0.0.2:0", 1, &port, error, sizeof error), 0);
    cr_assert_geq(port, 49152);
    finish();
}
