/*
 * Consumers of a queue. Those that may be sent something (prefetch and window left, not paused) stand in a
 * ring and take turns: queue->ready is the one whose turn it is. Owned by its queue.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "router/command.h"

struct queue;
struct router;

struct consumer {
    uint64_t handle;
    struct queue *queue;
    struct consumer *next, *prev;         /* of those that may be sent something; NULL when it may not */
    struct consumer *all_next, *all_prev; /* of the queue */
    uint64_t conn, tag;
    uint32_t front;
    uint16_t channel;
    uint16_t round; /* as of the last RESUME */
    bool no_ack, exclusive, paused;
    int64_t credit; /* messages; INT64_MAX when they need no acknowledgement */
    int64_t window; /* bytes; may go below 0 by one message */
};

struct consumer *queue_consume(struct router *router, struct queue *queue, const struct op *op);
/* The consumer is forgotten. True if the queue must be deleted: it is auto-delete, and this was its last one.
 */
bool queue_cancel(struct router *router, struct consumer *consumer);
/* Its credit, window or pause has changed. */
void consumer_update(struct router *router, struct consumer *consumer);
/* The queue goes: its consumers are told, and forgotten. */
void consumers_end(struct router *router, struct queue *queue);
