/*
 * One change of who may do what, and its form in records, ops and rings: a byte with its kind, and for each
 * text that it has a byte that says which, two with its length, big-endian, and the text.
 */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

/* In records: numbers never change their meaning. */
enum access_kind {
    ACCESS_USER =
        1, /* a user is made or changed: user; password and tags are as they were if they aren't given */
    ACCESS_USER_GONE,         /* user */
    ACCESS_VHOST,             /* vhost; description, tags, queue type; what isn't given stays */
    ACCESS_VHOST_GONE,        /* vhost */
    ACCESS_PERMISSION,        /* user, vhost, configure, write, read */
    ACCESS_PERMISSION_GONE,   /* user, vhost */
    ACCESS_TOPIC,             /* user, vhost, exchange, write, read */
    ACCESS_TOPIC_GONE,        /* user, vhost; exchange, or of all */
    ACCESS_USER_LIMITS,       /* user, limits: those that it doesn't name stay as they are */
    ACCESS_USER_LIMITS_GONE,  /* user; limits: the name of one, or all of them */
    ACCESS_VHOST_LIMITS,      /* vhost, limits: all that it has */
    ACCESS_VHOST_LIMITS_GONE, /* vhost; limits: the name of one, or all of them */
    ACCESS_GLOBAL,            /* name, value: a global parameter, which only tools read */
    ACCESS_GLOBAL_GONE,       /* name */
    ACCESS_VHOST_LIMIT,       /* vhost, limits: those that it doesn't name stay as they are */
    ACCESS_KINDS
};

/* In records, too. */
enum access_text {
    TEXT_USER,
    TEXT_VHOST,
    TEXT_EXCHANGE,
    TEXT_CONFIGURE, /* these three are patterns */
    TEXT_WRITE,
    TEXT_READ,
    TEXT_PASSWORD, /* as password.h has it */
    TEXT_TAGS,     /* with commas between */
    TEXT_DESCRIPTION,
    TEXT_LIMITS, /* as limits.h has them */
    TEXT_NAME,
    TEXT_VALUE, /* JSON, as it was given */
    TEXT_QUEUE_TYPE,
    ACCESS_TEXTS
};

#define ACCESS_PATTERN_BYTES 2048u /* of a pattern; */
#define ACCESS_VALUE_BYTES   6144u /* of a value; every other text is a name */

/* No kind has more than a permission: two names, three patterns. */
#define ACCESS_PACKED_BYTES_MAX (1u + 5u * 3u + 2u * 255u + 3u * ACCESS_PATTERN_BYTES)

static_assert(ACCESS_VALUE_BYTES <= 3 * ACCESS_PATTERN_BYTES, "nor has a global parameter");

/* A text that isn't given has no address; an empty one has. */
struct access_change {
    uint8_t kind; /* enum access_kind */
    struct span text[ACCESS_TEXTS];
};

static inline bool access_has(const struct access_change *change, enum access_text text)
{
    return change->text[text].at != NULL;
}

/* malloc'd; each text must fit 65535 bytes. */
struct span access_pack(const struct access_change *change);
/* The texts stand in the packed bytes. False: it is none. Any bytes may be tried. */
bool access_unpack(struct span packed, struct access_change *change);
