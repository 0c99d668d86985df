#include "codec/mqtt/property.h"

enum kind { NONE, BYTE, TWO, FOUR, VARIABLE, TEXT, BINARY, PAIR };

#define IN(packet) (1u << PACKET_##packet)
#define IN_WILL    (1u << PACKET_WILL)
#define ANYWHERE   0xffffu

static const struct {
    uint8_t kind;
    uint16_t packets;
} rows[PROPERTIES] = {
#define X(name, id, type, in) [id] = {type, in},
#include "codec/mqtt/properties.def"
#undef X
};

static bool take_number(struct span *in, enum kind kind, uint32_t *number)
{
    uint8_t one;
    uint16_t two;
    int bytes;
    switch (kind) {
    case BYTE:
        if (!take_u8(in, &one))
            return false;
        *number = one;
        return true;
    case TWO:
        if (!take_u16(in, &two))
            return false;
        *number = two;
        return true;
    case FOUR:
        return take_u32(in, number);
    default:
        bytes = varint_read(*in, number);
        if (bytes <= 0)
            return false;
        *in = span_of(in->at + bytes, in->len - (size_t)bytes);
        return true;
    }
}

static bool take_text(struct span *in, struct span *text)
{
    return take_binary(in, text) && mqtt_text_valid(*text);
}

/* value: the second half of a pair, which is read again when it is asked for. */
static bool take_value(struct span *in, enum kind kind, struct mqtt_properties *p, unsigned id)
{
    struct span name, value;
    uint32_t number;
    if (kind == PAIR)
        return take_text(in, &name) && take_text(in, &value);
    if (kind == TEXT || kind == BINARY) {
        if (!(kind == TEXT ? take_text(in, &value) : take_binary(in, &value)))
            return false;
        p->value[id].text = value;
        return true;
    }
    if (!take_number(in, kind, &number))
        return false;
    p->value[id].number = number;
    return true;
}

/* What a number may be, where not all of its type are right. */
static bool number_valid(unsigned id, uint32_t number)
{
    switch (id) {
    case PROPERTY_FORMAT:
    case PROPERTY_WANT_PROBLEMS:
    case PROPERTY_WANT_RESPONSE_INFO:
        return number < 2;
    case PROPERTY_SUBSCRIPTION_ID:
    case PROPERTY_RECEIVE_MAXIMUM:
    case PROPERTY_MAXIMUM_PACKET:
        return number > 0;
    default:
        return true;
    }
}

/* What only a server may say in such a packet; any other property that isn't for it makes it malformed
 * (2.2.2.2). */
static enum reason misplaced(unsigned id, unsigned packet)
{
    bool of_server = (packet == PACKET_PUBLISH && id == PROPERTY_SUBSCRIPTION_ID) ||
                     (packet == PACKET_DISCONNECT && id == PROPERTY_SERVER_REFERENCE);
    return of_server ? REASON_PROTOCOL : REASON_MALFORMED;
}

enum reason properties_take(struct span *in, unsigned packet, struct mqtt_properties *p)
{
    uint32_t len, id;
    properties_none(p);
    if (!take_number(in, VARIABLE, &len) || len > in->len)
        return REASON_MALFORMED;
    struct span rest = p->all = span_of(in->at, len);
    *in = span_of(in->at + len, in->len - len);
    while (rest.len) {
        if (!take_number(&rest, VARIABLE, &id) || id >= PROPERTIES || !rows[id].kind)
            return REASON_MALFORMED;
        if (!(rows[id].packets >> packet & 1))
            return misplaced(id, packet);
        if (p->present >> id & 1 && rows[id].kind != PAIR)
            return REASON_PROTOCOL;
        if (!take_value(&rest, rows[id].kind, p, id))
            return REASON_MALFORMED;
        bool is_number = rows[id].kind <= VARIABLE;
        if (is_number && !number_valid(id, p->value[id].number))
            return REASON_PROTOCOL;
        p->present |= UINT64_C(1) << id;
    }
    return REASON_SUCCESS;
}

bool property_next_user(struct span *at, struct span *name, struct span *value)
{
    struct mqtt_properties ignored;
    while (at->len) {
        unsigned id = at->at[0];
        *at = span_of(at->at + 1, at->len - 1);
        if (id == PROPERTY_USER)
            return take_binary(at, name) && take_binary(at, value);
        take_value(at, rows[id].kind, &ignored, id);
    }
    return false;
}

/* ---- writing ------------------------------------------------------------------------------------- */

static uint8_t *put_binary(uint8_t *to, struct span bytes)
{
    return put_span(put_be16(to, (uint16_t)bytes.len), bytes);
}

uint8_t *put_property_u8(uint8_t *to, enum property property, uint8_t value)
{
    return put_u8(put_u8(to, (uint8_t)property), value);
}

uint8_t *put_property_u16(uint8_t *to, enum property property, uint16_t value)
{
    return put_be16(put_u8(to, (uint8_t)property), value);
}

uint8_t *put_property_u32(uint8_t *to, enum property property, uint32_t value)
{
    return put_be32(put_u8(to, (uint8_t)property), value);
}

uint8_t *put_property_text(uint8_t *to, enum property property, struct span text)
{
    return put_binary(put_u8(to, (uint8_t)property), text);
}

uint8_t *put_property_pair(uint8_t *to, struct span name, struct span value)
{
    return put_binary(put_binary(put_u8(to, PROPERTY_USER), name), value);
}
