#include "router/listing.h"

#include "router/agent.h"
#include "router/hidden.h"
#include "router/pinned.h"
#include "router/rows.h"
#include "router/shape.h"
#include "router/table.h"
#include "router/trace.h"

/* A slice of a list, being made. */
struct slice {
    struct router *router;
    const struct op *op;
    struct list_place place;
    unsigned steps; /* that may still be made */
    struct rows rows;
    const struct catalog_exchange *source; /* whose bindings are visited */
};

static bool goes_on(const struct slice *s)
{
    return s->steps && s->rows.len < LIST_SLICE_BYTES;
}

static bool is_wanted(const struct slice *s, uint32_t vhost)
{
    return !is_hidden(vhost) && (!s->op->vhost || s->op->vhost == vhost);
}

static void put_vhost(struct slice *s, uint32_t vhost)
{
    rows_text(&s->rows, span_str(router_vhost_name(s->router, vhost)));
}

static void put_policy(struct slice *s, const struct policy *policy)
{
    rows_text(&s->rows, policy ? name_span(&policy->name) : span_of(NULL, 0));
}

/* ---- queues ---------------------------------------------------------------------------------------- */

static const char *type_of(const struct queue *q)
{
    return settings_type_name(q->shape ? settings_type(&q->shape->settings) : TYPE_CLASSIC);
}

static void put_queue(struct slice *s, const struct queue *q)
{
    struct rows *rows = &s->rows;
    put_vhost(s, q->vhost);
    rows_text(rows, name_span(&q->name));
    rows_text(rows, span_str(type_of(q)));
    rows_flag(rows, q->durable || q->said_durable);
    rows_flag(rows, q->auto_delete);
    rows_flag(rows, q->exclusive);
    rows_table(rows, q->arguments);
    put_policy(s, q->policy);
    put_policy(s, q->operator_policy);
    const uint64_t numbers[] = {q->index.ready, q->index.out,   q->index.ready + q->index.out,
                                q->index.bytes, q->consumers,   q->published,
                                q->delivered,   q->acknowledged};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        rows_number(rows, numbers[i]);
    rows_text(rows, span_str("running"));
    rows_end(rows);
}

/* True: that were all. */
static bool each_queue(struct slice *s, void (*put_one)(struct slice *s, const struct queue *q))
{
    const struct slots *queues = &s->router->queues;
    const struct queue *q;
    while (goes_on(s) && (q = slots_walk(queues, &s->place.at, &s->steps)))
        if (is_wanted(s, q->vhost))
            put_one(s, q);
    return s->place.at >= queues->count;
}

/* ---- exchanges ------------------------------------------------------------------------------------- */

static void put_exchange(struct map_node *node, void *owner)
{
    struct slice *s = owner;
    const struct catalog_exchange *e = container_of(node, struct catalog_exchange, exchange.by_id);
    struct rows *rows = &s->rows;
    if (!is_wanted(s, e->vhost))
        return;
    put_vhost(s, e->vhost);
    rows_text(rows, name_span(&e->name));
    rows_text(rows, span_str(e->delayed ? "x-delayed-message" : exchange_type_name(e->exchange.type)));
    rows_flag(rows, e->durable);
    rows_flag(rows, e->auto_delete);
    rows_flag(rows, e->internal);
    rows_table(rows, e->arguments);
    rows_end(rows);
    if (!goes_on(s))
        s->steps = 0;
}

static bool exchanges(struct slice *s)
{
    return map_walk(&s->router->catalog.exchanges_by_id, &s->place.at, &s->steps, put_exchange, s);
}

/* ---- bindings -------------------------------------------------------------------------------------- */

enum { STAGE_OF_DEFAULT, STAGE_OF_OTHERS };

/* As a query string has it, and a ~ not as it is. */
static char *put_quoted(char *at, struct span key)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < key.len; i++) {
        uint8_t c = key.at[i];
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
            c == '-' || c == '_') {
            *at++ = (char)c;
        } else if (c == ' ') {
            *at++ = '+';
        } else {
            *at++ = '%';
            *at++ = digits[c >> 4];
            *at++ = digits[c & 15];
        }
    }
    return at;
}

/* RabbitMQ's form: the routing key, and behind a ~ a digest of the arguments if there are any. The digest is
 * our own: who has it read it in a list. */
static void put_properties_key(struct rows *rows, struct span key, struct span arguments)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char text[3 * NAME_MAX_BYTES + 13], *at = put_quoted(text, key);
    if (arguments.len || !key.len)
        *at++ = '~';
    if (arguments.len)
        for (uint64_t hash = table_hash(arguments), i = 0; i < 11; i++, hash >>= 6)
            *at++ = digits[hash & 63];
    rows_text(rows, span_of(text, (size_t)(at - text)));
}

static void put_binding_row(struct slice *s, uint32_t vhost, struct span source, struct span destination,
                            bool to_exchange, struct span key, struct span arguments)
{
    struct rows *rows = &s->rows;
    put_vhost(s, vhost);
    rows_text(rows, source);
    rows_text(rows, destination);
    rows_text(rows, span_str(to_exchange ? "exchange" : "queue"));
    rows_text(rows, key);
    rows_table(rows, arguments);
    put_properties_key(rows, key, arguments);
    rows_end(rows);
}

static void put_default_binding(struct slice *s, const struct queue *q)
{
    struct span name = name_span(&q->name);
    put_binding_row(s, q->vhost, span_of(NULL, 0), name, false, name, span_of(NULL, 0));
}

/* Every router knows what exchanges are bound to: the registrar tells it. A remote queue's own router tells
 * of its bindings. */
static void put_binding(struct map_node *node, void *owner)
{
    struct slice *s = owner;
    const struct binding *b = container_of(node, struct binding, by_identity);
    struct destination *to = b->destination;
    struct span source = name_span(&s->source->name);
    if (to->remote || (to->exchange ? !is_registrar(s->router) : is_hidden(queue_of(to)->vhost)))
        return;
    if (to->exchange)
        put_binding_row(s, s->source->vhost, source,
                        name_span(&container_of(to->exchange, struct catalog_exchange, exchange)->name), true,
                        b->key, b->arguments);
    else
        put_binding_row(s, s->source->vhost, source, name_span(&queue_of(to)->name), false, b->key,
                        b->arguments);
    if (!goes_on(s))
        s->steps = 0;
}

/* place.at: of the exchange; place.within: of the binding. */
static bool bindings_of_others(struct slice *s)
{
    struct list_place *place = &s->place;
    while (goes_on(s)) {
        uint64_t at = place->at;
        struct map_node *node = map_from(&s->router->catalog.exchanges_by_id, &at, &s->steps);
        if (!node) {
            place->within = at == place->at ? place->within : 0;
            place->at = at;
            return s->steps > 0;
        }
        at = map_place(node->hash);
        if (at != place->at) /* that one is gone, or its bindings are all told */
            place->within = 0;
        place->at = at;
        s->source = container_of(node, struct catalog_exchange, exchange.by_id);
        if (is_wanted(s, s->source->vhost) &&
            !map_walk(&s->source->exchange.by_identity, &place->within, &s->steps, put_binding, s))
            return false;
        place->within = 0;
        if (++place->at == 0)
            return true;
    }
    return false;
}

static bool bindings(struct slice *s)
{
    if (s->place.stage == STAGE_OF_DEFAULT) {
        if (!each_queue(s, put_default_binding))
            return false;
        s->place = (struct list_place){.of = LIST_BINDINGS, .stage = STAGE_OF_OTHERS};
    }
    return bindings_of_others(s);
}

/* ---- one of them ----------------------------------------------------------------------------------- */

static void put_named(struct slice *s)
{
    struct catalog *catalog = &s->router->catalog;
    struct span name = name_span(&s->op->name);
    if (s->op->place.of == LIST_QUEUES) {
        const struct queue *q = catalog_queue(catalog, s->op->vhost, name);
        if (q)
            put_queue(s, q);
        return;
    }
    struct catalog_exchange *e = catalog_exchange(catalog, s->op->vhost, name);
    if (e)
        put_exchange(&e->exchange.by_id, s);
}

/* ---- the op ---------------------------------------------------------------------------------------- */

void listing_on_op(struct router *router, struct op *op)
{
    struct slice s = {.router = router, .op = op, .place = op->place, .steps = LIST_SLICE_STEPS};
    if (op->vhost && !access_has_vhost(router->access, op->vhost)) {
        router_refuse(router, op, ERR_NOT_FOUND, "virtual host '%.*s' does not exist", op->other.len,
                      op->other.bytes);
        return;
    }
    if (op->flags & OP_TRACES) {
        trace_on_op(router, op);
        return;
    }
    if (op->place.of == LIST_SEGMENTS) {
        pinned_segments(router, op);
        return;
    }
    if (op->place.of == LIST_PINS) {
        pinned_pins(router, op);
        return;
    }
    if (op->flags & OP_ONE) {
        put_named(&s);
        s.place.end = true;
    } else if (op->place.of == LIST_QUEUES)
        s.place.end = each_queue(&s, put_queue);
    else if (op->place.of == LIST_EXCHANGES)
        s.place.end = exchanges(&s);
    else
        s.place.end = bindings(&s);
    op->place = s.place;
    op->list = s.rows.text;
    router_answer_now(router, op);
}
