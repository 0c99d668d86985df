/* The notation of segments in scripts, which is tcpdump's where it can be. */
#pragma once

#include "segment.h"

/* What is known of a connection when a line is read or written: what numbers are relative to. */
struct relative {
    uint32_t our_isn, peer_isn;
    uint32_t ts_last, ts_first; /* our stack's TSval */
    uint8_t our_scale;
};

/* A line about a segment. For one that is expected, only what is named must be so. */
struct notation {
    struct segment segment;
    uint8_t ts_named; /* 1: val, 2: ecr */
    bool has_ack, has_win, has_wnd, has_options, more_options, has_urg, no_ts, any_seq;
    bool any_ack;              /* with ACK or without */
    bool any_flags;            /* but SYN and RST */
    uint64_t wnd_min, wnd_max; /* bytes, scaled */
    bool in_pieces;            /* several segments together */
    bool hold;                 /* the next is to come in the same burst */
};

/* Reads one; sent: by the peer. Returns NULL, or what is wrong. text is changed. */
const char *notation_read(char *text, bool sent, const struct relative *r, struct notation *n);
/* s, sent by us (ours) or the peer, as text. */
void notation_write(const struct segment *s, bool ours, const struct relative *r, char *text, size_t size);
/* Whether our segment is as expected; NULL, or what is not. */
const char *notation_match(const struct notation *expected, const struct segment *s,
                           const struct relative *r);
