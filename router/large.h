/*
 * Large messages: those whose body stands in several records. Their parts must live as long as the message
 * does in any queue; so much is kept in memory for each, beside the index entries.
 */
#pragma once

#include "base/map.h"
#include "router/message.h"
#include "router/store.h"

struct large {
    struct map_node by_position;
    uint64_t position; /* of the message's own record */
    uint32_t refs;     /* index entries */
    uint32_t parts;
    struct part part[];
};

/* A message at position with n parts, each kept in the store already; refs index entries will refer to it. */
struct large *large_new(struct map *map, uint64_t position, const struct part *parts, uint32_t n,
                        uint32_t refs);
struct large *large_find(const struct map *map, uint64_t position);
/* Its record has been copied to another position. */
void large_move(struct map *map, struct large *large, uint64_t position);
/* One entry less: with the last, the parts are dropped from the store. */
void large_unref(struct map *map, struct store *store, struct large *large);
