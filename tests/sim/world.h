/*
 * The world of one seed: network, site, clients, model, and the order in which they take their turns.
 *
 *   mix    clients do what they like, troubles come, until `ops` deeds are done
 *   calm   the troubles end; the clients finish what is under way and leave
 *   empty  one client consumes all queues until nothing is left
 *   end    a clean stop
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct world_options {
    uint64_t seed, ops;
    bool tcp; /* between clients and broker */
};

/* Runs to the end, or ends the process with what was violated. */
void world_run(const struct world_options *options);
