#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/prng.h"

struct thing {
    struct map_node node;
    uint64_t id;
    bool in, seen;
};

static bool is_thing(const struct map_node *node, const void *key)
{
    return container_of(node, struct thing, node)->id == *(const uint64_t *)key;
}

static struct thing *find(const struct map *map, uint64_t id, uint64_t hash)
{
    struct map_node *node = map_find(map, hash, is_thing, &id);
    return node ? container_of(node, struct thing, node) : NULL;
}

Test(map, empty_map_finds_nothing)
{
    struct map map;
    map_init(&map);
    cr_assert_null(find(&map, 1, hash_id(1)));
    map_free(&map);
}

/* collisions: hashes are only told apart by this many values. */
static void add_and_remove_at_random(uint64_t collisions)
{
    enum { THINGS = 5000 };
    static struct thing things[THINGS];
    struct prng prng;
    struct map map;
    prng_seed(&prng, collisions);
    map_init(&map);
    size_t count = 0;
    for (int step = 0; step < 60000; step++) {
        uint64_t id = prng_below(&prng, THINGS), hash = hash_id(id % collisions);
        struct thing *t = &things[id];
        cr_assert_eq(find(&map, id, hash), t->in ? t : NULL);
        t->id = id;
        if (t->in)
            map_remove(&map, &t->node);
        else
            map_add(&map, &t->node, hash);
        t->in = !t->in;
        count += t->in ? 1 : (size_t)-1;
        cr_assert_eq(map.count, count);
    }
    map_free(&map);
}

Test(map, adds_and_removes)
{
    add_and_remove_at_random(UINT64_MAX);
}

Test(map, lives_with_equal_hashes)
{
    add_and_remove_at_random(50);
}

Test(map, grows_a_little_at_a_time)
{
    enum { THINGS = 100000 };
    struct thing *things = calloc(THINGS, sizeof *things);
    struct map map;
    map_init(&map);
    for (uint64_t i = 0; i < THINGS; i++) {
        size_t moved = map.old ? map.moved : 0;
        bool growing = map.old != NULL;
        things[i].id = i;
        map_add(&map, &things[i].node, hash_id(i));
        if (growing && map.old)
            cr_assert_leq(map.moved - moved, 4);
        cr_assert_leq(map.count, ((size_t)1 << map.bits) / 2);
        if (i % 7777 == 0)
            for (uint64_t j = 0; j <= i; j++)
                cr_assert_eq(find(&map, j, hash_id(j)), &things[j]);
    }
    map_free(&map);
    free(things);
}

struct visit {
    struct map *map;
    size_t visited;
    bool remove;
};

static void visit(struct map_node *node, void *owner)
{
    struct visit *v = owner;
    struct thing *t = container_of(node, struct thing, node);
    cr_assert(!t->seen);
    t->seen = true;
    v->visited++;
    if (v->remove) {
        map_remove(v->map, node);
        free(t);
    }
}

/* For many sizes, so that some are met in the middle of growing. */
Test(map, each_visits_all_once_and_may_remove)
{
    for (size_t n = 0; n < 200; n++) {
        struct map map;
        map_init(&map);
        for (uint64_t i = 0; i < n; i++) {
            struct thing *t = calloc(1, sizeof *t);
            t->id = i;
            map_add(&map, &t->node, hash_id(i));
        }
        struct visit all = {&map, 0, true};
        map_each(&map, visit, &all);
        cr_assert_eq(all.visited, n);
        cr_assert_eq(map.count, 0);
        map_free(&map);
    }
}

/* Queues are placed by it: a change would lose them at the next start. */
Test(map, hash_bytes_never_changes)
{
    cr_assert_eq(hash_bytes(span_str(""), 0), UINT64_C(0x7f646c5fd895c2bf));
    cr_assert_eq(hash_bytes(span_str("orders"), 1), UINT64_C(0xe947ec8c0a556d44));
    cr_assert_eq(hash_bytes(span_str("a queue with a name of more than sixteen bytes"), 2),
                 UINT64_C(0x2ef68e8d4809fc95));
}

/* Two keys, made for the hash that everyone knows: the word that is its key takes all before it out. */
Test(map, a_secret_tells_apart_what_was_made_to_collide)
{
    uint64_t one[3] = {0x243f6a8885a308d3u, 1, 2}, other[3] = {0x243f6a8885a308d3u, 3, 2};
    struct span a = span_of(one, sizeof one), b = span_of(other, sizeof other);
    cr_assert_eq(hash_bytes(a, 0), hash_bytes(b, 0));
    cr_assert_eq(hash_keyed(a, 0), hash_keyed(b, 0));
    hash_set_secret(0xd1310ba698dfb5acu);
    cr_assert_neq(hash_keyed(a, 0), hash_keyed(b, 0));
    cr_assert_eq(hash_bytes(a, 0), hash_bytes(b, 0));
}

/* 4096 buckets, 40960 keys that differ little: no bucket may get far more than its ten. */
Test(map, hash_bytes_spreads_similar_keys)
{
    static unsigned low[4096], high[4096];
    for (unsigned i = 0; i < 40960; i++) {
        char key[40];
        snprintf(key, sizeof key, "%s%u", i % 2 ? "k" : "a.rather.long.prefix.", i / 2);
        uint64_t hash = hash_bytes(span_str(key), 0);
        low[hash & 4095]++;
        high[hash >> 52]++;
    }
    for (unsigned i = 0; i < 4096; i++) {
        cr_assert_lt(low[i], 35);
        cr_assert_lt(high[i], 35);
    }
}

Test(map, hash_bytes_sees_length_seed_and_every_byte)
{
    uint8_t bytes[70] = {0};
    for (size_t len = 0; len < sizeof bytes; len++) {
        uint64_t hash = hash_bytes(span_of(bytes, len), 5);
        cr_assert_neq(hash, hash_bytes(span_of(bytes, len), 6));
        cr_assert_neq(hash, hash_bytes(span_of(bytes, len + 1), 5));
        for (size_t i = 0; i < len; i++) {
            bytes[i] ^= 1;
            cr_assert_neq(hash, hash_bytes(span_of(bytes, len), 5));
            bytes[i] ^= 1;
        }
    }
}

/* ---- a walk in steps --------------------------------------------------------------------------------------
 */

enum { STAY = 2000, WALKED = 20000 };

struct walked {
    struct map_node node;
    bool in;
    unsigned seen;
};

static void see(struct map_node *node, void *owner)
{
    (void)owner;
    container_of(node, struct walked, node)->seen++;
}

static uint64_t hash_of(size_t i, uint64_t collisions)
{
    return hash_id(i % collisions);
}

/* Others come (the map grows by much, and by a little) and go while it is walked. */
static void change(struct map *map, struct walked *things, struct prng *prng, uint64_t collisions,
                   unsigned more)
{
    for (unsigned i = 0; i < more; i++) {
        size_t n = STAY + prng_below(prng, WALKED - STAY);
        if (things[n].in)
            map_remove(map, &things[n].node);
        else
            map_add(map, &things[n].node, hash_of(n, collisions));
        things[n].in = !things[n].in;
    }
}

static void walk_under_change(uint64_t seed, uint64_t collisions)
{
    struct walked *things = calloc(WALKED, sizeof *things);
    struct map map;
    struct prng prng;
    uint64_t at = 0;
    map_init(&map);
    prng_seed(&prng, seed);
    for (size_t i = 0; i < STAY; i++) {
        map_add(&map, &things[i].node, hash_of(i, collisions));
        things[i].in = true;
    }
    change(&map, things, &prng, collisions, (unsigned)prng_below(&prng, STAY));
    unsigned steps = 1 + (unsigned)prng_below(&prng, 300), left = steps, turns = 0;
    for (; !map_walk(&map, &at, &left, see, NULL); left = steps, turns++)
        change(&map, things, &prng, collisions, (unsigned)prng_below(&prng, 2 * steps));
    cr_assert_gt(turns, 0);
    for (size_t i = 0; i < WALKED; i++)
        cr_assert(i < STAY ? things[i].seen == 1 : collisions < WALKED || things[i].seen <= 1,
                  "seed %lu, thing %zu: %u times", seed, i, things[i].seen);
    map_free(&map);
    free(things);
}

Test(map, a_walk_sees_what_stays_once_whatever_comes_and_goes)
{
    for (uint64_t seed = 1; seed <= 60; seed++) {
        walk_under_change(seed, WALKED);
        walk_under_change(seed, 700); /* many of one hash */
    }
}

/* By hand as well: from each to the one behind it. */
Test(map, from_one_node_to_the_next_while_the_map_grows)
{
    struct walked *things = calloc(WALKED, sizeof *things);
    struct map map;
    unsigned seen = 0, steps = UINT32_MAX;
    map_init(&map);
    for (size_t i = 0; i < STAY; i++)
        map_add(&map, &things[i].node, hash_of(i, WALKED));
    size_t next = STAY;
    for (uint64_t at = 0; steps; at++) {
        struct map_node *node = map_from(&map, &at, &steps);
        if (!node)
            break;
        struct walked *thing = container_of(node, struct walked, node);
        cr_assert_eq(thing->seen++, 0);
        seen += thing < things + STAY;
        at = map_place(node->hash);
        for (int i = 0; i < 3 && next < WALKED; i++, next++)
            map_add(&map, &things[next].node, hash_of(next, WALKED));
    }
    cr_assert_eq(seen, STAY);
    map_free(&map);
    free(things);
}

Test(map, a_walk_of_nothing_ends)
{
    struct map map;
    uint64_t at = 0;
    unsigned steps = 1;
    map_init(&map);
    cr_assert(map_walk(&map, &at, &steps, see, NULL));
}
