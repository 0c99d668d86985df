/*
 * A router: owns a shard of the queues with their bindings and consumers, and the log pages that hold their
 * messages. Knows no protocol. Router 0 is also the registrar: it orders every change of the exchanges and
 * tells the others.
 *
 * One router is used by one thread; before the threads begin, dataplane/broker.c calls what is under "start".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/histogram.h"
#include "base/ring.h"
#include "base/stats.h"
#include "journal/journal.h"

struct router;
struct storage;

/* What a broker begins with whose journal knows of no user: virtual hosts, and a user who may do all in each.
 * The caller's, while the router lives. */
struct access_first {
    const char *const *vhosts;
    size_t vhost_count;
    const char *user, *password; /* the latter as password.h has it */
};

/* Whether it can be; if not, error says why, in one sentence. */
bool access_first_check(const struct access_first *first, char *error, size_t error_size);

/* Rings are the caller's; [i] is that of front or router i. */
struct router_options {
    unsigned index, routers, fronts;
    struct ring *from_front[FRONTS_MAX], *to_front[FRONTS_MAX];
    struct ring *from_router[ROUTERS_MAX], *to_router[ROUTERS_MAX]; /* [index] is NULL */
    struct ring *to_journal, *from_journal;
    const struct access_first *first; /* or NULL */
    struct tallies *tallies;          /* of all routers and fronts */
    uint64_t memory_budget;           /* bytes of log pages and index kept in memory */
    unsigned memory_high, memory_low; /* store_watermarks; 0: its defaults */
    uint64_t broker;                  /* id for a new data directory, random, not 0 */
    uint64_t start;                   /* random at every start, not 0: journal/record.h */
    uint64_t checkpoint_bytes;        /* of log between two checkpoints, 0 for the default */
    uint64_t producer_silence_ns;     /* a producer silent for so long may be forgotten for another */
    uint64_t epoch_ns; /* the time since 1970 at which now_ns was 0: for what outlives a start */
};

struct router *router_new(const struct router_options *options);
void router_free(struct router *router);

/* ---- start, in this order, before any poll -------------------------------------------------------- */

/* Reads the router's journal back. Router 0 first: the others' bindings refer to its exchanges (registrar;
 * router 0 itself gives its own). Returns 0, or -1 with one sentence in error. Fills *end for journal_new.
 * May block. */
int router_recover(struct router *router, const struct router *registrar, struct storage *storage,
                   struct journal_end *end, char *error, size_t error_size);
/* After all have recovered: sends the table of exchanges on its way to fronts and routers. */
void router_start(struct router *router);
/* Whether clients may come, as far as this router is concerned: router 0 waits until every front and router
 * knows every exchange and binding. */
bool router_ready(const struct router *router);

/* ---- running ------------------------------------------------------------------------------------- */

/* One turn; never blocks. Returns the work found. */
unsigned router_poll(struct router *router, uint64_t now_ns);
/* The turn that found work is over: what it took from fronts has been stored and queued by now. Only
 * measures. */
void router_turned(struct router *router, uint64_t now_ns);
/* Begins a clean end: everything accepted is made safe, with a last checkpoint. */
void router_stop(struct router *router);
/* Whether that is done. */
bool router_stopped(const struct router *router);
/* Bytes at most for what a router remembers of publishers that number their messages. */
size_t router_producer_bytes(void);
/* When poll wants to be called again though nothing arrives; UINT64_MAX for never. */
uint64_t router_deadline(const struct router *router);
/* Numbers for status: read from any thread. */
struct router_stats {
    uint64_t published, routed, dropped, returned;
    uint64_t delivered, delivered_manual, delivered_auto, got_manual, got_auto, got_empty, redelivered,
        acknowledged;
    uint64_t messages, unacked, queues, consumers, bindings, exchanges;
    uint64_t queues_created, queues_deleted;
    uint64_t page_bytes, log_bytes;
    uint64_t memory_limit, alarm_memory, alarm_disk, alarms_raised;
    uint64_t failed;        /* the journal's errno, 0 while it is sound */
    struct histogram route; /* ns */
};
const struct router_stats *router_stats(const struct router *router);
