#include "consumer_site.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "router/table_out.h"

struct site *site_new(enum queue_type type, enum setting setting, uint64_t value)
{
    struct site *s = calloc(1, sizeof *s);
    lone_router_begin(&s->lone, (struct router_options){.memory_budget = 10 * PAGE_BYTES});
    s->router = s->lone.router;
    s->queue = queue_new(s->router, LONE_VHOST, span_str("q"));
    catalog_queue_add(&s->router->catalog, s->queue);
    struct settings settings;
    settings_load(&settings, (struct span){NULL, 0});
    settings.value[SETTING_TYPE] = type;
    if (setting != SETTINGS)
        settings.value[setting] = value;
    settings.any = type != TYPE_CLASSIC || setting != SETTINGS;
    shape_apply(s->router, s->queue, &settings);
    return s;
}

/* Entries that a test has made have no page. */
void site_free(struct site *s)
{
    uint64_t seq = 0;
    for (struct entry *entry; (entry = index_alive_from(&s->queue->index, &seq)); seq++)
        index_kill(&s->queue->index, seq, entry);
    lone_router_end(&s->lone);
    free(s);
}

struct consumer *site_consume(struct site *s, struct wishes wishes)
{
    static uint64_t tag;
    uint8_t arguments[64], *at = arguments;
    char text[200];
    at = put_field_long(at, "x-priority", wishes.priority);
    if (wishes.timeout_ms)
        at = put_field_long(at, "x-consumer-timeout", (int64_t)wishes.timeout_ms);
    struct op *op = calloc(1, sizeof *op);
    op->flags = wishes.no_ack ? OP_NO_ACK : 0;
    op->tag = ++tag;
    op->prefetch = 10;
    op->window = 1000;
    op->arguments = span_of(arguments, (size_t)(at - arguments));
    cr_assert(consumer_check(s->queue, op, "queue 'q'", text, sizeof text), "%s", text);
    cr_assert(consumer_allowed(s->queue, op));
    struct consumer *consumer = queue_consume(s->router, s->queue, op);
    free(op);
    return consumer;
}

bool site_cancelled(struct site *s, struct event_cancel *event)
{
    union event e;
    link_flush(&s->router->front[0]);
    while (ring_take(s->lone.to_front, &e, 1))
        if (e.kind == EVENT_CANCEL) {
            *event = e.cancel;
            return true;
        }
    return false;
}
