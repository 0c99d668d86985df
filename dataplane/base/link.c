#include "base/link.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

void link_init(struct link *link, struct ring *ring)
{
    *link = (struct link){.ring = ring};
}

void link_free(struct link *link)
{
    free(link->late);
}

static struct link_entry *add_late(struct link *link)
{
    size_t count = link->late_to - link->late_from;
    if (link->late_to == link->late_room && link->late_from) {
        memmove(link->late, link->late + link->late_from, count * sizeof *link->late);
        link->late_from = 0;
        link->late_to = count;
    }
    if (link->late_to == link->late_room) {
        link->late_room = link->late_room ? 2 * link->late_room : 2 * LINK_BATCH;
        link->late = realloc(link->late, link->late_room * sizeof *link->late);
        CHECK(link->late);
    }
    return &link->late[link->late_to++];
}

static unsigned publish(struct link *link)
{
    unsigned n = link->used;
    if (link->reserved)
        ring_publish(link->ring, n);
    link->room = link->room > n ? link->room - n : 0;
    link->used = link->reserved = 0;
    return n;
}

struct link_entry *link_add_more(struct link *link)
{
    void *places = NULL;
    if (link->late_from != link->late_to)
        return add_late(link);
    publish(link);
    link->reserved = ring_reserve(link->ring, LINK_BATCH, &places);
    link->places = places;
    if (link->reserved == 0)
        return add_late(link);
    link->used = 1;
    return link->places;
}

unsigned link_flush(struct link *link)
{
    unsigned moved = publish(link);
    size_t late = link->late_to - link->late_from;
    if (!late)
        return moved;
    unsigned put =
        ring_put(link->ring, link->late + link->late_from, late < UINT32_MAX ? (unsigned)late : UINT32_MAX);
    link->late_from += put;
    if (link->late_from == link->late_to)
        link->late_from = link->late_to = 0;
    link->room = 0;
    return moved + put;
}
