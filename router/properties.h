/*
 * The properties of a message in AMQP's form (AMQP 0-9-1 section 4.2.6.1: 16 flags, then the values of those
 * that are set), as they stand in a content header frame behind the body size. The broker keeps these bytes
 * as they came; this is how it looks into them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "router/own_headers.h"

enum {
    HAS_CONTENT_TYPE = 1 << 15,
    HAS_CONTENT_ENCODING = 1 << 14,
    HAS_HEADERS = 1 << 13,
    HAS_DELIVERY_MODE = 1 << 12,
    HAS_PRIORITY = 1 << 11,
    HAS_CORRELATION_ID = 1 << 10,
    HAS_REPLY_TO = 1 << 9,
    HAS_EXPIRATION = 1 << 8,
    HAS_MESSAGE_ID = 1 << 7,
    HAS_TIMESTAMP = 1 << 6,
    HAS_TYPE = 1 << 5,
    HAS_USER_ID = 1 << 4,
    HAS_APP_ID = 1 << 3,
    HAS_CLUSTER_ID = 1 << 2,
    /* These are not on the wire; they say that there is something to be looked at. */
    HAS_ODD_DELIVERY_MODE = 1 << 16, /* neither 1 nor 2 */
    HAS_COPIES = 1 << 17,            /* a header CC or BCC */
    HAS_X_HEADER = 1 << 18,          /* a header whose name begins with "x-" */
    HAS_ODD_EXPIRATION = 1 << 19,    /* not a number of milliseconds */
};

enum { DELIVERY_TRANSIENT = 1, DELIVERY_PERSISTENT = 2 };

/* What the broker itself looks at. A span is valid if its flag is set. */
struct properties {
    uint32_t flags; /* HAS_* */
    uint8_t delivery_mode;
    uint8_t priority; /* 0 if there is none */
    struct span
        headers; /* a table without its length; empty, at the place where it would stand, if there is none */
    struct span correlation_id, reply_to, expiration, message_id, user_id;
    struct own_headers own; /* valid if HAS_X_HEADER is set, */
    const char *wrong;      /* and nothing is wrong with them (own_headers.h) */
    uint64_t expiration_ms; /* valid if its flag is set, and it isn't odd */
    uint64_t timestamp;     /* seconds since 1970, as the publisher said; valid if its flag is set */
};

/* The expiration property as a number of milliseconds. False if it isn't one: digits, perhaps behind a sign,
 * at most EXPIRATION_MAX. */
#define EXPIRATION_MAX UINT64_C(315360000000) /* ten years, which is RabbitMQ's bound */
bool expiration_ms(struct span text, uint64_t *ms);

/* The header x-delay in a table: milliseconds; 0 if there is none, or it isn't a whole number. */
int64_t header_delay(struct span headers);
/* Writes well-formed properties with more headers, the fields of a table, behind those there are; returns
 * their length. Room: both and six bytes. */
size_t properties_add(uint8_t *to, struct span properties, struct span headers);

/* False unless bytes are well-formed properties and nothing else. */
bool properties_read(struct span bytes, struct properties *p);
