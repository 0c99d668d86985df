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
#include "fake_host.h"
#include "router/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct play {
    struct host *host;
    struct mqtt *c;
    struct span script;
    struct fake_bytes input; /* on its way */
    size_t shown, read;
    bool greeted, ended; /* CONNACK has come; DISCONNECT has */
    uint64_t handle;     /* of the last consumer that was accepted */
    uint64_t seq;
    uint16_t sent; /* identifier of the last delivery */
    struct kept {
        struct kept *next;
        struct message message;
    } * kept; /* pages are pinned until DONE: to the end, here */
};

/* ---- the script ------------------------------------------------------------------------------------ */

static uint8_t next(struct play *p)
{
    if (!p->script.len)
        return 0;
    p->script.len--;
    return *p->script.at++;
}

static struct span take(struct play *p, size_t n)
{
    struct span s = span_of(p->script.at, n < p->script.len ? n : p->script.len);
    p->script = span_of(s.at + s.len, p->script.len - s.len);
    return s;
}

/* ---- bytes in -------------------------------------------------------------------------------------- */

static void append(struct play *p, struct span s)
{
    struct fake_bytes *b = &p->input;
    if (b->len + s.len >= b->room) {
        b->room = 2 * (b->len + s.len) + 1;
        b->at = realloc(b->at, b->room);
        CHECK(b->at);
    }
    put_span(b->at + b->len, s);
    b->len += s.len;
}

static void append_packet(struct play *p, uint8_t head, struct span body)
{
    uint8_t bytes[5], *end = varint_put(put_u8(bytes, head), (uint32_t)body.len);
    append(p, span_of(bytes, (size_t)(end - bytes)));
    append(p, body);
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
    struct span some = take(p, how & 31);
    return p->c->version == MQTT_5 ? put_span(varint_put(to, (uint32_t)some.len), some) : to;
}

static void subscribe(struct play *p, bool un)
{
    uint8_t how = next(p), body[600], *at = put_some(p, put_be16(body, 1 + (how & 3)), how >> 3);
    for (unsigned n = 1 + (how >> 6); n; n--) {
        at = put_text(at, topic_of(next(p)));
        if (!un)
            at = put_u8(at, next(p));
    }
    append_packet(p, un ? 0xa2 : 0x82, span_of(body, (size_t)(at - body)));
}

static void publish(struct play *p)
{
    static uint8_t body[40000];
    uint8_t how = next(p), size = next(p), *at = put_text(body, topic_of(next(p)));
    size_t payload = how & 64 ? size : size * 100u;
    if (how & 6)
        at = put_be16(at, 1 + (how >> 4 & 3));
    at = put_some(p, at, how & 128 ? next(p) : 0);
    append_packet(p, 0x30 | (how & 15), span_of(body, (size_t)(at - body) + payload));
}

static void client_answer(struct play *p, uint8_t what)
{
    static const uint8_t heads[] = {0x40, 0x50, 0x62, 0x70};
    uint8_t how = next(p), body[40];
    uint8_t *at = put_be16(body, how & 128 ? how & 7 : p->sent);
    if (how & 64)
        at = put_u8(at, next(p));
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
    const struct fake_bytes *out = &p->host->output;
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
    size_t bytes = p->shown + more;
    if (bytes > p->input.len)
        bytes = p->input.len;
    uint8_t *exact = malloc(bytes + 1);
    CHECK(exact);
    put_span(exact, span_of(p->input.at, bytes));
    size_t used = p->host->closed ? bytes : codec_mqtt.input(p->c, p->host, span_of(exact, bytes));
    free(exact);
    CHECK(used <= bytes);
    p->input.len -= used;
    if (used)
        memmove(p->input.at, p->input.at + used, p->input.len);
    p->shown = bytes - used;
    CHECK(p->shown <= REST_MAX || p->host->park || p->host->ops);
    codec_mqtt.flush(p->c, p->host);
    read_output(p);
}

/* ---- routers --------------------------------------------------------------------------------------- */

/* What a session is said to have subscribed to: keys that may be none of MQTT's, too. */
static struct span some_bindings(struct play *p)
{
    uint8_t n = next(p) % 4, *list = malloc(n * 400u + 1), *at = list;
    CHECK(list);
    for (; n; n--) {
        uint8_t how = next(p), key[32], table[WISH_BYTES];
        struct span topic = topic_of(how), raw = take(p, how & 128 ? how & 15 : 0);
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
    struct op *op = fake_take_op(p->host, &router);
    uint8_t how = next(p);
    if (!op)
        return;
    op->error = how < 224 ? ERR_NONE : (enum error)(how % ERRORS);
    snprintf(op->text, sizeof op->text, "because of the fuzzer");
    op->got = how & 1;
    if (op->kind == OP_SESSION_ATTACH && how & 1)
        op->arguments = some_bindings(p);
    if (op->kind == OP_SESSION_DETACH && op->will) {
        free(op->will);
        op->will = NULL;
    }
    if (op->kind == OP_CONSUME && op->error == ERR_NONE) {
        op->consumer = 1 + how;
        p->handle = op->tag;
    }
    codec_mqtt.event(p->c, p->host, router, &(union event){.op = {.kind = EVENT_OP, .op = op}});
}

static struct parts *some_parts(struct play *p, const uint8_t *bytes)
{
    uint32_t n = next(p) % 4;
    struct parts *parts = n ? malloc(sizeof *parts + n * sizeof parts->part[0]) : NULL;
    for (uint32_t i = 0; i < n; i++) {
        parts->part[i].at = bytes;
        parts->part[i].len = next(p) * 257u;
        parts->part[i].page = i;
    }
    if (parts)
        parts->n = n;
    return parts;
}

static void deliver(struct play *p)
{
    static uint8_t zeros[70000];
    uint8_t flags = next(p), protocol = next(p), shape = next(p);
    struct span key = take(p, shape & 15), properties = take(p, next(p));
    size_t body_len = (shape >> 4) * 300u;
    struct kept *kept = calloc(1, sizeof *kept + key.len + properties.len + body_len);
    CHECK(kept);
    struct message *m = &kept->message;
    kept->next = p->kept;
    p->kept = kept;
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
        .tag = flags & 128 ? next(p) : p->handle,
        .queue = 5,
        .seq = flags & 64 ? p->seq : ++p->seq,
        .page = 1,
        .message = m,
        .parts = some_parts(p, zeros),
    };
    codec_mqtt.event(p->c, p->host, flags >> 4 & 1, &(union event){.deliver = event});
    codec_mqtt.flush(p->c, p->host);
}

static void confirm(struct play *p)
{
    uint8_t flags = next(p);
    struct event_confirm event = {
        .kind = EVENT_CONFIRM, .flags = flags & 3, .count = 1 + next(p) % 16, .seq = next(p)};
    codec_mqtt.event(p->c, p->host, 0, &(union event){.confirm = event});
}

/* ---- one step -------------------------------------------------------------------------------------- */

static void front(struct play *p, uint8_t what)
{
    switch (what % 8) {
    case 0:
        p->host->park = !p->host->park;
        break;
    case 1:
        p->host->admitted = next(p) % 4;
        break;
    case 2:
        p->host->now_ns += next(p) * 500000000ull;
        if (p->host->wake_ns && p->host->now_ns >= p->host->wake_ns)
            codec_mqtt.tick(p->c, p->host);
        break;
    case 3:
        p->host->backlog = next(p) * 10000u;
        codec_mqtt.drained(p->c, p->host);
        break;
    case 4:
        codec_mqtt.blocked(p->c, p->host, next(p) & 1 ? "why" : NULL);
        break;
    case 5:
        codec_mqtt.event(p->c, p->host, 0,
                         &(union event){.cancel = {.kind = EVENT_CANCEL, .tag = p->handle}});
        break;
    case 6:
        if (next(p) == 255)
            codec_mqtt.event(p->c, p->host, 0,
                             &(union event){.cancel = {.kind = EVENT_CANCEL, .flags = CANCEL_SESSION}});
        break;
    default:
        if (next(p) == 255)
            codec_mqtt.shutdown(p->c, p->host, "fuzzing");
    }
}

/* A client that is held back sends no more for long. */
#define INPUT_MAX (512 * KIB)

static void step(struct play *p)
{
    uint8_t what = next(p);
    if (p->input.len > INPUT_MAX && what >> 4 < 12)
        what = 0xc0;
    switch (what >> 4) {
    default: /* 0 to 6: raw bytes */
        append(p, take(p, what));
        break;
    case 7:
    case 8: {
        uint8_t head = next(p);
        append_packet(p, head, take(p, next(p)));
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
        confirm(p);
        break;
    case 15:
        front(p, what);
    }
    show(p, what & 1 ? p->input.len : next(p));
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
    show(p, p->input.len);
    answer(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct play p = {.host = fake_host_new(), .script = span_of(data, size)};
    p.c = calloc(1, codec_mqtt.state_bytes);
    CHECK(p.c);
    fake_exchange(p.host, "amq.topic", false);
    p.host->options.mqtt_anonymous = true;
    p.host->options.max_message_size = 20000;
    uint8_t how = next(&p);
    p.host->interest = how & 32 ? 3 : 1;
    codec_mqtt.open(p.c, p.host);
    if (!(how & 128))
        negotiate(&p, how);
    while (p.script.len)
        step(&p);
    p.host->park = false;
    show(&p, p.input.len);
    codec_mqtt.gone(p.c, p.host);
    for (struct op *op; (op = fake_take_op(p.host, NULL)); host_free_op(p.host, op))
        free(op->will);
    fake_host_free(p.host);
    free(p.c);
    free(p.input.at);
    for (struct kept *kept; (kept = p.kept); free(kept))
        p.kept = kept->next;
    return 0;
}
