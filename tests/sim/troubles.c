/* What befalls the broker. */
#include "history.h"
#include "world_inside.h"

static uint64_t some_steps(struct world *world)
{
    return world->step + 1 + prng_below(&world->prng, UINT64_C(1) << prng_below(&world->prng, 11));
}

/* Nearly always while something is written: what is on the disk then is what a crash is about. */
static void kill_broker(struct world *world, enum sim_crash crash)
{
    enum { PATIENCE_STEPS = 2000 };
    if (world->site->state == SITE_DOWN || world->kill_by)
        return;
    world->crash = crash;
    world->kill_blocks = (unsigned)prng_below(&world->prng, 4) * (unsigned)(1 + prng_below(&world->prng, 2));
    if (world->plan.deadly)
        world->kill_blocks += world->kill_blocks == 0;
    world->kill_rejected = model_counts(world->model).rejected;
    world->kill_by = world->step + (world->kill_blocks ? PATIENCE_STEPS : 0);
}

/* What has just been rejected is on its way to the dead letters. */
static void wait_for_rejection(struct world *world)
{
    if (!world->plan.deadly || !world->kill_blocks ||
        model_counts(world->model).rejected == world->kill_rejected)
        return;
    world->kill_by = world->step + 1 + prng_below(&world->prng, 16);
    world->kill_blocks = 0;
}

/* Perhaps once more soon after the next start, which has to do with what this one left. */
static void kill_if_due(struct world *world)
{
    if (world->kill_by)
        wait_for_rejection(world);
    bool busy = world->kill_blocks && !world->plan.deadly && site_writing(world->site) >= world->kill_blocks;
    if (!world->kill_by || world->site->state == SITE_DOWN || (world->step < world->kill_by && !busy))
        return;
    world_kill(world, world->crash);
    world->down_until = some_steps(world);
    world->kill_by = 0;
    if (prng_below(&world->prng, 3) == 0) {
        world->kill_by = world->down_until + 1 + prng_below(&world->prng, 100);
        world->kill_blocks = 1 + (unsigned)prng_below(&world->prng, 2);
    }
}

static void stop_broker(struct world *world)
{
    if (world->site->state != SITE_UP)
        return;
    site_stop(world->site);
    world->down_until = some_steps(world);
}

static void stall(struct world *world)
{
    if (world->site->state == SITE_DOWN)
        return;
    unsigned agent = (unsigned)prng_below(&world->prng, site_agents(world->site));
    site_stall(world->site, agent, some_steps(world));
    history_note("agent %u stalls", agent);
}

static void slow_disk(struct world *world)
{
    world->faults.steps_max = 1u << prng_below(&world->prng, 8);
    world->slow_until = some_steps(world);
    history_note("the disks are slow: %u steps", world->faults.steps_max);
}

static void full_disk(struct world *world)
{
    world->faults.capacity = 1; /* nothing fits any more */
    world->full_until = some_steps(world);
    history_note("the disks are full");
}

static void write_fails(struct world *world)
{
    world->faults.write_fails = 50000;
    history_note("writes fail");
}

static void befall(struct world *world, enum trouble trouble)
{
    switch (trouble) {
    case TROUBLE_KILL:
        kill_broker(world, SIM_KILL);
        return;
    case TROUBLE_POWER_CUT:
        kill_broker(world, SIM_POWER);
        return;
    case TROUBLE_STOP:
        stop_broker(world);
        return;
    case TROUBLE_STALL:
        stall(world);
        return;
    case TROUBLE_SLOW_DISK:
        slow_disk(world);
        return;
    case TROUBLE_FULL_DISK:
        full_disk(world);
        return;
    case TROUBLE_WRITE_FAILS:
        write_fails(world);
        return;
    case TROUBLE_HUSH:
        world->hush_until = world->step + 5000;
        return;
    case TROUBLE_KINDS:
        return;
    }
}

/* A disk that has failed a write is mended with the next start. */
static void pass(struct world *world)
{
    if (world->slow_until && world->step >= world->slow_until)
        world->slow_until = 0;
    if (!world->slow_until)
        world->faults.steps_max = world->plan.disk_steps;
    if (world->full_until && world->step >= world->full_until) {
        world->faults.capacity = 0, world->full_until = 0;
        history_note("there is room on the disks again");
    }
    if (world->site->state == SITE_DOWN)
        world->faults.write_fails = 0;
}

void trouble_step(struct world *world)
{
    pass(world);
    kill_if_due(world);
    for (unsigned t = 0; t < TROUBLE_KINDS; t++)
        if (prng_chance(&world->prng, world->plan.troubles[t]))
            befall(world, (enum trouble)t);
    site_faults(world->site, &world->faults);
}

/* Journals that wait for room ask again five times a second; what was retained can't be sent before. */
void trouble_end(struct world *world)
{
    const uint64_t ask_ns = 250000000;
    world->now_ns += world->mqtt ? ask_ns : 0;
    world->slow_until = world->full_until = world->hush_until = world->kill_by = 0;
    world->faults = (struct sim_faults){0};
    site_faults(world->site, &world->faults);
    site_stall_none(world->site);
    network_calm(world->network);
    history_note("the troubles end");
}
