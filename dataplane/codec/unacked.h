/*
 * The deliveries of one channel that its client has not yet answered for, by delivery tag. Tags only grow, so
 * this is a deque: finding one takes one step as long as few are answered out of order, a binary search at
 * worst; answering for all up to a tag costs one step for each that is live. What is answered behind an
 * unanswered one leaves a hole; holes are squeezed out before the deque grows, so that one forgotten delivery
 * doesn't cost memory for all that came after it.
 *
 * Owned by a channel. Zeroed is empty.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum unacked_state {
    UNACKED_HOLE,
    UNACKED_LIVE,
    /* Answered in a transaction that is still open: */
    UNACKED_HELD_ACK,
    UNACKED_HELD_DROP,
    UNACKED_HELD_REQUEUE,
};

struct delivery {
    uint64_t tag;
    uint64_t queue, seq; /* as in the DELIVER */
    uint64_t consumer;   /* the router's name for it, 0 for a basic.get */
    uint8_t router;
    uint8_t state;   /* enum unacked_state */
    uint8_t counted; /* towards the channel's own limit */
    uint8_t lapsed; /* held, and its consumer took too long: it goes back if the transaction is rolled back */
};

struct delivery_wish;

struct unacked {
    struct delivery *ring;
    uint32_t room; /* a power of two, or 0 */
    uint32_t head, count;
    uint32_t live; /* that are no holes */
};

void unacked_free(struct unacked *u);
/* Adds a live delivery whose tag is larger than all before. False when there is no memory. */
bool unacked_push(struct unacked *u, const struct delivery *delivery);
/* The live delivery of that tag, or NULL. Valid until the next push or remove. */
struct delivery *unacked_find(struct unacked *u, uint64_t tag);
void unacked_remove(struct unacked *u, struct delivery *delivery);
/* The oldest that is no hole, or NULL. */
struct delivery *unacked_oldest(struct unacked *u);

/* For lists: the first delivery of the queue's that is wanted and no hole, whose tag is *tag or more. *tag is
 * then behind it; *steps counts what is looked at down. NULL: there is none (then *tag is UINT64_MAX), or
 * *steps is 0. */
const struct delivery *unacked_walk(const struct unacked *u, const struct delivery_wish *wish, uint64_t *tag,
                                    unsigned *steps);

/* Number i from the oldest, holes included; i is below u->count. */
static inline struct delivery *unacked_at(const struct unacked *u, uint32_t i)
{
    return &u->ring[(u->head + i) & (u->room - 1)];
}
