/*
 * Retained messages (MQTT 5.0, 3.3.1.3): of each topic the last message that was published with RETAIN, for
 * those who subscribe later. They stand in a hidden last-value queue (hidden.h, image.h) of the topic
 * exchange, at the router that their key says, and are always kept on disk; a tree of their names finds
 * those that a filter fits. An empty one deletes what its topic has.
 *
 * Messages whose time is over go when others come: each that does looks at two that are there (image.h).
 *
 * A subscriber's queue gets copies, which carry ORIGIN_STORED and the time at which the message came.
 */
#pragma once

#include <stdbool.h>

#include "base/span.h"
#include "router/command.h"

struct catalog_exchange;
struct publishing;
struct queue;
struct router;

/* What a router is asked for by the one whose queue has been bound. malloc'd. */
struct retain_request {
    uint32_t vhost;
    uint64_t handle; /* of the queue: a later one of its name isn't it */
    struct name queue, filter;
};

/* A publish to the exchange with ORIGIN_RETAIN has come: the queue that keeps it; NULL: this router doesn't,
 * or there is nothing to keep. *forgot: what was there for its topic has been deleted. */
struct queue *retain_queue(struct router *router, struct catalog_exchange *exchange,
                           const struct command_publish *publish, bool *forgot);
/* The queue becomes the exchange's, when it is made or recovered. */
void retain_become(struct queue *queue);
/* The queue has been bound with the filter: it is to get what all routers have for it. */
void retain_send(struct router *router, struct catalog_exchange *exchange, const struct queue *queue,
                 struct span filter);
/* OP_ANNOUNCE: what the broker says of itself. */
void retain_announce(struct router *router, struct op *op);
void router_on_retained(struct router *router, uint64_t exchange, struct retain_request *request);
