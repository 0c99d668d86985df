#include "base/link.h"

#include <stdlib.h>
#include <string.h>

void link_init(struct link *link, struct ring *ring)
{
    *link = (struct link){.ring = ring};
}

void link_free(struct link *link)
{
    free(link->late);
}

/* Keeps the batch for later, behind what is there. */
static void keep(struct link *link, const struct link_entry *entries, unsigned n)
{
    size_t used = link->late_to - link->late_from;
    if (link->late_to + n > link->late_room) {
        memmove(link->late, link->late + link->late_from, used * sizeof *link->late);
        link->late_from = 0;
        link->late_to = used;
    }
    if (used + n > link->late_room) {
        link->late_room = 2 * (used + n);
        link->late = realloc(link->late, link->late_room * sizeof *link->late);
        CHECK(link->late);
    }
    memcpy(link->late + link->late_to, entries, n * sizeof *entries);
    link->late_to += n;
}

unsigned link_flush(struct link *link)
{
    unsigned moved = 0;
    if (link->late_from != link->late_to) {
        size_t late = link->late_to - link->late_from;
        moved = ring_put(link->ring, link->late + link->late_from, late < UINT32_MAX ? (unsigned)late : UINT32_MAX);
        link->late_from += moved;
    }
    unsigned put = 0;
    if (link->late_from == link->late_to && link->batched)
        put = ring_put(link->ring, link->batch, link->batched);
    if (put < link->batched)
        keep(link, link->batch + put, link->batched - put);
    link->batched = 0;
    return moved + put;
}
