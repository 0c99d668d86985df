/*
 * The methods of methods.def: their numbers, their fields as structs, and how these are read and written.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum {
    FRAME_METHOD = 1,
    FRAME_HEADER = 2,
    FRAME_BODY = 3,
    FRAME_HEARTBEAT = 8,
    FRAME_END = 0xce,
    FRAME_HEAD_BYTES = 7,                     /* type, channel, size */
    FRAME_EXTRA_BYTES = FRAME_HEAD_BYTES + 1, /* and the end octet */
    FRAME_MAX_MIN = 4096,                     /* section 4.2.3: what every peer must take */
    CONTENT_HEAD_BYTES = 12,                  /* of a header frame: class, weight, body size */
    CLASS_BASIC = 60,
};

enum method {
    METHOD_NONE,
#define X(name, class_id, method_id, text, fields, handler, when) METHOD_##name,
#include "codec/amqp/methods.def"
#undef X
    METHODS
};

/* A field's value: n of integers and bits, s of strings and tables (without their length). */
union value {
    uint64_t n;
    struct span s;
};

/* struct args_QUEUE_DECLARE and so on: an array of values with names. */
#define OCTET(name)    union value name;
#define SHORT(name)    union value name;
#define LONG(name)     union value name;
#define LONGLONG(name) union value name;
#define STR(name)      union value name;
#define TEXT(name)     union value name;
#define TABLE(name)    union value name;
#define BIT(name)      union value name;
#define X(name, class_id, method_id, text, fields, handler, when)                                            \
    struct args_##name {                                                                                     \
        fields                                                                                               \
    };
#include "codec/amqp/methods.def"
#undef X
#undef OCTET
#undef SHORT
#undef LONG
#undef LONGLONG
#undef STR
#undef TEXT
#undef TABLE
#undef BIT

#define METHOD_FIELDS_MAX 9

struct amqp;
struct channel;

/* Acts on a method. Returns false if it must wait: the frame then stays in the input and comes again. */
typedef bool method_handler(struct amqp *c, struct channel *ch, const union value *args);

enum method_when {
    WHEN_START,
    WHEN_TUNE,
    WHEN_OPEN,
    WHEN_ALWAYS,
    WHEN_RUNNING,
    WHEN_UNOPENED,
    WHEN_CHANNEL,
    WHEN_CONTENT,
    WHEN_SERVER,
};

struct method_row {
    uint16_t class_id, method_id;
    const char *text;
    const char
        *layout; /* a letter for each field: o h l q (8 to 64 bits), s S (strings), T (table), b (bit) */
    method_handler *handler;
    enum method_when when;
};

extern const struct method_row methods[METHODS];

/* METHOD_NONE: there is no such method. */
enum method method_of(uint16_t class_id, uint16_t method_id);

/* Reads the fields behind the ids. False unless they are well-formed and end where bytes does. */
bool method_decode(enum method method, struct span bytes, union value *args);
/* The bytes of ids and fields. */
size_t method_size(enum method method, const union value *args);
/* Writes ids and fields; returns the byte behind them. */
uint8_t *method_encode(uint8_t *p, enum method method, const union value *args);

static inline union value num(uint64_t n)
{
    return (union value){.n = n};
}

static inline union value str(struct span s)
{
    return (union value){.s = s};
}

/* The first octets of a frame of `size` payload bytes. */
static inline uint8_t *put_frame_head(uint8_t *p, uint8_t type, uint16_t channel, uint32_t size)
{
    p = put_u8(p, type);
    p = put_be16(p, channel);
    return put_be32(p, size);
}

/* A short string; s.len must be at most 255. */
static inline uint8_t *put_str(uint8_t *p, struct span s)
{
    *p = (uint8_t)s.len;
    return put_span(p + 1, s);
}
