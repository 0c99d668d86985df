/*
 * STOMP frames, 1.0 to 1.2 (STOMP 1.2, "STOMP Frames").
 *
 *   COMMAND \n (name : value \n)* \n body \0        1.2: \r\n as well as \n; between frames any number of
 * them
 *   '-------------- head -----------'
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum stomp_version { STOMP_UNKNOWN, STOMP_10, STOMP_11, STOMP_12 };

enum {
    STOMP_HEADERS_MAX = 64,
    STOMP_HEAD_MAX = 16 * 1024, /* bytes of a head */
};

struct stomp_header {
    struct span name, value; /* without escapes; in the frame's text */
};

struct stomp_frame {
    struct span command;
    unsigned headers;
    struct stomp_header header[STOMP_HEADERS_MAX];
    bool has_length; /* it says how long its body is */
    uint64_t length;
    size_t head_bytes; /* in the input */
    uint8_t text[STOMP_HEAD_MAX];
};

enum stomp_read { STOMP_READ, STOMP_READ_MORE, STOMP_READ_WRONG };

/* The bytes of line ends before a frame. */
size_t stomp_skip(struct span in);
/* Reads the head of the first frame of in, which begins with no line end. wrong: what is, in one sentence. */
enum stomp_read stomp_head_read(struct span in, enum stomp_version version, struct stomp_frame *f,
                                const char **wrong);
bool stomp_is_connect(const struct stomp_frame *f);
/* The first header of that name; NULL if there is none. */
const struct span *stomp_find(const struct stomp_frame *f, const char *name);
/* The same, an empty span if there is none. */
struct span stomp_value(const struct stomp_frame *f, const char *name);
bool stomp_is(const struct stomp_frame *f, const char *name, const char *value);
/* Whether it is header number i that counts, since it is the first of its name. */
bool stomp_counts(const struct stomp_frame *f, unsigned i);
/* A decimal number of at most 18 digits. */
bool stomp_number(struct span text, uint64_t *number);

/* Writing; each returns the byte behind. Room: the name, twice the value, and two bytes. */
uint8_t *stomp_put(uint8_t *to, enum stomp_version version, struct span name, struct span value);
uint8_t *stomp_put_str(uint8_t *to, enum stomp_version version, const char *name, struct span value);
uint8_t *stomp_put_number(uint8_t *to, const char *name, uint64_t number);
