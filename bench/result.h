/* All that is known when a run is over: what the report is made of. */
#ifndef BENCH_RESULT_H
#define BENCH_RESULT_H

#include "meter.h"
#include "options.h"
#include "usage.h"

/* The judgement on every message of the run, warm-up included. */
struct audit {
    bool loss_checked;       /* false: what had to arrive is not known */
    uint64_t expected;       /* messages that had to come out, all queues together */
    uint64_t lost;           /* confirmed (sent, without confirms) and never received */
    uint64_t unsure_missing; /* neither confirmed nor received: nothing was promised */
    uint64_t unconfirmed;    /* no confirm came until the end */
};

struct result {
    const struct options *o;
    uint32_t run;   /* the id in its bodies */
    double seconds; /* measured */
    struct tally measured, whole;
    struct usage begin, end; /* of the measured time */
    struct memory broker_memory;
    bool broker_gone;
    unsigned broker_cpus;
    uint64_t idle; /* connections that did nothing, up until the end */
    struct histogram latency, confirm_latency;
    struct audit audit;
    bool interrupted;
    char why[640]; /* empty, or the sentence why it ended early */
};

/* True when the run proves nothing bad: the exit status. */
bool result_good(const struct result *r);

#endif
