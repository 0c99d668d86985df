#include "router/spot.h"

#include <stdlib.h>

#include "base/check.h"

/* Destinations lie all over memory: those this many entries ahead are fetched early. */
#define AHEAD 8u

static void resize(struct spot *spot, uint32_t room)
{
    struct spot_entry one = spot->one;
    struct spot_entry *many = spot->room ? spot->many : NULL;
    many = reallocarray(many, room, sizeof *many);
    CHECK(many);
    if (!spot->room)
        many[0] = one;
    spot->many = many;
    spot->room = room;
}

void spot_add(struct spot *spot, struct member *member, struct binding *binding)
{
    uint32_t room = spot->room ? spot->room : 1;
    if (spot->count == room)
        resize(spot, room < 4 ? 4 : room * 2);
    member->spot = spot;
    member->binding = binding;
    member->place = spot->count;
    struct spot_entry *entries = spot->room ? spot->many : &spot->one;
    entries[spot->count++] = (struct spot_entry){binding->destination, member};
}

/* Gives memory back when three quarters of it are unused. */
static void shrink(struct spot *spot)
{
    if (!spot->room)
        return;
    if (spot->count == 0) {
        free(spot->many);
        *spot = (struct spot){0};
    } else if (spot->room > 4 && spot->count <= spot->room / 4) {
        resize(spot, spot->room / 2);
    }
}

struct spot *spot_remove(struct member *member)
{
    struct spot *spot = member->spot;
    struct spot_entry *entries = spot->room ? spot->many : &spot->one;
    CHECK(member->place < spot->count && entries[member->place].member == member);
    spot->count--;
    entries[member->place] = entries[spot->count];
    entries[member->place].member->place = member->place;
    member->spot = NULL;
    shrink(spot);
    return spot;
}

/* ---- what a match finds --------------------------------------------------------------------------- */

void pile_grow(struct pile *pile)
{
    pile->room = pile->room ? pile->room * 2 : 16;
    pile->items = reallocarray(pile->items, pile->room, sizeof *pile->items);
    CHECK(pile->items);
}

void pile_free(struct pile *pile)
{
    free(pile->items);
    *pile = (struct pile){0};
}

static void make_room(struct match *match, size_t more)
{
    if (match->room - match->count >= more)
        return;
    size_t room = match->room ? match->room : 16;
    while (room - match->count < more)
        room *= 2;
    match->found = reallocarray(match->found, room, sizeof(struct destination *));
    CHECK(match->found);
    match->room = room;
}

/* There is room for it. */
static inline void add(struct match *match, struct destination *destination)
{
    if (destination->matched == match->number)
        return;
    destination->matched = match->number;
    if (destination->exchange) {
        pile_push(&match->exchanges, destination->exchange);
        return;
    }
    match->any = true;
    if (!destination->remote)
        match->found[match->count++] = destination;
}

void match_spot(struct match *match, const struct spot *spot)
{
    uint32_t count = spot->count;
    if (count == 0)
        return;
    match->hit = true;
    make_room(match, count);
    const struct spot_entry *entries = spot_entries(spot);
    for (uint32_t i = 0; i < count; i++) {
        if (i + AHEAD < count)
            __builtin_prefetch(entries[i + AHEAD].destination, 1);
        add(match, entries[i].destination);
    }
}

void match_destination(struct match *match, struct destination *destination)
{
    match->hit = true;
    make_room(match, 1);
    add(match, destination);
}

void match_picked(struct match *match, struct destination *destination)
{
    match->elsewhere |= destination->remote;
    match_destination(match, destination);
}
