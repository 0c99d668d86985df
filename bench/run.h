/* One run of the load, from the first connection to the audit. */
#ifndef BENCH_RUN_H
#define BENCH_RUN_H

#include "result.h"

/* Carries the run out and fills *r. 0, or -1 when it could not be started; r->why then says why. */
int run_load(const struct options *o, struct result *r);

#endif
