#include "codec/unacked.h"

#include <stdlib.h>

#include "base/check.h"
#include "codec/codec.h"

#define FIRST_ROOM 64u

void unacked_free(struct unacked *u)
{
    free(u->ring);
    *u = (struct unacked){0};
}

/* Moves everything that is no hole to the front of `ring`. */
static void gather(struct unacked *u, struct delivery *ring, uint32_t room)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < u->count; i++)
        if (unacked_at(u, i)->state != UNACKED_HOLE)
            ring[n++] = *unacked_at(u, i);
    free(u->ring);
    u->ring = ring;
    u->room = room;
    u->head = 0;
    u->count = n;
}

/* A ring whose holes are half of it or more is made anew at the same size; it then takes as many pushes as
 * were gathered before that happens again. */
static bool make_room(struct unacked *u)
{
    uint32_t room = u->room ? u->room : FIRST_ROOM;
    if (u->room && u->live > u->room / 2)
        room *= 2;
    if (!room)
        return false;
    struct delivery *ring = malloc(room * sizeof *ring);
    if (!ring)
        return false;
    gather(u, ring, room);
    return true;
}

bool unacked_push(struct unacked *u, const struct delivery *delivery)
{
    if (u->count == u->room && !make_room(u))
        return false;
    *unacked_at(u, u->count) = *delivery;
    u->count++;
    u->live++;
    return true;
}

/* The place of the first whose tag is that or more, if there is one; else the last. Tags only grow, so a tag
 * stands no further behind the first entry, nor before the last, than the tags differ. */
static uint32_t place_of(const struct unacked *u, uint64_t tag)
{
    uint64_t first = unacked_at(u, 0)->tag, last = unacked_at(u, u->count - 1)->tag;
    uint32_t high = tag - first < u->count ? (uint32_t)(tag - first) : u->count - 1;
    uint32_t low = tag <= last && last - tag < u->count ? u->count - 1 - (uint32_t)(last - tag) : 0;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (unacked_at(u, middle)->tag < tag)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct delivery *unacked_find(struct unacked *u, uint64_t tag)
{
    if (!u->count)
        return NULL;
    uint64_t first = unacked_at(u, 0)->tag, last = unacked_at(u, u->count - 1)->tag;
    if (tag < first || tag > last)
        return NULL;
    struct delivery *found = unacked_at(u, place_of(u, tag));
    return found->tag == tag && found->state == UNACKED_LIVE ? found : NULL;
}

const struct delivery *unacked_walk(const struct unacked *u, const struct delivery_wish *wish, uint64_t *tag,
                                    unsigned *steps)
{
    uint32_t i = u->count && *tag > unacked_at(u, 0)->tag ? place_of(u, *tag) : 0;
    for (; i < u->count && *steps; i++) {
        const struct delivery *d = unacked_at(u, i);
        if (d->tag < *tag)
            continue;
        --*steps;
        *tag = d->tag + 1;
        if (d->state != UNACKED_HOLE && delivery_is_wanted(wish, d->router, d->queue, d->seq))
            return d;
    }
    if (i >= u->count)
        *tag = UINT64_MAX;
    return NULL;
}

struct delivery *unacked_oldest(struct unacked *u)
{
    return u->count ? unacked_at(u, 0) : NULL;
}

/* The oldest is never a hole. */
void unacked_remove(struct unacked *u, struct delivery *delivery)
{
    CHECK(delivery->state != UNACKED_HOLE);
    delivery->state = UNACKED_HOLE;
    u->live--;
    while (u->count && unacked_at(u, 0)->state == UNACKED_HOLE) {
        u->head = (u->head + 1) & (u->room - 1);
        u->count--;
    }
}
