#include "router/repost.h"

#include <stdlib.h>

#include "base/check.h"
#include "router/agent.h"
#include "router/death.h"
#include "router/properties.h"

/* ---- here ---------------------------------------------------------------------------------------- */

/* A message that has been in a queue before doesn't get there again by itself. */
static void break_circles(struct publishing *p, struct span headers)
{
    size_t left = 0;
    for (size_t i = 0; i < p->to.count; i++) {
        struct queue *queue = container_of(p->to.list[i], struct queue, destination);
        if (!death_circle(headers, name_span(&queue->name)))
            p->to.list[left++] = p->to.list[i];
    }
    p->to.count = left;
}

/* Key, properties and copies in one piece, as a front would have lent them. Nobody is answered: the ticket
 * stands where the publisher would, since chance is made of that (message_facts). */
static struct command_publish gather(struct router *router, const struct repost *r, struct ticket ticket)
{
    struct bytes *b = &router->scratch;
    struct properties known;
    size_t len = r->key.len + r->properties.len + r->copies.len;
    CHECK(properties_read(r->properties, &known));
    if (b->room < len) {
        b->at = realloc(b->at, len);
        b->room = len;
        CHECK(b->at);
    }
    put_span(put_span(put_span(b->at, r->key), r->properties), r->copies);
    bool marked = known.flags & (HAS_EXPIRATION | HAS_PRIORITY | HAS_X_HEADER);
    return (struct command_publish){
        .flags = (uint8_t)((r->persistent ? PUBLISH_PERSISTENT : 0) | (r->copies.len ? PUBLISH_COPIES : 0) |
                           (marked ? PUBLISH_MARKED : 0)),
        .key_len = (uint8_t)r->key.len,
        .protocol = r->protocol,
        .conn = ticket.queue,
        .seq = ticket.row,
        .properties_at = (uint16_t)r->key.len,
        .properties_len = (uint32_t)r->properties.len,
        .bytes = b->at,
        .body_at = (uint32_t)len,
        .body_len = (uint32_t)r->body.len,
        .total_len = (uint32_t)r->body.len,
        .headers_in = known.headers.len ? (uint32_t)(known.headers.at - r->properties.at) : 0,
    };
}

/* A body that is large goes into parts, but for the end of it. */
static void split(struct router *router, struct publishing *p, struct part *parts)
{
    while (p->body.len > INLINE_BODY_MAX) {
        CHECK(p->part_count < PARTS_MAX);
        parts[p->part_count++] = publish_part(router, p, span_of(p->body.at, INLINE_BODY_MAX));
        p->body = span_of(p->body.at + INLINE_BODY_MAX, p->body.len - INLINE_BODY_MAX);
    }
    p->parts = parts;
}

static void only_to(struct router *router, const struct repost *r, struct publishing *p)
{
    struct queue *queue = catalog_queue(&router->catalog, r->vhost, r->only);
    if (queue && r->only_handle && queue->handle != r->only_handle)
        queue = NULL;
    router->one = queue ? &queue->destination : NULL;
    p->to = (struct recipients){&router->one, queue != NULL};
    publish_look(router, p);
}

/* *durable: it is to be on disk. Returns whether a queue has it. */
static bool publish_here(struct router *router, const struct repost *r, struct ticket ticket, bool *durable)
{
    static _Thread_local struct part parts[PARTS_MAX];
    struct catalog_exchange *e = catalog_exchange(&router->catalog, r->vhost, r->exchange);
    struct command_publish c = gather(router, r, ticket);
    struct publishing p = {.publish = &c,
                           .exchange = r->exchange,
                           .body = r->body,
                           .at_once = r->at_once,
                           .whole = r->whole,
                           .reposted = true,
                           .arrived_ms = r->arrived_ms};
    if (r->only.len)
        only_to(router, r, &p);
    else
        publish_match(router, e, &p);
    if (r->dead)
        break_circles(&p, command_headers(&c));
    if (p.to.count)
        split(router, &p, parts);
    bool routed = p.to.count != 0;
    if (routed)
        publish_end(router, &p);
    *durable = p.wants_disk;
    for (uint32_t i = 0; i < p.part_count; i++)
        store_drop(&router->store, parts[i].position, parts[i].length);
    return routed && !p.refused;
}

/* ---- elsewhere ----------------------------------------------------------------------------------- */

static uint64_t routers_for(struct router *router, const struct repost *r)
{
    struct catalog_exchange *e = catalog_exchange(&router->catalog, r->vhost, r->exchange);
    unsigned routers = router->options.routers;
    if (r->only.len)
        return UINT64_C(1) << router_of_queue(r->vhost, r->only, routers);
    if (!e)
        return 0;
    if (routers == 1)
        return 1;
    uint64_t keeper =
        r->protocol & ORIGIN_RETAIN ? UINT64_C(1) << router_of_retained(e->exchange.id, r->key, routers) : 0;
    if (!e->is_default)
        return e->interest | keeper;
    struct span copies = r->copies, key = r->key;
    uint64_t set = 0;
    do
        set |= UINT64_C(1) << router_of_queue(r->vhost, key, routers);
    while (copies_next(&copies, &key));
    return set;
}

static struct span move(uint8_t **to, struct span s)
{
    uint8_t *at = *to;
    *to = put_span(at, s);
    return span_of(at, s.len);
}

static void ask(struct router *router, unsigned of, const struct repost *r, struct ticket ticket)
{
    size_t len = r->exchange.len + r->only.len + r->key.len + r->copies.len + r->properties.len + r->body.len;
    struct repost_letter *letter = malloc(sizeof *letter + len);
    CHECK(letter);
    uint8_t *to = letter->bytes;
    letter->repost = *r;
    letter->ticket = ticket;
    letter->repost.exchange = move(&to, r->exchange);
    letter->repost.only = move(&to, r->only);
    letter->repost.key = move(&to, r->key);
    letter->repost.copies = move(&to, r->copies);
    letter->repost.properties = move(&to, r->properties);
    letter->repost.body = move(&to, r->body);
    *(struct peer_message *)link_add(&router->peer[of]) =
        (struct peer_message){.kind = PEER_REPOST, .letter = letter};
}

struct reposted repost(struct router *router, const struct repost *r, struct ticket ticket)
{
    uint64_t here = UINT64_C(1) << router->options.index, set = routers_for(router, r);
    struct reposted result = {0};
    bool durable;
    for (uint64_t left = set & ~here; left; left &= left - 1, result.asked++)
        ask(router, (unsigned)__builtin_ctzll(left), r, ticket);
    result.routed = set & here && publish_here(router, r, ticket, &durable);
    return result;
}

/* ---- for another --------------------------------------------------------------------------------- */

void repost_answer(struct router *router, unsigned to, struct ticket ticket, bool routed)
{
    *(struct peer_message *)link_add(&router->peer[to]) = (struct peer_message){
        .kind = PEER_REPOSTED, .bound = routed, .number = ticket.row, .exchange = ticket.queue};
}

/* Not answered: the one who asks keeps what it has, and asks again after the next start. */
void router_on_repost(struct router *router, unsigned from, struct repost_letter *letter)
{
    if (checkpoint_is_closed(router)) {
        free(letter);
        return;
    }
    bool durable, routed = publish_here(router, &letter->repost, letter->ticket, &durable);
    if (routed && durable) /* nor is it, if the journal has failed */
        confirm_to_router(router, from, letter->ticket);
    else
        repost_answer(router, from, letter->ticket, routed);
    free(letter);
}
