/* The wire and the hosts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/limits.h"
#include "history.h"
#include "lan_inside.h"

/* ---- what a seed is about ------------------------------------------------------------------------------ */

static uint32_t some(struct prng *prng, uint32_t usually)
{
    static const uint32_t tenths[] = {0, 0, 1, 10, 10, 50};
    return usually * tenths[prng_below(prng, sizeof tenths / sizeof *tenths)] / 10;
}

static struct sim_faults draw_faults(struct prng *prng)
{
    struct sim_faults faults = {
        .delay_min_ns = 1000,
        .delay_max_ns = UINT64_C(10000) << prng_below(prng, 8),
        .overtaken_ppm = some(prng, 20000),
        .lost_ppm = some(prng, 10000),
        .duplicated_ppm = some(prng, 10000),
        .damaged_ppm = some(prng, 5000),
        .truncated_ppm = some(prng, 2000),
        .full_ppm = some(prng, 20000),
        .leave_ns = prng_below(prng, 2) ? 0 : UINT64_C(1000) << prng_below(prng, 12),
        .rx_some_ppm = some(prng, 100000),
    };
    faults.late_ns = faults.delay_max_ns * (1 + prng_below(prng, 8));
    if (prng_below(prng, 4) == 0) {
        faults.bits_per_s = UINT64_C(10000000) << prng_below(prng, 6);
        faults.queue_max = 8u << prng_below(prng, 5);
    }
    return faults;
}

static void draw_plan(struct lan_plan *plan, struct prng *prng)
{
    *plan = (struct lan_plan){
        .faults = draw_faults(prng),
        .v6 = prng_below(prng, 3) == 0,
        .small = prng_below(prng, 2),
        .rto_min_us = 1000u << prng_below(prng, 6),
        .give_up_ms = 1000u << prng_below(prng, 6),
        .keepalive_ms = 1000u << prng_below(prng, 6),
        .idle_ppm = some(prng, 100000),
        .partition_ppm = some(prng, 300),
        .partition_ns = UINT64_C(1000000) << prng_below(prng, 12),
        .window = (size_t)1024 << prng_below(prng, 7),
    };
}

/* ---- hosts --------------------------------------------------------------------------------------------- */

struct ip_address lan_host_address(const struct lan *lan, unsigned generation, unsigned who)
{
    struct ip_address address = {{0}};
    uint8_t *at = address.bytes;
    if (lan->plan.v6) {
        at[0] = 0xfd;
    } else {
        at[10] = at[11] = 0xff;
        at[12] = 10;
    }
    at[14] = (uint8_t)generation;
    at[15] = (uint8_t)who;
    return address;
}

static struct device *plug_in(struct lan *lan, unsigned generation, unsigned who)
{
    static const uint16_t offers[] = {0, TX_IP_SUM | TX_TCP_SUM, TX_IP_SUM | TX_TCP_SUM | TX_TSO};
    struct prng *prng = &lan->prng;
    struct device_sim_options options = {
        .mac = {2, 0, 0, 0, (uint8_t)generation, (uint8_t)who},
        .mtu_max = (uint16_t[]){0, 1280, 9000}[prng_below(prng, 3)],
        .offers = (uint16_t)(offers[prng_below(prng, 3)] | (prng_below(prng, 2) ? TX_IPV6 : 0)),
        .pieces_max = (uint16_t)(1 + prng_below(prng, TX_PIECES_MAX)),
        .checks_sums = prng_below(prng, 2),
    };
    if (lan->plan.small) {
        options.tx_ring = 4u << prng_below(prng, 5);
        options.rx_ring = 8u << prng_below(prng, 5);
        /* What the stack and the front may keep, and some more. */
        options.buffers_max = TCP_FRAMES_KEPT + TCP_FRAMES_HELD + options.rx_ring + DEVICE_BURST;
    }
    return device_sim_new(lan->wire, &options);
}

void host_on(struct lan *lan, struct host *host, unsigned who, bool broker)
{
    struct prng *prng = &lan->prng;
    host->device = plug_in(lan, host->generation, who);
    host->address = lan_host_address(lan, host->generation, who);
    struct stack_options options = {
        .ip = {.device = host->device, .addresses = 1, .mtu = host->device->mtu_max, .seed = prng_next(prng)},
        .tcp = {.seed = prng_next(prng),
                .connections_max = 64,
                .half_open_max = 1 + (uint32_t)prng_below(prng, 4),
                .time_wait_max = 1 + (uint32_t)prng_below(prng, 4),
                .rto_min_us = lan->plan.rto_min_us,
                .time_wait_ms = 10u << prng_below(prng, 10),
                .keepalive_ms = lan->plan.keepalive_ms,
                .give_up_ms = lan->plan.give_up_ms,
                .rx_window_max =
                    broker ? TCP_RX_WINDOW_MIN << prng_below(prng, 5) : (uint32_t)lan->plan.window,
                .congestion = prng_below(prng, 2) ? "cubic" : "newreno",
                .nagle = prng_below(prng, 4) == 0},
    };
    options.ip.address[0] = (struct ip_prefix){host->address, lan->plan.v6 ? 64 : 16};
    for (unsigned i = 0; i < sizeof options.tcp.secret; i++)
        options.tcp.secret[i] = (uint8_t)prng_next(prng);
    host->stack = stack_new(&options);
    host->plugged_ns = 0;
}

void host_off(struct host *host)
{
    if (!host->device)
        return;
    stack_free(host->stack);
    host->device->ops->close(host->device);
    host->device = NULL;
    host->stack = NULL;
}

/* ---- what breaks --------------------------------------------------------------------------------------- */

static void plug(struct host *host)
{
    device_sim_unplug(host->device, false);
    host->plugged_ns = 0;
}

/* A cable is pulled; it is put back after a while. */
static void part(struct lan *lan)
{
    unsigned n = (unsigned)prng_below(&lan->prng, LAN_FRONTS + LAN_CLIENTS);
    struct host *host = n < LAN_FRONTS ? &lan->front[n] : &lan->client[n - LAN_FRONTS];
    if (!host->device || host->plugged_ns)
        return;
    host->plugged_ns = lan->now_ns + 1 + prng_below(&lan->prng, lan->plan.partition_ns);
    device_sim_unplug(host->device, true);
    history_note("the cable of host %u is pulled", n);
}

static void mend(struct host *host, uint64_t now_ns)
{
    if (host->device && host->plugged_ns && host->plugged_ns <= now_ns)
        plug(host);
}

static void trouble(struct lan *lan)
{
    for (unsigned i = 0; i < LAN_FRONTS; i++)
        mend(&lan->front[i], lan->now_ns);
    for (unsigned i = 0; i < LAN_CLIENTS; i++)
        mend(&lan->client[i], lan->now_ns);
    if (!lan->calm && prng_chance(&lan->prng, lan->plan.partition_ppm))
        part(lan);
}

void lan_calm(struct lan *lan)
{
    struct sim_faults *faults = sim_wire_faults(lan->wire);
    *faults = (struct sim_faults){.delay_min_ns = faults->delay_min_ns,
                                  .delay_max_ns = faults->delay_max_ns,
                                  .leave_ns = faults->leave_ns};
    lan->calm = true;
    lan->plan.idle_ppm = 0;
    for (unsigned i = 0; i < LAN_FRONTS; i++)
        mend(&lan->front[i], UINT64_MAX);
    for (unsigned i = 0; i < LAN_CLIENTS; i++)
        mend(&lan->client[i], UINT64_MAX);
}

/* ---- the turn ------------------------------------------------------------------------------------------ */

void lan_advance(struct lan *lan, uint64_t now_ns)
{
    lan->now_ns = now_ns;
    trouble(lan);
    for (unsigned i = 0; i < LAN_CLIENTS; i++)
        if (lan->client[i].stack)
            stack_flush(lan->client[i].stack);
    sim_wire_advance(lan->wire, now_ns);
    for (unsigned i = 0; i < LAN_CLIENTS; i++) {
        struct stack *stack = lan->client[i].stack;
        if (!stack || prng_chance(&lan->prng, lan->plan.idle_ppm))
            continue;
        stack_poll(stack, now_ns);
        stack_flush(stack);
    }
    lan_reap(lan);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t host_deadline(const struct host *host)
{
    return host->stack ? stack_deadline(host->stack) : UINT64_MAX;
}

uint64_t lan_deadline(const struct lan *lan)
{
    uint64_t at = sim_wire_deadline(lan->wire);
    for (unsigned i = 0; i < LAN_FRONTS; i++)
        at = least(at, host_deadline(&lan->front[i]));
    for (unsigned i = 0; i < LAN_CLIENTS; i++)
        at = least(at, host_deadline(&lan->client[i]));
    return at;
}

static bool all_acknowledged(const struct lan_stream *s)
{
    return s->gone || s->forgotten || tcp_released(stack_tcp(s->host->stack), s->conn) >= s->written;
}

bool lan_is_silent(const struct lan *lan)
{
    return sim_wire_deadline(lan->wire) == UINT64_MAX;
}

bool lan_quiet(const struct lan *lan)
{
    if (!lan_is_silent(lan))
        return false;
    for (unsigned i = 0; i < LAN_FRONTS; i++)
        if (lan->front[i].device && device_sim_waiting(lan->front[i].device))
            return false;
    for (unsigned i = 0; i < LAN_CLIENTS; i++)
        if (lan->client[i].device && device_sim_waiting(lan->client[i].device))
            return false;
    for (size_t i = lan->first; i < lan->streams; i++)
        if (lan->stream[i] && !all_acknowledged(lan->stream[i]))
            return false;
    return true;
}

/* ---- making one ---------------------------------------------------------------------------------------- */

struct lan *lan_new(uint64_t seed)
{
    struct lan *lan = calloc(1, sizeof *lan);
    CHECK(lan);
    prng_seed(&lan->prng, seed);
    draw_plan(&lan->plan, &lan->prng);
    lan->wire = sim_wire_new(prng_next(&lan->prng));
    *sim_wire_faults(lan->wire) = lan->plan.faults;
    return lan;
}

void lan_free(struct lan *lan)
{
    history_note("the wire's trace is %016llx", (unsigned long long)sim_wire_trace(lan->wire));
    for (unsigned i = 0; i < LAN_FRONTS; i++)
        CHECK(!lan->front[i].device);
    for (unsigned i = 0; i < LAN_CLIENTS; i++)
        host_off(&lan->client[i]);
    for (size_t i = lan->first; i < lan->streams; i++)
        if (lan->stream[i])
            lan_stream_free(lan->stream[i]);
    sim_wire_free(lan->wire);
    free(lan->stream);
    free(lan);
}
