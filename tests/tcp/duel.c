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
#include <string.h>

#include "base/check.h"
#include "duel.h"

struct duel *current;

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
    CHECK(tcp_listen(stack_tcp(s->stack), &any, &port, 0, user_upcalls(s)) == 0);
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
    uint64_t phase_end = 0, stop = d->now_ns + 3000 * SECOND;
    while (d->now_ns < stop && d->moved < d->bytes) {
        if (d->now_ns >= phase_end) {
            draw_faults(d);
            phase_end = d->now_ns + draw(d, draw(d, 2) ? SECOND / 5 : 3 * SECOND);
        }
        pass_time(d);
        user_turn(&d->side[0]);
        user_turn(&d->side[1]);
    }
    d->ending = true;
    *sim_wire_faults(d->wire) = (struct sim_faults){.delay_min_ns = 100000, .delay_max_ns = 200000};
    sim_wire_cut(d->wire, false);
    for (stop = d->now_ns + PATIENT; !all_over(d) && d->now_ns < stop;) {
        pass_time(d);
        user_turn(&d->side[0]);
        user_turn(&d->side[1]);
    }
    if (!all_over(d))
        say_stuck(d);
    JUDGE(all_over(d), "somebody is stuck");
}

/* What it was worth. */
static void say_what_happened(const struct duel *d)
{
    const struct sim_wire_stats *w = sim_wire_stats(d->wire);
    printf("seed %lu: %lu bytes in %.1f s, %lu connections, %lu directions complete; frames %lu, lost %lu, "
           "damaged %lu, "
           "overtaken %lu;",
           (unsigned long)d->seed, (unsigned long)d->moved, (double)(d->now_ns - 1000 * SECOND) / 1e9,
           (unsigned long)d->opened, (unsigned long)d->complete, (unsigned long)w->sent,
           (unsigned long)(w->lost + w->unplugged + w->queue_full),
           (unsigned long)(w->damaged + w->truncated), (unsigned long)w->overtaken);
    for (unsigned n = 0; n < 2; n++) {
        const struct tcp_stats *t = tcp_stats(stack_tcp(d->side[n].stack));
        printf(" retransmitted %lu rto %lu tlp %lu fast %lu out of order %lu;",
               (unsigned long)t->retransmitted, (unsigned long)t->rto, (unsigned long)t->tlp,
               (unsigned long)t->fast_recoveries, (unsigned long)t->out_of_order);
    }
    printf("\n");
}

static void end_side(struct side *s)
{
    user_give_back(s);
    for (unsigned i = 0; i < s->ends; i++)
        user_take_back(&s->end[i], true);
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
    if (verbose)
        say_what_happened(d);
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
