/*
 * Consumers of a queue. Those that may be sent something (prefetch and window left, not held back) stand in
 * rings and take turns, a ring for each priority: queue->ready is the one whose turn it is, of the highest
 * priority of which one is ready. All owned by their queue.
 *
 * Of a queue with a single active consumer (x-single-active-consumer) all others are held back. When the
 * active one goes, the oldest of the highest priority takes over. A consumer of a higher priority that comes
 * later waits, too, at a classic queue; at a quorum queue it takes over as soon as the active one, which gets
 * nothing new from then on, has answered for what it has. Both as RabbitMQ 4 does it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "router/command.h"

struct lapse;
struct queue;
struct reader;
struct router;

/* Why a consumer isn't sent anything, whatever its credit. */
enum {
    HELD_PAUSED = 1,  /* the front has said so: CREDIT_PAUSE */
    HELD_WAITING = 2, /* another one is the single active consumer */
    HELD_LEAVING = 4, /* it is the active one, and one of higher priority waits for it to have nothing out */
    HELD_LAPSED = 8,  /* it has kept a delivery for too long, and is about to be cancelled */
};

/* The consumers of a queue that have the same priority. */
struct rank {
    struct rank *lower;
    int64_t priority;
    struct consumer *ready; /* whose turn it is; unused while this is queue->top */
    struct consumer *last;  /* of them in queue->all, where they stand together */
    uint32_t consumers;
};

struct consumer {
    uint64_t handle;
    struct queue *queue;
    struct rank *rank;
    struct consumer *next, *prev;         /* of those that may be sent something; NULL when it may not */
    struct consumer *all_next, *all_prev; /* of the queue */
    uint64_t conn, tag;
    uint32_t front;
    uint16_t channel;
    uint16_t round; /* as of the last RESUME */
    bool no_ack, exclusive;
    uint8_t held;          /* HELD_* */
    int64_t credit;        /* messages; INT64_MAX when they need no acknowledgement */
    int64_t window;        /* bytes; may go below 0 by one message */
    int64_t most;          /* what credit is with nothing out */
    struct lapse *lapse;   /* NULL: it may take its time; owned */
    struct reader *reader; /* of a stream; owned */
    uint64_t timeout_ms;   /* as its own arguments say; NO_LIMIT: they don't */
};

/* Whether the arguments of the op, a basic.consume, can be had of the queue; if not, text says why. what:
 * "queue 'q' in vhost '/'". */
bool consumer_check(const struct queue *queue, const struct op *op, const char *what, char *text,
                    size_t text_size);
/* Whether it may come as far as exclusive use is concerned, the others' or its own. */
bool consumer_allowed(const struct queue *queue, const struct op *op);
/* The op must have passed both. */
struct consumer *queue_consume(struct router *router, struct queue *queue, const struct op *op);
/* The consumer is forgotten. True if the queue must be deleted: it is auto-delete, and this was its last one.
 */
bool queue_cancel(struct router *router, struct consumer *consumer);
/* It has kept a delivery for too long: it gets no more, and its front is told to give back what it has and to
 * cancel it. In this order, so that who takes over finds everything in its place. */
void consumer_lapse(struct router *router, struct consumer *consumer);
/* Its credit, window or what holds it has changed. */
void consumer_update(struct router *router, struct consumer *consumer);
/* The queue goes: its consumers are told, and forgotten. */
void consumers_end(struct router *router, struct queue *queue);
