/* A message for the client becomes a PUBLISH (MQTT 5.0, 3.3), as its subscriptions want it. */
#include <stdlib.h>

#include "base/check.h"
#include "codec/body.h"
#include "codec/mqtt/connection.h"
#include "codec/mqtt/topic.h"
#include "codec/mqtt/translation.h"

/* A delivery, taken apart once. */
struct delivery {
    struct source *source;
    unsigned router;
    const struct event_deliver *event;
    const struct message *message;
    struct span key, body;
    uint32_t body_len; /* with the parts before `body` */
    struct verdict verdict;
    unsigned qos;
    bool received; /* the client has it: PUBREL is what is due */
    bool plain;    /* an alias would make the packet too large */
    uint16_t id;
};

/* ---- not delivered ----------------------------------------------------------------------------------- */

static void settle(struct mqtt *c, const struct delivery *d, enum settle how)
{
    settle_add(&c->settle, c->host, d->router, d->event->queue, d->event->seq, how,
               d->source ? d->source->id : 0);
}

/* The bytes count against the source's window, sent or not; it gets them back in one go. */
static void owe(struct source *source, uint32_t bytes)
{
    source->debt += bytes;
}

void sources_credit(struct mqtt *c)
{
    for (struct source *s = c->first_source; s; s = s->next) {
        if (!s->id || s->debt < s->window / 2)
            continue;
        host_credit(c->host, s->router, s->id, s->debt, 0);
        s->debt = 0;
    }
}

/* ---- identifiers --------------------------------------------------------------------------------------- */

/* One of those for shared subscriptions that is free; 0: none is. */
static uint16_t shared_id(struct mqtt *c)
{
    for (unsigned tries = 0; tries < 65535 - OWN_IDS; tries++) {
        c->shared_id = c->shared_id <= OWN_IDS || c->shared_id == 65535 ? OWN_IDS + 1 : c->shared_id + 1;
        if (!inflight_find(&c->inflight, c->shared_id))
            return c->shared_id;
    }
    return 0;
}

/* A message of the session's queue has the same identifier each time, also after a restart: its number in the
 * queue says it. So a client that has it already knows it again. */
static uint16_t id_for(struct mqtt *c, const struct delivery *d)
{
    uint16_t id = (uint16_t)((d->event->seq - 1) % OWN_IDS + 1);
    return d->source == c->own && !inflight_find(&c->inflight, id) ? id : shared_id(c);
}

static bool remember(struct mqtt *c, struct delivery *d)
{
    d->id = id_for(c, d);
    if (!d->id)
        return false;
    struct sent *sent = inflight_use(&c->inflight, d->id);
    sent->queue = d->event->queue;
    sent->seq = d->event->seq;
    sent->consumer = d->source->handle;
    sent->router = (uint8_t)d->router;
    sent->state = d->qos == 1 ? INFLIGHT_ACK : d->received ? INFLIGHT_COMP : INFLIGHT_REC;
    return true;
}

/* ---- topic aliases ----------------------------------------------------------------------------------------
 */

/* The topic that an alias stands for, by a hash of it: a new one takes the place of what was there. */
struct alias_out {
    uint8_t len;
    uint8_t key[TOPIC_BYTES_MAX];
};

/* The alias to send, 0 for none. *known: the client has its topic. */
static unsigned alias_for(struct mqtt *c, struct span key, bool plain, bool *known)
{
    *known = false;
    if (!c->alias_out_max || plain)
        return 0;
    if (!c->alias_out) {
        c->alias_out = calloc(c->alias_out_max, sizeof *c->alias_out);
        CHECK(c->alias_out);
    }
    unsigned i = (unsigned)(hash_keyed(key, 0) % c->alias_out_max);
    struct alias_out *alias = &c->alias_out[i];
    *known = alias->len && span_equal(span_of(alias->key, alias->len), key);
    alias->len = (uint8_t)key.len;
    put_span(alias->key, key);
    return i + 1;
}

/* ---- the packet -------------------------------------------------------------------------------------------
 */

static uint8_t *put_properties(struct mqtt *c, uint8_t *to, const struct delivery *d,
                               const struct mqtt_form *form, unsigned alias)
{
    uint64_t arrival = message_arrival(d->message), now = host_wall_ms(c->host);
    if (alias)
        to = put_property_u16(to, PROPERTY_ALIAS, (uint16_t)alias);
    for (unsigned i = 0; i < d->verdict.ids; i++)
        to = varint_put(put_u8(to, PROPERTY_SUBSCRIPTION_ID), d->verdict.id[i]);
    return mqtt_form_put(to, form, arrival && now > arrival ? now - arrival : 0);
}

static unsigned flags_of(const struct delivery *d)
{
    const struct message *m = d->message;
    bool retain = m->protocol & ORIGIN_STORED || (m->protocol & ORIGIN_RETAIN && d->verdict.as_published);
    bool dup = d->qos && d->event->flags & DELIVER_REDELIVERED;
    return (dup ? HEADER_DUP : 0u) | d->qos << 1 | (retain ? HEADER_RETAIN : 0u);
}

/* Fixed and variable header, up to the properties: so many bytes with their length, none in MQTT 3. */
static uint8_t *put_head(uint8_t *to, const struct delivery *d, bool topic, size_t properties)
{
    size_t topic_len = topic ? d->key.len : 0;
    uint32_t remaining = (uint32_t)(2 + topic_len + (d->qos ? 2 : 0) + properties + d->body_len);
    to = varint_put(put_u8(to, (uint8_t)(PACKET_PUBLISH << 4 | flags_of(d))), remaining);
    to = put_be16(to, (uint16_t)topic_len);
    if (topic)
        key_to_topic(to, d->key);
    to += topic_len;
    return d->qos ? put_be16(to, d->id) : to;
}

/* Head and small body in one piece of output, unless there are many properties. */
static void write_packet(struct mqtt *c, const struct delivery *d, bool topic, struct span properties)
{
    bool many = properties.len >= LEND_MIN;
    bool small = !many && !d->event->parts && d->body.len < LEND_MIN;
    size_t room = 16 + d->key.len + (many ? 0 : properties.len) + (small ? d->body.len : 0);
    uint8_t *start = host_reserve(c->host, room), *end = put_head(start, d, topic, properties.len);
    if (!many)
        end = put_span(end, properties);
    if (small)
        end = put_span(end, d->body);
    host_commit(c->host, (size_t)(end - start));
    if (many)
        host_write(c->host, properties);
    if (small)
        host_done(c->host, d->router, d->event->page);
    else
        body_write(c->host, d->router, d->event);
}

/* The most that put_properties may write, of the alias and the identifiers. */
enum { OTHERS_MAX = 3 + 5 * VERDICT_IDS_MAX };
static _Thread_local uint8_t properties_room[2 * PROPERTIES_MAX + OTHERS_MAX];

/* Of MQTT 5.0: properties are put together first, since their length stands before them. */
static void write_five(struct mqtt *c, const struct delivery *d, const struct mqtt_form *form)
{
    uint8_t *body = properties_room + 4, *start;
    bool known;
    unsigned alias = alias_for(c, d->key, d->plain, &known);
    uint32_t len = (uint32_t)(put_properties(c, body, d, form, alias) - body);
    start = body - varint_bytes(len);
    varint_put(start, len);
    write_packet(c, d, !known, span_of(start, (size_t)(body + len - start)));
}

/* ---- is it to be sent?
 * -------------------------------------------------------------------------------------- */

static void take_apart(struct delivery *d, const struct message *m)
{
    d->message = m;
    d->key = message_key(m);
    d->body = message_body(m);
    d->body_len = (uint32_t)body_bytes(d->event);
}

/* Publishers of other protocols have no QoS: what is to survive a restart is acknowledged. */
static unsigned published_qos(const struct message *m)
{
    if (m->protocol & ORIGIN_MQTT)
        return origin_qos(m->protocol);
    return m->flags & MESSAGE_PERSISTENT ? 1 : 0;
}

/* Keys of other protocols' publishers needn't be topics. */
static bool is_topic(const struct delivery *d)
{
    uint8_t topic[TOPIC_BYTES_MAX];
    return d->message->protocol & ORIGIN_MQTT ||
           (d->key.len && key_to_topic(topic, d->key) && mqtt_text_valid(d->key));
}

/* Bytes of the packet, without an alias. */
static uint64_t packet_bytes(struct mqtt *c, const struct delivery *d, const struct mqtt_form *form)
{
    uint64_t remaining = 2 + d->key.len + (d->qos ? 2 : 0) + d->body_len;
    if (c->version == MQTT_5) {
        uint32_t len = (uint32_t)(put_properties(c, properties_room, d, form, 0) - properties_room);
        remaining += varint_bytes(len) + len;
    }
    return 1 + varint_bytes((uint32_t)remaining) + remaining;
}

enum { ALIAS_BYTES = 3 + 2 }; /* and what the two lengths may grow by */

/* Whether the client takes so large a packet ([MQTT-3.1.2-24]); only who says so has it counted. */
static bool fits(struct mqtt *c, struct delivery *d, const struct mqtt_form *form)
{
    if (c->packet_max == UINT32_MAX)
        return true;
    uint64_t bytes = packet_bytes(c, d, form);
    d->plain = bytes + ALIAS_BYTES > c->packet_max;
    return bytes <= c->packet_max;
}

/* Of a kept session an identifier says to the client which message it is, also after a restart of the broker.
 * What isn't on disk, which is a will's message or a refused one when a journal has failed, is gone then, and
 * another message has its identifier. */
static bool is_kept(const struct mqtt *c, const struct delivery *d)
{
    bool on_disk = d->message->routes && !(d->event->flags & DELIVER_EARLY);
    return on_disk || !c->persistent || d->source != c->own;
}

static void judge(struct mqtt *c, struct delivery *d)
{
    bool own = c->stamped && published_by(d->message, c->client_id);
    d->verdict = d->source->shared ? subscription_judge(d->source->shared, d->key)
                                   : subscriptions_judge(&c->subs, d->key, own);
    unsigned published = published_qos(d->message);
    d->qos = d->verdict.qos < published ? d->verdict.qos : published;
    if (d->qos == 2 && !is_kept(c, d))
        d->qos = 1;
}

/* A delivery that was received on an earlier connection goes on where it was ([MQTT-4.4.0-1]). That it was
 * may not be safe yet. */
static void release(struct mqtt *c, struct delivery *d)
{
    d->qos = 2;
    if (remember(c, d))
        batch_received(c, d->id);
    else
        settle(c, d, SETTLE_UNSEEN);
    body_drop(c->host, d->router, d->event);
}

static void deliver(struct mqtt *c, struct delivery *d)
{
    struct mqtt_form form;
    if (d->received) {
        release(c, d);
        return;
    }
    properties_from_amqp(d->message, &form);
    judge(c, d);
    if (!d->verdict.wanted || !is_topic(d) || !fits(c, d, &form)) {
        settle(c, d, SETTLE_ACK);
        body_drop(c->host, d->router, d->event);
        return;
    }
    if (!d->qos) {
        settle(c, d, SETTLE_ACK);
    } else if (!remember(c, d)) {
        settle(c, d, SETTLE_UNSEEN);
        body_drop(c->host, d->router, d->event);
        return;
    }
    if (c->version == MQTT_5)
        write_five(c, d, &form);
    else
        write_packet(c, d, true, span_of("", 0));
}

static void take(struct mqtt *c, unsigned router, const struct event_deliver *event)
{
    struct delivery d = {.source = slots_get(&c->sources, event->tag),
                         .router = router,
                         .event = event,
                         .received = event->flags & DELIVER_RECEIVED};
    if (c->stage != STAGE_OPEN || !d.source) {
        settle(c, &d, SETTLE_UNSEEN);
        body_drop(c->host, d.router, d.event);
        return;
    }
    take_apart(&d, event->message);
    owe(d.source, d.body_len + 1);
    deliver(c, &d);
}

/* ---- as many as the client takes at once ([MQTT-3.3.4-9]) ---------------------------------------------- */

/* The routers keep to that for each source, of which there are several with shared subscriptions. */
struct held {
    struct held *next;
    unsigned router;
    struct event_deliver event;
};

static void hold(struct mqtt *c, unsigned router, const struct event_deliver *event)
{
    struct held *held = malloc(sizeof *held);
    CHECK(held);
    *held = (struct held){.router = router, .event = *event};
    if (c->last_held)
        c->last_held->next = held;
    else
        c->first_held = held;
    c->last_held = held;
}

static struct held *held_pop(struct mqtt *c)
{
    struct held *held = c->first_held;
    c->first_held = held->next;
    if (!c->first_held)
        c->last_held = NULL;
    return held;
}

void held_send(struct mqtt *c)
{
    while (c->first_held && c->inflight.count < c->receive_max) {
        struct held *held = held_pop(c);
        take(c, held->router, &held->event);
        free(held);
    }
}

void held_give_back(struct mqtt *c)
{
    while (c->first_held) {
        struct held *held = held_pop(c);
        struct delivery d = {
            .source = slots_get(&c->sources, held->event.tag), .router = held->router, .event = &held->event};
        settle(c, &d, SETTLE_UNSEEN);
        body_drop(c->host, d.router, d.event);
        free(held);
    }
}

void mqtt_deliver(struct mqtt *c, unsigned router, const struct event_deliver *event)
{
    bool full = c->first_held || c->inflight.count >= c->receive_max;
    if (full && c->stage == STAGE_OPEN && !(event->flags & DELIVER_RECEIVED))
        hold(c, router, event);
    else
        take(c, router, event);
}
