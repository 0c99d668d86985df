/* The end without faults: everything that is under way ends, everything that is kept comes out. */
#include "base/check.h"
#include "history.h"
#include "world_inside.h"

enum { STEPS_TO_SETTLE = 200000 };

/* To the next thing that happens by itself. */
static void skip_time(struct world *world)
{
    uint64_t next = sim_deadline(world->network), at = site_deadline(world->site);
    next = at < next ? at : next;
    for (unsigned i = 0; i < CLIENTS; i++) {
        at = client_deadline(&world->clients[i]);
        next = at < next ? at : next;
    }
    if (next != UINT64_MAX && next > world->now_ns)
        world->now_ns = next;
}

/* Steps until the broker has nothing to do and `done` says so. */
static void settle(struct world *world, bool (*done)(const struct world *world), const char *what)
{
    for (unsigned n = 0; n < STEPS_TO_SETTLE; n++) {
        bool idle = world_step(world);
        if (idle && done(world))
            return;
        if (idle)
            skip_time(world);
    }
    history_fail("no faults, and %u steps later %s", STEPS_TO_SETTLE, what);
}

static bool is_up(const struct world *world)
{
    return world->site->state == SITE_UP;
}

static bool all_said(const struct world *world)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        const struct client *client = &world->clients[i];
        if (client->out.len || client->state == CLIENT_OPENING)
            return false;
    }
    return true;
}

static bool all_away(const struct world *world)
{
    uint64_t connections = 0;
    for (unsigned i = 0; i < CLIENTS; i++)
        if (world->clients[i].state != CLIENT_AWAY)
            return false;
    for (unsigned f = 0; f < world->site->fronts; f++)
        connections += front_stats(world->site->broker->front[f])->connections;
    return connections == 0;
}

static bool is_down(const struct world *world)
{
    return world->site->state == SITE_DOWN;
}

static void stop(struct world *world)
{
    site_stop(world->site);
    world->down_until = UINT64_MAX;
    for (unsigned n = 0; n < STEPS_TO_SETTLE && !is_down(world); n++) {
        world_step(world);
        skip_time(world);
    }
    if (!is_down(world))
        history_fail("the broker doesn't end");
}

void world_end(struct world *world)
{
    trouble_end(world);
    world->down_until = 0;
    settle(world, is_up, "the broker isn't up");
    for (unsigned i = 0; i < CLIENTS; i++)
        client_deafen(&world->clients[i], false);
    settle(world, all_said, "a client can't say what it wants to");
    for (unsigned i = 0; i < CLIENTS; i++)
        client_close(&world->clients[i]);
    settle(world, all_away, "a connection isn't closed");
    stop(world);
}
