/*
 * Messages on their way to the client: method frame, header frame, body frames.
 *
 *   | 1 | channel | size | basic.deliver: tag, delivery tag, redelivered, exchange, key | 0xce
 *   | 2 | channel | size | 60 | 0 | body size (8) | properties                          | 0xce
 *   | 3 | channel | size | body, at most frame_max - 8                                  | 0xce ...
 *
 * Each gives the message's pages back, or lends them to the output, which does so later.
 */
#pragma once

#include "codec/amqp/consumer.h"

/* What the message takes of the consumer's window, as the router counts it: its body and one. */
uint32_t message_bytes(const struct event_deliver *event);
/* The delivery tag is the channel's last. */
void write_deliver(struct amqp *c, const struct consumer *consumer, unsigned router,
                   const struct event_deliver *event);
void write_get_ok(struct amqp *c, const struct channel *ch, unsigned router,
                  const struct event_deliver *event);
void write_return(struct amqp *c, const struct channel *ch, unsigned router,
                  const struct event_deliver *event);
