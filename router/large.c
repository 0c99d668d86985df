#include "router/large.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

static bool is_at(const struct map_node *node, const void *position)
{
    return container_of(node, struct large, by_position)->position == *(const uint64_t *)position;
}

struct large *large_new(struct map *map, uint64_t position, const struct part *parts, uint32_t n,
                        uint32_t refs)
{
    struct large *large = malloc(sizeof *large + n * sizeof *parts);
    CHECK(large);
    large->position = position;
    large->refs = refs;
    large->parts = n;
    memcpy(large->part, parts, n * sizeof *parts);
    map_add(map, &large->by_position, hash_id(position));
    return large;
}

struct large *large_find(const struct map *map, uint64_t position)
{
    struct map_node *node = map_find(map, hash_id(position), is_at, &position);
    return node ? container_of(node, struct large, by_position) : NULL;
}

void large_move(struct map *map, struct large *large, uint64_t position)
{
    map_remove(map, &large->by_position);
    large->position = position;
    map_add(map, &large->by_position, hash_id(position));
}

void large_unref(struct map *map, struct store *store, struct large *large)
{
    CHECK(large->refs);
    if (--large->refs)
        return;
    for (uint32_t i = 0; i < large->parts; i++)
        store_drop(store, large->part[i].position, large->part[i].length);
    map_remove(map, &large->by_position);
    free(large);
}
