/* TCP segments as frames: written and read by the runner itself, sharing nothing with the stack under test.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum flag { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16, URG = 32, ECE = 64, CWR = 128 };

enum option_bit {
    HAS_MSS = 1,
    HAS_WSCALE = 2,
    HAS_SACK_OK = 4,
    HAS_TS = 8,
    HAS_SACK = 16,
    HAS_OTHER = 32,
};

enum { FRAME_MAX = 65700, SACKS_MAX = 4 };

struct segment {
    uint16_t from_port, to_port;
    uint32_t seq, ack;
    uint8_t flags; /* enum flag */
    uint16_t win, urg;
    uint32_t len; /* of payload */
    uint8_t options[40];
    uint8_t options_len; /* a multiple of 4 when it is sent */
    uint8_t has;         /* enum option_bit, what is in options: */
    uint16_t mss;
    uint8_t wscale;
    uint32_t ts_val, ts_ecr;
    uint8_t sacks;
    struct sack {
        uint32_t left, right;
    } sack[SACKS_MAX];
    /* What is wrong with it on purpose. */
    bool bad_sum, garbage, congested;
    int data_offset; /* in words, 0: the right one */
};

/* The two hosts of a conversation. */
struct hosts {
    bool v6;
    uint8_t our_mac[6], peer_mac[6];
    uint8_t ours[16], peers[16]; /* of IPv4 the last four bytes */
};

/* Writes s, from the peer to us, as a frame; payload has s->len bytes. Returns the frame's length. */
uint32_t segment_build(const struct hosts *h, const struct segment *s, const uint8_t *payload,
                       uint8_t *frame);
/* Reads a frame from us to the peer. Returns NULL, or what is wrong with it. *payload points into it. */
const char *segment_read(const struct hosts *h, const uint8_t *frame, uint32_t len, struct segment *s,
                         const uint8_t **payload);
/* An ICMP error about our segment; kind: "unreachable" (code: "net" "host" "protocol" "port" "admin"),
 * "too_big", "expired". 0: no such. */
uint32_t icmp_build(const struct hosts *h, const char *kind, const char *code, uint16_t mtu,
                    const struct segment *about, uint8_t *frame);
/* Answers who-has and neighbour solicitations for whoever is asked for; returns the answer's length, or 0. */
uint32_t neighbour_answer(const struct hosts *h, const uint8_t *frame, uint32_t len, uint8_t *answer);
