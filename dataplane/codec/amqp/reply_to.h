/*
 * Direct reply-to (RabbitMQ): a requester consumes from the pseudo-queue amq.rabbitmq.reply-to, without
 * acknowledgements, and names it in reply-to; the responder sees the name of a real queue that lives as long
 * as that consumer.
 */
#pragma once

#include <stdbool.h>

#include "codec/amqp/consumer.h"

/* Whether it is the pseudo-queue. */
bool reply_to_named(struct span name);
/* Whether this consumer may be; if not, the client has been told. */
bool reply_to_allowed(struct amqp *c, struct channel *ch, const struct args_BASIC_CONSUME *m);
/* Declares the real queue; consuming from it follows. */
void reply_to_begin(struct amqp *c, struct consumer *consumer, bool nowait);
/* queue.declare of the pseudo-queue, or of a real one by its name: asks whether it is there. False: it is
 * another queue. */
bool reply_to_declare(struct amqp *c, struct channel *ch, const struct args_QUEUE_DECLARE *m);
/* Whether the answered declaration is of somebody's queue for replies. */
bool reply_to_exists(const struct op *op);
