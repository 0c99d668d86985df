/*
 * A hash table of nodes that live inside what they name. It grows a few buckets at a time, with each change,
 * so that no single insertion costs more because there are many. Not thread-safe: each agent has its own.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

struct map_node {
    struct map_node *next;
    uint64_t hash;
};

struct map {
    struct map_node **buckets; /* 1 << bits of them */
    struct map_node **old;     /* the smaller table it grows out of, NULL when that is done */
    size_t moved;              /* buckets of old that are empty for good */
    size_t count;
    unsigned bits;
};

/* Whether the node is the one that key names. */
typedef bool map_equal(const struct map_node *node, const void *key);

void map_init(struct map *map);
/* Frees the table, not the nodes. */
void map_free(struct map *map);
struct map_node *map_find(const struct map *map, uint64_t hash, map_equal *equal, const void *key);
/* node must not be in any map; two nodes may have the same hash. */
void map_add(struct map *map, struct map_node *node, uint64_t hash);
/* node must be in the map. */
void map_remove(struct map *map, struct map_node *node);
/* Calls visit for every node, in no order; visit may remove (and free) the node it is given, nothing else. */
void map_each(struct map *map, void (*visit)(struct map_node *node, void *owner), void *owner);

/*
 * A walk in steps, between which nodes come and go and the map grows. The nodes stand in an order that growth
 * doesn't change: by map_place. Whoever asks for the first at a place or behind it, and then for the one
 * behind that, has seen every node that was there all the time, and seen it once.
 *
 * Returns the first node whose place is at or behind `at`; NULL: there is none, or *steps, which counts the
 * buckets looked into down, is 0 before one was found; then *at is where to go on.
 */
struct map_node *map_from(const struct map *map, uint64_t *at, unsigned *steps);
/* Where a node of this hash stands: those of one hash share a place. */
uint64_t map_place(uint64_t hash);
/* Visits the nodes from place *at on; *at is where to go on. Stops at the first end of a place where *steps,
 * which counts buckets and nodes, is used up. True: it has come to the end. visit may remove nothing. */
bool map_walk(const struct map *map, uint64_t *at, unsigned *steps,
              void (*visit)(struct map_node *node, void *owner), void *owner);

/* A hash of bytes, the same on every run and machine (queues are placed by it). */
uint64_t hash_bytes(struct span bytes, uint64_t seed);
/* Another one, for tables of what peers name: without the secret nobody can find names that all fall into one
 * bucket. Not to be kept beyond the process. */
uint64_t hash_keyed(struct span bytes, uint64_t seed);
/* The secret of this process; before there are threads and tables. Without it, it is always the same. */
void hash_set_secret(uint64_t random);

/* A well-mixed hash of an id. */
static inline uint64_t hash_id(uint64_t id)
{
    id ^= id >> 32;
    id *= 0xd6e8feb86659fd93u;
    id ^= id >> 32;
    id *= 0xd6e8feb86659fd93u;
    return id ^ id >> 32;
}

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
