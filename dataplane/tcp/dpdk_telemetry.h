/*
 * Counters for DPDK's telemetry socket (dpdk-telemetry.py). A command answers with a dictionary:
 * "/gannet/tcp" with the sums over all fronts, "/gannet/tcp,1" with those of front 1. Asked on a thread of
 * DPDK's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct telemetry_answer;

/* Adds a counter to the answer; of the same name again: to what is there. name: a literal. */
void telemetry_put(struct telemetry_answer *answer, const char *name, uint64_t value);

/* Puts the counters of number index. Any thread, at any time until telemetry_stop returns. */
typedef void telemetry_fill(void *owner, unsigned index, struct telemetry_answer *answer);

/* command, help: literals. count: how many there are to ask. */
void telemetry_add(const char *command, const char *help, unsigned count, telemetry_fill *fill, void *owner);
/* No command is being answered any more, and none will be. */
void telemetry_stop(void);
