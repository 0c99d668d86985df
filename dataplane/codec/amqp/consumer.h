/* A consumer of a channel, from basic.consume until the router says that it is gone. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/map.h"
#include "codec/amqp/channel.h"

struct exclusive_queue;

/* Owned by its connection (amqp.consumers). */
struct consumer {
    struct map_node by_tag;       /* in amqp.consumer_tags */
    struct consumer *next, *prev; /* of the channel */
    struct channel *channel;
    struct consumer *next_in_debt;
    struct exclusive_queue *exclusive; /* that it consumes from, or NULL */
    uint64_t handle;                   /* in amqp.consumers; the tag in DELIVER */
    uint64_t id;                       /* the router's name for it, 0 until it has answered */
    uint32_t router;
    uint32_t window;   /* bytes it may be sent ahead */
    uint32_t prefetch; /* basic.qos when it was made */
    uint32_t allowed;  /* messages unacknowledged that the router was told, 0 for any number */
    uint64_t seen;     /* seq of the last delivery that the client was sent, 0 for none */
    uint32_t debt;     /* bytes sent and not yet given back to its window */
    uint16_t round;    /* how often it has been let go on: what was sent before is out of turn by now */
    bool no_ack, in_debt, paused, cancelling, direct_reply;
    bool alone;            /* it was to be the queue's only one */
    struct span arguments; /* of basic.consume, for lists; owned */
    uint16_t prefix_len;
    uint8_t queue_len;
    uint8_t prefix[]; /* basic.deliver's ids and the consumer tag, as on the wire; the queue's name */
};

/* The consumer of that tag (the client's) or NULL. */
struct consumer *consumer_find(const struct amqp *c, const struct channel *ch, struct span tag);
struct span consumer_tag(const struct consumer *consumer);
static inline struct span consumer_queue(const struct consumer *consumer)
{
    return span_of(consumer->prefix + consumer->prefix_len, consumer->queue_len);
}

/* NULL: told the client what is wrong. */
struct consumer *consumer_new(struct amqp *c, struct channel *ch, struct span tag, struct span queue);
/* Has its router, which has answered, forget it. */
void consumer_end(struct amqp *c, const struct consumer *consumer);
void consumer_free(struct amqp *c, struct consumer *consumer);
/* Makes the consumer's op: its name, window and prefetch. */
void consumer_op(struct amqp *c, struct consumer *consumer, struct op *op);

/* The channel's limit has changed: the router is told of what is allowed beyond what it knows. */
void consumers_allow(struct amqp *c, struct channel *ch);
/* May be sent more, or not: basic.qos global and channel.flow. */
void consumer_pause(struct amqp *c, struct consumer *consumer);
void consumers_resume(struct amqp *c, struct channel *ch);
/* Gives windows back. */
void consumers_credit(struct amqp *c);

/* CANCEL: the router has forgotten it. */
void consumer_cancelled(struct amqp *c, const struct event_cancel *event);
/* DELIVER (deliver.c). */
void deliver(struct amqp *c, unsigned router, const struct event_deliver *event);
