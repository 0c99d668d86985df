/* A worker thread: a loop that carries some of the producers and consumers. Threads share nothing but
 * the phase of the run and the counters, which the reporting thread reads. */
#ifndef BENCH_WORKER_H
#define BENCH_WORKER_H

#include "consumer.h"
#include "meter.h"
#include "producer.h"

#include <pthread.h>
#include <stdbool.h>

/* Set by the reporting thread only, upwards only. */
enum phase {
    PHASE_LOAD,  /* producers publish */
    PHASE_DRAIN, /* they only finish what they have begun */
    PHASE_STOP,  /* connections are closed, threads return */
};

struct worker {
    pthread_t thread;
    const struct options *o;
    const enum phase *phase; /* of the run */
    enum phase entered;      /* the phase this thread acts by */
    const char *failed;      /* NULL, or the sentence why a connection ended the run; never reset */

    struct producer **producers;
    struct consumer **consumers;
    size_t producers_n, consumers_n;

    struct carrier *carrier;
    uint64_t down_since_ns, retry_ns; /* while a connection is down (--survive) */
    struct meter meter;
};

/* The carrier is the worker's from now on. */
void worker_init(struct worker *w, const struct options *o, const enum phase *phase, struct carrier *carrier);
/* Opens the connections of the worker, consumers first. 0, or -1 with w->failed. */
int worker_open(struct worker *w);
/* Starts the thread; publishing is due from start_ns on. */
void worker_start(struct worker *w, uint64_t start_ns);
void worker_free(struct worker *w);

#endif
