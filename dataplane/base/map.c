#include "base/map.h"

#include <stdlib.h>

#include "base/check.h"

#define FIRST_BITS 4u
/* Buckets moved per addition. A table of n buckets grew out of n / 2 when it held n / 4 nodes, and grows when
 * it holds n / 2: two per addition would do, four end the growth early. */
#define MOVES 4u

/* Two buckets per node: each node that is walked past in a chain is a cache miss. */
static size_t full_at(unsigned bits)
{
    return ((size_t)1 << bits) / 2;
}

static size_t mask_of(unsigned bits)
{
    return ((size_t)1 << bits) - 1;
}

/* Where a node of this hash belongs now: in the old table as long as its bucket there has not been moved. */
static struct map_node **bucket_of(const struct map *map, uint64_t hash)
{
    if (map->old) {
        size_t i = hash & mask_of(map->bits - 1);
        if (i >= map->moved)
            return &map->old[i];
    }
    return &map->buckets[hash & mask_of(map->bits)];
}

static void move_bucket(struct map *map)
{
    struct map_node *node = map->old[map->moved];
    map->moved++;
    while (node) {
        struct map_node *next = node->next;
        struct map_node **bucket = &map->buckets[node->hash & mask_of(map->bits)];
        node->next = *bucket;
        *bucket = node;
        node = next;
    }
}

static void go_on_growing(struct map *map)
{
    for (unsigned i = 0; map->old && i < MOVES; i++) {
        move_bucket(map);
        if (map->moved == (size_t)1 << (map->bits - 1)) {
            free(map->old);
            map->old = NULL;
        }
    }
}

/* Without memory for a larger table the old one goes on, with longer chains. */
static void begin_growing(struct map *map)
{
    struct map_node **larger = calloc((size_t)2 << map->bits, sizeof *larger);
    if (!larger)
        return;
    map->old = map->buckets;
    map->buckets = larger;
    map->moved = 0;
    map->bits++;
}

void map_init(struct map *map)
{
    *map = (struct map){0};
}

void map_free(struct map *map)
{
    free(map->buckets);
    free(map->old);
    map_init(map);
}

struct map_node *map_find(const struct map *map, uint64_t hash, map_equal *equal, const void *key)
{
    if (!map->count)
        return NULL;
    for (struct map_node *node = *bucket_of(map, hash); node; node = node->next)
        if (node->hash == hash && equal(node, key))
            return node;
    return NULL;
}

void map_add(struct map *map, struct map_node *node, uint64_t hash)
{
    if (!map->buckets) {
        map->bits = FIRST_BITS;
        map->buckets = calloc((size_t)1 << FIRST_BITS, sizeof *map->buckets);
        CHECK(map->buckets);
    }
    if (map->old)
        go_on_growing(map);
    else if (map->count >= full_at(map->bits))
        begin_growing(map);
    struct map_node **bucket = bucket_of(map, hash);
    node->hash = hash;
    node->next = *bucket;
    *bucket = node;
    map->count++;
}

/* Moves no bucket, so that map_each can walk on while its visitor removes. */
void map_remove(struct map *map, struct map_node *node)
{
    CHECK(map->count > 0);
    struct map_node **link = bucket_of(map, node->hash);
    while (*link != node) {
        CHECK(*link);
        link = &(*link)->next;
    }
    *link = node->next;
    node->next = NULL;
    map->count--;
}

static void visit_bucket(struct map_node *node, void (*visit)(struct map_node *node, void *owner),
                         void *owner)
{
    while (node) {
        struct map_node *next = node->next;
        visit(node, owner);
        node = next;
    }
}

void map_each(struct map *map, void (*visit)(struct map_node *node, void *owner), void *owner)
{
    if (map->old)
        for (size_t i = map->moved; i <= mask_of(map->bits - 1); i++)
            visit_bucket(map->old[i], visit, owner);
    for (size_t i = 0; map->buckets && i <= mask_of(map->bits); i++)
        visit_bucket(map->buckets[i], visit, owner);
}

/* ---- a walk in steps ------------------------------------------------------------------------------- */

/* The bits of the hash in reverse: nodes that share a bucket stand together, and when buckets are split, each
 * one's two halves do, one behind the other. */
uint64_t map_place(uint64_t hash)
{
    hash = __builtin_bswap64(hash);
    hash = (hash & 0x0f0f0f0f0f0f0f0fu) << 4 | (hash >> 4 & 0x0f0f0f0f0f0f0f0fu);
    hash = (hash & 0x3333333333333333u) << 2 | (hash >> 2 & 0x3333333333333333u);
    return (hash & 0x5555555555555555u) << 1 | (hash >> 1 & 0x5555555555555555u);
}

static struct map_node *first_in(struct map_node *node, uint64_t at, struct map_node *best)
{
    for (; node; node = node->next) {
        uint64_t place = map_place(node->hash);
        if (place >= at && (!best || place < map_place(best->hash)))
            best = node;
    }
    return best;
}

struct map_node *map_from(const struct map *map, uint64_t *at, unsigned *steps)
{
    if (!map->count)
        return NULL;
    while (*steps) {
        /* The bucket as it was before the growth under way, if it hasn't been moved. */
        uint64_t hash = map_place(*at);
        struct map_node *node = first_in(*bucket_of(map, hash), *at, NULL);
        --*steps;
        if (node)
            return node;
        bool unmoved = map->old && (hash & mask_of(map->bits - 1)) >= map->moved;
        unsigned shift = 64 - (unmoved ? map->bits - 1 : map->bits);
        uint64_t next = ((*at >> shift) + 1) << shift;
        if (next == 0)
            return NULL;
        *at = next;
    }
    return NULL;
}

bool map_walk(const struct map *map, uint64_t *at, unsigned *steps,
              void (*visit)(struct map_node *node, void *owner), void *owner)
{
    while (*steps) {
        struct map_node *node = map_from(map, at, steps);
        if (!node)
            return *steps > 0;
        uint64_t hash = node->hash;
        for (node = *bucket_of(map, hash); node; node = node->next) {
            if (node->hash != hash)
                continue;
            visit(node, owner);
            *steps -= *steps > 0;
        }
        *at = map_place(hash) + 1;
        if (*at == 0)
            return true;
    }
    return false;
}

/* ---- hash_bytes ----------------------------------------------------------------------------------- */

/* Odd, with about as many ones as zeros: digits of pi and of the golden ratio. */
#define K_LOW  0x243f6a8885a308d3u
#define K_HIGH 0x9e3779b97f4a7c15u

static uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t word_at(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static uint64_t half_at(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* At most 16 bytes as two words; the halves overlap where there are fewer than 16. The length tells apart
 * what then looks the same. */
static void words_of(const uint8_t *p, size_t n, uint64_t *low, uint64_t *high)
{
    *low = *high = 0;
    if (n >= 8) {
        *low = word_at(p);
        *high = word_at(p + n - 8);
    } else if (n >= 4) {
        *low = half_at(p);
        *high = half_at(p + n - 4);
    } else if (n > 0) {
        *low = (uint64_t)p[0] | (uint64_t)p[n / 2] << 8 | (uint64_t)p[n - 1] << 16;
    }
}

/* A word equal to its key makes a product of nothing, whatever came before: so the key of the first word is
 * what must not be known. */
static uint64_t hash_with(struct span bytes, uint64_t seed, uint64_t key)
{
    uint64_t hash = fold(seed ^ K_HIGH, key ^ bytes.len);
    const uint8_t *p = bytes.at;
    size_t left = bytes.len;
    for (; left > 16; p += 16, left -= 16)
        hash = fold(word_at(p) ^ key, word_at(p + 8) ^ hash);
    uint64_t low, high;
    words_of(p, left, &low, &high);
    return fold(fold(low ^ key, high ^ hash) ^ K_HIGH, bytes.len ^ key);
}

uint64_t hash_bytes(struct span bytes, uint64_t seed)
{
    return hash_with(bytes, seed, K_LOW);
}

static uint64_t secret = K_LOW;

void hash_set_secret(uint64_t random)
{
    secret = random;
}

uint64_t hash_keyed(struct span bytes, uint64_t seed)
{
    return hash_with(bytes, seed, secret);
}
