/*
 * A hostile MQTT client, and routers that answer as they like: no input, however it is cut, may break the
 * codec, make it keep memory, stall, or write what is not MQTT.
 *
 * The fuzzer's bytes are a script: what arrives raw, as a packet, or as a PUBLISH, SUBSCRIBE or answer that
 * is nearly right; what the routers answer and deliver; what the front says. Of what is written it must hold:
 * CONNACK is the first, nothing comes behind DISCONNECT, each packet is whole and one that a server may send.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "codec/mqtt/connection.h"
#include "codec/mqtt/mqtt.h"
#include "codec/mqtt/property.h"
#include "codec/mqtt/topic.h"
#include "codec_script.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct play {
    struct script s;
    struct mqtt *c; /* the codec's state */
    size_t read;
    bool greeted, ended; /* CONNACK has come; DISCONNECT has */
    uint16_t sent;       /* identifier of the last delivery */
};

/* ---- bytes in -------------------------------------------------------------------------------------- */

static void append_packet(struct play *p, uint8_t head, struct span body)
{
    uint8_t bytes[5], *end = varint_put(put_u8(bytes, head), (uint32_t)body.len);
    script_append(&p->s, span_of(bytes, (size_t)(end - bytes)));
    script_append(&p->s, body);
}

static const char *const topics[] = {"a/b",  "a", "a/+", "#",   "$share/g/a/#", "$share/g/+/b",
                                     "$x/b", "",  "+/b", "a/#", "a.b/c*d",      "\xc3\xbc/b"};

static struct span topic_of(uint8_t which)
{
    return span_str(topics[which % (sizeof topics / sizeof *topics)]);
}

static uint8_t *put_text(uint8_t *to, struct span s)
{
    return put_span(put_be16(to, (uint16_t)s.len), s);
}

/* Properties with their length, taken from the script. */
static uint8_t *put_some(struct play *p, uint8_t *to, uint8_t how)
{
    struct span some = script_take(&p->s, how & 31);
    return p->c->version == MQTT_5 ? put_span(varint_put(to, (uint32_t)some.len), some) : to;
}

static void subscribe(struct play *p, bool un)
{
    uint8_t how = script_next(&p->s), body[600], *at = put_some(p, put_be16(body, 1 + (how & 3)), how >> 3);
    for (unsigned n = 1 + (how >> 6); n; n--) {
        at = put_text(at, topic_of(script_next(&p->s)));
        if (!un)
            at = put_u8(at, script_next(&p->s));
    }
    append_packet(p, un ? 0xa2 : 0x82, span_of(body, (size_t)(at - body)));
}

static void publish(struct play *p)
{
    static uint8_t body[40000];
    uint8_t how = script_next(&p->s), size = script_next(&p->s),
            *at = put_text(body, topic_of(script_next(&p->s)));
    size_t payload = how & 64 ? size : size * 100u;
    if (how & 6)
        at = put_be16(at, 1 + (how >> 4 & 3));
    at = put_some(p, at, how & 128 ? script_next(&p->s) : 0);
    append_packet(p, 0x30 | (how & 15), span_of(body, (size_t)(at - body) + payload));
}

static void client_answer(struct play *p, uint8_t what)
{
    static const uint8_t heads[] = {0x40, 0x50, 0x62, 0x70};
    uint8_t how = script_next(&p->s), body[40];
    uint8_t *at = put_be16(body, how & 128 ? how & 7 : p->sent);
    if (how & 64)
        at = put_u8(at, script_next(&p->s));
    append_packet(p, heads[what & 3], span_of(body, (size_t)(at - body)));
}

/* ---- bytes out ------------------------------------------------------------------------------------- */

/* Subscription identifiers come from servers only, right behind the alias: they are passed over. */
static void read_properties(struct span in)
{
    static uint8_t rest[4 * PROPERTIES_MAX];
    struct mqtt_properties known;
    uint32_t len, id;
    int n = varint_read(in, &len);
    CHECK(n > 0 && len <= in.len - (size_t)n);
    in = span_of(in.at + n, len);
    size_t alias = len && in.at[0] == PROPERTY_ALIAS ? 3 : 0;
    struct span ids = span_of(in.at + alias, len - alias);
    while (ids.len && ids.at[0] == PROPERTY_SUBSCRIPTION_ID) {
        n = varint_read(span_of(ids.at + 1, ids.len - 1), &id);
        CHECK(n > 0 && id);
        ids = span_of(ids.at + 1 + n, ids.len - 1 - (size_t)n);
    }
    uint8_t *at = varint_put(rest, (uint32_t)(alias + ids.len));
    at = put_span(put_span(at, span_of(in.at, alias)), ids);
    struct span all = span_of(rest, (size_t)(at - rest));
    CHECK(properties_take(&all, PACKET_PUBLISH, &known) == REASON_SUCCESS && !all.len);
    struct span response = property_text(&known, PROPERTY_RESPONSE_TOPIC);
    CHECK(!property_has(&known, PROPERTY_RESPONSE_TOPIC) || topic_name_valid(response));
}

static void read_publish(struct play *p, uint8_t head, struct span in)
{
    struct span topic;
    uint16_t id = 1;
    unsigned qos = head >> 1 & 3;
    CHECK(qos < 3 && (qos || !(head & HEADER_DUP)));
    CHECK(take_binary(&in, &topic) && mqtt_text_valid(topic));
    CHECK(!qos || (take_u16(&in, &id) && id));
    p->sent = qos ? id : p->sent;
    if (p->c->version == MQTT_5)
        read_properties(in);
    CHECK(topic.len ? topic_name_valid(topic) : p->c->alias_out_max > 0);
}

static void read_packet(struct play *p, uint8_t head, struct span body)
{
    unsigned packet = head >> 4;
    CHECK(!p->ended);                                /* nothing comes behind DISCONNECT */
    CHECK(p->greeted != (packet == PACKET_CONNACK)); /* CONNACK is the first, and the only one */
    p->greeted = true;
    switch (packet) {
    case PACKET_CONNACK:
        CHECK(body.len >= 2 && body.at[0] < 2 && (!body.at[0] || !body.at[1]));
        CHECK(p->c->version == MQTT_5 || (body.len == 2 && body.at[1] < 6));
        break;
    case PACKET_PUBLISH:
        read_publish(p, head, body);
        break;
    case PACKET_DISCONNECT:
        CHECK(p->c->version == MQTT_5);
        p->ended = true;
        break;
    case PACKET_PUBREL:
        CHECK((head & 15) == 2);
        break;
    default:
        CHECK(packet == PACKET_PUBACK || packet == PACKET_PUBREC || packet == PACKET_PUBCOMP ||
              packet == PACKET_SUBACK || packet == PACKET_UNSUBACK || packet == PACKET_PINGRESP);
        CHECK(!(head & 15));
    }
}

static void read_output(struct play *p)
{
    const struct fake_bytes *out = &p->s.host->output;
    while (p->read < out->len) {
        struct span in = span_of(out->at + p->read, out->len - p->read);
        uint32_t remaining;
        int n = varint_read(span_of(in.at + 1, in.len - 1), &remaining);
        CHECK(n > 0 && in.len - 1 - (size_t)n >= remaining);
        CHECK(1 + (size_t)n + remaining <= p->c->packet_max);
        read_packet(p, in.at[0], span_of(in.at + 1 + n, remaining));
        p->read += 1 + (size_t)n + remaining;
    }
}

/* What of the input may be left, unless something must wait: the beginning of a packet. */
#define REST_MAX (FRAME_BYTES_MAX + INLINE_BODY_MAX)

static void show(struct play *p, size_t more)
{
    script_show(&p->s, more);
    CHECK(p->s.shown <= REST_MAX || p->s.host->park || p->s.host->ops);
    read_output(p);
}

/* ---- routers --------------------------------------------------------------------------------------- */

/* What a session is said to have subscribed to: keys that may be none of MQTT's, too. */
static struct span some_bindings(struct play *p)
{
    uint8_t n = script_next(&p->s) % 4, *list = malloc(n * 400u + 1), *at = list;
    CHECK(list);
    for (; n; n--) {
        uint8_t how = script_next(&p->s), key[32], table[WISH_BYTES];
        struct span topic = topic_of(how), raw = script_take(&p->s, how & 128 ? how & 15 : 0);
        struct wish wish = {.qos = how % 3, .no_local = how & 16, .as_published = how & 32, .id = how & 64};
        topic_to_key(key, topic);
        topic = raw.len ? raw : span_of(key, topic.len);
        struct span arguments = span_of(table, how & 8 ? wish_put(table, &wish) : 0);
        at = put_span(put_u8(at, (uint8_t)topic.len), topic);
        at = put_span(put_be32(at, (uint32_t)arguments.len), arguments);
    }
    return span_of(list, (size_t)(at - list));
}

static void answer(struct play *p)
{
    unsigned router;
    uint8_t how;
    struct op *op = script_op(&p->s, 224, &how, &router);
    if (!op)
        return;
    if (op->kind == OP_SESSION_ATTACH && how & 1)
        op->arguments = some_bindings(p);
    if (op->kind == OP_SESSION_DETACH && op->will) {
        free(op->will);
        op->will = NULL;
    }
    script_op_back(&p->s, op, router);
}

static void deliver(struct play *p)
{
    uint8_t flags = script_next(&p->s), protocol = script_next(&p->s), shape = script_next(&p->s);
    struct span key = script_take(&p->s, shape & 15), properties = script_take(&p->s, script_next(&p->s));
    size_t body_len = (shape >> 4) * 300u;
    struct message *m = script_message(&p->s, key.len + properties.len + body_len);
    /* A publisher of MQTT has been looked at when it came. */
    bool topic =
        key.len && mqtt_text_valid(key) && !memchr(key.at, '*', key.len) && !memchr(key.at, '#', key.len);
    m->protocol = topic ? protocol : protocol & ~ORIGIN_MQTT;
    m->flags = flags >> 5 & MESSAGE_PERSISTENT;
    m->key_len = (uint8_t)key.len;
    m->properties_len = (uint32_t)properties.len;
    m->body_len = (uint32_t)body_len;
    put_span(put_span((uint8_t *)(m + 1), key), properties);
    struct event_deliver event = {
        .kind = EVENT_DELIVER,
        .flags = (flags & 1 ? DELIVER_REDELIVERED : 0) | (flags & 2 ? DELIVER_RECEIVED : 0),
        .tag = flags & 128 ? script_next(&p->s) : p->s.handle,
        .queue = 5,
        .seq = flags & 64 ? p->s.seq : ++p->s.seq,
        .page = 1,
        .message = m,
        .parts = script_parts(&p->s),
    };
    script_deliver(&p->s, flags >> 4 & 1, &event);
}

/* ---- one step -------------------------------------------------------------------------------------- */

static void front(struct play *p, uint8_t what)
{
    struct event_cancel cancel = {.kind = EVENT_CANCEL, .tag = p->s.handle};
    if (script_front(&p->s, what))
        return;
    if (what % 8 == 6) {
        if (script_next(&p->s) != 255)
            return;
        cancel = (struct event_cancel){.kind = EVENT_CANCEL, .flags = CANCEL_SESSION};
    }
    codec_mqtt.event(p->c, p->s.host, 0, &(union event){.cancel = cancel});
}

static void step(struct play *p)
{
    uint8_t what = script_next(&p->s);
    if (p->s.input.len > SCRIPT_INPUT_MAX && what >> 4 < 12)
        what = 0xc0;
    switch (what >> 4) {
    default: /* 0 to 6: raw bytes */
        script_append(&p->s, script_take(&p->s, what));
        break;
    case 7:
    case 8: {
        uint8_t head = script_next(&p->s);
        append_packet(p, head, script_take(&p->s, script_next(&p->s)));
        break;
    }
    case 9:
        subscribe(p, what & 2);
        break;
    case 10:
        publish(p);
        break;
    case 11:
        client_answer(p, what);
        break;
    case 12:
        answer(p);
        break;
    case 13:
        deliver(p);
        break;
    case 14:
        script_confirm(&p->s);
        break;
    case 15:
        front(p, what);
    }
    show(p, what & 1 ? p->s.input.len : script_next(&p->s));
}

/* CONNECT, so that not every script needs it: version and flags from `how`. */
static void negotiate(struct play *p, uint8_t how)
{
    static const uint8_t limits[] = {10, 0x22, 0, 3, 0x21, 0, 4, 0x27, 0, 0, 2};
    uint8_t version = how & 1 ? MQTT_5 : MQTT_311, flags = how & 2, body[80];
    uint8_t *at = put_text(body, span_str("MQTT"));
    at = put_be16(put_u8(put_u8(at, version), flags | (how & 4 ? 4 | 1 << 3 : 0)), how & 8 ? 10 : 0);
    if (version == MQTT_5) {
        bool limited = how & 64;
        at = put_u8(at, (uint8_t)(5 + (limited ? 11 : 0)));
        at = put_be32(put_u8(at, PROPERTY_SESSION_EXPIRY), how & 16 ? 100 : 0);
        at = limited ? put_u8(put_span(at, span_of(limits + 1, 10)), 0) : at;
    }
    at = put_text(at, span_str("me"));
    if (how & 4) {
        at = version == MQTT_5 ? put_u8(at, 0) : at;
        at = put_text(put_text(at, span_str("a/b")), span_str("gone"));
    }
    append_packet(p, 0x10, span_of(body, (size_t)(at - body)));
    show(p, p->s.input.len);
    answer(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct play p = {0};
    script_begin(&p.s, &codec_mqtt, data, size);
    p.c = p.s.state;
    fake_exchange(p.s.host, "amq.topic", false);
    p.s.host->options.mqtt_anonymous = true;
    p.s.host->options.max_message_size = 20000;
    uint8_t how = script_next(&p.s);
    p.s.host->interest = how & 32 ? 3 : 1;
    script_open(&p.s);
    if (!(how & 128))
        negotiate(&p, how);
    while (p.s.bytes.len)
        step(&p);
    p.s.host->park = false;
    show(&p, p.s.input.len);
    script_end(&p.s);
    return 0;
}
