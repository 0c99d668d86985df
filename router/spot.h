/*
 * A spot: bindings that match together, because they stand at one key, one node of a trie or one header. In
 * no order. Adding and removing one costs the same however many there are.
 *
 * Owned by the index it stands in; zeroed is empty.
 */
#pragma once

#include "router/exchange.h"

struct spot_entry {
    struct destination *destination; /* the member's, here to save a match two steps */
    struct member *member;
};

struct spot {
    uint32_t count;
    uint32_t room; /* of many; 0: the one entry, if any, stands here */
    union {
        struct spot_entry one;
        struct spot_entry *many;
    };
};

/* binding: whose member it is. The member must be in no spot. */
void spot_add(struct spot *spot, struct member *member, struct binding *binding);
/* Takes the member out of its spot, and returns the spot. */
struct spot *spot_remove(struct member *member);

static inline const struct spot_entry *spot_entries(const struct spot *spot)
{
    return spot->room ? spot->many : &spot->one;
}

/* Adds what the spot leads to. */
void match_spot(struct match *match, const struct spot *spot);
/* Adds what one binding leads to. */
void match_destination(struct match *match, struct destination *destination);
/* The same of the binding that was picked among all of an exchange's. */
void match_picked(struct match *match, struct destination *destination);

void pile_grow(struct pile *pile);
void pile_free(struct pile *pile);

static inline void pile_push(struct pile *pile, void *item)
{
    if (pile->count == pile->room)
        pile_grow(pile);
    pile->items[pile->count++] = item;
}
