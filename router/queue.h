/*
 * A queue: its index, its consumers, and who gets the next message. Owned by one router.
 *
 * A message is READY, then OUT with a consumer, then dead. A queue that has both a READY message and a
 * consumer that may be sent something (consumer.h) is runnable.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/map.h"
#include "router/command.h"
#include "router/exchange.h"
#include "router/fetch.h"
#include "router/index.h"

struct router;
struct consumer;
struct rank;
struct policy;
struct shape;
struct stream;

struct queue {
    struct map_node by_name;
    struct map_node by_number; /* durable ones */
    uint64_t handle;
    uint32_t number; /* its id in records, never reused; 0 for a transient queue */
    uint32_t vhost;
    struct name name;
    bool durable, exclusive, auto_delete;
    bool said_durable; /* declared durable, but not kept: it is exclusive */
    bool had_consumer;
    bool runnable, waiting; /* in the router's list of those; on a page's list of waiters */
    bool traced;            /* what happens to it goes to router->tap, too */
    bool early;             /* in the router's list of those whose head must be on disk first */
    uint32_t owner_front;   /* of an exclusive queue */
    uint64_t owner_conn;
    struct span arguments;
    struct destination destination;
    struct index index;
    struct shape *shape;    /* NULL of a plain queue */
    struct stream *stream;  /* NULL unless it is one; it has a shape too */
    struct consumer *ready; /* the next one whose turn it is: consumer.h */
    struct rank *top;       /* whose ready that is; NULL if nobody is */
    struct rank *ranks;     /* the highest first */
    struct consumer *all;   /* by rank, and by age in each */
    uint32_t consumers;
    struct op *getters, **getters_end; /* OP_GETs that wait for a page */
    struct fetching fetching;
    struct queue *run_next; /* of the runnable ones, or of the early ones */
    uint64_t damaged;       /* entries that can't be read back; they stay */
    uint64_t published, delivered, acknowledged;
    const struct policy *policy, *operator_policy; /* those that hold for it, or NULL */
};

/* Bindings lead to it: destinations that aren't exchanges are queues'. */
static inline struct queue *queue_of(struct destination *destination)
{
    return container_of(destination, struct queue, destination);
}

struct queue *queue_new(struct router *router, uint32_t vhost, struct span name);
/* Forgets everything: messages, bindings, consumers (which are told), and the queue. Writes no record. */
void queue_delete(struct router *router, struct queue *queue);

/* A message becomes the queue's; returns its number there. */
uint64_t queue_push(struct router *router, struct queue *queue, struct entry entry);
/* The same with what is to be noted of it, for a queue with a shape. */
uint64_t queue_push_noted(struct router *router, struct queue *queue, struct entry entry,
                          struct entry_note note);
/* Makes the queue run if there is something to do. */
void queue_wake(struct router *router, struct queue *queue);
/* The disk has gone on: the early ones run. */
void queues_wake_early(struct router *router);
/* Delivers up to `most` messages. Returns how many. */
unsigned queue_run(struct router *router, struct queue *queue, unsigned most);
/* The same without what a shape does first: in the middle of a publish. */
unsigned queue_deliver(struct router *router, struct queue *queue, unsigned most);
/* Ends `count` deliveries from seq on. Those that are dead already are passed over. */
void queue_settle(struct router *router, struct queue *queue, uint64_t seq, uint32_t count, enum settle how);
/* A READY or OUT entry is done with: the log and the index forget it; a record says so if the entry was
 * durable. */
void queue_kill(struct router *router, struct queue *queue, uint64_t seq, struct entry *entry);
/* Removes all READY messages; returns how many. */
uint64_t queue_purge(struct router *router, struct queue *queue);

/* Answers an OP_GET: with a DELIVER first if there is a message. False: its page must be read back first, the
 * op is kept. */
bool queue_get(struct router *router, struct queue *queue, struct op *op);
