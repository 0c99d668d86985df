/* The broker as a whole, in Prometheus's format. */
#pragma once

#include <stdio.h>

#include "call.h"

struct shm;

/* All its counters. sums: those of all queues together, too, whose names are a queue's where each is told of.
 */
void metrics_write(const struct call *call, const struct shm *shm, bool sums, FILE *out);
