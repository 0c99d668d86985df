/* The broker's counters (dataplane/base/shm.h), and whether it still writes them. */
#pragma once

#include "call.h"
#include "dataplane/base/shm.h"

/* A broker writes them each second: one that hasn't for so long isn't there, or hangs. */
enum { COUNTERS_STALE_MS = 5000 };

/* Maps them; shm_close when done. False: the reply says with 503 that no broker runs. */
bool counters_open(const struct call *call, struct reply *reply, struct shm *shm);
/* Over all agents; 0 of a counter that this broker hasn't got. */
uint64_t counters_sum(const struct shm *shm, const char *name);
/* The same of a histogram; an empty one. */
void counters_histogram(const struct shm *shm, const char *name, struct histogram *sum);
/* Messages in queues that nobody has been given; a stream's all count. */
uint64_t counters_ready(const struct shm *shm);
