/*
 * A match: the exchange's index finds spots (spot.h); their destinations are marked with the match's number,
 * queues are collected, exchanges pushed and looked at in turn.
 */
#include "router/exchange.h"

#include <stdlib.h>

#include "base/check.h"
#include "router/command.h"
#include "router/hash_ring.h"
#include "router/headers.h"
#include "router/history.h"
#include "router/keys.h"
#include "router/pick.h"
#include "router/spot.h"
#include "router/table.h"
#include "router/trie.h"

#define IDENTITY_SEED 4u
/* Of hashes that are the same everywhere and always. */
#define QUEUE_SEED    1u
#define EXCHANGE_SEED 2u

/* ---- the types ------------------------------------------------------------------------------------ */

struct topic {
    struct keys plain;
    struct trie wild;
};

static void direct_add(void *index, struct binding *binding)
{
    keys_add(index, binding);
}

static void direct_remove(void *index, struct binding *binding)
{
    keys_remove(index, binding);
}

static void direct_match(const void *index, const struct message_facts *facts, struct match *match)
{
    keys_match(index, facts->key, match);
}

static void direct_free(void *index)
{
    keys_free(index);
}

static void fanout_add(void *index, struct binding *binding)
{
    spot_add(index, &binding->member, binding);
}

static void fanout_remove(void *index, struct binding *binding)
{
    (void)index;
    spot_remove(&binding->member);
}

static void fanout_match(const void *index, const struct message_facts *facts, struct match *match)
{
    (void)facts;
    match_spot(match, index);
}

static void fanout_free(void *index)
{
    (void)index; /* an empty spot holds no memory */
}

static void topic_add(void *index, struct binding *binding)
{
    struct topic *topic = index;
    if (trie_is_plain(binding->key))
        keys_add(&topic->plain, binding);
    else
        trie_add(&topic->wild, binding);
}

static void topic_remove(void *index, struct binding *binding)
{
    struct topic *topic = index;
    if (trie_is_plain(binding->key))
        keys_remove(&topic->plain, binding);
    else
        trie_remove(&topic->wild, binding);
}

static void topic_match(const void *index, const struct message_facts *facts, struct match *match)
{
    const struct topic *topic = index;
    keys_match(&topic->plain, facts->key, match);
    trie_match(&topic->wild, facts->key, match);
}

static void topic_free(void *index)
{
    struct topic *topic = index;
    keys_free(&topic->plain);
    trie_free(&topic->wild);
}

static void by_headers_add(void *index, struct binding *binding)
{
    headers_add(index, binding);
}

static void by_headers_remove(void *index, struct binding *binding)
{
    headers_remove(index, binding);
}

static void by_headers_match(const void *index, const struct message_facts *facts, struct match *match)
{
    headers_match(index, facts->headers, match);
}

static void by_headers_free(void *index)
{
    headers_free(index);
}

static bool by_headers_takes(const struct destination *destination, struct span key, struct span arguments,
                             char *text, size_t size)
{
    (void)destination;
    (void)key;
    return headers_arguments_valid(arguments, text, size);
}

static void hash_begin(void *index, const struct exchange *exchange)
{
    hash_ring_init(index, exchange);
}

static void hash_add(void *index, struct binding *binding)
{
    hash_ring_add(index, binding);
}

static void hash_remove(void *index, struct binding *binding)
{
    hash_ring_remove(index, binding);
}

static void hash_match(const void *index, const struct message_facts *facts, struct match *match)
{
    hash_ring_match(index, facts, match);
}

/* An empty tree holds no memory, be it a ring's or a pick's. */
static void nothing_free(void *index)
{
    (void)index;
}

static bool hash_takes(const struct destination *destination, struct span key, struct span arguments,
                       char *text, size_t size)
{
    (void)destination;
    (void)arguments;
    return hash_weight_valid(key, text, size);
}

static void one_begin(void *index, const struct exchange *exchange)
{
    pick_init(index, exchange);
}

static void one_add(void *index, struct binding *binding)
{
    pick_add(index, binding);
}

static void one_remove(void *index, struct binding *binding)
{
    pick_remove(index, binding);
}

static void modulus_match(const void *index, const struct message_facts *facts, struct match *match)
{
    pick_by_key(index, facts->key, match);
}

static void random_match(const void *index, const struct message_facts *facts, struct match *match)
{
    pick_by_chance(index, facts->chance, match);
}

static bool local_takes(const struct destination *destination, struct span key, struct span arguments,
                        char *text, size_t size)
{
    (void)arguments;
    return pick_local_valid(key, destination, text, size);
}

/* An index of zero bytes is empty; begin, if there is one, prepares it further. takes, valid: of clients'
 * bindings and declarations; NULL: anything. */
static const struct type {
    bool by_key;
    bool picks;
    size_t index_bytes;
    void (*add)(void *index, struct binding *binding);
    void (*remove)(void *index, struct binding *binding);
    void (*match)(const void *index, const struct message_facts *facts, struct match *match);
    void (*free)(void *index);
    void (*begin)(void *index, const struct exchange *exchange);
    bool (*takes)(const struct destination *destination, struct span key, struct span arguments, char *text,
                  size_t size);
    bool (*valid)(struct span arguments, char *text, size_t size);
} types[EXCHANGE_TYPES] = {
    [EXCHANGE_DIRECT] = {true, false, sizeof(struct keys), direct_add, direct_remove, direct_match,
                         direct_free, NULL, NULL, NULL},
    [EXCHANGE_FANOUT] = {false, false, sizeof(struct spot), fanout_add, fanout_remove, fanout_match,
                         fanout_free, NULL, NULL, NULL},
    [EXCHANGE_TOPIC] = {true, false, sizeof(struct topic), topic_add, topic_remove, topic_match, topic_free,
                        NULL, NULL, NULL},
    [EXCHANGE_HEADERS] = {false, false, sizeof(struct headers), by_headers_add, by_headers_remove,
                          by_headers_match, by_headers_free, NULL, by_headers_takes, NULL},
    [EXCHANGE_CONSISTENT_HASH] = {false, true, sizeof(struct hash_ring), hash_add, hash_remove, hash_match,
                                  nothing_free, hash_begin, hash_takes, hash_arguments_valid},
    [EXCHANGE_MODULUS_HASH] = {false, true, sizeof(struct pick), one_add, one_remove, modulus_match,
                               nothing_free, one_begin, NULL, NULL},
    [EXCHANGE_RANDOM] = {false, true, sizeof(struct pick), one_add, one_remove, random_match, nothing_free,
                         one_begin, NULL, NULL},
    [EXCHANGE_LOCAL_RANDOM] = {false, true, sizeof(struct pick), one_add, one_remove, random_match,
                               nothing_free, one_begin, local_takes, NULL},
    [EXCHANGE_RECENT_HISTORY] = {false, false, sizeof(struct spot), fanout_add, fanout_remove, fanout_match,
                                 fanout_free, NULL, NULL, history_arguments_valid},
};

bool exchange_type_picks(enum exchange_type type)
{
    return types[type].picks;
}

bool exchange_arguments_valid(enum exchange_type type, struct span arguments, char *text, size_t size)
{
    return !types[type].valid || types[type].valid(arguments, text, size);
}

bool exchange_binding_valid(enum exchange_type type, const struct destination *destination, struct span key,
                            struct span arguments, char *text, size_t size)
{
    return !types[type].takes || types[type].takes(destination, key, arguments, text, size);
}

uint64_t destination_identity(struct span name, bool is_exchange)
{
    return hash_bytes(name, is_exchange ? EXCHANGE_SEED : QUEUE_SEED) >> 1;
}

/* ---- bindings ------------------------------------------------------------------------------------- */

struct identity {
    const struct destination *destination;
    struct span key, arguments;
};

static bool is_identity(const struct map_node *node, const void *key)
{
    const struct binding *b = container_of(node, struct binding, by_identity);
    const struct identity *id = key;
    return b->destination == id->destination && span_equal(b->key, id->key) &&
           table_equal(b->arguments, id->arguments);
}

static uint64_t identity_hash(const struct identity *id)
{
    uint64_t hash = hash_id((uintptr_t)id->destination) ^ table_hash(id->arguments);
    return hash_keyed(id->key, hash ^ IDENTITY_SEED);
}

void exchange_init(struct exchange *exchange, uint64_t id, enum exchange_type type)
{
    CHECK(type < EXCHANGE_TYPES);
    *exchange = (struct exchange){.id = id, .type = type};
    exchange->self.exchange = exchange;
    map_init(&exchange->by_identity);
}

struct binding *exchange_binding(const struct exchange *source, const struct destination *destination,
                                 struct span key, struct span arguments)
{
    struct identity id = {destination, key, arguments};
    struct map_node *node = map_find(&source->by_identity, identity_hash(&id), is_identity, &id);
    return node ? container_of(node, struct binding, by_identity) : NULL;
}

/* Key and arguments stand behind it, in the same piece of memory. */
static struct binding *new_binding(struct exchange *source, struct destination *destination, struct span key,
                                   struct span arguments)
{
    struct binding *b = malloc(sizeof *b + key.len + arguments.len);
    CHECK(b);
    uint8_t *bytes = (uint8_t *)(b + 1);
    *b = (struct binding){.source = source,
                          .destination = destination,
                          .key = span_of(bytes, key.len),
                          .arguments = span_of(bytes + key.len, arguments.len)};
    put_span(put_span(bytes, key), arguments);
    return b;
}

static void link_binding(struct binding *b)
{
    struct exchange *source = b->source;
    struct destination *destination = b->destination;
    b->on_exchange = source->bindings;
    if (b->on_exchange)
        b->on_exchange->on_exchange_prev = b;
    source->bindings = b;
    source->binding_count++;
    b->for_destination = destination->bindings;
    if (b->for_destination)
        b->for_destination->for_destination_prev = b;
    destination->bindings = b;
}

static void unlink_binding(struct binding *b)
{
    if (b->on_exchange)
        b->on_exchange->on_exchange_prev = b->on_exchange_prev;
    if (b->on_exchange_prev)
        b->on_exchange_prev->on_exchange = b->on_exchange;
    else
        b->source->bindings = b->on_exchange;
    b->source->binding_count--;
    if (b->for_destination)
        b->for_destination->for_destination_prev = b->for_destination_prev;
    if (b->for_destination_prev)
        b->for_destination_prev->for_destination = b->for_destination;
    else
        b->destination->bindings = b->for_destination;
}

struct binding *exchange_bind(struct exchange *source, struct destination *destination, struct span key,
                              struct span arguments)
{
    const struct type *type = &types[source->type];
    if (!source->index) {
        source->index = calloc(1, type->index_bytes);
        CHECK(source->index);
        if (type->begin)
            type->begin(source->index, source);
    }
    struct binding *b = new_binding(source, destination, key, arguments);
    struct identity id = {destination, key, arguments};
    map_add(&source->by_identity, &b->by_identity, identity_hash(&id));
    link_binding(b);
    type->add(source->index, b);
    return b;
}

void exchange_unbind(struct binding *binding)
{
    struct exchange *source = binding->source;
    types[source->type].remove(source->index, binding);
    unlink_binding(binding);
    map_remove(&source->by_identity, &binding->by_identity);
    free(binding);
}

void exchange_forget(struct destination *destination, void (*gone)(struct binding *binding, void *owner),
                     void *owner)
{
    while (destination->bindings) {
        if (gone)
            gone(destination->bindings, owner);
        exchange_unbind(destination->bindings);
    }
}

void exchange_clear(struct exchange *exchange)
{
    exchange_forget(&exchange->self, NULL, NULL);
    while (exchange->bindings)
        exchange_unbind(exchange->bindings);
    map_free(&exchange->by_identity);
    if (exchange->index)
        types[exchange->type].free(exchange->index);
    free(exchange->index);
    exchange->index = NULL;
}

/* ---- matching ------------------------------------------------------------------------------------- */

void match_free(struct match *match)
{
    free(match->found);
    pile_free(&match->exchanges);
    pile_free(&match->states[0]);
    pile_free(&match->states[1]);
    pile_free(&match->loops);
    header_view_free(match->headers);
    *match = (struct match){0};
}

static void push_once(struct match *match, struct exchange *exchange)
{
    if (exchange->self.matched == match->number)
        return;
    exchange->self.matched = match->number;
    pile_push(&match->exchanges, exchange);
}

void match_begin(struct match *match)
{
    match->number++;
    match->count = 0;
    match->any = match->elsewhere = false;
    match->exchanges.count = 0;
}

/* The other keys; what was found before isn't found again. */
static void match_copies(const struct exchange *e, struct message_facts facts, struct match *match)
{
    while (copies_next(&facts.copies, &facts.key))
        types[e->type].match(e->index, &facts, match);
}

void exchange_match(struct exchange *exchange, const struct message_facts *facts, struct match *match,
                    struct exchange *(*alternate)(struct exchange *exchange, void *owner), void *owner)
{
    match_begin(match);
    push_once(match, exchange);
    while (match->exchanges.count > 0) {
        struct exchange *e = match->exchanges.items[--match->exchanges.count];
        match->hit = false;
        if (e->binding_count > 0) {
            types[e->type].match(e->index, facts, match);
            if (facts->copies.len && types[e->type].by_key)
                match_copies(e, *facts, match);
        }
        struct exchange *other = match->hit || !alternate ? NULL : alternate(e, owner);
        if (other)
            push_once(match, other);
    }
}
