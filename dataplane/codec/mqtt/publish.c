/*
 * PUBLISH of a client (MQTT 5.0, 3.3), and what follows it: PUBACK or PUBREC when the broker has confirmed
 * the message, PUBCOMP for PUBREL.
 *
 * Topic and properties are written anew, as routing key and in AMQP's form, and a small payload behind them;
 * a large one stays in the input and goes in parts.
 */
#include <stdlib.h>

#include "base/check.h"
#include "codec/mqtt/answer.h"
#include "codec/mqtt/connection.h"
#include "codec/mqtt/permission.h"
#include "codec/mqtt/property.h"
#include "codec/mqtt/topic.h"
#include "codec/mqtt/translation.h"

/* What is waited for as a whole. */
#define WHOLE_MAX (FRAME_BYTES_MAX - 16)

struct publish {
    unsigned qos;
    bool dup, retain;
    uint16_t id;
    struct span topic, key; /* key: of an alias, in its place */
    struct mqtt_properties properties;
    struct span payload; /* as far as it is there */
    uint32_t body_len;   /* all of it */
};

/* Other than a reason. */
enum { WAIT = 0x100 };

/* ---- reading --------------------------------------------------------------------------------------- */

/* As far as they are there. */
static unsigned read_properties(struct span *in, struct mqtt_properties *p, unsigned short_of)
{
    uint32_t len;
    int n = varint_read(*in, &len);
    if (n < 0)
        return REASON_MALFORMED;
    if (n && len > WHOLE_MAX)
        return REASON_TOO_LARGE;
    if (!n || len > in->len - (size_t)n)
        return short_of;
    return properties_take(in, PACKET_PUBLISH, p);
}

/* in: as much of the packet as is there. WAIT: more must come. */
static unsigned read(const struct mqtt *c, struct span in, uint32_t remaining, struct publish *m)
{
    const uint8_t *start = in.at;
    m->id = 0;
    m->key = span_of("", 0);
    unsigned short_of = in.len < remaining ? WAIT : (unsigned)REASON_MALFORMED;
    if (!take_binary(&in, &m->topic) || (m->qos && !take_u16(&in, &m->id)))
        return short_of;
    properties_none(&m->properties);
    if (c->version == MQTT_5 && in.len && !*in.at) {
        in = span_of(in.at + 1, in.len - 1); /* as it is with most: there are none */
    } else if (c->version == MQTT_5) {
        unsigned reason = read_properties(&in, &m->properties, short_of);
        if (reason != REASON_SUCCESS)
            return reason;
    }
    m->payload = in;
    m->body_len = remaining - (uint32_t)(in.at - start);
    return REASON_SUCCESS;
}

/* ---- topics ------------------------------------------------------------------------------------------ */

/* A topic alias of a client: its routing key. */
struct alias_in {
    uint8_t len;
    uint8_t key[TOPIC_BYTES_MAX];
};

static bool topic_allowed(struct mqtt *c, const struct publish *m)
{
    if (m->topic.len - 1 < TOPIC_BYTES_MAX && topic_is_plain(m->topic))
        return true;
    if (!mqtt_text_valid(m->topic))
        mqtt_fail(c, REASON_MALFORMED, "the topic is no UTF-8");
    else if (!m->topic.len)
        mqtt_fail(c, REASON_PROTOCOL, "an empty topic and no alias");
    else if (!topic_name_valid(m->topic))
        mqtt_fail(c, REASON_TOPIC, "a topic has a wildcard in it");
    else if (m->topic.len > TOPIC_BYTES_MAX)
        mqtt_fail(c, REASON_TOPIC, "a topic of %zu bytes; %u at most", m->topic.len, TOPIC_BYTES_MAX);
    else
        return true;
    return false;
}

/* [MQTT-3.3.2-8] and after: an alias with a topic means that topic from now on. */
static bool use_alias(struct mqtt *c, struct publish *m)
{
    uint32_t alias = property_number(&m->properties, PROPERTY_ALIAS, 0);
    if (!alias || alias > ALIASES_MAX) {
        mqtt_fail(c, REASON_ALIAS, "topic alias %u; 1 to %u may be used", alias, ALIASES_MAX);
        return false;
    }
    if (!c->alias_in) {
        c->alias_in = calloc(ALIASES_MAX, sizeof *c->alias_in);
        CHECK(c->alias_in);
    }
    struct alias_in *known = &c->alias_in[alias - 1];
    if (m->topic.len) {
        if (!topic_allowed(c, m))
            return false;
        known->len = (uint8_t)m->topic.len;
        topic_to_key(known->key, m->topic);
    } else if (!known->len) {
        mqtt_fail(c, REASON_PROTOCOL, "topic alias %u is not known", alias);
        return false;
    }
    m->key = span_of(known->key, known->len);
    return true;
}

static bool is_sound(struct mqtt *c, struct publish *m)
{
    if (property_has(&m->properties, PROPERTY_ALIAS)) {
        if (!use_alias(c, m))
            return false;
    } else if (!topic_allowed(c, m)) {
        return false;
    }
    struct span response = property_text(&m->properties, PROPERTY_RESPONSE_TOPIC);
    if (property_has(&m->properties, PROPERTY_RESPONSE_TOPIC) && !topic_name_valid(response))
        mqtt_fail(c, REASON_TOPIC, "the response topic is empty or has a wildcard in it");
    else if (m->qos && !m->id)
        mqtt_fail(c, REASON_MALFORMED, "packet identifier 0");
    else if (m->body_len > c->options->max_message_size)
        mqtt_fail(c, REASON_TOO_LARGE, "a message of %u bytes; %u at most", m->body_len,
                  c->options->max_message_size);
    else if (m->qos && c->incoming.open >= RECEIVE_MAX && c->version == MQTT_5 &&
             !(m->qos == 2 && incoming_has(&c->incoming, m->id)))
        mqtt_fail(c, REASON_RECEIVE_MAXIMUM, "more than %u publishes are not done with", RECEIVE_MAX);
    else
        return true;
    return false;
}

/* ---- sending ------------------------------------------------------------------------------------------ */

/* NULL: it has been deleted, and the connection is closed. */
static const struct exchange_row *exchange_of(struct mqtt *c)
{
    char refusal[HOST_REFUSAL_BYTES];
    if (!c->row) {
        c->row = host_exchange(c->host, c->vhost, span_str(mqtt_exchange(c)));
        c->refused = !publish_permitted(c, refusal);
        c->topics = host_has_topics(c->host);
    }
    if (!c->row)
        mqtt_fail(c, REASON_UNSPECIFIED, "the exchange '%s' has been deleted", mqtt_exchange(c));
    return c->row;
}

static uint32_t expiration_of(const struct publish *m)
{
    uint64_t ms = (uint64_t)property_number(&m->properties, PROPERTY_EXPIRY, 0) * 1000;
    return property_has(&m->properties, PROPERTY_EXPIRY) && ms < UINT32_MAX ? (uint32_t)ms + 1 : 0;
}

/* Routing key; and, with QoS 2 of a session that may come back, whose it is: routers remember the identifier,
 * whatever becomes of this connection. Returns the byte behind. */
static uint8_t *put_names(struct mqtt *c, const struct publish *m, uint8_t *to,
                          struct command_publish *command)
{
    command->bytes = to;
    command->key_len = (uint8_t)(m->key.len ? m->key.len : m->topic.len);
    if (m->key.len)
        put_span(to, m->key);
    else
        topic_to_key(to, m->topic);
    uint8_t *at = to + command->key_len;
    if (m->qos < 2 || !c->persistent)
        return at;
    command->producer_at = command->key_len;
    command->number_at = m->id;
    return put_span(put_u8(at, (uint8_t)c->sender.len), c->sender);
}

/* Writes what is published to `to`; returns its bytes, 0 if it can't be said. */
static size_t compose(struct mqtt *c, const struct publish *m, uint8_t *to, struct command_publish *command)
{
    struct amqp_form form;
    bool stamped = c->stamped || (m->retain && c->version == MQTT_5);
    struct span publisher = stamped ? c->client_id : span_of("", 0);
    bool whole = m->body_len <= INLINE_BODY_MAX;
    *command = (struct command_publish){
        .flags = (uint8_t)((m->qos ? PUBLISH_PERSISTENT | PUBLISH_CONFIRM : 0) | (whole ? 0 : PUBLISH_MORE)),
        .protocol = origin_of(m->qos, m->retain, property_number(&m->properties, PROPERTY_FORMAT, 0)),
        .conn = host_conn(c->host),
        .seq = m->qos ? c->incoming.next : 0,
        .expiration = expiration_of(m),
        .body_len = whole ? m->body_len : 0,
        .total_len = m->body_len,
    };
    uint8_t *properties = put_names(c, m, to, command);
    const char *wrong = properties_to_amqp(properties, &m->properties, m->qos, publisher, &form);
    if (!wrong && form.len > PROPERTIES_MAX)
        wrong = "there are too many user properties";
    if (wrong) {
        mqtt_fail(c, REASON_IMPLEMENTATION, "%s", wrong);
        return 0;
    }
    uint8_t *body = properties + form.len;
    command->flags |= form.marked ? PUBLISH_MARKED : 0;
    command->properties_at = (uint16_t)(properties - to);
    command->properties_len = (uint32_t)form.len;
    command->headers_in = form.headers_in;
    command->body_at = (uint32_t)(body - to);
    if (whole)
        body = put_span(body, m->payload);
    return (size_t)(body - to);
}

/* False: it must wait, or the connection is closed. */
static bool send(struct mqtt *c, const struct publish *m)
{
    struct command_publish command;
    const struct exchange_row *row = c->row;
    bool whole = m->body_len <= INLINE_BODY_MAX;
    size_t room = TOPIC_BYTES_MAX + amqp_bytes_max(m->properties.all.len) + 1 + NAME_MAX_BYTES +
                  (whole ? m->body_len : 0);
    uint8_t *scratch = host_scratch(c->host, room);
    if (!scratch) {
        mqtt_fail(c, REASON_QUOTA, "no memory for a message");
        return false;
    }
    size_t bytes = compose(c, m, scratch, &command);
    if (!bytes)
        return false;
    unsigned routers = host_publish(c->host, row, &command, NULL);
    if (!routers) {
        c->parked = true;
        return false;
    }
    host_scratch_keep(c->host, bytes);
    if (m->qos)
        incoming_add(&c->incoming, m->id, m->qos, routers);
    if (!whole)
        c->rest = (struct rest){m->body_len, host_published_to(c->host)};
    return true;
}

/* Answers what can be answered, in order. */
static void answer_confirmed(struct mqtt *c);

/* As a routing key; room: for what isn't an alias's. */
static struct span key_of(const struct publish *m, uint8_t room[TOPIC_BYTES_MAX])
{
    if (m->key.len)
        return m->key;
    topic_to_key(room, m->topic);
    return span_of(room, m->topic.len);
}

/* Of who may not publish everything. There is an answer for it in MQTT 5.0, if it has a QoS; else the
 * connection is closed ([MQTT-3.3.5-2] of 3.1.1). False: it is. */
static bool send_permitted(struct mqtt *c, const struct publish *m)
{
    char refusal[HOST_REFUSAL_BYTES];
    uint8_t bytes[TOPIC_BYTES_MAX];
    struct span key = key_of(m, bytes);
    if (publish_permitted(c, refusal) && publish_topic_permitted(c, key, refusal))
        return send(c, m);
    if (!m->qos || c->version != MQTT_5) {
        mqtt_fail(c, REASON_NOT_AUTHORIZED, "%s", refusal);
        return false;
    }
    host_log(c->host, "not published: %s", refusal);
    incoming_forbid(&c->incoming, m->id, m->qos);
    c->rest = (struct rest){m->body_len, 0};
    answer_confirmed(c);
    return true;
}

/* One of QoS 2 that has come before: it is answered, and that is all. */
static void repeat(struct mqtt *c, const struct publish *m)
{
    if (incoming_received(&c->incoming, m->id))
        send_answer(c, PACKET_PUBREC, 0, m->id, REASON_SUCCESS);
    c->rest = (struct rest){m->body_len, 0};
}

/* What of the packet is used up: all but what is left of the payload. */
static size_t take(struct mqtt *c, struct span in, uint32_t remaining, struct publish *m)
{
    if (m->qos == 2 && incoming_has(&c->incoming, m->id))
        repeat(c, m);
    else if (!exchange_of(c) || !(c->refused || c->topics ? send_permitted(c, m) : send(c, m)))
        return 0;
    (void)in;
    return remaining - c->rest.left;
}

size_t mqtt_publish(struct mqtt *c, struct span in, unsigned flags, uint32_t remaining)
{
    struct publish m; /* field by field, for the properties are large and mostly none */
    m.qos = flags >> 1 & 3;
    m.dup = flags & HEADER_DUP;
    m.retain = flags & HEADER_RETAIN;
    if (m.qos == 3 || (m.dup && !m.qos)) {
        mqtt_fail(c, REASON_MALFORMED, "PUBLISH with flags %u", flags);
        return 0;
    }
    if (remaining > (uint64_t)c->options->max_message_size + FRAME_BYTES_MAX) {
        mqtt_fail(c, REASON_TOO_LARGE, "a packet of %u bytes; messages have %u at most", remaining,
                  c->options->max_message_size);
        return 0;
    }
    if (in.len > remaining)
        in.len = remaining;
    if (in.len < remaining && remaining <= WHOLE_MAX)
        return 0;
    unsigned reason = read(c, in, remaining, &m);
    if (reason == WAIT && in.len < WHOLE_MAX)
        return 0;
    if (reason == WAIT)
        mqtt_fail(c, REASON_TOO_LARGE, "topic and properties of more than %u bytes", WHOLE_MAX);
    else if (reason != REASON_SUCCESS)
        mqtt_fail(c, (enum reason)reason, "PUBLISH");
    else if (is_sound(c, &m))
        return take(c, in, remaining, &m);
    return 0;
}

size_t mqtt_publish_rest(struct mqtt *c, struct span in)
{
    struct rest *rest = &c->rest;
    uint32_t n = rest->left < INLINE_BODY_MAX ? rest->left : INLINE_BODY_MAX;
    if (!rest->routers && in.len < n)
        n = (uint32_t)in.len;
    if (in.len < n)
        return 0;
    struct command_part part = {
        .flags = n == rest->left ? PART_LAST : 0, .len = n, .conn = host_conn(c->host), .bytes = in.at};
    if (rest->routers && !host_part(c->host, rest->routers, &part, NULL)) {
        c->parked = true;
        return 0;
    }
    rest->left -= n;
    return n;
}

/* ---- answers ------------------------------------------------------------------------------------------ */

/* What a router has refused, another may have kept: there the identifier is in use until it is withdrawn. So
 * it may be for what is forbidden now, and came in an earlier connection when it wasn't. A client that can't
 * be told of a refusal sends the same message again. */
static void answer(struct mqtt *c, const struct publish_in *publish)
{
    enum reason reason = publish->forbidden ? REASON_NOT_AUTHORIZED
                         : publish->refused ? REASON_QUOTA
                                            : REASON_SUCCESS;
    if (publish->refused && c->version != MQTT_5) {
        mqtt_fail(c, REASON_QUOTA, "a message can't be kept, and there is no other way to say so");
    } else if (publish->refused && publish->qos == 2 && c->persistent) {
        c->withdrawing = (uint8_t)reason;
        batch_withdraw(c, publish->id);
    } else {
        send_answer(c, publish->qos == 1 ? PACKET_PUBACK : PACKET_PUBREC, 0, publish->id, reason);
    }
}

static void answer_confirmed(struct mqtt *c)
{
    struct publish_in publish;
    while (c->stage == STAGE_OPEN && !c->withdrawing && incoming_take(&c->incoming, &publish))
        answer(c, &publish);
}

void mqtt_confirmed(struct mqtt *c, const struct event_confirm *event)
{
    if (c->stage != STAGE_OPEN)
        return;
    incoming_confirm(&c->incoming, event->seq, event->count, event->flags & CONFIRM_REFUSED);
    answer_confirmed(c);
}

void mqtt_withdrawn(struct mqtt *c, uint16_t id)
{
    enum reason reason = (enum reason)c->withdrawing;
    c->withdrawing = 0;
    send_answer(c, PACKET_PUBREC, 0, id, reason);
    answer_confirmed(c);
}

void on_pubrel(struct mqtt *c, struct span in)
{
    struct answer a;
    if (!answer_read(c, in, PACKET_PUBREL, &a))
        return;
    bool known = incoming_release(&c->incoming, a.id);
    if (c->persistent) {
        batch_released(c, a.id); /* it may be known to routers from an earlier connection */
        return;
    }
    send_answer(c, PACKET_PUBCOMP, 0, a.id, known ? REASON_SUCCESS : REASON_ID_NOT_FOUND);
}
