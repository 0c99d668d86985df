#include "router/catalog.h"

#include <stdlib.h>

#include "base/check.h"
#include "router/queue.h"

/* Ids of exchanges that everyone has from the start are made from their names, so that no journal need hold
 * them; the others are counted from 1. */
struct key {
    uint32_t vhost;
    struct span name;
};

void catalog_init(struct catalog *catalog)
{
    *catalog = (struct catalog){.exchange_next = 1, .queue_next = 1};
    map_init(&catalog->exchanges);
    map_init(&catalog->exchanges_by_id);
    map_init(&catalog->queues);
    map_init(&catalog->queues_by_number);
    map_init(&catalog->shadows);
}

uint64_t catalog_hash(uint32_t vhost, struct span name)
{
    return hash_keyed(name, vhost);
}

struct span span_copy(struct span s)
{
    if (s.len == 0)
        return (struct span){NULL, 0};
    uint8_t *bytes = malloc(s.len);
    CHECK(bytes);
    memcpy(bytes, s.at, s.len);
    return span_of(bytes, s.len);
}

static bool exchange_is(const struct map_node *node, const void *key)
{
    const struct catalog_exchange *e = container_of(node, struct catalog_exchange, by_name);
    const struct key *k = key;
    return e->vhost == k->vhost && span_equal(name_span(&e->name), k->name);
}

static bool exchange_has_id(const struct map_node *node, const void *id)
{
    return container_of(node, struct exchange, by_id)->id == *(const uint64_t *)id;
}

static bool queue_is(const struct map_node *node, const void *key)
{
    const struct queue *q = container_of(node, struct queue, by_name);
    const struct key *k = key;
    return q->vhost == k->vhost && span_equal(name_span(&q->name), k->name);
}

static bool queue_has_number(const struct map_node *node, const void *number)
{
    return container_of(node, struct queue, by_number)->number == *(const uint32_t *)number;
}

struct catalog_exchange *catalog_exchange(const struct catalog *catalog, uint32_t vhost, struct span name)
{
    struct key key = {vhost, name};
    struct map_node *node = map_find(&catalog->exchanges, catalog_hash(vhost, name), exchange_is, &key);
    return node ? container_of(node, struct catalog_exchange, by_name) : NULL;
}

struct catalog_exchange *catalog_exchange_by_id(struct catalog *catalog, uint64_t id)
{
    if (catalog->last_exchange && catalog->last_exchange->exchange.id == id)
        return catalog->last_exchange;
    struct map_node *node = map_find(&catalog->exchanges_by_id, hash_id(id), exchange_has_id, &id);
    if (!node)
        return NULL;
    return catalog->last_exchange = container_of(node, struct catalog_exchange, exchange.by_id);
}

struct catalog_exchange *catalog_exchange_new(struct catalog *catalog, uint64_t id, uint32_t vhost,
                                              struct span name, enum exchange_type type,
                                              struct span arguments)
{
    struct catalog_exchange *e = calloc(1, sizeof *e);
    CHECK(e);
    exchange_init(&e->exchange, id, type);
    e->exchange.self.identity = destination_identity(name, true);
    e->exchange.arguments = arguments;
    e->vhost = vhost;
    e->arguments = arguments;
    e->is_default = name.len == 0;
    name_set(&e->name, name);
    map_add(&catalog->exchanges, &e->by_name, catalog_hash(vhost, name));
    map_add(&catalog->exchanges_by_id, &e->exchange.by_id, hash_id(id));
    return e;
}

void catalog_exchange_delete(struct catalog *catalog, struct catalog_exchange *e)
{
    exchange_clear(&e->exchange);
    if (catalog->last_exchange == e)
        catalog->last_exchange = NULL;
    map_remove(&catalog->exchanges, &e->by_name);
    map_remove(&catalog->exchanges_by_id, &e->exchange.by_id);
    free((void *)(uintptr_t)e->arguments.at);
    free(e);
}

bool exchange_shown(const struct catalog_exchange *e)
{
    return e->shadowed || exchange_type_picks(e->exchange.type);
}

struct exchange *catalog_alternate(struct exchange *exchange, void *owner)
{
    struct catalog_exchange *e = container_of(exchange, struct catalog_exchange, exchange);
    /* What remembers always has a queue, if at another router. */
    if (e->alternate.len == 0 || e->exchange.type == EXCHANGE_RECENT_HISTORY)
        return NULL;
    struct catalog_exchange *alternate = catalog_exchange(owner, e->vhost, name_span(&e->alternate));
    return alternate ? &alternate->exchange : NULL;
}

struct queue *catalog_queue(struct catalog *catalog, uint32_t vhost, struct span name)
{
    struct key key = {vhost, name};
    if (catalog->last_queue && queue_is(&catalog->last_queue->by_name, &key))
        return catalog->last_queue;
    struct map_node *node = map_find(&catalog->queues, catalog_hash(vhost, name), queue_is, &key);
    if (!node)
        return NULL;
    return catalog->last_queue = container_of(node, struct queue, by_name);
}

struct queue *catalog_queue_by_number(const struct catalog *catalog, uint32_t number)
{
    struct map_node *node = map_find(&catalog->queues_by_number, hash_id(number), queue_has_number, &number);
    return node ? container_of(node, struct queue, by_number) : NULL;
}

void catalog_queue_add(struct catalog *catalog, struct queue *queue)
{
    map_add(&catalog->queues, &queue->by_name, catalog_hash(queue->vhost, name_span(&queue->name)));
    if (queue->number)
        map_add(&catalog->queues_by_number, &queue->by_number, hash_id(queue->number));
}

void catalog_queue_remove(struct catalog *catalog, struct queue *queue)
{
    if (catalog->last_queue == queue)
        catalog->last_queue = NULL;
    map_remove(&catalog->queues, &queue->by_name);
    if (queue->number)
        map_remove(&catalog->queues_by_number, &queue->by_number);
}

static void free_exchange(struct map_node *node, void *owner)
{
    catalog_exchange_delete(owner, container_of(node, struct catalog_exchange, by_name));
}

void catalog_free(struct catalog *catalog)
{
    map_each(&catalog->exchanges, free_exchange, catalog);
    map_free(&catalog->exchanges);
    map_free(&catalog->exchanges_by_id);
    map_free(&catalog->queues);
    map_free(&catalog->queues_by_number);
    map_free(&catalog->shadows);
}
