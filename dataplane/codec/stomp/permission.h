/*
 * What the user of a connection may do, asked of the host. Whoever may not gets an ERROR, which ends the
 * connection: all of these return false then. f: the frame that asks, or NULL.
 */
#pragma once

#include "codec/stomp/connection.h"

/* Whether he may send there. */
bool stomp_may_send(struct stomp *c, const struct stomp_frame *f, const struct stomp_destination *d);
/* Whether he may declare the queue like that. */
bool stomp_queue_permitted(struct stomp *c, const struct stomp_frame *f, struct span name,
                           const struct stomp_queue *queue);
/* Whether he may subscribe to d; queue, how: its queue, and how it is declared if it is. */
bool stomp_subscribe_permitted(struct stomp *c, const struct stomp_frame *f,
                               const struct stomp_destination *d, struct span queue,
                               const struct stomp_queue *how);
/* Whether he may go on with it. */
bool stomp_still_permitted(struct stomp *c, const struct stomp_subscription *s);
