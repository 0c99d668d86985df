/*
 * Where the broker runs: its disks, which outlive it, and the broker itself, which is started, killed and
 * stopped here. The agents are polled one by one, so that any of them can be left waiting.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/prng.h"
#include "broker.h"
#include "journal/storage_sim.h"
#include "tap.h"

enum site_state {
    SITE_DOWN,     /* no broker */
    SITE_STARTING, /* not yet listening */
    SITE_UP,
    SITE_STOPPING, /* a clean end is under way */
};

/* When all begins, in seconds since 1970. */
#define SITE_EPOCH_S UINT64_C(1700000000)

enum { SITE_ROUTERS = 4, SITE_FRONTS = 4, SITE_AGENTS = SITE_FRONTS + 2 * SITE_ROUTERS };

struct site_options {
    uint64_t seed;
    unsigned fronts, routers;
    bool one_disk; /* for all routers, or each has its own */
    uint64_t memory_budget, checkpoint_bytes;
    uint16_t heartbeat_s;
    void (*failed)(void *owner); /* a journal has failed: called again and again */
    void *owner;
};

struct site {
    struct site_options options;
    struct prng prng;
    struct network *network;
    struct taps *taps;
    struct sim_disk *disk[SITE_ROUTERS];
    unsigned disks;
    struct storage *storage[SITE_ROUTERS];
    struct broker *broker;
    struct transport *transport[SITE_FRONTS]; /* the fronts' */
    unsigned fronts;                          /* of the broker that runs */
    enum site_state state;
    unsigned stop_step;                  /* of the clean end */
    uint64_t stalled_until[SITE_AGENTS]; /* step */
    uint64_t starts;
};

struct site *site_new(const struct site_options *options, struct network *network, struct taps *taps);
void site_free(struct site *site);

/* Makes a broker of what is on the disks. It listens on "broker" when it is ready. */
void site_start(struct site *site);
/* The broker is gone at once. */
void site_kill(struct site *site, enum sim_crash crash);
/* Begins a clean end; the state is DOWN when it is done. */
void site_stop(struct site *site);

/* One turn of every agent that isn't stalled, in random order. Returns whether all had a turn and nothing is
 * on its way anywhere in the broker. */
bool site_poll(struct site *site, uint64_t step, uint64_t now_ns);
/* When the broker wants a turn though nothing arrives. */
uint64_t site_deadline(const struct site *site);
/* Whether a journal has failed. */
bool site_failed(const struct site *site);

/* An agent, by a number below the count, gets no turn before that step. */
void site_stall(struct site *site, unsigned agent, uint64_t until_step);
unsigned site_agents(const struct site *site);
void site_stall_none(struct site *site);

/* Blocks of the logs' writes under way. */
unsigned site_writing(const struct site *site);
/* The same faults on all disks. */
void site_faults(struct site *site, const struct sim_faults *faults);
