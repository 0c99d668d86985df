/*
 * The path of a publish through the router that keeps it:
 *   router_on_publish → who gets it (the default exchange: the queue named by the key; any other: exchange_match)
 *   write_message → the one copy, as a record of the log that names the durable queues
 *   queue_push → an index entry in each queue
 *   confirm → at once, or when the disk has it
 * A large body comes in parts (open.c): each is a record of its own, and the last command makes the message of them.
 */
#include "router/publish.h"

#include "base/check.h"
#include "router/agent.h"
#include "router/large.h"

static struct queue *queue_of(struct destination *destination)
{
    return container_of(destination, struct queue, destination);
}

struct recipients publish_match(struct router *router, struct catalog_exchange *e, const struct command_publish *p)
{
    struct span key = span_of(p->bytes, p->key_len);
    struct match *match = &router->match;
    if (!e)
        return (struct recipients){NULL, 0};
    if (e->is_default) {
        struct queue *queue = catalog_queue(&router->catalog, e->vhost, key);
        router->one = queue ? &queue->destination : NULL;
        return (struct recipients){&router->one, queue != NULL};
    }
    exchange_match(&e->exchange, key, span_of(p->bytes + p->headers_at, p->headers_len), match, catalog_alternate,
                   &router->catalog);
    return (struct recipients){match->found, match->count};
}

bool publish_is_durable(const struct router *router, struct recipients to, const struct command_publish *p)
{
    if (!(p->flags & PUBLISH_PERSISTENT) || router->store.failed)
        return false;
    for (size_t i = 0; i < to.count; i++)
        if (queue_of(to.list[i])->durable)
            return true;
    return false;
}

static uint16_t durable_count(struct recipients to)
{
    uint16_t n = 0;
    for (size_t i = 0; i < to.count; i++)
        n += queue_of(to.list[i])->durable;
    return n;
}

static uint8_t *write_routes(uint8_t *at, struct recipients to)
{
    for (size_t i = 0; i < to.count; i++) {
        struct queue *queue = queue_of(to.list[i]);
        struct route route = {queue->number, (uint32_t)queue->index.tail, (uint32_t)(queue->index.tail >> 32)};
        if (!queue->durable)
            continue;
        memcpy(at, &route, sizeof route);
        at += sizeof route;
    }
    return at;
}

uint64_t publish_write(struct router *router, struct recipients to, bool durable, const struct command_publish *p,
                       struct span exchange, const struct part *parts, uint32_t part_count, struct span body)
{
    uint16_t routes = durable ? durable_count(to) : 0;
    size_t fixed = sizeof(struct message) + routes * sizeof(struct route) + part_count * sizeof(struct part);
    size_t len = fixed + exchange.len + p->key_len + p->properties_len + body.len;
    persist_settled_flush(router);
    struct message *m = (struct message *)store_begin(&router->store, durable, len);
    m->record.type = RECORD_MESSAGE;
    m->protocol = p->protocol;
    m->flags = p->flags & PUBLISH_PERSISTENT ? MESSAGE_PERSISTENT : 0;
    m->exchange_len = (uint8_t)exchange.len;
    m->key_len = p->key_len;
    m->properties_len = p->properties_len;
    m->body_len = (uint32_t)body.len;
    m->routes = routes;
    m->parts = (uint16_t)part_count;
    uint8_t *at = (uint8_t *)(m + 1);
    if (routes)
        at = write_routes(at, to);
    at = put_span(at, span_of(parts, part_count * sizeof *parts));
    at = put_span(at, exchange);
    at = put_span(at, span_of(p->bytes, p->key_len));
    at = put_span(at, span_of(p->bytes + p->properties_at, p->properties_len));
    put_span(at, body);
    router->written = m->record.length;
    return store_end(&router->store);
}

/* One record for at most ROUTES_MAX queues; a wider fan-out takes several. */
static void keep(struct router *router, struct recipients to, bool durable, const struct command_publish *p,
                 struct span exchange, const struct part *parts, uint32_t part_count, struct span body)
{
    while (to.count) {
        struct recipients some = {to.list, to.count < ROUTES_MAX ? to.count : ROUTES_MAX};
        uint64_t position = publish_write(router, some, durable, p, exchange, parts, part_count, body);
        struct entry entry = {.position = position >> 3, .large = part_count != 0, .body = p->total_len};
        entry.share = router->written / (uint32_t)some.count;
        if (part_count) {
            large_new(&router->large, position, parts, part_count, (uint32_t)some.count);
            for (uint32_t i = 0; i < part_count; i++)
                store_keep(&router->store, parts[i].position, parts[i].length);
        }
        for (size_t i = 0; i < some.count; i++)
            queue_push(router, queue_of(some.list[i]), entry);
        to.list += some.count;
        to.count -= some.count;
    }
}

/* Durable queues first; returns how many there are. */
static size_t sort_durable(struct recipients to)
{
    size_t durable = 0;
    for (size_t i = 0; i < to.count; i++) {
        struct destination *d = to.list[i];
        if (!queue_of(d)->durable)
            continue;
        to.list[i] = to.list[durable];
        to.list[durable++] = d;
    }
    return durable;
}

/* Transient queues get a record of their own: one in the journal would be needed for as long as they have the message, and
 * nothing in it would say so. */
static void keep_all(struct router *router, struct recipients to, bool durable, const struct command_publish *p,
                     struct span exchange, const struct part *parts, uint32_t part_count, struct span body)
{
    size_t first = durable ? sort_durable(to) : 0;
    keep(router, (struct recipients){to.list, first}, true, p, exchange, parts, part_count, body);
    keep(router, (struct recipients){to.list + first, to.count - first}, false, p, exchange, parts, part_count, body);
}

/* The publisher gets the message back: it is kept in the transient stream until the front has sent it. */
static void give_back(struct router *router, unsigned front, const struct command_publish *p, struct span exchange,
                      const struct part *parts, uint32_t part_count, struct span body)
{
    struct recipients none = {NULL, 0};
    uint64_t position = publish_write(router, none, false, p, exchange, NULL, 0, body);
    struct page *page = store_page(&router->store, position);
    store_pin(page);
    router_event(router, front)->deliver = (struct event_deliver){
        .kind = EVENT_RETURN,
        .channel = p->channel,
        .conn = p->conn,
        .tag = p->seq,
        .page = page->at,
        .message = store_bytes(&router->store, page, position),
        .parts = publish_parts(router, parts, part_count),
    };
    router->stats.returned++;
}

void publish_end(struct router *router, unsigned front, struct recipients to, bool durable,
                 const struct command_publish *p, struct span exchange, const struct part *parts, uint32_t part_count,
                 struct span body)
{
    uint8_t flags = p->flags;
    bool refused = (flags & PUBLISH_PERSISTENT) && (flags & PUBLISH_CONFIRM) && router->store.failed &&
                   durable_count(to) != 0;
    router->stats.published++;
    if (to.count && !refused)
        keep_all(router, to, durable, p, exchange, parts, part_count, body);
    else if (!to.count && (flags & PUBLISH_MANDATORY) && (!(flags & PUBLISH_SHARED) || (flags & PUBLISH_KEEPER)))
        give_back(router, front, p, exchange, parts, part_count, body);
    if (!(flags & PUBLISH_CONFIRM) && !((flags & PUBLISH_SHARED) && (flags & PUBLISH_MANDATORY)))
        return;
    if (durable && !refused)
        confirm_when_safe(router, front, p->conn, p->channel, p->seq);
    else
        confirm_now(router, front, p->conn, p->channel, p->seq,
                    (refused ? CONFIRM_REFUSED : 0) | (to.count ? 0 : CONFIRM_UNROUTED));
}

void router_on_publish(struct router *router, unsigned front, const struct command_publish *p)
{
    struct catalog_exchange *e = catalog_exchange_by_id(&router->catalog, p->exchange);
    struct recipients to = publish_match(router, e, p);
    struct span exchange = e ? name_span(&e->name) : (struct span){NULL, 0};
    if (p->flags & PUBLISH_MORE) {
        open_begin(router, front, p, to, exchange);
        return;
    }
    publish_end(router, front, to, publish_is_durable(router, to, p), p, exchange, NULL, 0,
                span_of(p->bytes + p->body_at, p->body_len));
}
