#include "placement.h"

#include <stdio.h>
#include <string.h>

/* Without a word from the user: how many agents for so many CPUs (the last row that fits), and on how many
 * threads. Threads sleep when idle, and a wake-up costs more than a turn, so there are few. */
static const struct automatic {
    unsigned cpus, fronts, routers;
    bool one_thread;    /* all agents */
    bool journal_apart; /* journals have threads of their own, else their router's */
} automatics[] = {
    {0, 1, 1, true, false},
    {3, 1, 1, false, false},
    {8, 2, 1, false, true},
    {16, 4, 2, false, true},
};

static const struct automatic *automatic(unsigned cpus)
{
    const struct automatic *best = &automatics[0];
    for (unsigned i = 1; i < sizeof automatics / sizeof *automatics; i++)
        if (automatics[i].cpus <= cpus)
            best = &automatics[i];
    return best;
}

/* The thread of a core; a group of automatically placed agents has a negative number of its own instead. */
static struct plan *thread_of(struct placement *placement, int core)
{
    for (unsigned i = 0; i < placement->threads; i++)
        if (placement->plan[i].core == core)
            return &placement->plan[i];
    struct plan *plan = &placement->plan[placement->threads++];
    plan->core = core;
    return plan;
}

enum group { GROUP_FRONT = -1000, GROUP_ROUTER = -2000, GROUP_JOURNAL = -3000 };

static int place(const struct core_list *cores, const struct automatic *automatic, enum group group,
                 unsigned i)
{
    if (cores->count)
        return cores->core[i % cores->count];
    if (automatic->one_thread)
        return GROUP_FRONT;
    if (group == GROUP_JOURNAL && !automatic->journal_apart)
        group = GROUP_ROUTER;
    return group - (int)i;
}

static bool usable(const struct core_list *cores, const char *key, bool (*may_use)(unsigned core),
                   char *error, size_t error_size)
{
    for (unsigned i = 0; i < cores->count; i++)
        if (!may_use(cores->core[i])) {
            snprintf(error, error_size, "%s: core %u does not exist or may not be used by this process", key,
                     cores->core[i]);
            return false;
        }
    return true;
}

static bool check(const struct placement *placement, const struct config *config,
                  bool (*may_use)(unsigned core), unsigned routers_before, char *error, size_t error_size)
{
    if (!usable(&config->cores_front, "cores.front", may_use, error, error_size) ||
        !usable(&config->cores_router, "cores.router", may_use, error, error_size) ||
        !usable(&config->cores_journal, "cores.journal", may_use, error, error_size))
        return false;
    if (routers_before && routers_before != placement->routers) {
        snprintf(error, error_size,
                 "the data directory was made with %u routers, cores.router asks for %u: name as many cores "
                 "as before "
                 "(one core may be named several times)",
                 routers_before, placement->routers);
        return false;
    }
    return true;
}

bool placement_make(struct placement *placement, const struct config *config, unsigned cpus,
                    bool (*may_use)(unsigned core), unsigned routers_before, char *error, size_t error_size)
{
    const struct automatic *row = automatic(cpus);
    memset(placement, 0, sizeof *placement);
    placement->fronts = config->cores_front.count ? config->cores_front.count : row->fronts;
    placement->routers = routers_before ? routers_before : row->routers;
    if (config->cores_router.count)
        placement->routers = config->cores_router.count;
    if (!check(placement, config, may_use, routers_before, error, error_size))
        return false;
    for (unsigned i = 0; i < placement->fronts; i++) {
        struct plan *plan = thread_of(placement, place(&config->cores_front, row, GROUP_FRONT, i));
        plan->front[plan->front_count++] = (uint8_t)i;
    }
    for (unsigned i = 0; i < placement->routers; i++) {
        struct plan *plan = thread_of(placement, place(&config->cores_router, row, GROUP_ROUTER, i));
        plan->router[plan->router_count++] = (uint8_t)i;
        plan = thread_of(placement, place(&config->cores_journal, row, GROUP_JOURNAL, i));
        plan->journal[plan->journal_count++] = (uint8_t)i;
    }
    for (unsigned i = 0; i < placement->threads; i++)
        if (placement->plan[i].core < 0)
            placement->plan[i].core = ANY_CORE;
    return true;
}
