/*
 * A message as it stands in a log page: the record that goes to disk is the message that is delivered.
 *
 *   struct message | routes | parts | arrival | produced | exchange | routing key | properties | body
 *
 * Written once by the router that keeps it, immutable from then on, read by fronts while it is pinned.
 * Integers are little-endian: the file belongs to this machine's kind, and segment headers say so.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "journal/record.h"

/* message.protocol: in which wire form the properties are kept, which is AMQP's; and what a publisher that
 * speaks MQTT has said beyond them. */
enum {
    PROPERTIES_AMQP = 1,
    ORIGIN_MQTT = 2,
    ORIGIN_TEXT = 4,   /* the payload is UTF-8 */
    ORIGIN_RETAIN = 8, /* it was published with RETAIN */
    ORIGIN_QOS_SHIFT = 4,
    ORIGIN_STORED = 64, /* it is sent because it was retained when somebody subscribed */
};

static inline uint8_t origin_of(unsigned qos, bool retain, bool text)
{
    return (uint8_t)(PROPERTIES_AMQP | ORIGIN_MQTT | (text ? ORIGIN_TEXT : 0) | (retain ? ORIGIN_RETAIN : 0) |
                     qos << ORIGIN_QOS_SHIFT);
}

static inline unsigned origin_qos(uint8_t protocol)
{
    return protocol >> ORIGIN_QOS_SHIFT & 3;
}

enum {
    MESSAGE_PERSISTENT = 1, /* the publisher asked for it to survive a restart */
    MESSAGE_TIMED = 4,      /* eight bytes say when it came: ms since 1970 */
    MESSAGE_PRODUCED = 8,   /* struct produced says whose message it is (producer.h) */
    MESSAGE_MOVED = 16,     /* a copy of a record that is on disk (compact.h) */
};

/* A durable queue of this router that holds the message, and its number there. */
struct route {
    uint32_t queue;
    uint32_t seq_low, seq_high;
};

/* Where an earlier part of a large body stands in the log, and how long it is. */
struct part {
    uint64_t position;
    uint32_t length;
    uint32_t unused;
};

/* The number of its producer, and which of its messages it is. */
struct produced {
    uint64_t producer;
    uint64_t seq;
};

struct message {
    struct record record;
    uint8_t protocol; /* PROPERTIES_AMQP, ORIGIN_* */
    uint8_t flags;    /* MESSAGE_* */
    uint8_t exchange_len;
    uint8_t key_len;
    uint32_t properties_len;
    uint32_t body_len; /* here, behind the parts */
    uint16_t routes;
    uint16_t parts;
};

static_assert(sizeof(struct message) == 32 && sizeof(struct route) == 12 && sizeof(struct part) == 16 &&
                  sizeof(struct produced) == 16,
              "the layout on disk");

static inline const struct route *message_routes(const struct message *m)
{
    return (const struct route *)(m + 1);
}

/* Parts may stand unaligned: copy one out. */
static inline struct part message_part(const struct message *m, unsigned i)
{
    struct part part;
    memcpy(&part, (const uint8_t *)(message_routes(m) + m->routes) + i * sizeof part, sizeof part);
    return part;
}

static inline const uint8_t *message_behind_parts(const struct message *m)
{
    return (const uint8_t *)(message_routes(m) + m->routes) + m->parts * sizeof(struct part);
}

/* When it came, ms since 1970; 0: nobody wanted to know. */
static inline uint64_t message_arrival(const struct message *m)
{
    uint64_t ms = 0;
    if (m->flags & MESSAGE_TIMED)
        memcpy(&ms, message_behind_parts(m), sizeof ms);
    return ms;
}

static inline size_t message_arrival_bytes(const struct message *m)
{
    return m->flags & MESSAGE_TIMED ? sizeof(uint64_t) : 0;
}

/* All zero if it has no number. */
static inline struct produced message_produced(const struct message *m)
{
    struct produced produced = {0};
    if (m->flags & MESSAGE_PRODUCED)
        memcpy(&produced, message_behind_parts(m) + message_arrival_bytes(m), sizeof produced);
    return produced;
}

static inline struct span message_exchange(const struct message *m)
{
    size_t produced = m->flags & MESSAGE_PRODUCED ? sizeof(struct produced) : 0;
    return span_of(message_behind_parts(m) + message_arrival_bytes(m) + produced, m->exchange_len);
}

static inline struct span message_key(const struct message *m)
{
    struct span e = message_exchange(m);
    return span_of(e.at + e.len, m->key_len);
}

static inline struct span message_properties(const struct message *m)
{
    struct span k = message_key(m);
    return span_of(k.at + k.len, m->properties_len);
}

/* The bytes of the body that stand in this record: all of it unless m->parts. */
static inline struct span message_body(const struct message *m)
{
    struct span p = message_properties(m);
    return span_of(p.at + p.len, m->body_len);
}
