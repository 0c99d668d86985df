/*
 * A TCP segment's header (RFC 9293 section 3.1), taken apart and put together.
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +-------------------------------+-------------------------------+
 *     |          source port          |       destination port        |
 *     |                        sequence number                        |
 *     |                    acknowledgement number                     |
 *     | offset|  reserved     | flags |            window             |
 *     |           checksum            |         urgent pointer        |
 *     |                 options, up to 40 bytes                       |
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    SEGMENT_HEADER = 20,
    SEGMENT_HEADER_MAX = 60,
    SEGMENT_SUM_AT = 16,
    SEGMENT_SACKS = 4,       /* blocks that fit the options at most (RFC 2018 section 3) */
    SEGMENT_TIMESTAMPS = 12, /* bytes of the option with its padding */
    WINDOW_SCALE_MAX = 14,   /* RFC 7323 section 2.3 */
};

enum segment_flags { SEG_FIN = 1, SEG_SYN = 2, SEG_RST = 4, SEG_PSH = 8, SEG_ACK = 16, SEG_URG = 32 };

struct sack_block {
    uint32_t left, right;
};

struct segment {
    uint16_t source, destination;
    uint32_t seq, ack;
    uint16_t window; /* as it stands there */
    uint8_t flags;   /* enum segment_flags */
    /* options */
    bool sack_permitted, timestamps;
    bool scaled;   /* the window scale option is there: */
    uint8_t scale; /* at most WINDOW_SCALE_MAX */
    uint8_t sacks;
    uint16_t mss; /* 0: no such option */
    uint32_t ts_value, ts_echo;
    struct sack_block sack[SEGMENT_SACKS];
    /* data */
    uint8_t *data;
    uint32_t len; /* bytes of it */
};

/* Takes apart `len` bytes. False: they are too few, or the offset is wrong. Options that are malformed end
 * the options; unknown ones are passed over (RFC 9293 section 3.1, MUST-6). */
bool segment_parse(struct segment *segment, uint8_t *at, uint32_t len);
/* Writes header and options (sum 0) at `at`; returns their length. */
unsigned segment_write(const struct segment *segment, uint8_t *at);

/* What it takes of the sequence space. */
static inline uint32_t segment_length(const struct segment *s)
{
    return s->len + !!(s->flags & SEG_SYN) + !!(s->flags & SEG_FIN);
}
