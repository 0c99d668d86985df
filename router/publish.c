/*
 * The path of a publish through the router that keeps it:
 *   router_on_publish → who gets it (default exchange: the queue named by the key; others: exchange_match)
 *   write_message → the one copy, as a record of the log that names the durable queues
 *   queue_push → an index entry in each queue
 *   confirm → at once, or when the disk has it
 * A large body comes in parts (open.c): each is a record of its own, and the last command makes the message
 * of them.
 */
#include "router/publish.h"

#include "base/check.h"
#include "router/agent.h"
#include "router/delay.h"
#include "router/hidden.h"
#include "router/image.h"
#include "router/large.h"
#include "router/properties.h"
#include "router/retain.h"
#include "router/shape.h"
#include "router/spot.h"
#include "router/stream.h"

/* A message that comes again is to meet with the same chance. */
static uint64_t chance_of(const struct publishing *p)
{
    const struct command_publish *c = p->publish;
    return publish_number(p) ? hash_bytes(p->numbering->own.producer, hash_id(p->numbering->own.seq))
                             : c->conn ^ (uint64_t)c->channel << 48 ^ c->seq << 20;
}

static void match_retained(struct router *router, struct catalog_exchange *e, struct publishing *p)
{
    struct queue *queue = retain_queue(router, e, p->publish, &p->unretained);
    if (queue)
        match_destination(&router->match, &queue->destination);
}

static void match_exchange(struct router *router, struct catalog_exchange *e, struct publishing *p)
{
    const struct command_publish *c = p->publish;
    struct match *match = &router->match;
    struct message_facts facts = {
        .key = span_of(c->bytes, c->key_len),
        .copies = command_copies(c),
        .headers = command_headers(c),
        .properties = span_of(c->bytes + c->properties_at, c->properties_len),
        .chance = chance_of(p),
    };
    exchange_match(&e->exchange, &facts, match, catalog_alternate, &router->catalog);
    if (c->protocol & ORIGIN_RETAIN)
        match_retained(router, e, p);
    p->to = (struct recipients){match->found, match->count};
    p->elsewhere = match->elsewhere;
}

/* The default exchange, where each key names a queue. */
static void match_queues(struct router *router, uint32_t vhost, struct publishing *p)
{
    const struct command_publish *c = p->publish;
    struct span copies = command_copies(c), key = span_of(c->bytes, c->key_len);
    struct match *match = &router->match;
    match_begin(match);
    do {
        struct queue *queue = catalog_queue(&router->catalog, vhost, key);
        if (queue)
            match_destination(match, &queue->destination);
    } while (copies_next(&copies, &key));
    p->to = (struct recipients){match->found, match->count};
}

/* It waits, and is safe if the exchange is, whatever the publisher thinks of it. */
static void match_delay(struct router *router, struct catalog_exchange *e, struct publishing *p)
{
    router->one = &hidden_queue(router, e, HIDDEN_DELAY)->destination;
    p->to = (struct recipients){&router->one, 1};
}

/* Of what is delayed or retained nothing is lost, and a stream keeps on disk whatever it is given. */
static bool keeps_all(const struct queue *queue)
{
    bool last_value = queue->stream && queue->stream->image && !is_hidden(queue->vhost);
    return queue->shape && ((queue->stream && !last_value) || queue->shape->delay);
}

/* What the broker says of itself is worth nothing after a restart. */
static bool is_announced(const struct command_publish *publish)
{
    return publish->protocol & ORIGIN_RETAIN && publish->key_len && publish->bytes[0] == '$';
}

static inline bool wants_disk(const struct queue *queue, const struct command_publish *publish)
{
    return queue->durable &&
           (publish->flags & PUBLISH_PERSISTENT || (keeps_all(queue) && !is_announced(publish)));
}

/* Whether it has an expiration of its own, for which any queue gets a shape. */
static inline bool expires(const struct command_publish *c)
{
    return c->properties_len >= 2 && get_be16(c->bytes + c->properties_at) & HAS_EXPIRATION;
}

static inline void look(struct router *router, struct publishing *p)
{
    bool durable = false, shaped = p->publish->flags & PUBLISH_MARKED && expires(p->publish);
    for (size_t i = 0; i < p->to.count; i++) {
        const struct queue *queue = queue_of(p->to.list[i]);
        durable |= wants_disk(queue, p->publish);
        shaped |= queue->shape != NULL;
    }
    p->shaped = shaped;
    p->wants_disk = durable;
    p->durable = durable && !router->store.failed;
}

void publish_look(struct router *router, struct publishing *p)
{
    look(router, p);
}

void publish_match(struct router *router, struct catalog_exchange *e, struct publishing *p)
{
    const struct command_publish *c = p->publish;
    if (e && e->delayed && !p->at_once && delay_wanted(e, p)) {
        match_delay(router, e, p);
    } else if (e && e->is_default && (c->flags & PUBLISH_COPIES)) {
        match_queues(router, e->vhost, p);
    } else if (e && e->is_default) {
        struct queue *queue = catalog_queue(&router->catalog, e->vhost, span_of(c->bytes, c->key_len));
        router->one = queue ? &queue->destination : NULL;
        p->to = (struct recipients){&router->one, queue != NULL};
    } else if (e) {
        match_exchange(router, e, p);
    }
    look(router, p);
}

/* ---- keeping ------------------------------------------------------------------------------------- */

static uint8_t *write_routes(uint8_t *at, struct recipients to)
{
    for (size_t i = 0; i < to.count; i++) {
        struct queue *queue = queue_of(to.list[i]);
        struct route route = {queue->number, (uint32_t)queue->index.tail,
                              (uint32_t)(queue->index.tail >> 32)};
        memcpy(at, &route, sizeof route);
        at += sizeof route;
    }
    return at;
}

/* What few records have: when the message came, which of its producer's it is. */
struct extras {
    uint8_t flags; /* MESSAGE_TIMED, MESSAGE_PRODUCED */
    uint8_t len;
};

static struct extras extras_of(const struct publishing *p, bool durable)
{
    struct extras x = {0};
    if (p->marks && p->marks->arrival_ms)
        x = (struct extras){MESSAGE_TIMED, sizeof p->marks->arrival_ms};
    if (durable && p->numbering && p->numbering->produced.producer)
        x = (struct extras){x.flags | MESSAGE_PRODUCED, (uint8_t)(x.len + sizeof p->numbering->produced)};
    return x;
}

static uint8_t *write_extras(uint8_t *at, const struct publishing *p, uint8_t flags)
{
    if (flags & MESSAGE_TIMED)
        at = put_span(at, span_of(&p->marks->arrival_ms, sizeof p->marks->arrival_ms));
    if (flags & MESSAGE_PRODUCED)
        at = put_span(at, span_of(&p->numbering->produced, sizeof p->numbering->produced));
    return at;
}

uint64_t publish_write(struct router *router, const struct publishing *p, struct recipients to, bool durable)
{
    const struct command_publish *c = p->publish;
    uint16_t routes = durable ? (uint16_t)to.count : 0;
    size_t parts = p->part_count * sizeof(struct part);
    struct extras extras = p->marks || p->numbering ? extras_of(p, durable) : (struct extras){0};
    size_t len = sizeof(struct message) + routes * sizeof(struct route) + parts + extras.len +
                 p->exchange.len + c->key_len + c->properties_len + p->body.len;
    persist_settled_flush(router);
    struct message *m = (struct message *)store_begin(&router->store, durable, len);
    m->record.type = RECORD_MESSAGE;
    m->protocol = c->protocol;
    m->flags = (c->flags & PUBLISH_PERSISTENT ? MESSAGE_PERSISTENT : 0) | extras.flags;
    m->exchange_len = (uint8_t)p->exchange.len;
    m->key_len = c->key_len;
    m->properties_len = c->properties_len;
    m->body_len = (uint32_t)p->body.len;
    m->routes = routes;
    m->parts = (uint16_t)p->part_count;
    uint8_t *at = (uint8_t *)(m + 1);
    if (routes)
        at = write_routes(at, to);
    if (parts)
        at = put_span(at, span_of(p->parts, parts));
    if (extras.len)
        at = write_extras(at, p, extras.flags);
    at = put_span(at, p->exchange);
    at = put_span(at, span_of(c->bytes, c->key_len));
    at = put_span(at, span_of(c->bytes + c->properties_at, c->properties_len));
    put_span(at, p->body);
    router->written = m->record.length;
    return store_end(&router->store);
}

static void push_shaped(struct router *router, struct queue *queue, struct entry entry,
                        const struct publishing *p)
{
    if (!queue->stream)
        shape_pushed(router, queue, queue_push_noted(router, queue, entry, shape_note(queue, p->marks)));
    else if (queue->stream->image)
        image_push(router, queue, entry, p);
    else
        stream_push(router, queue, entry, p->marks->arrival_ms);
}

static inline void push(struct router *router, struct queue *queue, struct entry entry,
                        const struct publishing *p)
{
    if (queue->shape)
        push_shaped(router, queue, entry, p);
    else
        queue_push(router, queue, entry);
}

/* One record for at most ROUTES_MAX queues; a wider fan-out takes several. An identifier of QoS 2 is said by
 * the last one: if a crash leaves it out, the message comes again, and some queues get it twice, but all of
 * them. */
static void keep(struct router *router, const struct publishing *p, struct recipients to, bool durable)
{
    bool wide = to.count > ROUTES_MAX && p->numbering;
    struct produced produced = {0};
    if (wide) {
        produced = p->numbering->produced;
        p->numbering->produced = (struct produced){0};
    }
    while (to.count) {
        if (wide && to.count <= ROUTES_MAX)
            p->numbering->produced = produced;
        struct recipients some = {to.list, to.count < ROUTES_MAX ? to.count : ROUTES_MAX};
        uint64_t position = publish_write(router, p, some, durable);
        struct entry entry = {
            .position = position >> 3, .large = p->part_count != 0, .body = p->publish->total_len};
        entry.share = some.count == 1 ? router->written : router->written / (uint32_t)some.count;
        if (p->part_count) {
            large_new(&router->large, position, p->parts, p->part_count, (uint32_t)some.count);
            for (uint32_t i = 0; i < p->part_count; i++)
                store_keep(&router->store, p->parts[i].position, p->parts[i].length);
        }
        for (size_t i = 0; i < some.count; i++)
            push(router, queue_of(some.list[i]), entry, p);
        to.list += some.count;
        to.count -= some.count;
    }
}

/* Queues that keep it on disk first; returns how many there are. */
static size_t sort_durable(struct recipients to, const struct command_publish *publish)
{
    size_t durable = 0;
    for (size_t i = 0; i < to.count; i++) {
        struct destination *d = to.list[i];
        if (!wants_disk(queue_of(d), publish))
            continue;
        to.list[i] = to.list[durable];
        to.list[durable++] = d;
    }
    return durable;
}

/* Transient queues get a record of their own: one in the journal would be needed for as long as they have the
 * message, and nothing in it would say so. */
static void keep_all(struct router *router, const struct publishing *p)
{
    size_t first = p->durable ? sort_durable(p->to, p->publish) : 0;
    keep(router, p, (struct recipients){p->to.list, first}, true);
    keep(router, p, (struct recipients){p->to.list + first, p->to.count - first}, false);
}

/* The publisher gets the message back: it is kept in the transient stream until the front has sent it. */
static void give_back(struct router *router, const struct publishing *p)
{
    struct publishing alone = *p;
    alone.parts = NULL;
    alone.part_count = 0;
    uint64_t position = publish_write(router, &alone, (struct recipients){NULL, 0}, false);
    struct page *page = store_page(&router->store, position);
    store_pin(page);
    router_event(router, p->front)->deliver = (struct event_deliver){
        .kind = EVENT_RETURN,
        .channel = p->publish->channel,
        .conn = p->publish->conn,
        .tag = p->publish->seq,
        .page = page->at,
        .message = store_bytes(&router->store, page, position),
        .parts = publish_parts(router, p->parts, p->part_count),
    };
    stat_add(&router->stats.returned, 1);
}

/* ---- answering ----------------------------------------------------------------------------------- */

/* Whether the confirm needn't wait for the disk: the publisher has said so, or all queues that are on it. */
static bool wants_ram(const struct publishing *p)
{
    if (!p->shaped || p->ram || p->disk)
        return p->ram;
    for (size_t i = 0; i < p->to.count; i++) {
        const struct queue *queue = queue_of(p->to.list[i]);
        if (queue->durable && (!queue->shape || queue->shape->settings.value[SETTING_CONFIRM] != LEVEL_RAM))
            return false;
    }
    return p->to.count != 0;
}

static void answer(struct router *router, const struct publishing *p, bool routed, bool refused)
{
    const struct command_publish *c = p->publish;
    uint8_t flags = (refused ? CONFIRM_REFUSED : 0) | (routed ? 0 : CONFIRM_UNROUTED);
    if (p->elsewhere && !(c->flags & PUBLISH_MANDATORY))
        flags |= CONFIRM_ELSEWHERE;
    if ((p->durable || p->unretained) && !refused && !wants_ram(p))
        confirm_when_safe(router, p->front, c->conn, c->channel, c->seq, routed ? 0 : CONFIRM_UNROUTED);
    else
        confirm_now(router, p->front, c->conn, c->channel, c->seq, flags);
}

static bool wants_answer(uint8_t flags)
{
    return (flags & PUBLISH_CONFIRM) || ((flags & PUBLISH_SHARED) && (flags & PUBLISH_MANDATORY));
}

static size_t durable_count(const struct publishing *p)
{
    size_t count = 0;
    for (size_t i = 0; i < p->to.count; i++)
        count += queue_of(p->to.list[i])->durable;
    return count;
}

/* A number is taken by one record, so that it is safe together with all of the message. */
static void take_number(struct router *router, struct publishing *p)
{
    if (p->numbering->of_sender) {
        sender_take(router, p);
        return;
    }
    bool fits = !p->durable || p->to.count <= ROUTES_MAX || durable_count(p) <= ROUTES_MAX;
    if (fits && producer_take(router, p))
        return;
    p->refused = true;
    p->to.count = 0;
}

static void read_own(struct publishing *p, struct numbering *numbering)
{
    const struct command_publish *c = p->publish;
    *numbering = (struct numbering){0};
    if (c->producer_at)
        own_headers_pick(command_headers(c).at, c->producer_at, c->number_at, &numbering->own);
    else if (own_headers_read(command_headers(c), &numbering->own))
        numbering->own = (struct own_headers){0}; /* fronts have looked: this one came in another way */
    if (!p->vhost)
        numbering->own.seq = 0;
    p->ram = numbering->own.ram;
    p->disk = numbering->own.disk;
    p->numbering = numbering;
}

struct span publish_sender(const struct command_publish *c)
{
    const uint8_t *name = c->bytes + c->producer_at;
    return c->producer_at && origin_qos(c->protocol) == 2 ? span_of(name + 1, *name) : span_of(name, 0);
}

static void read_sender(struct publishing *p, struct span name, struct numbering *numbering)
{
    *numbering = (struct numbering){.of_sender = true};
    numbering->own.producer = name;
    numbering->own.seq = p->vhost ? p->publish->number_at : 0;
    p->numbering = numbering;
}

void publish_read_numbering(struct publishing *p, struct numbering *numbering)
{
    const struct command_publish *c = p->publish;
    struct span sender = publish_sender(c);
    if (sender.len)
        read_sender(p, sender, numbering);
    else if (c->flags & PUBLISH_MARKED && c->headers_in)
        read_own(p, numbering);
}

/* It went to no queue here. */
static void leave(struct router *router, const struct publishing *p)
{
    uint8_t flags = p->publish->flags;
    if ((flags & PUBLISH_MANDATORY) && (!(flags & PUBLISH_SHARED) || (flags & PUBLISH_KEEPER)))
        give_back(router, p);
    else if (!(flags & PUBLISH_SHARED))
        router->turn.dropped++;
}

/* Keeps it where it is to be kept, or gives it back. */
static void take(struct router *router, struct publishing *p, bool routed)
{
    struct marks marks;
    if (p->shaped && p->to.count)
        shape_publish(router, p, &marks);
    if (publish_number(p) && p->to.count && !p->refused)
        take_number(router, p);
    if (p->to.count)
        keep_all(router, p);
    if (!routed)
        leave(router, p);
}

/* What an exchange remembers for itself has not found a queue. */
static bool is_routed(const struct publishing *p)
{
    for (size_t i = 0; i < p->to.count; i++) {
        const struct queue *queue = queue_of(p->to.list[i]);
        if (!queue->shape || !queue->shape->history)
            return true;
    }
    return false;
}

void publish_end(struct router *router, struct publishing *p)
{
    uint8_t flags = p->publish->flags;
    bool refused = router->store.failed && p->wants_disk && (flags & PUBLISH_CONFIRM);
    bool again =
        publish_number(p) && (p->numbering->of_sender ? sender_has(router, p) : producer_has(router, p));
    bool routed = again || (p->shaped ? is_routed(p) : p->to.count != 0);
    router->turn.published++;
    if (!again && !refused)
        take(router, p, routed);
    if (wants_answer(flags))
        answer(router, p, routed, refused || p->refused);
}

/* A level that isn't the publisher's. */
static void take_level(struct publishing *p, bool ram)
{
    if (p->ram || p->disk)
        return;
    p->ram = ram;
    p->disk = !ram;
}

void router_on_publish(struct router *router, unsigned front, const struct command_publish *publish)
{
    struct catalog_exchange *e = catalog_exchange_by_id(&router->catalog, publish->exchange);
    /* All of its members: so many are cheaper set one by one than as a block of zeros. */
    struct publishing p = {
        .publish = publish,
        .front = front,
        .durable = false,
        .wants_disk = false,
        .shaped = false,
        .at_once = false,
        .unretained = false,
        .refused = false,
        .elsewhere = false,
        .whole = false,
        .reposted = false,
        .ram = false,
        .disk = false,
        .vhost = e ? e->vhost : 0,
        .arrived_ms = 0,
        .to = {NULL, 0},
        .exchange = e ? name_span(&e->name) : (struct span){NULL, 0},
        .body = span_of(publish->bytes + publish->body_at, publish->body_len),
        .parts = NULL,
        .part_count = 0,
        .marks = NULL,
        .numbering = NULL,
    };
    struct numbering numbering;
    publish_read_numbering(&p, &numbering);
    if (e && (e->confirm_ram || e->confirm_disk))
        take_level(&p, e->confirm_ram);
    publish_match(router, e, &p);
    if (publish->flags & PUBLISH_MORE)
        open_begin(router, &p);
    else
        publish_end(router, &p);
}
