#include "router/keys.h"

#include <stdlib.h>

#include "base/check.h"

#define SEED 1u

/* Lives as long as bindings have its key. */
struct key_node {
    struct map_node node;
    struct spot spot;
    uint32_t len;
    char bytes[];
};

static bool is_key(const struct map_node *node, const void *key)
{
    const struct key_node *k = container_of(node, struct key_node, node);
    return span_equal(span_of(k->bytes, k->len), *(const struct span *)key);
}

static struct key_node *find(const struct keys *keys, struct span key, uint64_t hash)
{
    struct map_node *node = map_find(&keys->map, hash, is_key, &key);
    return node ? container_of(node, struct key_node, node) : NULL;
}

void keys_add(struct keys *keys, struct binding *binding)
{
    struct span key = binding->key;
    uint64_t hash = hash_keyed(key, SEED);
    struct key_node *k = find(keys, key, hash);
    if (!k) {
        k = malloc(sizeof *k + key.len);
        CHECK(k);
        k->spot = (struct spot){0};
        k->len = (uint32_t)key.len;
        put_span((uint8_t *)k->bytes, key);
        map_add(&keys->map, &k->node, hash);
    }
    spot_add(&k->spot, &binding->member, binding);
}

void keys_remove(struct keys *keys, struct binding *binding)
{
    struct spot *spot = spot_remove(&binding->member);
    if (spot->count > 0)
        return;
    struct key_node *k = container_of(spot, struct key_node, spot);
    map_remove(&keys->map, &k->node);
    free(k);
}

void keys_match(const struct keys *keys, struct span key, struct match *match)
{
    if (keys->map.count == 0)
        return;
    struct key_node *k = find(keys, key, hash_keyed(key, SEED));
    if (k)
        match_spot(match, &k->spot);
}

void keys_free(struct keys *keys)
{
    CHECK(keys->map.count == 0);
    map_free(&keys->map);
}
