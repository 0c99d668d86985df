/* The line each second, in the words of RabbitMQ PerfTest. */
#ifndef BENCH_LIVE_H
#define BENCH_LIVE_H

#include "meter.h"
#include "options.h"

#include <stdio.h>

struct live {
    const struct options *o;
    FILE *to;
    uint64_t started_ns, printed_ns;
    struct tally before;
    struct histogram latency, latency_before, confirm, confirm_before, second; /* `second` is scratch */
};

/* Prints what happened since the last call. `now` is the state of all threads together; the caller has filled
 * l->latency and l->confirm with theirs. */
void live_line(struct live *l, uint64_t now_ns, const struct tally *now);

#endif
