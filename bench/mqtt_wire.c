#include "mqtt_wire.h"

#include <string.h>

/* ---- reading: a cursor that never passes the end ---- */
struct cursor {
    const uint8_t *at, *end;
    bool bad;
};

static const uint8_t *take(struct cursor *c, size_t n)
{
    static const uint8_t zeros[8];
    if ((size_t)(c->end - c->at) < n) {
        c->bad = true;
        c->at = c->end;
        return n <= sizeof zeros ? zeros : NULL;
    }
    c->at += n;
    return c->at - n;
}

static uint8_t take_u8(struct cursor *c)
{
    return *take(c, 1);
}

static uint16_t take_u16(struct cursor *c)
{
    const uint8_t *p = take(c, 2);
    return (uint16_t)(p[0] << 8 | p[1]);
}

static size_t take_varint(struct cursor *c)
{
    size_t v = 0;
    for (unsigned shift = 0; shift <= 21; shift += 7) {
        uint8_t b = take_u8(c);
        v |= (size_t)(b & 0x7f) << shift;
        if (!(b & 0x80))
            return v;
    }
    c->bad = true;
    return 0;
}

/* ---- properties (2.2.2) ---- */
enum { PROPERTY_REASON_STRING = 0x1f, PROPERTY_EXPIRY = 0x11, PROPERTY_RECEIVE_MAXIMUM = 0x21 };

struct property {
    uint8_t id;
    const uint8_t *text; /* of strings and binary data */
    size_t len;
    uint32_t number;
};

static uint32_t take_number(struct cursor *c, size_t n)
{
    uint32_t v = 0;
    while (n--)
        v = v << 8 | take_u8(c);
    return v;
}

static void take_text(struct cursor *c, struct property *p)
{
    p->len = take_u16(c);
    p->text = take(c, p->len);
}

/* Of each identifier: how its value is written. */
enum value { VALUE_NONE, VALUE_U8, VALUE_U16, VALUE_U32, VALUE_VARINT, VALUE_TEXT, VALUE_PAIR };

static const uint8_t values[0x2b] = {
    [0x01] = VALUE_U8,     [0x02] = VALUE_U32,  [0x03] = VALUE_TEXT, [0x08] = VALUE_TEXT, [0x09] = VALUE_TEXT,
    [0x0b] = VALUE_VARINT, [0x11] = VALUE_U32,  [0x12] = VALUE_TEXT, [0x13] = VALUE_U16,  [0x15] = VALUE_TEXT,
    [0x16] = VALUE_TEXT,   [0x17] = VALUE_U8,   [0x18] = VALUE_U32,  [0x19] = VALUE_U8,   [0x1a] = VALUE_TEXT,
    [0x1c] = VALUE_TEXT,   [0x1f] = VALUE_TEXT, [0x21] = VALUE_U16,  [0x22] = VALUE_U16,  [0x23] = VALUE_U16,
    [0x24] = VALUE_U8,     [0x25] = VALUE_U8,   [0x26] = VALUE_PAIR, [0x27] = VALUE_U32,  [0x28] = VALUE_U8,
    [0x29] = VALUE_U8,     [0x2a] = VALUE_U8,
};

/* The next property; false at the end, or with c->bad at nonsense. */
static bool next_property(struct cursor *c, struct property *p)
{
    if (c->at == c->end || c->bad)
        return false;
    *p = (struct property){.id = take_u8(c)};
    switch (p->id < sizeof values ? values[p->id] : VALUE_NONE) {
    case VALUE_U8:
        p->number = take_number(c, 1);
        break;
    case VALUE_U16:
        p->number = take_number(c, 2);
        break;
    case VALUE_U32:
        p->number = take_number(c, 4);
        break;
    case VALUE_VARINT:
        p->number = (uint32_t)take_varint(c);
        break;
    case VALUE_PAIR:
        take_text(c, p);
        take_text(c, p);
        break;
    case VALUE_TEXT:
        take_text(c, p);
        break;
    default:
        c->bad = true;
    }
    return !c->bad;
}

/* The properties as a cursor of their own; c stands behind them. */
static struct cursor take_properties(struct cursor *c)
{
    size_t n = take_varint(c);
    const uint8_t *at = c->bad ? NULL : take(c, n);
    if (c->bad)
        return (struct cursor){c->end, c->end, false};
    return (struct cursor){at, at + n, false};
}

static void copy_text(char to[200], const struct property *p)
{
    size_t n = p->len < 199 ? p->len : 199;
    memcpy(to, p->text, n);
    to[n] = 0;
}

/* ---- packets ---- */
bool mqtt_publish_read(struct mqtt_publish *m, const struct mqtt_packet *p, unsigned version)
{
    struct cursor c = {p->at, p->end, false};
    m->qos = p->flags >> 1 & 3;
    m->dup = p->flags & 8;
    m->topic_len = take_u16(&c);
    m->topic = take(&c, m->topic_len);
    m->id = m->qos ? take_u16(&c) : 0;
    if (version == 5 && c.at < c.end && !*c.at)
        c.at++; /* no properties: the usual case */
    else if (version == 5)
        take_properties(&c);
    m->payload = c.at;
    m->payload_len = (size_t)(c.end - c.at);
    return !c.bad && m->qos < 3 && (!m->qos || m->id);
}

bool mqtt_answer_read(struct mqtt_answer *a, const struct mqtt_packet *p)
{
    struct cursor c = {p->at, p->end, false};
    a->id = take_u16(&c);
    a->reason = !c.bad && c.at < c.end ? *c.at : 0;
    return !c.bad && a->id;
}

bool mqtt_connack_read(struct mqtt_connack *k, const struct mqtt_packet *p, unsigned version)
{
    struct cursor c = {p->at, p->end, false};
    struct property one;
    *k = (struct mqtt_connack){.receive_maximum = 65535};
    k->session_present = take_u8(&c) & 1;
    k->reason = take_u8(&c);
    if (version < 5 || c.at == c.end) /* a refusal may come in the words of 3.1.1 */
        return !c.bad;
    struct cursor properties = take_properties(&c);
    while (next_property(&properties, &one)) {
        if (one.id == PROPERTY_RECEIVE_MAXIMUM)
            k->receive_maximum = (uint16_t)one.number;
        else if (one.id == PROPERTY_REASON_STRING)
            copy_text(k->text, &one);
    }
    return !c.bad && !properties.bad && k->receive_maximum;
}

bool mqtt_suback_read(uint8_t *reason, const struct mqtt_packet *p, unsigned version)
{
    struct cursor c = {p->at, p->end, false};
    take_u16(&c);
    if (version == 5)
        take_properties(&c);
    *reason = 0;
    if (c.bad || c.at == c.end)
        return false;
    for (; c.at < c.end; c.at++)
        *reason = *c.at > *reason ? *c.at : *reason;
    return true;
}

bool mqtt_disconnect_read(uint8_t *reason, char text[200], const struct mqtt_packet *p)
{
    struct cursor c = {p->at, p->end, false};
    struct property one;
    *reason = c.at < c.end ? take_u8(&c) : 0;
    *text = 0;
    if (c.at == c.end)
        return true;
    struct cursor properties = take_properties(&c);
    while (next_property(&properties, &one))
        if (one.id == PROPERTY_REASON_STRING)
            copy_text(text, &one);
    return !c.bad && !properties.bad;
}

const char *mqtt_reason_text(uint8_t reason)
{
    static const struct {
        uint8_t reason;
        const char *text;
    } texts[] = {
        {0x01, "it does not speak this version of MQTT: try --mqtt"},
        {0x02, "it does not like the client identifier"},
        {0x03, "the service is not there"},
        {0x04, "check user and password"},
        {0x05, "check user and password"},
        {0x80, "no reason given"},
        {0x82, "a protocol error"},
        {0x84, "it does not speak this version of MQTT: try --mqtt"},
        {0x85, "it does not like the client identifier"},
        {0x86, "check user and password"},
        {0x87, "check the user's permissions"},
        {0x8b, "it is shutting down"},
        {0x8e, "another client took the session over"},
        {0x8f, "the topic filter is not valid"},
        {0x93, "more was under way than it allows"},
        {0x95, "the packet was too large"},
        {0x97, "a quota is exceeded"},
        {0x9e, "it has no shared subscriptions"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i].reason == reason)
            return texts[i].text;
    return "";
}

/* ---- writing ---- */
static void put_u8(struct buffer *b, uint8_t v)
{
    buffer_put(b, &v, 1);
}

static void put_u16(struct buffer *b, size_t v)
{
    const uint8_t bytes[2] = {(uint8_t)(v >> 8), (uint8_t)v};
    buffer_put(b, bytes, 2);
}

static void put_text(struct buffer *b, const char *text)
{
    size_t n = strnlen(text, 65535);
    put_u16(b, n);
    buffer_put(b, text, n);
}

static size_t varint(uint8_t to[4], size_t v)
{
    size_t n = 0;
    do {
        to[n] = (uint8_t)(v & 0x7f);
        v >>= 7;
        if (v)
            to[n] |= 0x80;
        n++;
    } while (v);
    return n;
}

/* Opened with its first byte; what is behind it is moved when its length is known. */
static size_t packet_open(struct buffer *b, enum mqtt_type type, unsigned flags)
{
    put_u8(b, (uint8_t)((unsigned)type << 4 | flags));
    return b->len - 1;
}

/* Returns how many bytes the length took. */
static size_t packet_close(struct buffer *b, size_t at)
{
    uint8_t length[4];
    size_t body = b->len - at - 1, n = varint(length, body);
    buffer_reserve(b, n);
    memmove(b->data + at + 1 + n, b->data + at + 1, body);
    memcpy(b->data + at + 1, length, n);
    b->len += n;
    return n;
}

static void put_connect_properties(struct buffer *b, const struct mqtt_connect *c)
{
    put_u8(b, (uint8_t)((c->expiry ? 5 : 0) + (c->receive_maximum ? 3 : 0)));
    if (c->expiry) {
        put_u8(b, PROPERTY_EXPIRY);
        put_u16(b, c->expiry >> 16);
        put_u16(b, c->expiry & 0xffff);
    }
    if (c->receive_maximum) {
        put_u8(b, PROPERTY_RECEIVE_MAXIMUM);
        put_u16(b, c->receive_maximum);
    }
}

void mqtt_write_connect(struct buffer *b, const struct mqtt_connect *c)
{
    size_t at = packet_open(b, MQTT_CONNECT, 0);
    put_text(b, "MQTT");
    put_u8(b, (uint8_t)c->version);
    put_u8(b, (uint8_t)((c->clean ? 2 : 0) | (*c->user ? 0xc0 : 0))); /* flags, 3.1.2.3 */
    put_u16(b, 0);                                                    /* no keep-alive */
    if (c->version == 5)
        put_connect_properties(b, c);
    put_text(b, c->client_id);
    if (*c->user) {
        put_text(b, c->user);
        put_text(b, c->password);
    }
    packet_close(b, at);
}

struct mqtt_places mqtt_write_publish(struct buffer *b, unsigned version, uint8_t qos, const char *topic,
                                      const uint8_t *payload, size_t size)
{
    struct mqtt_places places = {0};
    size_t at = packet_open(b, MQTT_PUBLISH, (unsigned)qos << 1);
    put_text(b, topic);
    if (qos) {
        places.id_at = b->len - at;
        put_u16(b, 1);
    }
    if (version == 5)
        put_u8(b, 0); /* no properties */
    places.payload_at = b->len - at;
    buffer_put(b, payload, size);
    size_t length = packet_close(b, at);
    places.payload_at += length;
    places.id_at += places.id_at ? length : 0;
    return places;
}

size_t mqtt_subscribe_open(struct buffer *b, unsigned version, uint16_t id)
{
    size_t at = packet_open(b, MQTT_SUBSCRIBE, 2);
    put_u16(b, id);
    if (version == 5)
        put_u8(b, 0); /* no properties */
    return at;
}

void mqtt_subscribe_add(struct buffer *b, const char *filter, uint8_t qos)
{
    put_text(b, filter);
    put_u8(b, qos);
}

void mqtt_subscribe_close(struct buffer *b, size_t at)
{
    packet_close(b, at);
}

void mqtt_write_answer(struct buffer *b, enum mqtt_type type, uint16_t id)
{
    const uint8_t bytes[4] = {(uint8_t)((unsigned)type << 4 | (type == MQTT_PUBREL ? 2 : 0)), 2,
                              (uint8_t)(id >> 8), (uint8_t)id};
    buffer_put(b, bytes, sizeof bytes);
}

void mqtt_write_disconnect(struct buffer *b)
{
    put_u8(b, MQTT_DISCONNECT << 4);
    put_u8(b, 0);
}
