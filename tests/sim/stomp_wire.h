/*
 * STOMP on the wire, as the simulator's clients know it: written for them alone, on wire.h's buffers.
 */
#pragma once

#include "wire.h"

enum { STOMP_WIRE_HEADERS = 24, STOMP_WIRE_VALUE = 256 };

struct stomp_wire_header {
    char name[64], value[STOMP_WIRE_VALUE]; /* without escapes */
};

struct stomp_wire_frame {
    char command[16]; /* "": a heart-beat, or what ends a frame */
    struct stomp_wire_header headers[STOMP_WIRE_HEADERS];
    unsigned count;
    const uint8_t *body;
    size_t body_len;
    bool bad; /* malformed */
};

/* Looks at the first frame of what has come; version: 10, 11 or 12. Returns its bytes; 0: it isn't all there.
 */
size_t stomp_wire_read(const struct buffer *in, unsigned version, struct stomp_wire_frame *frame);
/* NULL: there is none. */
const char *stomp_wire_value(const struct stomp_wire_frame *frame, const char *name);

/* A frame: its command, its headers, and its end. */
void stomp_wire_begin(struct buffer *out, const char *command);
void stomp_wire_header(struct buffer *out, unsigned version, const char *name, const char *value);
void stomp_wire_end(struct buffer *out, const uint8_t *body, size_t len);
