/*
 * One direction of the way from a router to a front or another router: a ring, and what does not fit into it. Entries are
 * collected and put in batches; what the ring has no room for waits in a list, in order, and the owner stops causing more of it
 * (link_open) until that has drained. The list is bounded by what was granted before: windows, open ops, exchanges.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/ring.h"

#define LINK_BATCH 32u

struct link_entry {
    uint64_t words[RING_ENTRY_BYTES / 8];
};

struct link {
    struct ring *ring;
    struct link_entry batch[LINK_BATCH];
    unsigned batched;
    struct link_entry *late; /* entries [late_from, late_to) */
    size_t late_from, late_to, late_room;
};

void link_init(struct link *link, struct ring *ring);
void link_free(struct link *link);
/* Puts into the ring what fits. Returns how many entries moved. */
unsigned link_flush(struct link *link);

/* Room for one more entry (zeroed), which is sent with the next flush. Valid until the next call. */
static inline void *link_add(struct link *link)
{
    if (link->batched == LINK_BATCH)
        link_flush(link);
    struct link_entry *entry = &link->batch[link->batched++];
    *entry = (struct link_entry){0};
    return entry;
}

/* Whether `more` entries would go straight into the ring. */
static inline bool link_open(const struct link *link, unsigned more)
{
    return link->late_from == link->late_to && ring_room(link->ring) >= link->batched + more;
}

static inline bool link_empty(const struct link *link)
{
    return link->late_from == link->late_to && link->batched == 0;
}
