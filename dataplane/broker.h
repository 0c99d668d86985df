/*
 * The agents of one broker and the rings between them, without threads: main.c and placement.c put them on
 * cores, the simulator calls their polls in a loop. Made and freed on one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "front.h"
#include "journal/journal.h"
#include "login.h"
#include "router/router.h"

struct storage;
struct tcp_stats;

struct broker_options {
    unsigned fronts, routers; /* a journal for each router */
    struct storage *storage[ROUTERS_MAX];
    const struct access_first *first;
    struct host_options host;
    enum certificate_name certificate_login;
    uint32_t connections_max;
    uint64_t memory_budget;                     /* bytes of log pages, of all routers together */
    unsigned memory_high, memory_low;           /* store_watermarks */
    uint64_t disk_free_limit, disk_free_margin; /* struct journal_options */
    uint64_t checkpoint_bytes;                  /* 0 for the default */
    uint64_t producer_silence_ns;
    uint64_t epoch_ns;          /* the time since 1970 at which now_ns was 0 */
    uint64_t (*clock_ns)(void); /* of now_ns, for front_options; or NULL */
    uint64_t seed;              /* of everything random, the id of a new data directory among it */
};

enum agent_kind { AGENT_FRONT, AGENT_ROUTER, AGENT_JOURNAL, AGENT_LOGIN };

struct agent {
    enum agent_kind kind;
    uint8_t index;
};

/* A ring, and which agents it connects: whoever runs them on threads wakes one when the other has put
 * something in. */
struct broker_ring {
    struct ring *ring;
    struct agent from, to;
};

struct broker {
    unsigned fronts, routers;
    struct front *front[FRONTS_MAX];
    struct router *router[ROUTERS_MAX];
    struct journal *journal[ROUTERS_MAX];
    struct logins *logins;
    struct tallies *tallies;
    struct broker_ring
        rings[2 * FRONTS_MAX * ROUTERS_MAX + ROUTERS_MAX * ROUTERS_MAX + 2 * ROUTERS_MAX + 2 * FRONTS_MAX];
    unsigned ring_count;
    /* What our own TCP counts, by front; main.c's to set; NULL: connections are the kernel's. */
    const struct tcp_stats *tcp[FRONTS_MAX];
};

/*
 * Recovers every router from its storage and makes all agents. Attach transports to each front
 * (front_transport_user, front_attach), poll all agents until broker_ready, then let the transports listen.
 * Returns NULL with one sentence in error when a journal is damaged. May block.
 */
struct broker *broker_new(const struct broker_options *options, char *error, size_t error_size);
/* Not before all threads that poll have ended. Nothing is flushed: stop first for a clean end. */
void broker_free(struct broker *broker);

bool broker_ready(const struct broker *broker);

/* A clean end in three steps, each after the one before says it is done, all agents being polled meanwhile:
 * front_stop on every front until front_stopped; router_stop until router_stopped; journal_idle. */

/* One turn of every agent: what a single thread does. Returns the work found. */
unsigned broker_poll(struct broker *broker, uint64_t now_ns);
uint64_t broker_deadline(const struct broker *broker);
