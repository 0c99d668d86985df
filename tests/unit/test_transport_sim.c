/* The simulated network: what it promises the simulator, over many seeds. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "transport/transport_sim.h"

enum { SEEDS = 200, KEEP = 1 << 16, PAIRS = 4 };

/* A front that echoes: what it used up it sends back from where it keeps it. */
struct echo {
    struct transport *t;
    struct seen {
        uint64_t stream;
        uint8_t kept[KEEP];
        size_t bytes, sent; /* received; sent back */
        bool closed;
        int error;
    } seen[PAIRS];
    unsigned accepted;
    uint64_t epoch;
    uint64_t trace; /* of all upcalls */
    struct prng prng;
};

static void note(struct echo *e, uint64_t what)
{
    e->trace = (e->trace ^ what) * 0x100000001b3u;
}

static void *on_accepted(void *owner, uint64_t stream, int tag, const char *peer, const char *local)
{
    struct echo *e = owner;
    (void)peer;
    cr_assert_eq(tag, 3);
    cr_assert_str_eq(local, "broker:5672");
    if (e->accepted == PAIRS)
        return NULL;
    note(e, stream);
    e->seen[e->accepted].stream = stream;
    return &e->seen[e->accepted++];
}

static size_t on_data(void *owner, void *user, struct span bytes, uint64_t epoch)
{
    struct echo *e = owner;
    struct seen *s = user;
    size_t used = prng_below(&e->prng, bytes.len + 1);
    if (prng_below(&e->prng, 8) == 0)
        e->t->ops->pause(e->t, s->stream);
    cr_assert(s->bytes + used <= KEEP);
    memcpy(s->kept + s->bytes, bytes.at, used);
    s->bytes += used;
    e->epoch = epoch;
    note(e, bytes.len << 20 ^ used);
    return used;
}

static void on_writable(void *owner, void *user)
{
    note(owner, ((struct seen *)user)->sent);
}

static void on_closed(void *owner, void *user, int error)
{
    struct seen *s = user;
    note(owner, 77);
    cr_assert(!s->closed);
    s->closed = true;
    s->error = error;
}

static struct echo *echo_new(struct sim_network *network, uint64_t seed)
{
    struct echo *e = calloc(1, sizeof *e);
    char error[128];
    uint16_t port;
    e->t = transport_sim_new(network, (struct transport_user){.owner = e,
                                                              .accepted = on_accepted,
                                                              .data = on_data,
                                                              .writable = on_writable,
                                                              .closed = on_closed});
    prng_seed(&e->prng, seed + 1);
    cr_assert_eq(e->t->ops->listen(e->t, "broker:5672", 3, &port, error, sizeof error), 0);
    return e;
}

static void echo_back(struct echo *e, struct seen *s)
{
    struct iovec iov[2];
    size_t left = s->bytes - s->sent, half = left / 2;
    if (s->closed || left == 0)
        return;
    iov[0] = (struct iovec){s->kept + s->sent, half};
    iov[1] = (struct iovec){s->kept + s->sent + half, left - half};
    size_t taken = e->t->ops->send(e->t, s->stream, iov, 2);
    cr_assert(taken <= left);
    s->sent += taken;
    cr_assert(e->t->ops->released(e->t, s->stream) <= s->sent);
}

static void echo_turn(struct echo *e, uint64_t now_ns)
{
    e->t->ops->poll(e->t, now_ns);
    for (unsigned i = 0; i < e->accepted; i++) {
        if (e->seen[i].closed)
            continue;
        echo_back(e, &e->seen[i]);
        if (prng_below(&e->prng, 4) == 0)
            e->t->ops->resume(e->t, e->seen[i].stream);
    }
    e->t->ops->rx_release(e->t, e->epoch);
}

static uint8_t pattern(uint64_t id, size_t i)
{
    return (uint8_t)(id * 101 + i * 7 + (i >> 8));
}

struct client {
    uint64_t id;
    size_t written, read;
    uint8_t expected[KEEP];
};

/* Clients write all they can and check what comes back. Returns the trace. */
static uint64_t run(uint64_t seed, size_t bytes)
{
    const struct sim_network_options options = sim_network_defaults(seed);
    struct sim_network *network = sim_network_new(&options);
    struct echo *e = echo_new(network, seed);
    struct client *clients = calloc(PAIRS, sizeof *clients);
    uint64_t now_ns = 0;
    size_t done = 0;
    for (unsigned i = 0; i < PAIRS; i++) {
        clients[i].id = sim_connect(network, "broker:5672");
        for (size_t at = 0; at < bytes; at++)
            clients[i].expected[at] = pattern(clients[i].id, at);
    }
    for (unsigned step = 0; done < PAIRS * bytes && step < 200000; step++) {
        now_ns += 100000;
        echo_turn(e, now_ns);
        for (unsigned i = 0; i < PAIRS; i++) {
            struct client *c = &clients[i];
            uint8_t back[500];
            c->written += sim_write(network, c->id, span_of(c->expected + c->written, bytes - c->written));
            size_t n = sim_read(network, c->id, back, sizeof back);
            cr_assert_eq(memcmp(back, c->expected + c->read, n), 0, "seed %llu", (unsigned long long)seed);
            c->read += n;
            done += n;
        }
    }
    cr_assert_eq(done, PAIRS * bytes, "seed %llu: %zu of %zu", (unsigned long long)seed, done, PAIRS * bytes);
    for (unsigned i = 0; i < PAIRS; i++)
        sim_close(network, clients[i].id);
    for (unsigned step = 0; step < 2000; step++)
        echo_turn(e, now_ns += 100000);
    for (unsigned i = 0; i < PAIRS; i++) {
        cr_assert(e->seen[i].closed);
        cr_assert_eq(e->seen[i].error, 0);
        cr_assert_eq(sim_state(network, clients[i].id), SIM_ENDED);
        sim_forget(network, clients[i].id);
    }
    uint64_t trace = e->trace;
    e->t->ops->free(e->t);
    sim_network_free(network);
    free(clients);
    free(e);
    return trace;
}

Test(transport_sim, carries_everything_in_order_the_same_way_twice)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++)
        cr_assert_eq(run(seed, 5000), run(seed, 5000), "seed %llu", (unsigned long long)seed);
    cr_assert_neq(run(1, 5000), run(2, 5000));
}

/* One client connected to one front; the steps in between are short. */
struct pair {
    struct sim_network *network;
    struct echo *e;
    uint64_t id, now_ns;
};

static void pair_turns(struct pair *p, uint64_t ms)
{
    for (uint64_t i = 0; i < ms * 10; i++)
        echo_turn(p->e, p->now_ns += 100000);
}

static struct pair pair_new(uint64_t seed)
{
    struct pair p = {0};
    const struct sim_network_options options = sim_network_defaults(seed);
    p.network = sim_network_new(&options);
    p.e = echo_new(p.network, seed);
    p.id = sim_connect(p.network, "broker:5672");
    pair_turns(&p, 10);
    cr_assert_eq(p.e->accepted, 1);
    return p;
}

static void pair_free(struct pair *p)
{
    p->e->t->ops->free(p->e->t);
    sim_network_free(p->network);
    free(p->e);
}

Test(transport_sim, nobody_listens_there)
{
    struct pair p = pair_new(1);
    uint64_t id = sim_connect(p.network, "broker:1");
    cr_assert_eq(sim_state(p.network, id), SIM_REFUSED);
    sim_forget(p.network, id);
    p.e->t->ops->stop_listening(p.e->t);
    id = sim_connect(p.network, "broker:5672");
    cr_assert_eq(sim_state(p.network, id), SIM_REFUSED);
    pair_free(&p);
}

Test(transport_sim, a_reset_reaches_the_front)
{
    struct pair p = pair_new(2);
    sim_reset(p.network, p.id);
    cr_assert_eq(sim_state(p.network, p.id), SIM_RESET);
    pair_turns(&p, 10);
    cr_assert(p.e->seen->closed);
    cr_assert_eq(p.e->seen->error, ECONNRESET);
    pair_free(&p);
}

Test(transport_sim, a_peer_that_vanishes_is_only_missed)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct pair p = pair_new(seed);
        struct transport *t = p.e->t;
        static uint8_t bytes[100000];
        sim_vanish(p.network, p.id);
        cr_assert_eq(sim_write(p.network, p.id, span_of("x", 1)), 0);
        size_t sent = 0, taken;
        do {
            taken = t->ops->send(t, p.e->seen->stream, &(struct iovec){bytes, sizeof bytes}, 1);
            sent += taken;
        } while (taken);
        pair_turns(&p, 100);
        cr_assert(!p.e->seen->closed);
        cr_assert(sent <= 16384);
        t->ops->close(t, p.e->seen->stream);
        pair_turns(&p, 3100);
        cr_assert(p.e->seen->closed);
        cr_assert_eq(p.e->seen->error, ETIMEDOUT);
        pair_free(&p);
    }
}

Test(transport_sim, a_deaf_peer_fills_the_window)
{
    struct pair p = pair_new(4);
    struct transport *t = p.e->t;
    static uint8_t bytes[100000];
    sim_deafen(p.network, p.id, true);
    size_t sent = 0;
    for (unsigned i = 0; i < 300; i++) {
        sent += t->ops->send(t, p.e->seen->stream, &(struct iovec){bytes, sizeof bytes}, 1);
        pair_turns(&p, 1);
    }
    uint8_t back[256];
    cr_assert(sent >= 64 && sent <= 16384);
    cr_assert_eq(sim_read(p.network, p.id, back, sizeof back), 0);
    sim_deafen(p.network, p.id, false);
    cr_assert(sim_read(p.network, p.id, back, sizeof back) > 0);
    cr_assert(t->ops->send(t, p.e->seen->stream, &(struct iovec){bytes, sizeof bytes}, 1) > 0);
    pair_free(&p);
}

Test(transport_sim, a_killed_broker_resets_its_clients)
{
    struct pair p = pair_new(5);
    p.e->t->ops->free(p.e->t);
    sim_advance(p.network, p.now_ns += 1000000000);
    cr_assert_eq(sim_state(p.network, p.id), SIM_RESET);
    struct echo *again = echo_new(p.network, 6);
    uint64_t id = sim_connect(p.network, "broker:5672");
    for (unsigned i = 0; i < 100; i++)
        echo_turn(again, p.now_ns += 100000);
    cr_assert_eq(again->accepted, 1);
    cr_assert_eq(sim_state(p.network, id), SIM_OPEN);
    again->t->ops->free(again->t);
    sim_network_free(p.network);
    free(again);
    free(p.e);
}

Test(transport_sim, close_delivers_what_was_sent_and_abort_does_not_wait)
{
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct pair p = pair_new(seed);
        struct transport *t = p.e->t;
        char bytes[] = "last words", back[16];
        size_t taken = t->ops->send(t, p.e->seen->stream, &(struct iovec){bytes, 10}, 1);
        t->ops->close(t, p.e->seen->stream);
        cr_assert_eq(t->ops->send(t, p.e->seen->stream, &(struct iovec){bytes, 10}, 1), 0);
        pair_turns(&p, 10);
        cr_assert(!p.e->seen->closed);
        cr_assert_eq(sim_read(p.network, p.id, back, sizeof back), taken);
        cr_assert_arr_eq(back, "last words", taken);
        cr_assert_eq(sim_state(p.network, p.id), SIM_ENDED);
        sim_close(p.network, p.id);
        pair_turns(&p, 10);
        cr_assert(p.e->seen->closed);
        cr_assert_eq(p.e->seen->error, 0);

        p.id = sim_connect(p.network, "broker:5672");
        pair_turns(&p, 10);
        t->ops->abort(t, p.e->seen[1].stream);
        p.e->seen[1].closed = true;
        pair_turns(&p, 10);
        cr_assert_eq(sim_state(p.network, p.id), SIM_RESET);
        pair_free(&p);
    }
}
