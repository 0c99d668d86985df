/* Which side held the other up: the sentence at the end of the report. */
#ifndef BENCH_VERDICT_H
#define BENCH_VERDICT_H

#include "result.h"

enum bottleneck {
    BOTTLENECK_NONE, /* the rate asked for was reached */
    BOTTLENECK_BROKER,
    BOTTLENECK_CLIENT,
    BOTTLENECK_BOTH,
    BOTTLENECK_MACHINE, /* no CPU left for anybody */
    BOTTLENECK_WAITING, /* neither CPU: disk, network, or too little in flight */
    BOTTLENECK_UNKNOWN, /* not the client; of the broker nothing is known, or it was too short to tell */
};

struct verdict {
    enum bottleneck bottleneck;
    double client_busy;                /* share of a core its busiest thread used, 0 to 1 */
    double client_cores, broker_cores; /* CPU time per second, all threads */
    double broker_busy;  /* the busiest thread's share of a core, or all threads' of the cores allowed: the
                            larger */
    double machine_idle; /* 0 to 1, all CPUs together */
    double waited_socket, waited_confirm; /* share of the time of one thread */
};

void verdict_make(struct verdict *v, const struct result *r);
/* "broker", "client", ... */
const char *verdict_name(enum bottleneck b);
/* The whole sentence. */
void verdict_write(const struct verdict *v, const struct result *r, char *text, size_t size);

#endif
