/*
 * The headers of a message that are meant for the broker itself: read in one place, by fronts, which refuse
 * what is wrong, and by routers, which do what they say.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

struct field;

struct own_headers {
    struct span producer; /* x-producer-id: who publishes; len 0: it doesn't say */
    uint64_t seq;         /* x-producer-seq: the how-manieth of its messages; 0 if it doesn't say who it is */
    bool ram, disk;       /* x-confirm: where the message must be to be confirmed; neither: it doesn't say */
    const uint8_t *seq_at; /* the type of x-producer-seq's value */
};

/* headers: a checked table, into which own then points. NULL, or what is wrong with them; what own says is
 * then of no use. */
const char *own_headers_read(struct span headers, struct own_headers *own);
/* The same for who walks the table himself: own is all zero at first, each field whose name begins with "x-"
 * is added, and in the end it is asked whether what there is goes together. */
const char *own_headers_add(struct own_headers *own, const struct field *field);
const char *own_headers_end(const struct own_headers *own);

/* For those who look again at a table that has been read, into own: where in it the types of the values of
 * x-producer-id and x-producer-seq stand. Leaves both as they are if own says nothing of them, or something
 * besides, or they stand too far behind. */
void own_headers_place(const struct own_headers *own, struct span headers, uint16_t *producer_at,
                       uint16_t *number_at);
/* Reads just these. */
void own_headers_pick(const uint8_t *headers, uint16_t producer_at, uint16_t number_at,
                      struct own_headers *own);
