/* Which thread runs which agents, and on which core: a pure function of the configuration and the machine. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "config.h"

enum { THREADS_MAX = FRONTS_MAX + 2 * ROUTERS_MAX, ANY_CORE = -1 };

/* Agents by number, in the order in which the thread polls them. */
struct plan {
    int core; /* ANY_CORE: the kernel chooses */
    unsigned front_count, router_count, journal_count;
    uint8_t front[FRONTS_MAX], router[ROUTERS_MAX], journal[ROUTERS_MAX];
};

struct placement {
    unsigned fronts, routers; /* a journal for each router */
    unsigned threads;
    struct plan plan[THREADS_MAX];
};

/*
 * cpus: how many this process may use; may_use: whether core n is one of them. routers_before: how many the
 * data directory has, 0 if it is new. Returns false with one sentence in error.
 */
bool placement_make(struct placement *placement, const struct config *config, unsigned cpus,
                    bool (*may_use)(unsigned core), unsigned routers_before, char *error, size_t error_size);
