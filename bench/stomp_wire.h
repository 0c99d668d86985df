/* STOMP 1.2 on the wire, as far as a load generator speaks it. Writing appends to a struct buffer; reading
 * walks bytes the caller keeps alive. */
#ifndef BENCH_STOMP_WIRE_H
#define BENCH_STOMP_WIRE_H

#include "buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum stomp_command { STOMP_EOL, STOMP_CONNECTED, STOMP_MESSAGE, STOMP_RECEIPT, STOMP_ERROR, STOMP_OTHER };

/* Bytes of a frame, escaped as they came. */
struct stomp_text {
    const uint8_t *at;
    size_t len;
};

/* A frame, or the end of a line between two (a heart-beat). The headers that matter; at NULL: not there. */
struct stomp_frame {
    enum stomp_command command;
    size_t total; /* bytes, when known; 0: not known yet */
    struct stomp_text ack, receipt_id, message, version;
    bool redelivered;
    const uint8_t *body;
    size_t body_len;
};

/* Headers longer than this are nonsense. */
#define STOMP_HEADERS_MAX 65536u

/* Bytes taken by the frame; 0 when it is not complete; -1 when these bytes are no frame. */
int64_t stomp_frame_read(struct stomp_frame *f, const uint8_t *bytes, size_t n);

/* The number a text is; UINT64_MAX when it is none. */
uint64_t stomp_number(struct stomp_text text);

/* A frame is opened with its command, headers are added, and it is closed with its body. Header values are
 * escaped. */
void stomp_open(struct buffer *b, const char *command);
void stomp_header(struct buffer *b, const char *name, const char *value);
/* The value as it is: already escaped, or without anything that would need it. */
void stomp_header_raw(struct buffer *b, const char *name, const void *value, size_t n);
/* CONNECT's headers are never escaped, for 1.0's sake: stomp_header_raw. */
void stomp_close(struct buffer *b, const uint8_t *body, size_t size);

/* A number of a fixed width, so that it can be stamped. */
#define STOMP_STAMP_WIDTH 12u
void stomp_stamp(uint8_t *at, uint64_t number);

#endif
