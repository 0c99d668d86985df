/* MQTT 3.1.1 and 5 for the load generator. */
#include "conn.h"
#include "mqtt_wire.h"
#include "options.h"

#include <stdio.h>
#include <string.h>

#define PACKET_IDS      65535u
#define SESSION_EXPIRY  86400u /* seconds */
#define FILTERS_AT_ONCE 100u
#define MQTT_ID_UNKNOWN 0x92  /* PUBCOMP: it had been released before */
#define IDS_BYTES       8192u /* a bit for each packet identifier */

/* conn.state. c->partial holds the identifiers of QoS 2 that were received and not released: a bit each. */
struct mqtt {
    bool discards; /* logs in to end an old session, not to go on with it */
    bool session_present;
    uint8_t last_qos; /* of the last delivery read */
    uint16_t last_id;
};

static struct mqtt *mqtt_of(const struct conn *c)
{
    return c->state;
}

/* ---- log-in ---- */
/* With QoS 2 and --survive the publishers' sessions matter as well: exactly once is a promise of sessions. */
static bool goes_on(const struct conn *c)
{
    return c->o->survive > 0 && c->o->qos == 2;
}

static bool keeps_session(const struct conn *c)
{
    bool wanted = (c->role == CONN_CONSUMER && c->o->session) || (c->role == CONN_PRODUCER && goes_on(c));
    return wanted && !mqtt_of(c)->discards;
}

static void client_id(const struct conn *c, char text[256])
{
    if (c->o->client_id)
        snprintf(text, 256, "%s-%c%u", c->o->client_id, "xpcis"[c->role], c -> number);
    else
        snprintf(text, 256, "gannet-bench-%u-%c%u", c->o->run, "xpcis"[c->role], c -> number);
}

static void mqtt_greet(struct conn *c, const struct uri *u)
{
    char id[256];
    client_id(c, id);
    const struct mqtt_connect hello = {.version = c->o->mqtt_version,
                                       .client_id = id,
                                       .user = u->user,
                                       .password = u->password,
                                       .clean = !keeps_session(c),
                                       .expiry = keeps_session(c) ? SESSION_EXPIRY : 0,
                                       .receive_maximum = (uint16_t)c->o->prefetch};
    mqtt_write_connect(&c->out, &hello);
}

static int mqtt_login(struct conn *c, const struct uri *u)
{
    struct incoming in;
    mqtt_greet(c, u);
    return conn_expect(c, INCOMING_WELCOME, &in);
}

static void mqtt_goodbye(struct conn *c)
{
    mqtt_write_disconnect(&c->out);
}

static int mqtt_leave(struct conn *c)
{
    mqtt_goodbye(c);
    return conn_await_end(c);
}

/* ---- before and after the run ---- */

/* Ends the sessions of all of a role. */
static int discard_of(const struct options *o, enum conn_role role, uint64_t n, struct carrier *carrier,
                      char *why, size_t why_size)
{
    int failed = 0;
    for (uint32_t i = 0; i < n && !failed; i++) {
        struct conn c;
        conn_init(&c, o, role, i + 1, carrier);
        mqtt_of(&c)->discards = true;
        failed = conn_open(&c);
        if (failed)
            snprintf(why, why_size, "%s", c.why);
        conn_close(&c);
        conn_free(&c);
    }
    return failed;
}

static int discard_sessions(const struct options *o, struct carrier *carrier, char *why, size_t why_size)
{
    if (discard_of(o, CONN_CONSUMER, o->consumers, carrier, why, why_size))
        return -1;
    return discard_of(o, CONN_PRODUCER, o->survive > 0 ? o->producers : 0, carrier, why, why_size);
}

static int mqtt_make(const struct options *o, struct carrier *carrier, char *why, size_t why_size)
{
    struct conn c;
    conn_init(&c, o, CONN_CONTROL, 0, carrier);
    int failed = conn_open(&c);
    if (failed)
        snprintf(why, why_size, "%s", c.why);
    conn_close(&c);
    conn_free(&c);
    return !failed && o->purge ? discard_sessions(o, carrier, why, why_size) : failed;
}

static int mqtt_remove(const struct options *o, struct carrier *carrier, char *why, size_t why_size)
{
    return o->session ? discard_sessions(o, carrier, why, why_size) : 0;
}

/* ---- publishing ---- */
static int mqtt_produce(struct conn *c)
{
    (void)c;
    return 0;
}

static void mqtt_encode(const struct posting *p, const uint8_t *body, size_t size, struct buffer *to,
                        struct layout *at)
{
    struct mqtt_places places =
        mqtt_write_publish(to, p->o->mqtt_version, (uint8_t)p->o->qos, p->key, body, size);
    *at = (struct layout){.body_at = places.payload_at, .tag_at = places.id_at};
}

/* Identifiers count from 1 to 65,535 and begin again. */
static uint16_t packet_id(uint64_t tag)
{
    return (uint16_t)((tag - 1) % PACKET_IDS + 1);
}

static void mqtt_stamp_tag(uint8_t *at, uint64_t tag)
{
    mqtt_set_id(at, packet_id(tag));
}

static bool mqtt_resumes(const struct conn *c)
{
    return goes_on(c) && mqtt_of(c)->session_present;
}

/* DUP, 3.3.1.1 */
static void mqtt_mark_again(uint8_t *publish)
{
    *publish |= 8;
}

static void mqtt_go_on(struct conn *c, uint64_t tag)
{
    mqtt_write_answer(&c->out, MQTT_PUBREL, packet_id(tag));
}

/* ---- subscribing ---- */
static int mqtt_consume(struct conn *c, const char *topic)
{
    struct incoming in;
    char filter[512];
    if (mqtt_of(c)->session_present)
        return 0;
    if (c->o->share)
        snprintf(filter, sizeof filter, "$share/%s/%s", c->o->share, topic);
    else
        snprintf(filter, sizeof filter, "%s", topic);
    size_t at = mqtt_subscribe_open(&c->out, c->o->mqtt_version, 1);
    mqtt_subscribe_add(&c->out, filter, (uint8_t)c->o->subscribe_qos);
    mqtt_subscribe_close(&c->out, at);
    return conn_expect(c, INCOMING_SUBSCRIBED, &in);
}

static int mqtt_filters(struct conn *c, uint64_t first, uint64_t n)
{
    struct incoming in;
    char filter[256];
    for (uint64_t end = first + n; first < end;) {
        size_t at = mqtt_subscribe_open(&c->out, c->o->mqtt_version, 1);
        for (unsigned i = 0; i < FILTERS_AT_ONCE && first < end; i++) {
            options_expand(filter, c->o->extra_key, first++);
            mqtt_subscribe_add(&c->out, filter, 0);
        }
        mqtt_subscribe_close(&c->out, at);
        if (conn_expect(c, INCOMING_SUBSCRIBED, &in))
            return -1;
    }
    return 0;
}

static void mqtt_ack(struct conn *c, bool multiple)
{
    const struct mqtt *m = mqtt_of(c);
    (void)multiple;
    if (m->last_qos)
        mqtt_write_answer(&c->out, m->last_qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, m->last_id);
}

static void mqtt_errand(struct conn *c, bool subscribe)
{
    if (!subscribe) {
        mqtt_write_publish(&c->out, c->o->mqtt_version, 1, "gannet-bench-churn", (const uint8_t *)"x", 1);
        return;
    }
    size_t at = mqtt_subscribe_open(&c->out, c->o->mqtt_version, 1);
    mqtt_subscribe_add(&c->out, "gannet-bench-churn-nothing", 0);
    mqtt_subscribe_close(&c->out, at);
}

/* ---- reading ---- */
static int nonsense(struct conn *c)
{
    char name[32];
    return conn_fail(c, "%s was sent bytes that are no packet of MQTT; is the port right?",
                     conn_name(c, name));
}

static uint8_t *unreleased(struct conn *c)
{
    if (!c->partial.cap) {
        buffer_reserve(&c->partial, IDS_BYTES);
        memset(c->partial.data, 0, IDS_BYTES);
    }
    return c->partial.data;
}

/* QoS 2: what was received and not released yet is not delivered again (4.3.3), but answered. */
static bool is_repeated(struct conn *c, uint16_t id)
{
    uint8_t *bits = unreleased(c), bit = (uint8_t)(1u << id % 8);
    bool repeated = bits[id / 8] & bit;
    bits[id / 8] |= bit;
    if (repeated)
        mqtt_write_answer(&c->out, MQTT_PUBREC, id);
    return repeated;
}

static int on_publish(struct conn *c, const struct mqtt_packet *p, struct incoming *in)
{
    struct mqtt *m = mqtt_of(c);
    struct mqtt_publish message;
    if (!mqtt_publish_read(&message, p, c->o->mqtt_version))
        return nonsense(c);
    m->last_qos = message.qos;
    m->last_id = message.id;
    if (message.qos == 2 && is_repeated(c, message.id))
        return 0;
    in->kind = INCOMING_DELIVERY;
    in->redelivered = message.dup && message.qos == 1; /* QoS 2 has no excuse */
    in->body = message.payload;
    in->size = message.payload_len;
    return 0;
}

static void confirm(struct incoming *in, const struct mqtt_answer *a)
{
    in->kind = INCOMING_CONFIRM;
    in->tag = a->id;
    in->multiple = false;
    in->acked = a->reason < MQTT_FAILED || a->reason == MQTT_ID_UNKNOWN;
}

static int on_answer(struct conn *c, const struct mqtt_packet *p, struct incoming *in)
{
    struct mqtt_answer a;
    if (!mqtt_answer_read(&a, p))
        return nonsense(c);
    if (p->type == MQTT_PUBREL) {
        unreleased(c)[a.id / 8] &= (uint8_t) ~(1u << a.id % 8);
        mqtt_write_answer(&c->out, MQTT_PUBCOMP, a.id);
    } else if (p->type == MQTT_PUBREC && a.reason < MQTT_FAILED) {
        mqtt_write_answer(&c->out, MQTT_PUBREL, a.id);
        in->kind = INCOMING_HALFWAY;
        in->tag = a.id;
    } else {
        confirm(in, &a);
    }
    return 0;
}

static int on_connack(struct conn *c, const struct mqtt_packet *p, struct incoming *in)
{
    struct mqtt_connack k;
    char name[32];
    if (!mqtt_connack_read(&k, p, c->o->mqtt_version))
        return nonsense(c);
    if (k.reason)
        return conn_fail(c, "the broker refused %s: code 0x%02x %s%s%s", conn_name(c, name), k.reason,
                         mqtt_reason_text(k.reason), *k.text ? ": " : "", k.text);
    mqtt_of(c)->session_present = k.session_present;
    if (!k.session_present && c->partial.cap)
        memset(c->partial.data, 0, IDS_BYTES);
    c->window = k.receive_maximum;
    in->kind = INCOMING_WELCOME;
    return 0;
}

static int on_suback(struct conn *c, const struct mqtt_packet *p, struct incoming *in)
{
    uint8_t reason;
    char name[32];
    if (!mqtt_suback_read(&reason, p, c->o->mqtt_version))
        return nonsense(c);
    if (reason >= MQTT_FAILED)
        return conn_fail(c, "the broker refused the subscription of %s: code 0x%02x %s", conn_name(c, name),
                         reason, mqtt_reason_text(reason));
    in->kind = INCOMING_SUBSCRIBED;
    return 0;
}

static int on_disconnect(struct conn *c, const struct mqtt_packet *p)
{
    uint8_t reason;
    char name[32], text[200];
    if (!mqtt_disconnect_read(&reason, text, p))
        return nonsense(c);
    return conn_fail(c, "the broker disconnected %s: code 0x%02x %s%s%s", conn_name(c, name), reason,
                     mqtt_reason_text(reason), *text ? ": " : "", text);
}

static int on_packet(struct conn *c, const struct mqtt_packet *p, struct incoming *in)
{
    switch (p->type) {
    case MQTT_PUBLISH:
        return on_publish(c, p, in);
    case MQTT_PUBACK:
    case MQTT_PUBREC:
    case MQTT_PUBREL:
    case MQTT_PUBCOMP:
        return on_answer(c, p, in);
    case MQTT_CONNACK:
        return on_connack(c, p, in);
    case MQTT_SUBACK:
        return on_suback(c, p, in);
    case MQTT_DISCONNECT:
        return on_disconnect(c, p);
    default:
        return nonsense(c);
    }
}

static int64_t mqtt_read(struct conn *c, const uint8_t *bytes, size_t n, struct incoming *in)
{
    struct mqtt_packet p;
    in->kind = INCOMING_NOTHING;
    int64_t used = mqtt_packet_read(&p, bytes, n);
    if (used < 0)
        return nonsense(c);
    c->wanted = used ? 0 : p.total;
    return used && on_packet(c, &p, in) ? -1 : used;
}

const struct protocol protocol_mqtt = {
    .name = "mqtt",
    .title = "MQTT",
    .scheme = "mqtt",
    .port = "1883",
    .tls_port = "8883",
    .state_size = sizeof(struct mqtt),
    .tags_max = PACKET_IDS,
    .login = mqtt_login,
    .leave = mqtt_leave,
    .make = mqtt_make,
    .remove = mqtt_remove,
    .produce = mqtt_produce,
    .encode = mqtt_encode,
    .stamp_tag = mqtt_stamp_tag,
    .resumes = mqtt_resumes,
    .mark_again = mqtt_mark_again,
    .go_on = mqtt_go_on,
    .consume = mqtt_consume,
    .ack = mqtt_ack,
    .read = mqtt_read,
    .filters = mqtt_filters,
    .greet = mqtt_greet,
    .errand = mqtt_errand,
    .goodbye = mqtt_goodbye,
};
