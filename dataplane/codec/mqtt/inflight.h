/*
 * Deliveries with QoS 1 and 2 that a client has not answered for, by packet identifier: pages of slots, made
 * when one of their identifiers is first used and freed when none is any more.
 *
 * Owned by a connection. Zeroed is empty.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum inflight_state {
    INFLIGHT_FREE,
    INFLIGHT_ACK,  /* QoS 1: PUBACK is awaited */
    INFLIGHT_REC,  /* QoS 2: PUBREC is */
    INFLIGHT_COMP, /* PUBREL is to be sent or was: PUBCOMP is */
};

struct sent {
    uint64_t queue, seq; /* as in the DELIVER */
    uint64_t consumer;   /* the codec's own name for it */
    uint8_t router;
    uint8_t state; /* enum inflight_state */
};

enum { INFLIGHT_PAGE = 128, INFLIGHT_PAGES = 65536 / INFLIGHT_PAGE };

struct inflight_page {
    uint32_t used;
    struct sent slot[INFLIGHT_PAGE];
};

struct inflight {
    struct inflight_page **pages; /* INFLIGHT_PAGES; NULL: none is in use */
    struct inflight_page *spare;  /* one that is all free, for the next */
    uint32_t count;
};

void inflight_free(struct inflight *inflight);
/* Makes the free slot of an identifier a used one, which the caller fills: with a state that isn't free.
 * Valid until it is removed. */
struct sent *inflight_use(struct inflight *inflight, uint16_t id);
/* The one in use, or NULL. */
struct sent *inflight_find(const struct inflight *inflight, uint16_t id);
void inflight_remove(struct inflight *inflight, uint16_t id);
/* For lists: the first in use whose identifier is *at or more; *at is then behind it, and *steps counts what
 * is looked at down. NULL: there is none, or *steps is 0. */
const struct sent *inflight_walk(const struct inflight *inflight, uint64_t *at, unsigned *steps,
                                 uint16_t *id);
/* Calls visit for each, by identifier. */
void inflight_each(struct inflight *inflight, void (*visit)(void *owner, uint16_t id, struct sent *sent),
                   void *owner);
