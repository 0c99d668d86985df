/* The exchange, queues and bindings of a run, made and removed over a connection of its own. */
#ifndef BENCH_TOPOLOGY_H
#define BENCH_TOPOLOGY_H

#include "carrier.h"
#include "options.h"

/* Declares, purges and binds as the options say. 0, or -1 with a sentence in why. */
int topology_make(const struct options *o, struct carrier *carrier, char *why, size_t why_size);
/* Deletes the queues and the exchange. */
int topology_remove(const struct options *o, struct carrier *carrier, char *why, size_t why_size);

#endif
