/* CONNECT and CONNACK, DISCONNECT (MQTT 5.0, 3.1, 3.2, 3.14; MQTT 3.1.1 the same without properties). */
#include <stdlib.h>

#include "base/check.h"
#include "codec/mqtt/connection.h"
#include "codec/mqtt/permission.h"
#include "codec/mqtt/property.h"
#include "codec/mqtt/topic.h"
#include "codec/mqtt/will.h"

#define SECOND_NS 1000000000ull

enum {
    FLAG_RESERVED = 1,
    FLAG_CLEAN = 2,
    FLAG_WILL = 4,
    FLAG_WILL_QOS = 24,
    FLAG_WILL_RETAIN = 32,
    FLAG_PASSWORD = 64,
    FLAG_USER = 128,
};

struct connect {
    uint8_t flags;
    struct mqtt_properties properties, will_properties;
    struct span client_id, will_topic, will_payload, user, password;
};

/* ---- CONNACK --------------------------------------------------------------------------------------- */

/* MQTT 3.1.1's return codes (3.2.2.3); 0: it has none, and nothing is said ([MQTT-3.1.4-1] of 3.1.1). */
static uint8_t return_code(enum reason reason)
{
    switch (reason) {
    case REASON_VERSION:
        return 1;
    case REASON_CLIENT_ID:
        return 2;
    case REASON_LOGIN:
        return 4;
    case REASON_NOT_AUTHORIZED:
        return 5;
    case REASON_QUOTA:
    case REASON_UNAVAILABLE:
    case REASON_SHUTTING_DOWN:
        return 3;
    default:
        return 0;
    }
}

/* What this broker does otherwise than a client would take for granted. */
static uint8_t *put_server(const struct mqtt *c, uint8_t *p, bool assigned)
{
    p = put_property_u16(p, PROPERTY_RECEIVE_MAXIMUM, RECEIVE_MAX);
    p = put_property_u16(p, PROPERTY_ALIAS_MAXIMUM, ALIASES_MAX);
    p = put_property_u32(p, PROPERTY_MAXIMUM_PACKET, c->options->max_message_size + FRAME_BYTES_MAX);
    if (assigned)
        p = put_property_text(p, PROPERTY_ASSIGNED_ID, c->client_id);
    return p;
}

/* properties: from p on, their length before them. */
static void send_connack(struct mqtt *c, bool present, uint8_t code, const uint8_t *properties, size_t len)
{
    uint8_t *start = host_reserve(c->host, len + 16), *p = put_u8(start, PACKET_CONNACK << 4);
    bool with = c->version == MQTT_5;
    p = varint_put(p, 2 + (with ? varint_bytes((uint32_t)len) + (uint32_t)len : 0));
    p = put_u8(put_u8(p, present), code);
    if (with)
        p = put_span(varint_put(p, (uint32_t)len), span_of(properties, len));
    host_commit(c->host, (size_t)(p - start));
}

enum { CONNACK_BYTES = 5 }; /* without properties, but with their length */

/* Of what put_server writes. */
static size_t server_bytes(const struct mqtt *c)
{
    return 3 + 3 + 5 + (c->assigned ? 3 + c->client_id.len : 0);
}

void connect_answer(struct mqtt *c, bool present)
{
    uint8_t bytes[64 + CLIENT_ID_MAX];
    uint8_t *end = put_server(c, bytes, c->assigned);
    send_connack(c, present, REASON_SUCCESS, bytes, (size_t)(end - bytes));
}

void connect_refuse(struct mqtt *c, enum reason reason)
{
    const char *text = reason_text(reason);
    uint8_t bytes[128], *end = put_property_text(bytes, PROPERTY_REASON, span_str(text));
    uint8_t code = c->version == MQTT_5 ? (uint8_t)reason : return_code(reason);
    if (!code || CONNACK_BYTES > c->packet_max)
        return;
    if (CONNACK_BYTES + (size_t)(end - bytes) > c->packet_max)
        end = bytes;
    send_connack(c, false, code, bytes, (size_t)(end - bytes));
}

/* ---- CONNECT --------------------------------------------------------------------------------------- */

/* Protocol name and level. */
static enum reason take_version(struct span *in, uint8_t *version)
{
    struct span name;
    if (!take_binary(in, &name) || !take_u8(in, version))
        return REASON_MALFORMED;
    bool known = span_is(name, "MQTT") ? *version == MQTT_311 || *version == MQTT_5
                                       : span_is(name, "MQIsdp") && *version == MQTT_31;
    return known ? REASON_SUCCESS : REASON_VERSION;
}

static bool take_text(struct span *in, struct span *text)
{
    return take_binary(in, text) && mqtt_text_valid(*text);
}

static bool flags_valid(uint8_t flags, uint8_t version)
{
    unsigned qos = (flags & FLAG_WILL_QOS) >> 3;
    if (flags & FLAG_RESERVED || qos == 3)
        return false;
    if (!(flags & FLAG_WILL) && flags & (FLAG_WILL_QOS | FLAG_WILL_RETAIN))
        return false;
    return version == MQTT_5 || !(flags & FLAG_PASSWORD) || flags & FLAG_USER;
}

static enum reason take_payload(struct mqtt *c, struct span *in, struct connect *m)
{
    bool will = m->flags & FLAG_WILL;
    enum reason reason = REASON_SUCCESS;
    if (!take_text(in, &m->client_id))
        return REASON_MALFORMED;
    properties_none(&m->will_properties);
    if (will && c->version == MQTT_5)
        reason = properties_take(in, PACKET_WILL, &m->will_properties);
    if (reason != REASON_SUCCESS)
        return reason;
    if (will && (!take_text(in, &m->will_topic) || !take_binary(in, &m->will_payload)))
        return REASON_MALFORMED;
    if ((m->flags & FLAG_USER && !take_text(in, &m->user)) ||
        (m->flags & FLAG_PASSWORD && !take_binary(in, &m->password)) || in->len)
        return REASON_MALFORMED;
    return REASON_SUCCESS;
}

static enum reason take_connect(struct mqtt *c, struct span *in, struct connect *m)
{
    *m = (struct connect){.user = span_of("", 0), .password = span_of("", 0)};
    properties_none(&m->properties);
    enum reason reason = take_version(in, &c->version);
    if (reason != REASON_SUCCESS) {
        c->version = reason == REASON_VERSION && c->version >= MQTT_5 ? MQTT_5
                     : reason == REASON_VERSION                       ? MQTT_311
                                                                      : 0;
        return reason;
    }
    if (!take_u8(in, &m->flags) || !take_u16(in, &c->keep_alive_s) || !flags_valid(m->flags, c->version))
        return REASON_MALFORMED;
    if (c->version == MQTT_5)
        reason = properties_take(in, PACKET_CONNECT, &m->properties);
    return reason == REASON_SUCCESS ? take_payload(c, in, m) : reason;
}

/* ---- who is it? ------------------------------------------------------------------------------------- */

/* Of who says nothing of it: by the port, or the one that is for all. */
static struct span usual_vhost(const struct mqtt *c)
{
    for (uint32_t i = 0; i < c->options->mqtt_port_count; i++) {
        char *end;
        unsigned long port = strtoul(c->options->mqtt_ports[i], &end, 10);
        if (*end == '=' && port == host_local_port(c->host))
            return span_str(end + 1);
    }
    return span_str(c->options->mqtt_vhost);
}

static bool find_vhost(struct mqtt *c, struct span user, struct span vhost)
{
    enum host_entry entry = host_enter(c->host, user, vhost, &c->vhost);
    char full[HOST_REFUSAL_BYTES];
    if (entry == ENTRY_VHOST_FULL || entry == ENTRY_USER_FULL) {
        host_full(c->host, entry, user, vhost, full);
        mqtt_fail(c, REASON_QUOTA, "%s", full);
    } else if (entry == ENTRY_REFUSED)
        mqtt_fail(c, REASON_NOT_AUTHORIZED, "access to vhost '%.*s' refused for user '%.*s'", (int)vhost.len,
                  (const char *)vhost.at, (int)user.len, (const char *)user.at);
    else if (entry == ENTRY_NO_VHOST)
        mqtt_fail(c, REASON_LOGIN, "no virtual host '%.*s'", (int)vhost.len, (const char *)vhost.at);
    else if (!host_exchange(c->host, c->vhost, span_str(mqtt_exchange(c))))
        mqtt_fail(c, REASON_UNAVAILABLE, "no exchange '%s' in virtual host '%.*s'", mqtt_exchange(c),
                  (int)vhost.len, (const char *)vhost.at);
    else
        return true;
    return false;
}

/* Who gives no name: as his certificate says, or a guest, from this machine only. */
static bool is_known(struct mqtt *c, struct span *user)
{
    struct span certified = host_certified(c->host);
    if (!certified.len)
        return c->options->mqtt_anonymous && host_login_guest(c->host, user);
    *user = certified;
    return host_login_certified(c->host);
}

/* "vhost:user" or "user". */
static bool login(struct mqtt *c, const struct connect *m)
{
    struct span user = m->user, vhost = usual_vhost(c);
    const uint8_t *colon = user.len ? memrchr(user.at, ':', user.len) : NULL;
    if (colon) {
        vhost = span_of(user.at, (size_t)(colon - user.at));
        user = span_of(colon + 1, user.len - vhost.len - 1);
    }
    enum host_login answer = HOST_LOGIN_REFUSED;
    if (!(m->flags & FLAG_USER))
        answer = is_known(c, &user) ? HOST_LOGIN_GRANTED : HOST_LOGIN_REFUSED;
    else if (user.len <= NAME_MAX_BYTES)
        answer = host_login(c->host, user, m->password);
    c->logging_in = answer == HOST_LOGIN_WAITS;
    if (c->logging_in)
        return false;
    if (answer == HOST_LOGIN_REFUSED || vhost.len > NAME_MAX_BYTES) {
        mqtt_fail(c, REASON_LOGIN, "user '%.*s'", (int)(user.len < 64 ? user.len : 64),
                  (const char *)user.at);
        return false;
    }
    if (!find_vhost(c, user, vhost))
        return false;
    host_describe(c->host,
                  c->version == MQTT_5     ? "MQTT 5.0"
                  : c->version == MQTT_311 ? "MQTT 3.1.1"
                                           : "MQTT 3.1",
                  user, vhost, c->client_id);
    return true;
}

/* A name for who has none. */
static void assign(struct mqtt *c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char text[] = "auto-0123456789012345678901";
    uint64_t bits = 0;
    for (unsigned i = 0; i < 22; i++, bits >>= 6) {
        if (i % 10 == 0)
            bits = host_random(c->host);
        text[5 + i] = digits[bits & 63];
    }
    c->client_id = bytes_keep(span_of(text, 5 + 22));
    c->assigned = true;
}

/* [MQTT-3.1.3-5] to [MQTT-3.1.3-8]. */
static bool name_client(struct mqtt *c, const struct connect *m)
{
    bool needed = c->version != MQTT_5 && !(m->flags & FLAG_CLEAN);
    if (m->client_id.len > CLIENT_ID_MAX || (!m->client_id.len && (needed || c->version == MQTT_31))) {
        mqtt_fail(c, REASON_CLIENT_ID, "a client identifier of %zu bytes; it may have %u%s", m->client_id.len,
                  CLIENT_ID_MAX, needed ? ", and must have one" : "");
        return false;
    }
    bytes_drop(&c->client_id); /* of the same CONNECT, when it came first */
    if (m->client_id.len)
        c->client_id = bytes_keep(m->client_id);
    else
        assign(c);
    return true;
}

static void take_options(struct mqtt *c, const struct connect *m)
{
    const struct mqtt_properties *p = &m->properties;
    bool clean = m->flags & FLAG_CLEAN;
    uint32_t receive = property_number(p, PROPERTY_RECEIVE_MAXIMUM, 65535);
    c->clean = clean;
    c->expiry_s = c->version == MQTT_5 ? property_number(p, PROPERTY_SESSION_EXPIRY, 0)
                  : clean              ? 0
                                       : SESSION_NEVER_EXPIRES;
    c->persistent = c->expiry_s != 0;
    c->receive_max = receive < RECEIVE_MAX ? (uint16_t)receive : RECEIVE_MAX;
    c->alias_out_max = (uint16_t)property_number(p, PROPERTY_ALIAS_MAXIMUM, 0);
    if (c->alias_out_max > ALIASES_MAX)
        c->alias_out_max = ALIASES_MAX;
}

static bool take_will(struct mqtt *c, const struct connect *m)
{
    char refusal[HOST_REFUSAL_BYTES];
    const char *text;
    if (!(m->flags & FLAG_WILL))
        return true;
    if (!publish_permitted(c, refusal)) {
        mqtt_fail(c, REASON_NOT_AUTHORIZED, "the will: %s", refusal);
        return false;
    }
    enum reason reason = will_make(c, m->will_topic, m->will_payload, &m->will_properties, m->flags, &text);
    if (reason != REASON_SUCCESS)
        mqtt_fail(c, reason, "the will: %s", text);
    else if (!publish_topic_permitted(c, span_of(c->will->bytes + c->will->exchange_len, c->will->key_len),
                                      refusal))
        mqtt_fail(c, REASON_NOT_AUTHORIZED, "the will: %s", refusal);
    else
        return true;
    return false;
}

/* There is no enhanced authentication. */
static bool is_plain(struct mqtt *c, const struct mqtt_properties *p)
{
    if (property_has(p, PROPERTY_AUTH_METHOD))
        mqtt_fail(c, REASON_AUTHENTICATION, "there is no enhanced authentication");
    else if (property_has(p, PROPERTY_AUTH_DATA))
        mqtt_fail(c, REASON_PROTOCOL, "authentication data without a method");
    else
        return true;
    return false;
}

/* What can't be told to it can't be connected. */
static bool hears(struct mqtt *c)
{
    if (c->version != MQTT_5 || CONNACK_BYTES + server_bytes(c) <= c->packet_max)
        return true;
    mqtt_fail(c, REASON_TOO_LARGE, "a client that takes packets of %u bytes at most can't be answered",
              c->packet_max);
    return false;
}

void on_connect(struct mqtt *c, struct span in)
{
    struct connect m;
    enum reason reason = take_connect(c, &in, &m);
    if (reason != REASON_SUCCESS) {
        mqtt_fail(c, reason, "CONNECT");
        return;
    }
    c->packet_max = property_number(&m.properties, PROPERTY_MAXIMUM_PACKET, UINT32_MAX);
    if (!is_plain(c, &m.properties) || !name_client(c, &m) || !login(c, &m) || !hears(c))
        return;
    take_options(c, &m);
    if (take_will(c, &m))
        mqtt_attach(c);
}

/* ---- DISCONNECT ------------------------------------------------------------------------------------- */

void on_disconnect(struct mqtt *c, struct span in)
{
    struct mqtt_properties p;
    uint8_t reason = REASON_SUCCESS;
    properties_none(&p);
    if (c->version == MQTT_5 && in.len && take_u8(&in, &reason) && in.len) {
        enum reason wrong = properties_take(&in, PACKET_DISCONNECT, &p);
        if (wrong != REASON_SUCCESS) {
            mqtt_fail(c, wrong, "DISCONNECT");
            return;
        }
    }
    if (in.len) {
        mqtt_fail(c, REASON_MALFORMED, "DISCONNECT with %zu bytes too many", in.len);
        return;
    }
    uint32_t expiry_s = property_number(&p, PROPERTY_SESSION_EXPIRY, c->expiry_s);
    if (expiry_s && !c->expiry_s) {
        mqtt_fail(c, REASON_PROTOCOL, "a session that was to end with the connection can't be kept");
        return;
    }
    c->expiry_s = expiry_s;
    if (reason == REASON_SUCCESS)
        will_drop(c);
    mqtt_release(c);
    c->stage = STAGE_CLOSED;
    host_close(c->host);
}
