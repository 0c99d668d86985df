/*
 * The properties of a message, as they stand in a content header frame behind the body size
 * (section 4.2.6.1): 16 flags, then the values of those that are set. The broker keeps these bytes as they
 * came.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

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
    /* On the wire these two are 0; here they say that there is something to be looked at. */
    HAS_ODD_DELIVERY_MODE = 1 << 1, /* neither 1 nor 2 */
    HAS_COPIES = 1 << 0,            /* a header CC or BCC */
};

enum { DELIVERY_TRANSIENT = 1, DELIVERY_PERSISTENT = 2 };

/* What the broker itself looks at. A span is valid if its flag is set. */
struct properties {
    uint16_t flags; /* HAS_* */
    uint8_t delivery_mode;
    struct span headers; /* a table without its length; empty if there is none */
    struct span reply_to, expiration, user_id;
};

/* False unless bytes are well-formed properties and nothing else. */
bool properties_read(struct span bytes, struct properties *p);
