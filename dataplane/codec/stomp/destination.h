/*
 * What a destination means, as RabbitMQ's STOMP plugin reads it:
 *
 *                          SEND: exchange, key          SUBSCRIBE: queue
 *   /queue/N               default, N; N is declared    N, declared
 *   /amq/queue/N           default, N                   N
 *   /reply-queue/N         default, N                   N
 *   /topic/K               amq.topic, K                 one of its own, bound with K
 *   /exchange/E[/K]        E, K                         one of its own, bound to E with K
 *   /temp-queue/N          none: it stands in reply-to
 */
#pragma once

#include <stdbool.h>

#include "base/span.h"

enum stomp_kind {
    STOMP_TO_QUEUE,
    STOMP_TO_AMQ_QUEUE,
    STOMP_TO_REPLY_QUEUE,
    STOMP_TO_TOPIC,
    STOMP_TO_EXCHANGE,
    STOMP_TO_TEMPORARY,
};

struct stomp_destination {
    enum stomp_kind kind;
    struct span exchange, key; /* key: with its %xx decoded; valid until the next is read on this thread */
};

/* False: it is none of them, or one of its names is longer than 255 bytes. */
bool stomp_destination_read(struct span text, struct stomp_destination *d);
/* Whether a subscription to it gets a queue of its own. */
static inline bool stomp_has_own_queue(const struct stomp_destination *d)
{
    return d->kind == STOMP_TO_TOPIC || d->kind == STOMP_TO_EXCHANGE;
}
/* What a message that came by that exchange and key is said to be sent to. Room: six times both, and 16. */
uint8_t *stomp_destination_put(uint8_t *to, struct span exchange, struct span key);
