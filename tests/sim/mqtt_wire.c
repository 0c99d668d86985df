#include "mqtt_wire.h"

#include <string.h>

#include "base/check.h"

const char *mqtt_type_text(unsigned type)
{
    static const char *const names[] = {"?",           "CONNECT",  "CONNACK", "PUBLISH",   "PUBACK",
                                        "PUBREC",      "PUBREL",   "PUBCOMP", "SUBSCRIBE", "SUBACK",
                                        "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP",  "DISCONNECT"};
    return type < sizeof names / sizeof *names ? names[type] : "?";
}

/* ---- reading ---------------------------------------------------------------------------------------- */

static uint32_t read_varint(struct reader *r)
{
    uint32_t value = 0;
    for (unsigned shift = 0; shift < 28; shift += 7) {
        uint8_t octet = read_octet(r);
        value |= (uint32_t)(octet & 127) << shift;
        if (octet < 128)
            return value;
    }
    r->bad = true;
    return 0;
}

size_t mqtt_packet_read(const struct buffer *in, struct mqtt_packet *packet)
{
    struct reader r = {in->at, in->at + in->len, false};
    uint8_t head = read_octet(&r);
    uint32_t len = read_varint(&r);
    if (r.bad || (size_t)(r.end - r.at) < len)
        return 0;
    *packet = (struct mqtt_packet){head >> 4, head & 15, {r.at, r.at + len, false}};
    return (size_t)(r.at + len - in->at);
}

struct text mqtt_text_read(struct reader *r)
{
    struct text text = {{0}};
    size_t n = read_short(r);
    if (r->bad || (size_t)(r->end - r->at) < n || n >= sizeof text.s) {
        r->bad = true;
        return text;
    }
    memcpy(text.s, r->at, n);
    r->at += n;
    return text;
}

static void read_one(struct reader *r, struct mqtt_said *said)
{
    switch (read_octet(r)) {
    case 0x0b: /* subscription identifier */
        read_varint(r);
        return;
    case 0x12: /* assigned client identifier */
    case 0x1f: /* reason */
        mqtt_text_read(r);
        return;
    case 0x21: /* receive maximum */
    case 0x22: /* topic alias maximum */
        read_short(r);
        return;
    case 0x23:
        said->alias = read_short(r);
        return;
    case 0x27: /* maximum packet size */
        read_long(r);
        return;
    default:
        r->bad = true;
    }
}

struct mqtt_said mqtt_properties_read(struct reader *r)
{
    struct mqtt_said said = {0};
    uint32_t len = read_varint(r);
    if (r->bad || (size_t)(r->end - r->at) < len) {
        said.bad = true;
        return said;
    }
    struct reader inside = {r->at, r->at + len, false};
    r->at += len;
    while (inside.at < inside.end && !inside.bad)
        read_one(&inside, &said);
    said.bad |= inside.bad;
    return said;
}

/* ---- writing ---------------------------------------------------------------------------------------- */

void mqtt_varint_add(struct buffer *b, uint32_t value)
{
    for (; value > 127; value >>= 7)
        add_octet(b, (uint8_t)(value | 128));
    add_octet(b, (uint8_t)value);
}

void mqtt_text_add(struct buffer *b, const char *text)
{
    add_short(b, (uint16_t)strlen(text));
    buffer_add(b, text, strlen(text));
}

void mqtt_packet_add(struct buffer *out, unsigned type, unsigned flags, struct buffer *inside)
{
    add_octet(out, (uint8_t)(type << 4 | flags));
    mqtt_varint_add(out, (uint32_t)inside->len);
    buffer_add(out, inside->at, inside->len);
    buffer_free(inside);
}

void mqtt_answer_add(struct buffer *out, unsigned type, uint16_t id)
{
    struct buffer inside = {0};
    add_short(&inside, id);
    mqtt_packet_add(out, type, type == MQ_PUBREL ? 2 : 0, &inside);
}
