/*
 * SUBSCRIBE and UNSUBSCRIBE (MQTT 5.0, 3.8 to 3.11): bindings of the session's queue to the exchange of
 * topics, and for each shared subscription a queue of its own from which all of its group consume. The answer
 * goes out when the routers have done all of it.
 */
#include <stdlib.h>

#include "base/check.h"
#include "codec/mqtt/connection.h"
#include "codec/mqtt/permission.h"
#include "codec/mqtt/property.h"
#include "codec/mqtt/topic.h"
#include "router/table_out.h"

/* ---- queues that messages come from ------------------------------------------------------------------ */

struct source *source_new(struct mqtt *c, struct subscription *shared)
{
    struct source *source = calloc(1, sizeof *source);
    CHECK(source);
    source->shared = shared;
    source->window = CONSUMER_WINDOW;
    source->handle = slots_add(&c->sources, source);
    source->next = c->first_source;
    c->first_source = source;
    if (shared)
        shared->source = source;
    else
        c->own = source;
    return source;
}

void source_free(struct mqtt *c, struct source *source)
{
    struct source **at = &c->first_source;
    while (*at != source)
        at = &(*at)->next;
    *at = source->next;
    if (source->shared)
        source->shared->source = NULL;
    else
        c->own = NULL;
    slots_remove(&c->sources, source->handle);
    bytes_drop(&source->queue);
    free(source);
}

struct op *source_op(struct mqtt *c, struct source *source, struct span queue, enum purpose purpose)
{
    struct op *op = mqtt_op(c, OP_CONSUME, purpose, queue);
    op->tag = source->handle;
    op->prefetch = c->receive_max;
    op->window = source->window;
    source->router = host_router_of(c->host, c->vhost, queue);
    if (source->shared)
        source->queue = bytes_keep(queue);
    return op;
}

/* ---- the request -------------------------------------------------------------------------------------- */

void mqtt_request_send(struct mqtt *c, struct op *op, int32_t i)
{
    op->priority = i;
    if (i != NO_REQUEST)
        c->request->pending++;
    mqtt_send(c, op);
}

static void request_done(struct mqtt *c)
{
    const struct request *r = c->request;
    bool five = c->version == MQTT_5, codes = five || !r->unsubscribe;
    uint32_t remaining = 2 + five + (codes ? r->count : 0);
    if (1 + varint_bytes(remaining) + remaining > c->packet_max) {
        mqtt_fail(c, REASON_TOO_LARGE, "an answer for %u filters is larger than the client takes", r->count);
        return;
    }
    uint8_t *start = host_reserve(c->host, 16), *p = start;
    p = put_u8(p, (uint8_t)((r->unsubscribe ? PACKET_UNSUBACK : PACKET_SUBACK) << 4));
    p = put_be16(varint_put(p, remaining), r->id);
    if (five)
        p = put_u8(p, 0);
    host_commit(c->host, (size_t)(p - start));
    if (codes)
        host_write(c->host, span_of(r->codes, r->count));
    free(c->request);
    c->request = NULL;
}

static void request_try(struct mqtt *c)
{
    if (c->request && !c->request->pending)
        request_done(c);
}

/* What could not be bound isn't subscribed to. */
static void forget(struct mqtt *c, const struct op *op)
{
    struct subscription *s = subscription_find(&c->subs, span_of("", 0), name_span(&op->key));
    if (s && span_equal(name_span(&op->name), c->queue))
        subscription_remove(&c->subs, s);
}

/* A queue that could not be declared takes all of its subscriptions with it. */
static void failed(struct mqtt *c, const struct op *op)
{
    struct request *r = c->request;
    host_log(c->host, "subscription refused: %s", op->text);
    bool full = op->reply == PURPOSE_QUEUE && op->error == ERR_PRECONDITION_FAILED;
    enum reason reason = full ? REASON_QUOTA : REASON_IMPLEMENTATION;
    uint8_t code = (uint8_t)(c->version == MQTT_5 ? reason : REASON_UNSPECIFIED);
    if (r->codes[op->priority] < REASON_UNSPECIFIED) /* else it is said already why */
        r->codes[op->priority] = code;
    if (op->reply == PURPOSE_BIND)
        forget(c, op);
    if (op->reply == PURPOSE_QUEUE)
        for (uint32_t i = 0; i < r->count; i++)
            r->codes[i] = code;
}

static void consuming(struct mqtt *c, const struct op *op)
{
    struct source *source = slots_get(&c->sources, op->tag);
    if (source && op->error == ERR_NONE)
        source->id = op->consumer;
    else if (source)
        source_free(c, source);
}

void mqtt_request_back(struct mqtt *c, struct op *op)
{
    if (op->reply == PURPOSE_CONSUME)
        consuming(c, op);
    if (op->priority == NO_REQUEST)
        return;
    if (op->error != ERR_NONE)
        failed(c, op);
    if (op->reply == PURPOSE_QUEUE && op->error == ERR_NONE && span_equal(name_span(&op->name), c->queue))
        c->queue_there = true;
    c->request->pending--;
    request_try(c);
}

static bool request_new(struct mqtt *c, struct span *in, bool unsubscribe, struct mqtt_properties *p)
{
    uint16_t id;
    enum reason reason = REASON_SUCCESS;
    properties_none(p);
    if (!take_u16(in, &id) || !id)
        reason = REASON_MALFORMED;
    else if (c->version == MQTT_5)
        reason = properties_take(in, unsubscribe ? PACKET_UNSUBSCRIBE : PACKET_SUBSCRIBE, p);
    if (reason == REASON_SUCCESS && !in->len)
        reason = REASON_PROTOCOL; /* [MQTT-3.8.3-2], [MQTT-3.10.3-2] */
    if (reason != REASON_SUCCESS) {
        mqtt_fail(c, reason, unsubscribe ? "UNSUBSCRIBE" : "SUBSCRIBE");
        return false;
    }
    /* Each filter takes two bytes at least. */
    struct request *r = calloc(1, sizeof *r + in->len / 2 + 1);
    CHECK(r);
    r->id = id;
    r->unsubscribe = unsubscribe;
    c->request = r;
    return true;
}

static void request_drop(struct mqtt *c)
{
    free(c->request);
    c->request = NULL;
}

/* ---- queues and bindings ------------------------------------------------------------------------------ */

/* Of a session that outlives its connections the router has made the queue. A shared subscription's is as the
 * first of its group makes it: durable, and gone when it has been unused for as long as the session may be,
 * or gone with the last consumer. */
void mqtt_declare(struct mqtt *c, struct span queue, bool shared, int32_t i)
{
    struct op *op = mqtt_op(c, OP_QUEUE_DECLARE, PURPOSE_QUEUE, queue);
    uint8_t table[64], *end = table;
    op->flags = OP_ANY_WAY | (c->expiry_s ? OP_DURABLE : shared ? OP_AUTO_DELETE : 0);
    if (c->expiry_s && c->expiry_s != SESSION_NEVER_EXPIRES)
        end = put_field_long(end, "x-expires", (int64_t)c->expiry_s * 1000);
    if (end != table)
        op->arguments = bytes_keep(span_of(table, (size_t)(end - table)));
    mqtt_request_send(c, op, i);
}

void mqtt_bind(struct mqtt *c, struct op *op, const char *exchange, struct span key, const struct wish *wish,
               int32_t i)
{
    uint8_t table[WISH_BYTES];
    name_set(&op->other, span_str(exchange));
    name_set(&op->key, key);
    if (wish)
        op->arguments = bytes_keep(span_of(table, wish_put(table, wish)));
    mqtt_request_send(c, op, i);
}

struct op *mqtt_bind_op(struct mqtt *c, enum op_kind kind, struct span queue)
{
    return mqtt_op(c, kind, kind == OP_QUEUE_BIND ? PURPOSE_BIND : PURPOSE_UNBIND, queue);
}

static void bind_own(struct mqtt *c, enum op_kind kind, struct span filter, const struct wish *wish,
                     uint32_t flags, int32_t i)
{
    struct op *op = mqtt_bind_op(c, kind, c->queue);
    op->flags = flags;
    mqtt_bind(c, op, mqtt_exchange(c), filter, wish, i);
}

static bool same_wish(const struct wish *a, const struct wish *b)
{
    return a->qos == b->qos && a->no_local == b->no_local && a->as_published == b->as_published &&
           a->handling == b->handling && a->id == b->id;
}

/* The new binding before the old one goes: nothing is missed. */
static void subscribe_own(struct mqtt *c, struct span filter, const struct wish *wish, int32_t i)
{
    struct subscription *s = subscription_find(&c->subs, span_of("", 0), filter);
    struct wish old = s ? s->wish : *wish;
    if (!c->own)
        mqtt_declare(c, c->queue, false, i);
    bool stored = wish->handling == RETAINED_SENT || (wish->handling == RETAINED_IF_NEW && !s);
    bind_own(c, OP_QUEUE_BIND, filter, wish, stored ? OP_RETAINED : 0, i);
    if (s && !same_wish(&old, wish))
        bind_own(c, OP_QUEUE_UNBIND, filter, &old, 0, i);
    subscription_set(&c->subs, span_of("", 0), filter, wish);
    c->stamped |= wish->no_local;
    if (!c->own)
        mqtt_request_send(c, source_op(c, source_new(c, NULL), c->queue, PURPOSE_CONSUME), i);
}

/* ---- SUBSCRIBE ---------------------------------------------------------------------------------------- */

/* The options' byte: MQTT 5.0, 3.8.3.1; MQTT 3.1.1 has the QoS only. */
static bool read_wish(const struct mqtt *c, uint8_t options, const struct mqtt_properties *p,
                      struct wish *wish)
{
    *wish = (struct wish){
        .qos = options & 3,
        .no_local = options >> 2 & 1,
        .as_published = options >> 3 & 1,
        .handling = options >> 4 & 3,
        .id = property_number(p, PROPERTY_SUBSCRIPTION_ID, 0),
    };
    return wish->qos < 3 && wish->handling < 3 && !(options & (c->version == MQTT_5 ? 0xc0 : 0xfc));
}

/* What is wrong with the filter itself is told in the answer. */
static uint8_t filter_code(struct span group, struct span filter)
{
    if (!topic_filter_valid(filter) || filter.len > TOPIC_BYTES_MAX || group.len > NAME_MAX_BYTES)
        return REASON_FILTER;
    return REASON_SUCCESS;
}

static uint8_t subscribe_one(struct mqtt *c, struct span group, struct span filter, const struct wish *wish,
                             int32_t i)
{
    uint8_t key[TOPIC_BYTES_MAX];
    enum reason reason = (enum reason)filter_code(group, filter);
    if (reason == REASON_SUCCESS) {
        topic_to_key(key, filter);
        struct span as_key = span_of(key, filter.len);
        if (!subscribe_permitted(c, c->queue, as_key))
            reason = REASON_NOT_AUTHORIZED;
        else if (group.len)
            reason = shared_join(c, group, as_key, wish, i);
        else
            subscribe_own(c, as_key, wish, i);
    }
    if (reason == REASON_SUCCESS)
        return wish->qos;
    return c->version == MQTT_5 ? (uint8_t)reason : (uint8_t)REASON_UNSPECIFIED;
}

/* Takes one filter and what is wished; false: it is malformed, or can't be, and the connection is closed. */
static bool take_filter(struct mqtt *c, struct span *in, const struct mqtt_properties *p, struct span *group,
                        struct span *filter, struct wish *wish)
{
    struct span text;
    uint8_t options;
    if (!take_binary(in, &text) || !take_u8(in, &options) || !mqtt_text_valid(text))
        mqtt_fail(c, REASON_MALFORMED, "SUBSCRIBE");
    else if (!read_wish(c, options, p, wish))
        mqtt_fail(c,
                  c->version == MQTT_5 && (options & 3) != 3 && !(options & 0xc0) ? REASON_PROTOCOL
                                                                                  : REASON_MALFORMED,
                  "SUBSCRIBE with options %u", options);
    else if (!filter_split(text, group, filter))
        mqtt_fail(c, REASON_FILTER, "a shared subscription without a name or a filter");
    else if (group->len && wish->no_local)
        mqtt_fail(c, REASON_PROTOCOL, "no local in a shared subscription"); /* [MQTT-3.8.3-4] */
    else
        return true;
    return false;
}

void on_subscribe(struct mqtt *c, struct span in)
{
    struct mqtt_properties p;
    struct span group, filter, first = in;
    struct wish wish;
    if (!request_new(c, &in, false, &p))
        return;
    (void)first;
    /* Twice: nothing is done of a packet that is wrong. */
    for (struct span rest = in; rest.len;)
        if (!take_filter(c, &rest, &p, &group, &filter, &wish)) {
            request_drop(c);
            return;
        }
    while (in.len && take_filter(c, &in, &p, &group, &filter, &wish)) {
        int32_t i = (int32_t)c->request->count++;
        c->request->codes[i] = subscribe_one(c, group, filter, &wish, i);
    }
    request_try(c);
}

/* ---- UNSUBSCRIBE -------------------------------------------------------------------------------------- */

static uint8_t unsubscribe_one(struct mqtt *c, struct span text, int32_t i)
{
    struct span group, filter;
    uint8_t key[TOPIC_BYTES_MAX];
    if (!filter_split(text, &group, &filter) || filter_code(group, filter) != REASON_SUCCESS)
        return REASON_FILTER;
    topic_to_key(key, filter);
    struct subscription *s = subscription_find(&c->subs, group, span_of(key, filter.len));
    if (!s)
        return REASON_NO_SUBSCRIPTION;
    if (group.len) {
        shared_leave(c, s, i);
        return REASON_SUCCESS;
    }
    bind_own(c, OP_QUEUE_UNBIND, span_of(key, filter.len), &s->wish, 0, i);
    subscription_remove(&c->subs, s);
    return REASON_SUCCESS;
}

void on_unsubscribe(struct mqtt *c, struct span in)
{
    struct mqtt_properties p;
    struct span text;
    if (!request_new(c, &in, true, &p))
        return;
    for (struct span rest = in; rest.len;)
        if (!take_binary(&rest, &text) || !mqtt_text_valid(text)) {
            request_drop(c);
            mqtt_fail(c, REASON_MALFORMED, "UNSUBSCRIBE");
            return;
        }
    while (in.len && take_binary(&in, &text)) {
        int32_t i = (int32_t)c->request->count++;
        c->request->codes[i] = unsubscribe_one(c, text, i);
    }
    request_try(c);
}
