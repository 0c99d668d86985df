/*
 * Messages whose body comes in parts. Where they go is decided when they begin, so that each part goes to the
 * right stream of pages at once; what is in parts here is kept in the store (or pinned, if it is for a
 * return) until the message is complete.
 */
#include <stdlib.h>

#include "base/check.h"
#include "router/agent.h"
#include "router/publish.h"

struct open_message {
    struct map_node by_key;
    unsigned front;
    struct command_publish publish; /* bytes: key and properties, behind this struct */
    struct name exchange;
    uint32_t vhost;
    bool ram, disk; /* when it is confirmed, as in struct own_headers */
    bool durable;
    bool elsewhere;  /* as in struct publishing */
    bool for_return; /* unroutable, and the publisher wants it back: parts are pinned */
    uint32_t parts;
    struct part part[PARTS_MAX];
    uint32_t queue_count;
    uint64_t *queues; /* handles */
};

struct key {
    uint64_t conn;
    unsigned front;
    uint16_t channel;
};

static bool is_key(const struct map_node *node, const void *key)
{
    const struct open_message *o = container_of(node, struct open_message, by_key);
    const struct key *k = key;
    return o->publish.conn == k->conn && o->publish.channel == k->channel && o->front == k->front;
}

static uint64_t hash_key(struct key key)
{
    return hash_id(key.conn ^ (uint64_t)key.channel << 48 ^ (uint64_t)key.front << 40);
}

static struct open_message *find(struct router *router, struct key key)
{
    struct map_node *node = map_find(&router->open, hash_key(key), is_key, &key);
    return node ? container_of(node, struct open_message, by_key) : NULL;
}

struct part publish_part(struct router *router, const struct publishing *p, struct span body)
{
    struct command_publish none = {.protocol = p->publish->protocol};
    struct publishing part = {.publish = &none, .body = body};
    uint64_t at = publish_write(router, &part, (struct recipients){NULL, 0}, p->durable);
    store_keep(&router->store, at, (uint32_t)body.len);
    return (struct part){.position = at, .length = (uint32_t)body.len};
}

static void keep_part(struct router *router, struct open_message *o, struct span body)
{
    struct publishing p = {.publish = &o->publish, .durable = o->durable};
    if (!o->queue_count && !o->for_return)
        return;
    CHECK(o->parts < PARTS_MAX);
    struct part part = o->part[o->parts++] = publish_part(router, &p, body);
    if (o->for_return)
        store_pin(store_page(&router->store, part.position));
}

static void copy_publish(struct open_message *o, const struct command_publish *p)
{
    struct span sender = publish_sender(p);
    uint8_t *bytes = malloc(p->key_len + (size_t)p->properties_len + 1 + sender.len);
    CHECK(bytes);
    uint8_t *at = put_span(put_span(bytes, span_of(p->bytes, p->key_len)),
                           span_of(p->bytes + p->properties_at, p->properties_len));
    o->publish = *p;
    if (sender.len) {
        o->publish.producer_at = (uint16_t)(at - bytes);
        put_span(put_u8(at, (uint8_t)sender.len), sender);
    }
    o->publish.bytes = bytes;
    o->publish.properties_at = p->key_len;
}

void open_begin(struct router *router, const struct publishing *p)
{
    const struct command_publish *c = p->publish;
    struct key key = {c->conn, p->front, c->channel};
    struct open_message *o = calloc(1, sizeof *o);
    CHECK(o && !find(router, key));
    copy_publish(o, c);
    o->front = p->front;
    name_set(&o->exchange, p->exchange);
    o->vhost = p->vhost;
    o->ram = p->ram;
    o->disk = p->disk;
    o->durable = p->durable;
    o->elsewhere = p->elsewhere;
    bool keeper = !(c->flags & PUBLISH_SHARED) || (c->flags & PUBLISH_KEEPER);
    o->for_return = !p->to.count && (c->flags & PUBLISH_MANDATORY) && keeper;
    o->queues = malloc((p->to.count + 1) * sizeof *o->queues);
    CHECK(o->queues);
    for (size_t i = 0; i < p->to.count; i++)
        o->queues[o->queue_count++] = container_of(p->to.list[i], struct queue, destination)->handle;
    map_add(&router->open, &o->by_key, hash_key(key));
    if (c->body_len)
        keep_part(router, o, p->body);
}

static void forget(struct router *router, struct open_message *o)
{
    for (uint32_t i = 0; i < o->parts; i++)
        store_drop(&router->store, o->part[i].position, o->part[i].length);
    map_remove(&router->open, &o->by_key);
    free((void *)(uintptr_t)o->publish.bytes);
    free(o->queues);
    free(o);
}

static void unpin(struct router *router, struct open_message *o)
{
    for (uint32_t i = 0; o->for_return && i < o->parts; i++)
        store_unpin(&router->store, o->part[i].position, 1);
}

/* The queues that are still there; a message whose queues have all gone meanwhile was routed, and is gone
 * with them. */
static struct recipients still_there(struct router *router, struct open_message *o)
{
    struct recipients to = {malloc((o->queue_count + 1) * sizeof *to.list), 0};
    CHECK(to.list);
    for (uint32_t i = 0; i < o->queue_count; i++) {
        struct queue *queue = slots_get(&router->queues, o->queues[i]);
        if (queue)
            to.list[to.count++] = &queue->destination;
    }
    if (o->queue_count && !to.count)
        o->publish.flags &= (uint8_t)~PUBLISH_MANDATORY;
    return to;
}

static void complete(struct router *router, struct open_message *o, struct span rest)
{
    struct numbering numbering;
    struct publishing p = {
        .publish = &o->publish,
        .front = o->front,
        .elsewhere = o->elsewhere,
        .to = still_there(router, o),
        .vhost = o->vhost,
        .exchange = name_span(&o->exchange),
        .body = rest,
        .parts = o->part,
        .part_count = o->parts,
    };
    publish_read_numbering(&p, &numbering);
    p.ram = o->ram;
    p.disk = o->disk;
    publish_look(router, &p);
    p.durable = o->durable && p.to.count;
    publish_end(router, &p);
    free(p.to.list);
}

struct parts *publish_parts(struct router *router, const struct part *part, uint32_t count)
{
    if (count == 0)
        return NULL;
    struct parts *parts = malloc(sizeof *parts + count * sizeof parts->part[0]);
    CHECK(parts);
    parts->n = count;
    parts->gaps = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct page *page = store_page(&router->store, part[i].position);
        const struct message *m = store_bytes(&router->store, page, part[i].position);
        store_pin(page);
        parts->part[i].at = message_body(m).at;
        parts->part[i].len = m->body_len;
        parts->part[i].page = page->at;
    }
    return parts;
}

void router_on_part(struct router *router, unsigned front, const struct command_part *part)
{
    struct open_message *o = find(router, (struct key){part->conn, front, part->channel});
    struct span bytes = span_of(part->bytes, part->len);
    CHECK(o);
    if (!(part->flags & (PART_LAST | PART_ABORT))) {
        keep_part(router, o, bytes);
        return;
    }
    if (part->flags & PART_LAST)
        complete(router, o, bytes);
    unpin(router, o);
    forget(router, o);
}

static void free_open(struct map_node *node, void *owner)
{
    struct router *router = owner;
    struct open_message *o = container_of(node, struct open_message, by_key);
    map_remove(&router->open, node);
    free((void *)(uintptr_t)o->publish.bytes);
    free(o->queues);
    free(o);
}

void open_free(struct router *router)
{
    map_each(&router->open, free_open, router);
    map_free(&router->open);
}
