/*
 * A queue that is traced: what comes, goes and is answered for is copied into a tap as it happens. Of all
 * other queues, a branch on queue->traced is all. One queue of a router at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct event_deliver;
struct op;
struct queue;
struct router;
struct tap;

enum queue_event_kind {
    QUEUE_PUBLISHED,
    QUEUE_DELIVERED,
    QUEUE_GOT,      /* by basic.get */
    QUEUE_ACKED,    /* these are `count` messages from seq on */
    QUEUE_REJECTED, /* dead-lettered or dropped */
    QUEUE_REQUEUED,
    QUEUE_RETURNED, /* without the client having seen it */
    QUEUE_RECEIVED, /* MQTT's QoS 2: it will be acknowledged once more */
};

/* A record of a tap (TRACE_EVENT of dataplane/trace_format.h): behind it stand exchange, routing key,
 * properties in AMQP's form, and the first bytes of the body, of all but answers. */
struct queue_event {
    uint8_t what; /* enum queue_event_kind */
    uint8_t redelivered;
    uint8_t exchange_len, key_len;
    uint16_t channel;
    uint16_t body_len; /* bytes that follow, of body_bytes */
    uint32_t properties_len, count;
    uint64_t seq, body_bytes;
};

/* So much of a body. */
enum { QUEUE_EVENT_BODY = 1024 };

/* LIST with OP_TRACES: op->name in op->vhost, or none any more. */
void trace_on_op(struct router *router, struct op *op);
/* Of a traced queue: */
void trace_published(struct router *router, uint64_t seq, uint64_t position, uint32_t body);
void trace_delivered(struct router *router, const struct event_deliver *event, uint32_t body);
/* how: enum settle */
void trace_settled(struct router *router, uint64_t seq, uint32_t count, unsigned how);
void trace_gone(struct router *router);
