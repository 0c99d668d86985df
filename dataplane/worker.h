/*
 * A worker: one thread that polls some of the broker's agents in turn, and sleeps when none finds work. One
 * more than the placement says has the login agent.
 *
 * Nothing on the message path wakes a thread that is awake: after a turn that found work a worker looks,
 * behind one fence, which of the others say that they sleep, and writes to the eventfd of those for whom a
 * ring holds something. A worker says that it sleeps before it looks into its rings a last time, behind a
 * fence of its own, so one of the two sees the other.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "broker.h"
#include "placement.h"

/* How far a worker is asked to go, and has come, in a clean end: each step when all workers have done the one
 * before. */
enum worker_step {
    STEP_RUN,
    STEP_FRONTS,   /* clients have been told, connections are closed */
    STEP_ROUTERS,  /* everything accepted is safe */
    STEP_JOURNALS, /* no write is under way */
    STEP_END,      /* the thread ends */
};

struct worker;

struct worker_options {
    struct broker *broker;
    struct storage *const *storage; /* by router */
    const struct placement *placement;
    bool busy_poll;
    void (*enter)(void);        /* called by each thread before its first turn; NULL: nothing is to be done */
    uint64_t (*clock_ns)(void); /* of a clock that only goes forward; any thread */
};

/* All workers of the placement, not yet running. */
struct workers *workers_new(const struct worker_options *options);
/* Starts the threads. Returns false with one sentence in error. */
bool workers_start(struct workers *workers, char *error, size_t error_size);
/* Asks every worker for the step. */
void workers_ask(struct workers *workers, enum worker_step step);
/* Whether all have done it. */
bool workers_reached(const struct workers *workers, enum worker_step step);
/* Wakes the worker of a front, or of a router: something that is not in a ring waits for it. Any thread. */
void workers_wake_front(struct workers *workers, unsigned front);
/* Waits for the threads, which STEP_END has been asked of, and frees. */
void workers_free(struct workers *workers);
