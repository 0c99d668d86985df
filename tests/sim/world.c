#include "world_inside.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "history.h"
#include "sim_log.h"

enum { QUIET_STEPS = 2 }; /* without work: the broker has nothing to do */

/* ---- one step --------------------------------------------------------------------------------------- */

static void advance_time(struct world *world)
{
    world->step++;
    world->now_ns += 1 + prng_below(&world->prng, world->plan.step_ns_max);
    world->shared.now_ns = world->now_ns;
    history_step(world->step);
    network_advance(world->network, world->now_ns);
    model_time(world->model, world->now_ns);
    if (world->faults.capacity)
        model_no_room(world->model);
}

bool world_step(struct world *world)
{
    advance_time(world);
    for (unsigned i = 0; i < CLIENTS; i++)
        client_move(&world->clients[i]);
    mqtt_party_move(world->mqtt, world->site->state == SITE_STOPPING);
    stomp_party_move(world->stomp, world->site->state == SITE_STOPPING);
    guard_party_move(world->guard, world->site);
    if (world->site->state == SITE_DOWN && world->step >= world->down_until)
        site_start(world->site);
    if (world->site->state == SITE_STARTING && (world->faults.capacity || world->faults.write_fails))
        model_may_mark(world->model);
    overseer_step(&world->overseer, &world->plan, world->site, world->model, world->acts);
    enum site_state before = world->site->state;
    bool idle = site_poll(world->site, world->step, world->now_ns);
    world->quiet = idle ? world->quiet + 1 : 0;
    if (before == SITE_STOPPING && world->site->state == SITE_DOWN) {
        model_down(world->model, true);
        mqtt_party_down(world->mqtt);
        stomp_party_down(world->stomp);
    }
    bool up = world->site->state == SITE_UP;
    if (world->quiet == QUIET_STEPS && up) {
        model_idle(world->model);
        stomp_party_idle(world->stomp);
        guard_party_idle(world->guard);
    }
    return world->quiet >= QUIET_STEPS && up;
}

void world_kill(struct world *world, enum sim_crash crash)
{
    site_kill(world->site, crash);
    model_down(world->model, false);
    mqtt_party_down(world->mqtt);
    stomp_party_down(world->stomp);
}

/* ---- the mix ---------------------------------------------------------------------------------------- */

static void act_all(struct world *world)
{
    for (unsigned i = 0; i < world->plan.clients; i++)
        if (prng_chance(&world->prng, world->plan.deed_ppm))
            client_act(&world->clients[i]);
    mqtt_party_act(world->mqtt);
    stomp_party_act(world->stomp);
    guard_party_act(world->guard);
}

/* Nobody does anything for a while. */
static void leap(struct world *world)
{
    uint64_t ms = 50 + prng_below(&world->prng, 700);
    history_note("time goes on by %llu ms", (unsigned long long)ms);
    world->now_ns += ms * 1000000;
}

static void mix(struct world *world)
{
    enum { STEPS_PER_DEED_MAX = 30 };
    uint64_t most = world->step + world->options.ops * STEPS_PER_DEED_MAX;
    while (world->shared.deeds < world->options.ops && world->step < most) {
        trouble_step(world);
        world->acts = world->step >= world->hush_until && world->site->state != SITE_DOWN;
        if (world->acts)
            act_all(world);
        if (!world_step(world))
            continue;
        world->hush_until = 0;
        /* Over TCP a connection of which the broker has given up would come back as somebody else's. */
        if (!world->options.tcp && prng_chance(&world->prng, world->plan.leap_ppm))
            leap(world);
    }
    world->acts = false;
}

/* ---- making one --------------------------------------------------------------------------------------- */

static void on_failed(void *owner)
{
    model_failed(((struct world *)owner)->model);
    mqtt_party_failed(((struct world *)owner)->mqtt);
    stomp_party_failed(((struct world *)owner)->stomp);
}

static void make_site(struct world *world)
{
    struct prng *prng = &world->prng;
    struct site_options options = {
        .seed = prng_next(prng),
        .fronts = 1 + (unsigned)prng_below(prng, SITE_FRONTS),
        .routers = 1 + (unsigned)prng_below(prng, SITE_ROUTERS),
        .one_disk = prng_below(prng, 2),
        .heartbeat_s = (uint16_t)prng_below(prng, 3),
        .checkpoint_bytes = (uint64_t[]){0, 65536, 16384, 8192}[prng_below(prng, 4)],
        .failed = on_failed,
        .owner = world,
    };
    options.memory_budget = options.routers * (uint64_t)(131072 << prng_below(prng, 4));
    world->site = site_new(&options, world->network, world->taps);
}

/* ---- who tells the model --------------------------------------------------------------------------------
 */

static void on_opened(void *owner, uint64_t stream)
{
    model_opened(((struct world *)owner)->model, stream);
}

static void on_client_begun(void *owner, uint64_t stream, const struct said *said)
{
    model_client_begun(((struct world *)owner)->model, stream, said);
}

static void on_client_said(void *owner, uint64_t stream, const struct said *said)
{
    model_client_said(((struct world *)owner)->model, stream, said);
}

static void on_broker_said(void *owner, uint64_t stream, const struct said *said)
{
    model_broker_said(((struct world *)owner)->model, stream, said);
}

static void on_left(void *owner, uint64_t stream)
{
    model_left(((struct world *)owner)->model, stream);
}

static void on_closed(void *owner, uint64_t stream, unsigned channel)
{
    model_closed(((struct world *)owner)->model, stream, channel);
}

static void on_lapsed(void *owner, uint64_t stream, unsigned channel, const char *tag)
{
    model_lapsed(((struct world *)owner)->model, stream, channel, tag);
}

static struct network *make_streams(struct world *world)
{
    struct sim_network_options options = sim_network_defaults(prng_next(&world->prng));
    options.delay_min_ns = 1000;
    options.delay_max_ns = world->plan.network.delay_max_ns;
    options.window_max = world->plan.network.window_max;
    options.piece_max = world->plan.network.piece_max;
    options.idle_ppm = world->plan.network.idle_ppm;
    return network_new(&options);
}

/* A step is longer there, so that TCP's timers matter. */
static struct network *make_lan(struct world *world)
{
    world->plan.step_ns_max <<= prng_below(&world->prng, 6);
    return network_new_lan(prng_next(&world->prng));
}

static void make_network(struct world *world)
{
    world->network = world->options.tcp ? make_lan(world) : make_streams(world);
    world->taps = taps_new(world->network, (struct tap_watch){world, on_opened, on_client_begun,
                                                              on_client_said, on_broker_said, on_left});
}

static struct world *world_new(const struct world_options *options)
{
    struct world *world = calloc(1, sizeof *world);
    CHECK(world);
    world->options = *options;
    prng_seed(&world->prng, options->seed);
    plan_draw(&world->plan, &world->prng);
    prng_seed(&world->overseer.prng, options->seed);
    prng_seed(&world->overseer.more, ~options->seed);
    world->model = model_new();
    make_network(world);
    model_attach(world->model, world->taps);
    sim_log_watch(on_closed, world);
    sim_log_watch_lapses(on_lapsed);
    world->shared = (struct clients){
        .network = world->network, .taps = world->taps, .prng = &world->prng, .plan = &world->plan};
    for (unsigned i = 0; i < CLIENTS; i++)
        client_init(&world->clients[i], &world->shared, i);
    make_site(world);
    world->mqtt = mqtt_party_new(&world->plan.mqtt, &world->shared, options->seed);
    world->stomp = stomp_party_new(&world->plan.stomp, &world->shared, options->seed);
    world->guard = guard_party_new(&world->plan.guard, &world->shared, options->seed);
    return world;
}

static void world_free(struct world *world)
{
    sim_log_watch(NULL, NULL);
    for (unsigned i = 0; i < CLIENTS; i++)
        client_free(&world->clients[i]);
    mqtt_party_free(world->mqtt);
    stomp_party_free(world->stomp);
    guard_party_free(world->guard);
    for (unsigned i = 0; i < CLIENTS_BOUND; i++) {
        buffer_free(&world->shared.bound[0].binding[i]);
        buffer_free(&world->shared.bound[1].binding[i]);
    }
    site_free(world->site);
    taps_free(world->taps);
    network_free(world->network);
    model_free(world->model);
    free(world);
}

void world_run(const struct world_options *options)
{
    struct world *world = world_new(options);
    site_start(world->site);
    mix(world);
    world_end(world);
    world_free(world);
}
