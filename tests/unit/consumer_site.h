/* A router with one queue and no journal, for tests of its consumers: ops are made here, events are read
 * here. */
#pragma once

#include "lone_router.h"
#include "router/consumer.h"
#include "router/lapse.h"
#include "router/shape.h"

struct site {
    struct lone_router lone;
    struct router *router; /* its */
    struct queue *queue;
};

/* What a consumer says of itself: zeroed is a usual one. */
struct wishes {
    int64_t priority;
    uint64_t timeout_ms; /* 0: says nothing */
    bool no_ack;
};

/* type: of the queue; setting: SETTINGS for none, else it is set to value. */
struct site *site_new(enum queue_type type, enum setting setting, uint64_t value);
void site_free(struct site *s);
/* A consumer that may be sent ten messages. */
struct consumer *site_consume(struct site *s, struct wishes wishes);
/* Takes the next EVENT_CANCEL; false if there is none. */
bool site_cancelled(struct site *s, struct event_cancel *event);
