/* Values of options as people write them: sizes, durations, lists, cores. Pure functions of text. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum value_type {
    VALUE_SIZE,
    VALUE_SHARE,
    VALUE_COUNT,
    VALUE_DURATION,
    VALUE_BOOL,
    VALUE_TEXT,
    VALUE_LIST,
    VALUE_ADDRESSES,
    VALUE_PREFIXES,
    VALUE_IPS,
    VALUE_CORES,
    VALUE_LEVEL,
    VALUE_TRANSPORT,
    VALUE_CONGESTION,
};

/* Of a number, or of how many items a list has, or of the bytes of a text. */
struct value_bounds {
    uint64_t least, most;
    uint64_t memory; /* bytes that 100 % is of */
};

/* Parses text into the field at `to` (of the C type that config.h gives for the type), whose old value is
 * freed. Returns false with what is wrong in error; the field is then unchanged. */
bool value_parse(enum value_type type, const char *text, const struct value_bounds *bounds, void *to,
                 char *error, size_t error_size);
void value_free(enum value_type type, void *field);

bool value_has_bounds(enum value_type type);
const char *value_type_name(enum value_type type);
/* A number as people write it: "16 MiB", "60 s", "2047". */
void value_text(enum value_type type, uint64_t value, char *out, size_t size);

/* An item of ADDRESSES without the word in front, which says what carries it ("dpdk:10.0.0.2:5672"): that is
 * put into *transport (an enum net_transport), which is left as it is if there is none. */
const char *value_plain_address(const char *item, int *transport);
