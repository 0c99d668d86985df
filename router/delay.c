#include "router/delay.h"

#include <stdlib.h>

#include "base/check.h"
#include "router/agent.h"
#include "router/properties.h"
#include "router/shape.h"
#include "router/table.h"

void delay_become(struct queue *queue, uint64_t exchange)
{
    struct delay *delay = calloc(1, sizeof *delay);
    CHECK(delay);
    delay->exchange = exchange;
    shape_for_delay(queue, delay);
}

/* ---- in ------------------------------------------------------------------------------------------ */

bool delay_wanted(const struct catalog_exchange *exchange, const struct publishing *p)
{
    const struct command_publish *c = p->publish;
    return exchange->delayed && (c->flags & PUBLISH_MARKED) && header_delay(command_headers(c)) > 0;
}

static void watch(struct router *router, struct queue *queue)
{
    const struct due_heap *heap = &queue->shape->delay->heap;
    if (heap->count)
        alarm_set(router, &queue->shape->expiry, router_when_ns(router, heap->rows[0].ms));
}

void delay_add(struct router *router, struct queue *queue, uint64_t seq, uint64_t due_ms)
{
    due_heap_push(&queue->shape->delay->heap, (struct due){due_ms, seq});
    watch(router, queue);
}

void delay_wake(struct router *router, struct queue *queue)
{
    uint64_t seq = 0;
    for (; index_ready_from(&queue->index, &seq); seq++)
        due_heap_push(&queue->shape->delay->heap, (struct due){index_note(&queue->index, seq).expires, seq});
    watch(router, queue);
}

/* ---- out ----------------------------------------------------------------------------------------- */

void delay_expire(struct router *router, struct queue *queue)
{
    struct due_heap *heap = &queue->shape->delay->heap;
    uint64_t now = router_wall_ms(router);
    for (; heap->count && heap->rows[0].ms <= now; due_heap_pop(heap)) {
        struct entry *entry = index_at(&queue->index, heap->rows[0].seq);
        if (entry)
            dead_letter_add(router, queue, heap->rows[0].seq, entry, DEATH_EXPIRED);
    }
    watch(router, queue);
}

/* Turns the sign of the header's value, where it stands and has one. */
static void negate(uint8_t *properties, size_t len)
{
    struct properties p;
    struct field field;
    int64_t ms;
    if (!properties_read(span_of(properties, len), &p) || !table_find(p.headers, "x-delay", &field) ||
        !field_int(&field, &ms) || ms <= 0)
        return;
    uint8_t *at = properties + (field.value.at - properties);
    switch (field.type) {
    case 'b':
        put_u8(at, (uint8_t)-ms);
        return;
    case 's':
        put_be16(at, (uint16_t)-ms);
        return;
    case 'I':
        put_be32(at, (uint32_t)-ms);
        return;
    case 'l':
    case 'L':
        put_be64(at, (uint64_t)-ms);
        return;
    default:
        return; /* it has no sign */
    }
}

void delay_leave(struct router *router, struct queue *queue, const struct message *m, uint8_t *to,
                 struct repost *r)
{
    struct catalog_exchange *e = catalog_exchange_by_id(&router->catalog, queue->shape->delay->exchange);
    struct span properties = message_properties(m);
    put_span(to, properties);
    negate(to, properties.len);
    r->vhost = e ? e->vhost : 0;
    r->exchange = message_exchange(m);
    r->key = message_key(m);
    r->properties = span_of(to, properties.len);
    r->dead = false;
    r->at_once = true;
}
