/* Writing field tables (table.h). Each function returns the byte behind what it wrote; the caller has made
 * room. */
#pragma once

#include "router/table.h"

/* Name and type; the value follows. */
static inline uint8_t *put_field(uint8_t *at, const char *name, char type)
{
    size_t len = strlen(name);
    at = put_u8(at, (uint8_t)len);
    return put_u8(put_span(at, span_of(name, len)), (uint8_t)type);
}

/* A string, as the value of a field or an item of an array. */
static inline uint8_t *put_long_str(uint8_t *at, struct span value)
{
    return put_span(put_be32(at, (uint32_t)value.len), value);
}

static inline uint8_t *put_field_str(uint8_t *at, const char *name, struct span value)
{
    return put_long_str(put_field(at, name, 'S'), value);
}

static inline uint8_t *put_field_long(uint8_t *at, const char *name, int64_t value)
{
    return put_be64(put_field(at, name, 'l'), (uint64_t)value);
}

/* Seconds since 1970. */
static inline uint8_t *put_field_time(uint8_t *at, const char *name, uint64_t seconds)
{
    return put_be64(put_field(at, name, 'T'), seconds);
}

/* For a table or an array: leaves room for its length, to be filled in by put_length. */
static inline uint8_t *put_open(uint8_t *at, const char *name, char type)
{
    return put_field(at, name, type) + 4;
}

/* from: what put_open returned; to: the end of what was written since. */
static inline void put_length(uint8_t *from, const uint8_t *to)
{
    put_be32(from - 4, (uint32_t)(to - from));
}
