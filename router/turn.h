/*
 * What a router's turn has done, message by message. Counted here with plain additions, and added to what
 * other threads read (router_stats) at the end of the turn: so a message pays for no counter that it doesn't
 * move. Owned by the router.
 */
#pragma once

#include <stdint.h>

#include "base/limits.h"

struct router;

/* How a message went out. */
enum delivery { DELIVERY_MANUAL, DELIVERY_AUTO, DELIVERY_GOT_MANUAL, DELIVERY_GOT_AUTO, DELIVERY_KINDS };

struct turn {
    uint64_t published; /* taken from fronts and other routers, */
    uint64_t queued;    /* put into a queue, once for each of them, */
    uint64_t removed;   /* gone from one */
    uint64_t dropped;   /* gone to no queue, and nobody asked for them back */
    uint64_t delivered[DELIVERY_KINDS];
    uint64_t redelivered; /* of those */
    uint64_t acknowledged;
    /* Entries that became OUT, less those that ceased to be, beyond what delivered and removed say: as a rule
     * one is delivered, and then removed. */
    int64_t out;
    uint32_t to[FRONTS_MAX]; /* delivered, by the front that gets them */
};

/* The end of a turn, before what it has sent is seen by others: deliveries are stamped, counters told. */
void turn_end(struct router *router);
