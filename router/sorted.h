/*
 * Bindings of which a match picks one: each stands at one or more places of a circle of 2^64, and is found by
 * what comes next on it, or by its rank. Either takes time that grows with the logarithm of how many there
 * are; so do adding and removing one.
 *
 * What is found depends only on where things stand, not on the order in which they came: the same bindings
 * give the same pick at every router. Two places that are one (of 2^64: hardly ever) are in the order of
 * their destinations' identities.
 *
 * A tree whose nodes are in the order of their places and, from the root down, of what chance gave them
 * (a treap). Owned by the index of an exchange; zeroed is empty.
 */
#pragma once

#include "router/spot.h"

struct place {
    struct place *left, *right;
    struct destination *destination; /* the binding's */
    uint64_t at;
    uint32_t count; /* of this one and all below it */
    uint32_t chance;
};

/* A binding's places: of its own, freed with sorted_remove. */
struct share {
    uint32_t count;
    struct place places[];
};

struct sorted {
    struct place *root;
};

/* Gives the binding (which has no share yet) `count` places; where each stands is for at(binding, i). */
void sorted_add(struct sorted *sorted, struct binding *binding, uint32_t count,
                uint64_t (*at)(const struct binding *binding, uint32_t i));
void sorted_remove(struct sorted *sorted, struct binding *binding);
/* The first place at or behind `at`, around the circle; NULL if there is none at all. */
const struct place *sorted_next(const struct sorted *sorted, uint64_t at);
/* The place with `rank` places before it, counted from 0; rank must be less than sorted_count. */
const struct place *sorted_rank(const struct sorted *sorted, uint32_t rank);

static inline uint32_t sorted_count(const struct sorted *sorted)
{
    return sorted->root ? sorted->root->count : 0;
}
