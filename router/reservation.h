/*
 * Reservations: a durable queue with x-disk-reservation is given persistent messages while the disk is short,
 * too, until it holds so many bytes. What its reservation leaves to be filled is put aside: the journal keeps
 * that many more segments ready, so that everybody else finds the disk short earlier.
 *
 * While others are held back the fronts ask before such a publish goes on its way (OP_ROOM), one at a time
 * for each connection: only the router knows which queues it would come to. Whoever is told no asks again,
 * and is then answered when the router looks the next time.
 *
 * Part of a router, on its thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "router/alarm.h"

struct op;
struct queue;
struct router;
struct settings;

/* What each message counts for besides its body: header, key and properties of its record, about. */
#define RESERVATION_MESSAGE_BYTES 128u

/* The router's. */
struct reservations {
    struct shape *first; /* of queues that have one */
    uint64_t aside;      /* segments that the journal has been told of, */
    uint64_t more;       /* and how many more there was room for when it was last asked */
    bool asked;          /* it has been, and hasn't answered */
    struct op *declares; /* that wait for its answer, oldest first */
    struct op *rooms;    /* OP_ROOMs that wait for the alarm */
    struct alarm look;   /* set while any queue has one, or anybody waits */
};

/* A queue's, in its shape. */
struct reservation {
    uint64_t bytes; /* 0: it has none */
    struct shape *next, **at;
};

void reservations_init(struct router *router);
/* After recovery: the journal is told before it does anything else. */
void reservations_start(struct router *router);
/* The queue's settings are others, or (NULL) it is gone. */
void reservation_apply(struct router *router, struct queue *queue, const struct settings *settings);
/* At a declaration of what isn't there yet. True: it asks for more than there is and is refused, or it must
 * be asked how much there is, and the op is done again then. */
bool reservation_holds(struct router *router, struct op *op, const struct settings *settings);
/* The journal has answered: there is room for so many segments more. */
void reservation_on_set(struct router *router, uint64_t more);
void reservation_on_room(struct router *router, struct op *op);
/* Once a turn. */
void reservation_poll(struct router *router);
