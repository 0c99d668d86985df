/*
 * The producer's end of a ring, with what does not fit into it. Entries are made in place and become visible
 * in batches; what the ring has no room for waits in a list, in order, and the owner stops causing more of it
 * (link_open) until that has drained. The list is bounded by what was granted before: windows, open ops,
 * exchanges. Used by one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ring.h"

#define LINK_BATCH 32u

struct link_entry {
    uint64_t words[RING_ENTRY_BYTES / 8];
};

struct link {
    struct ring *ring;
    struct link_entry *places; /* in the ring: `used` of `reserved` are filled in and not yet visible */
    unsigned used, reserved;
    unsigned room;           /* of the ring, when it was last looked at, less what has gone into it since */
    struct link_entry *late; /* entries [late_from, late_to) */
    size_t late_from, late_to, late_room;
};

void link_init(struct link *link, struct ring *ring);
void link_free(struct link *link);
/* Makes everything visible that fits. Returns how many entries became so. */
unsigned link_flush(struct link *link);
/* The slow part of link_add. */
struct link_entry *link_add_more(struct link *link);

/* Room for one more entry, to be filled in: it holds anything. It is sent with the next flush; valid until
 * the next call. */
static inline void *link_add(struct link *link)
{
    return link->used < link->reserved ? &link->places[link->used++] : link_add_more(link);
}

/* Stamps the entry added last (base/ring.h), if the other side can't see it yet and nothing waits for room.
 */
static inline void link_stamp(struct link *link, uint64_t ns, uint32_t count)
{
    if (link->used)
        ring_stamp(link->ring, link->used, ns, count);
}

/* The entry added last, if it can still be changed; else NULL. */
static inline void *link_last(struct link *link)
{
    return link->used ? &link->places[link->used - 1] : NULL;
}

/* Whether `more` entries would go straight into the ring. */
static inline bool link_open(struct link *link, unsigned more)
{
    if (link->late_from != link->late_to)
        return false;
    if (link->room < link->used + more)
        link->room = ring_room(link->ring);
    return link->room >= link->used + more;
}

/* Entries that the other side can't see yet. */
static inline size_t link_pending(const struct link *link)
{
    return link->used + (link->late_to - link->late_from);
}
