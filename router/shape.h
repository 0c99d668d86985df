/*
 * What makes a queue other than a plain one: its settings, and what follows from them. A plain queue has no
 * shape and pays one branch for it; a queue gets one when its arguments or a policy say something, or when
 * the first message with an expiration of its own comes.
 *
 * Messages leave a shaped queue without a consumer: expired, dropped from the head of a full queue, rejected,
 * or delivered too often. Where the queue has a dead-letter exchange they go there (dead_letter.h).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "router/alarm.h"
#include "router/dead_letter.h"
#include "router/gaps.h"
#include "router/index.h"
#include "router/reservation.h"
#include "router/settings.h"

struct consumer;
struct delay;
struct event_deliver;
struct marks;
struct publishing;
struct queue;
struct router;

struct shape {
    struct queue *queue;
    struct settings settings;
    struct alarm expiry; /* the message at the head expires */
    bool mixed;          /* messages may not expire in the order in which they leave */
    bool choosy;         /* not every message is taken, or it is noted when each came (shape_publish) */
    bool tells;          /* deliveries carry more than the message (shape_annotate) */
    struct alarm idle;   /* the queue has been unused for long enough to be deleted */
    struct alarm retry;  /* a dead letter that found no queue is tried again */
    uint64_t used_ns;    /* when it was last used */
    struct dead_letters dead;
    struct gaps gaps; /* where deliveries carry their number */
    struct reservation reservation;
    bool history;            /* it is what an exchange remembers: history.h */
    struct delay *delay;     /* not NULL: clients don't see the queue, its messages wait (delay.h); owned */
    struct consumer *active; /* the single one, of a queue that is so; NULL: it has no consumer */
};

/* Gives the queue the shape that its settings ask for: at its declaration, when it is replayed, and whenever
 * what is said of it changes. Spans in settings are the queue's own or a policy's, and live as long. */
void shape_apply(struct router *router, struct queue *queue, const struct settings *settings);
void shape_free(struct router *router, struct queue *queue);
/* A message with an expiration of its own is the queue's: it needs a shape. */
void shape_for_expiration(struct queue *queue);
/* It is one where messages wait: takes over delay. */
void shape_for_delay(struct queue *queue, struct delay *delay);
/* It is what an exchange remembers. */
void shape_for_history(struct queue *queue);
/* At the first poll: what was recovered begins to live. */
void shapes_wake(struct router *router);

static inline bool shape_has_dead_exchange(const struct shape *shape)
{
    return settings_has(&shape->settings, SETTING_DEAD_EXCHANGE);
}

/* ---- a publish (shape_publish.c, for publish.c)
 * ----------------------------------------------------------------------- */

/* What the properties say; nothing of none. */
void marks_read(struct marks *marks, struct span properties);
/* Looks at what the message says of itself, and at the shapes of those that are to get it: takes away queues
 * that refuse it (p->refused), and notes when it came if any wants to know. p->marks: marks. */
void shape_publish(struct router *router, struct publishing *p, struct marks *marks);
/* What the queue is to note of it. */
struct entry_note shape_note(const struct queue *queue, const struct marks *marks);
/* It has become the queue's, as seq (0: nothing new has): limits are kept. */
void shape_pushed(struct router *router, struct queue *queue, uint64_t seq);

/* ---- a delivery (deliver.c, queue.c) ------------------------------------------------------------- */

/* Before messages are delivered: sends dead letters off. False: a page must be read first. */
bool shape_run(struct router *router, struct queue *queue, unsigned most);
/* Whether shape_run has something to do. */
bool shape_due(const struct router *router, const struct queue *queue);
/* Whether the READY message may not be delivered any more, and why not. */
bool shape_is_over(const struct router *router, const struct queue *queue, uint64_t seq,
                   enum death_reason *why);
/* What has come to its time leaves the head. */
void shape_expire(struct router *router, struct queue *queue);
/* The message leaves, and not to a consumer. */
void shape_shed(struct router *router, struct queue *queue, uint64_t seq, struct entry *entry,
                enum death_reason reason);
/* After recovery: what had been shed, but not yet taken by the dead-letter exchange, is shed once more. Its
 * number has been said to be gone. */
void shape_started(struct router *router, struct queue *queue);
/* The OUT message has been given back by its consumer: counts that. False: it has been delivered too often
 * and is leaving. */
bool shape_returned(struct router *router, struct queue *queue, uint64_t seq, struct entry *entry);
/* The OUT message has been received by its client, who will say so once more. */
void shape_received(struct router *router, struct queue *queue, uint64_t seq, const struct entry *entry);
/* What the client is told of the message besides: into to, whose parts are set. since: gaps before this
 * number are none to it. */
void shape_annotate(const struct queue *queue, uint64_t seq, uint64_t since, struct event_deliver *to);
/* It makes room for a newer value: last-value queues. */
void shape_conflated(struct router *router, struct queue *queue, uint64_t seq);
/* The message is done with. */
void shape_killed(struct queue *queue, uint64_t seq);
/* The head may be another one: its time is watched. */
void shape_watch(struct router *router, struct queue *queue);
/* The queue is being used, or has just lost its last consumer. */
void shape_used(struct router *router, struct queue *queue);
