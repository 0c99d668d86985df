/*
 * Which numbers of a queue were shed, and why, for queues whose deliveries carry their number (x-sequence): a
 * consumer is told of the numbers right before the message it gets. Ranges are kept until that message is
 * done with. A number is a range of its own until its message has gone, too, which may wait for its dead
 * letter to be taken; then it joins the one before it, if that has the same reason.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/map.h"
#include "router/command.h"

struct gaps {
    struct map by_end; /* struct gap_range by `to` */
};

void gaps_init(struct gaps *gaps);
void gaps_free(struct gaps *gaps);
/* The numbers [from, to] were shed. None of them is in a range yet. */
void gaps_add(struct gaps *gaps, uint64_t from, uint64_t to, enum gap_reason reason);
/* Those right before seq, nearest first, into gap; returns how many, at most GAPS_MAX: of more, the last is
 * made of all the others, without a reason. */
uint32_t gaps_before(const struct gaps *gaps, uint64_t seq, struct gap gap[GAPS_MAX]);
/* Whether a range ends with seq: one whose message is still there is in no other. */
bool gaps_end_at(const struct gaps *gaps, uint64_t seq);
/* The range that ends with seq becomes one with that right before it, if both have one reason. */
void gaps_join(struct gaps *gaps, uint64_t seq);
/* Message seq is done with: what was right before it is of no use any more. */
void gaps_drop_before(struct gaps *gaps, uint64_t seq);
/* Calls visit for each, in no order. */
void gaps_each(struct gaps *gaps, void (*visit)(const struct gap *gap, void *owner), void *owner);
