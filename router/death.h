/*
 * What a dead letter says of its deaths, in its headers as RabbitMQ writes them: x-death, an array with a
 * table for each queue and reason, the latest first; x-first-death-* and x-last-death-*. And the rule that
 * breaks circles: a message that has been in a queue before, and that nobody has rejected since, does not
 * get there again.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum death_reason { DEATH_EXPIRED, DEATH_MAXLEN, DEATH_REJECTED, DEATH_LIMIT };

struct death {
    struct span queue;
    enum death_reason reason;
    uint64_t time_s;           /* since 1970 */
    struct span exchange, key; /* as it was published to the queue */
    bool rekeyed;              /* it gets another key: then its CC are no longer true */
};

const char *death_reason_text(enum death_reason reason);
/* Room for what death_mark writes. */
size_t death_room(struct span properties);
/* Writes the properties with one more death, and without their expiration; returns their length. What would
 * make them longer than PROPERTIES_MAX is left out: the oldest deaths. */
size_t death_mark(uint8_t *to, struct span properties, const struct death *death);
/* Whether the message (its header table) must not get into the queue again. */
bool death_circle(struct span headers, struct span queue);
