/*
 * tcp-duel --seed N [--seeds COUNT] [--bytes N] [--verbose]
 *
 * Two stacks against each other over a hostile wire, from a seed. Users at both ends open connections, send,
 * pause, keep what they got, close, abort, all by chance, while the wire delays, loses, damages, duplicates
 * and reorders in phases. Then the wire gets well, and everything must come to its end.
 *
 * Judged: every byte (its value follows from its position), no byte behind the end, no released byte that is
 * looked at again (it is overwritten), nobody stuck, every buffer given back, every lent byte released. Each
 * seed runs twice and must leave the same trace.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/prng.h"
#include "tcp/device_sim.h"
#include "tcp/stack.h"

enum { CONNS = 12, CHUNKS = 64, CHUNK_MAX = 20000, HELD = 256, PORT = 5672 };

#define SECOND  1000000000ull
#define PATIENT (4000 * SECOND) /* in the end phase */

struct chunk {
    uint8_t *bytes;
    uint64_t end;
};

/* One end of a connection. */
struct end {
    struct side *side;
    struct end *peer; /* NULL until accepted() has told whose it is */
    uint64_t id, key; /* key: what the bytes depend on, the client's port */
    uint64_t sent, got, unused, wanted;
    struct chunk chunk[CHUNKS];
    unsigned chunks;
    bool live, paused, keeps, closed, ended, aborted, client;
};

struct side {
    struct duel *duel;
    struct device *device;
    struct stack *stack;
    struct end end[CONNS];
    unsigned ends;
    void *held[HELD];
    unsigned helds;
};

struct duel {
    uint64_t seed, now_ns, bytes, moved, trace;
    struct prng prng;
    struct sim_wire *wire;
    struct side side[2];
    bool verbose, ending;
};

static struct duel *current; /* for what is printed when a CHECK fails */

#define JUDGE(x, ...)                                                                                        \
    do {                                                                                                     \
        if (!(x)) {                                                                                          \
            fprintf(stderr, "seed %lu, at %.6f s: ", (unsigned long)current->seed,                           \
                    (double)current->now_ns / 1e9);                                                          \
            fprintf(stderr, __VA_ARGS__);                                                                    \
            fprintf(stderr, "\n");                                                                           \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)

static uint64_t draw(struct duel *d, uint64_t below)
{
    return prng_below(&d->prng, below);
}

static void note(struct duel *d, uint64_t what)
{
    d->trace = (d->trace ^ what) * 0x100000001b3u;
}

/* The byte at a position of what the client (or its peer) sends. */
static uint8_t byte_at(bool client, uint64_t position)
{
    return (uint8_t)((position * 0x9e3779b1u) >> 13 ^ position ^ (client ? 0x55 : 0));
}

/* ---- upcalls ------------------------------------------------------------------------------------------- */

static void *on_accepted(void *owner, uint64_t id, int tag, const struct ip_address *peer, uint16_t peer_port,
                         const struct ip_address *local, uint16_t local_port)
{
    struct side *s = owner;
    (void)tag;
    (void)peer;
    (void)local;
    JUDGE(local_port == PORT, "accepted on another port");
    if (s->ends == CONNS || draw(s->duel, 50) == 0)
        return NULL;
    struct end *e = &s->end[s->ends++];
    *e = (struct end){.side = s, .id = id, .key = peer_port, .live = true};
    e->wanted = s->duel->bytes / (1 + draw(s->duel, 20));
    note(s->duel, peer_port);
    return e;
}

static void on_connected(void *owner, void *user)
{
    (void)owner;
    note(((struct end *)user)->side->duel, 2);
}

static bool on_data(void *owner, void *user, struct span bytes, uint8_t *room, void *buffer)
{
    struct side *s = owner;
    struct end *e = user;
    JUDGE(e->live && !e->ended, "data() after the end");
    JUDGE(!e->closed, "data() after close()");
    if (e->paused || s->helds == HELD)
        return false;
    for (size_t i = 0; i < bytes.len; i++)
        JUDGE(bytes.at[i] == byte_at(!e->client, e->got + i), "byte %lu is wrong",
              (unsigned long)(e->got + i));
    memset(room, 0xee, (size_t)(bytes.at - room) + bytes.len);
    e->got += bytes.len;
    e->unused += bytes.len;
    s->duel->moved += bytes.len;
    s->held[s->helds++] = buffer;
    note(s->duel, e->got);
    return true;
}

static void on_ended(void *owner, void *user)
{
    struct end *e = user;
    (void)owner;
    JUDGE(!e->ended, "ended() twice");
    e->ended = true;
    note(e->side->duel, 3);
}

static void on_progress(void *owner, void *user)
{
    (void)owner;
    (void)user;
}

static void on_gone(void *owner, void *user, int error)
{
    struct end *e = user;
    (void)owner;
    JUDGE(e->live, "gone() twice, or after abort()");
    e->live = false;
    note(e->side->duel, 100 + (uint64_t)error);
    if (e->side->duel->verbose)
        printf("%.6f side %d port %lu gone: %s, sent %lu got %lu\n", (double)current->now_ns / 1e9,
               (int)(e->side - current->side), (unsigned long)e->key, error ? strerror(error) : "0",
               (unsigned long)e->sent, (unsigned long)e->got);
}

static struct tcp_upcalls upcalls(struct side *s)
{
    return (struct tcp_upcalls){s, on_accepted, on_connected, on_data, on_ended, on_progress, on_gone};
}

/* ---- what users do --------------------------------------------------------------------------------------
 */

static void take_back(struct end *e, bool all)
{
    uint64_t released = tcp_released(stack_tcp(e->side->stack), e->id);
    JUDGE(released == UINT64_MAX || released <= e->sent, "more is released than was sent");
    while (e->chunks && (all || e->chunk[0].end <= released)) {
        free(e->chunk[0].bytes);
        memmove(e->chunk, e->chunk + 1, --e->chunks * sizeof e->chunk[0]);
    }
}

static void do_send(struct end *e)
{
    size_t bytes = 1 + draw(e->side->duel, draw(e->side->duel, 4) ? 300 : CHUNK_MAX);
    if (e->chunks == CHUNKS || e->closed || e->sent >= e->wanted)
        return;
    uint8_t *memory = malloc(bytes);
    CHECK(memory);
    for (size_t i = 0; i < bytes; i++)
        memory[i] = byte_at(e->client, e->sent + i);
    size_t cut = draw(e->side->duel, bytes + 1);
    struct iovec iov[2] = {{memory, cut}, {memory + cut, bytes - cut}};
    size_t taken = tcp_send(stack_tcp(e->side->stack), e->id, iov, 2);
    e->sent += taken;
    e->chunk[e->chunks++] = (struct chunk){memory, e->sent};
}

static void do_end(struct end *e)
{
    struct tcp *tcp = stack_tcp(e->side->stack);
    if (draw(e->side->duel, 10) == 0 && !e->side->duel->ending) {
        tcp_abort(tcp, e->id);
        e->live = false;
        e->aborted = true;
    } else if (!e->closed) {
        tcp_close(tcp, e->id, 600000);
        e->closed = true;
    }
}

static void use(struct end *e)
{
    if (!e->unused || e->keeps)
        return;
    uint64_t some = 1 + draw(e->side->duel, e->unused);
    tcp_consumed(stack_tcp(e->side->stack), e->id, some);
    e->unused -= some;
}

static void live_on(struct end *e)
{
    struct duel *d = e->side->duel;
    struct tcp *tcp = stack_tcp(e->side->stack);
    if (draw(d, 4) == 0)
        do_send(e);
    if (draw(d, 200) == 0 && !d->ending)
        e->paused = true;
    if (e->paused && (draw(d, 50) == 0 || d->ending)) {
        e->paused = false;
        tcp_resume(tcp, e->id);
    }
    if (draw(d, 100) == 0)
        e->keeps = !d->ending && !e->keeps;
    use(e);
    bool enough = e->sent >= e->wanted || d->ending;
    if ((enough || e->ended) && draw(d, 20) == 0)
        do_end(e);
}

static void open_another(struct side *s)
{
    struct ip_address peer;
    int error = 0;
    CHECK(ip_address_parse(s == s->duel->side ? "192.0.2.2" : "192.0.2.1", &peer));
    struct end *e = &s->end[s->ends];
    *e = (struct end){.side = s, .client = true, .live = true};
    e->wanted = s->duel->bytes / (1 + draw(s->duel, 20));
    e->id = tcp_connect(stack_tcp(s->stack), &peer, PORT, upcalls(s), e, &error);
    if (e->id)
        s->ends++;
}

static void give_back(struct side *s)
{
    struct duel *d = s->duel;
    while (s->helds && (d->ending || draw(d, 4))) {
        unsigned i = (unsigned)draw(d, s->helds);
        tcp_free_buffer(stack_tcp(s->stack), s->held[i]);
        s->held[i] = s->held[--s->helds];
    }
}

static void turn(struct side *s)
{
    struct duel *d = s->duel;
    stack_poll(s->stack, d->now_ns);
    for (unsigned i = 0; i < s->ends; i++) {
        if (s->end[i].live)
            live_on(&s->end[i]);
        take_back(&s->end[i], false);
    }
    give_back(s);
    if (!d->ending && s->ends < CONNS / 2 && draw(d, 30) == 0)
        open_another(s);
    stack_flush(s->stack);
}

/* ---- the duel -------------------------------------------------------------------------------------------
 */

static void make_side(struct duel *d, unsigned n)
{
    struct side *s = &d->side[n];
    struct device_sim_options device = {.mac = {2, 0, 0, 0, 0, (uint8_t)(n + 1)}};
    static const uint16_t offers[] = {0, TX_IP_SUM | TX_TCP_SUM, TX_IP_SUM | TX_TCP_SUM | TX_TSO};
    device.offers = offers[draw(d, 3)];
    device.checks_sums = draw(d, 2);
    device.pieces_max = draw(d, 3) ? TX_PIECES_MAX : 1;
    device.tx_ring = draw(d, 3) ? 256 : 4;
    device.mtu_max = draw(d, 4) ? 1500 : 9000;
    s->duel = d;
    s->device = device_sim_new(d->wire, &device);
    struct stack_options o = {.ip = {.device = s->device, .addresses = 1, .mtu = device.mtu_max}};
    CHECK(ip_prefix_parse(n ? "192.0.2.2/24" : "192.0.2.1/24", &o.ip.address[0]));
    o.ip.seed = o.tcp.seed = prng_next(&d->prng);
    memset(o.tcp.secret, (int)draw(d, 256), sizeof o.tcp.secret);
    o.tcp.connections_max = 64;
    o.tcp.half_open_max = draw(d, 3) ? 16 : 1;
    o.tcp.time_wait_max = 32;
    o.tcp.rx_window_max = draw(d, 2) ? 1 << 20 : 20000;
    o.tcp.congestion = draw(d, 2) ? "cubic" : "newreno";
    o.tcp.nagle = draw(d, 4) == 0;
    o.tcp.give_up_ms = 120000;
    s->stack = stack_new(&o);
    struct ip_address any = {0};
    uint16_t port = PORT;
    CHECK(tcp_listen(stack_tcp(s->stack), &any, &port, 0, upcalls(s)) == 0);
}

/* Another kind of trouble, or none. */
static void draw_faults(struct duel *d)
{
    struct sim_faults *f = sim_wire_faults(d->wire);
    *f = (struct sim_faults){.delay_min_ns = 1000 + draw(d, 2000000)};
    f->delay_max_ns = f->delay_min_ns + draw(d, 1000000);
    f->late_ns = 1 + draw(d, 5000000);
    f->leave_ns = draw(d, 2) ? draw(d, 500000) : 0;
    uint32_t *chance[] = {&f->overtaken_ppm, &f->lost_ppm, &f->duplicated_ppm, &f->damaged_ppm,
                          &f->truncated_ppm, &f->full_ppm, &f->rx_some_ppm};
    for (unsigned i = 0; i < sizeof chance / sizeof chance[0]; i++)
        if (draw(d, 3) == 0)
            *chance[i] = (uint32_t)draw(d, draw(d, 4) ? 20000 : 200000);
    if (draw(d, 4) == 0) {
        f->bits_per_s = 10000000 + draw(d, 1000000000);
        f->queue_max = 5 + (uint32_t)draw(d, 100);
    }
    sim_wire_cut(d->wire, draw(d, 20) == 0);
}

/* On to when something happens, or a little: users act whenever they like. */
static void pass_time(struct duel *d)
{
    uint64_t next = sim_wire_deadline(d->wire);
    for (unsigned i = 0; i < 2; i++) {
        uint64_t due = stack_deadline(d->side[i].stack);
        next = due < next ? due : next;
    }
    uint64_t most = d->now_ns + (d->ending ? SECOND : 1 + draw(d, SECOND / 100));
    d->now_ns = next > d->now_ns && next < most ? next : next <= d->now_ns ? d->now_ns + 1000 : most;
    sim_wire_advance(d->wire, d->now_ns);
}

static bool all_over(const struct duel *d)
{
    for (unsigned n = 0; n < 2; n++)
        for (unsigned i = 0; i < d->side[n].ends; i++)
            if (d->side[n].end[i].live || d->side[n].end[i].chunks)
                return false;
    return true;
}

/* All that may be opened has been, and is gone. */
static bool nobody_left(const struct duel *d)
{
    return d->side[0].ends >= CONNS / 2 && d->side[1].ends >= CONNS / 2 && all_over(d);
}

static void say_stuck(const struct duel *d)
{
    for (unsigned n = 0; n < 2; n++)
        for (unsigned i = 0; i < d->side[n].ends; i++) {
            const struct end *e = &d->side[n].end[i];
            if (e->live || e->chunks)
                fprintf(stderr,
                        "side %u end %u: live %d state %d sent %lu released %ld got %lu closed %d ended %d\n",
                        n, i, e->live, tcp_state(stack_tcp(d->side[n].stack), e->id), (unsigned long)e->sent,
                        (long)tcp_released(stack_tcp(d->side[n].stack), e->id), (unsigned long)e->got,
                        e->closed, e->ended);
        }
}

static void fight(struct duel *d)
{
    uint64_t phase_end = 0, stop = d->now_ns + 100 * SECOND;
    while (d->now_ns < stop && d->moved < d->bytes && !nobody_left(d)) {
        if (d->now_ns >= phase_end) {
            draw_faults(d);
            phase_end = d->now_ns + draw(d, 3 * SECOND);
        }
        pass_time(d);
        turn(&d->side[0]);
        turn(&d->side[1]);
    }
    d->ending = true;
    *sim_wire_faults(d->wire) = (struct sim_faults){.delay_min_ns = 100000, .delay_max_ns = 200000};
    sim_wire_cut(d->wire, false);
    for (stop = d->now_ns + PATIENT; !all_over(d) && d->now_ns < stop;) {
        pass_time(d);
        turn(&d->side[0]);
        turn(&d->side[1]);
    }
    if (!all_over(d))
        say_stuck(d);
    JUDGE(all_over(d), "somebody is stuck");
}

static void end_side(struct side *s)
{
    give_back(s);
    for (unsigned i = 0; i < s->ends; i++)
        take_back(&s->end[i], true);
    stack_free(s->stack);
    JUDGE(device_sim_lent(s->device) == 0, "%u buffers are not given back", device_sim_lent(s->device));
    s->device->ops->close(s->device);
}

static uint64_t run(uint64_t seed, uint64_t bytes, bool verbose)
{
    struct duel *d = calloc(1, sizeof *d);
    CHECK(d);
    current = d;
    d->seed = seed;
    d->bytes = bytes;
    d->verbose = verbose;
    d->now_ns = 1000 * SECOND;
    prng_seed(&d->prng, seed);
    d->wire = sim_wire_new(prng_next(&d->prng));
    make_side(d, 0);
    make_side(d, 1);
    fight(d);
    end_side(&d->side[0]);
    end_side(&d->side[1]);
    uint64_t trace = d->trace ^ sim_wire_trace(d->wire);
    sim_wire_free(d->wire);
    free(d);
    return trace;
}

int main(int argc, char **argv)
{
    uint64_t seed = 1, seeds = 1, bytes = 300000;
    bool verbose = false;
    static const struct option options[] = {{"seed", 1, NULL, 's'},
                                            {"seeds", 1, NULL, 'n'},
                                            {"bytes", 1, NULL, 'b'},
                                            {"verbose", 0, NULL, 'v'},
                                            {0}};
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 's')
            seed = strtoull(optarg, NULL, 10);
        else if (c == 'n')
            seeds = strtoull(optarg, NULL, 10);
        else if (c == 'b')
            bytes = strtoull(optarg, NULL, 10);
        else if (c == 'v')
            verbose = true;
        else
            return 2;
    }
    for (uint64_t i = 0; i < seeds; i++) {
        uint64_t trace = run(seed + i, bytes, verbose);
        if (trace != run(seed + i, bytes, false)) {
            fprintf(stderr, "seed %lu: two runs differ\n", (unsigned long)(seed + i));
            return 1;
        }
    }
    printf("%lu seeds\n", (unsigned long)seeds);
    return 0;
}
