#include "codec/mqtt/property.h"

#include <criterion/criterion.h>
#include <stdlib.h>

/* One of each: identifier, then a value that is right. The bits of packets in which a client may send it. */
static const struct {
    struct span bytes;
    uint16_t packets;
} rows[] = {
#define IN(packet) (1u << PACKET_##packet)
#define ROW(literal, in)                                                                                     \
    {                                                                                                        \
        {(const uint8_t *)(literal), sizeof(literal) - 1}, (in)                                              \
    }
    ROW("\x01\x01", IN(PUBLISH) | IN(WILL)),
    ROW("\x02\0\0\0\1", IN(PUBLISH) | IN(WILL)),
    ROW("\x03\0\1a", IN(PUBLISH) | IN(WILL)),
    ROW("\x08\0\1a", IN(PUBLISH) | IN(WILL)),
    ROW("\x09\0\1\xff", IN(PUBLISH) | IN(WILL)),
    ROW("\x0b\x80\1", IN(SUBSCRIBE)),
    ROW("\x11\0\0\0\1", IN(CONNECT) | IN(DISCONNECT)),
    ROW("\x12\0\1a", 0),
    ROW("\x13\0\1", 0),
    ROW("\x15\0\1a", IN(CONNECT) | IN(AUTH)),
    ROW("\x16\0\1\xff", IN(CONNECT) | IN(AUTH)),
    ROW("\x17\1", IN(CONNECT)),
    ROW("\x18\0\0\0\1", IN(WILL)),
    ROW("\x19\1", IN(CONNECT)),
    ROW("\x1a\0\1a", 0),
    ROW("\x1c\0\1a", 0),
    ROW("\x1f\0\1a", IN(PUBACK) | IN(PUBREC) | IN(PUBREL) | IN(PUBCOMP) | IN(DISCONNECT) | IN(AUTH)),
    ROW("\x21\0\1", IN(CONNECT)),
    ROW("\x22\0\1", IN(CONNECT)),
    ROW("\x23\0\1", IN(PUBLISH)),
    ROW("\x24\1", 0),
    ROW("\x25\1", 0),
    ROW("\x26\0\1a\0\1b", 0xffff),
    ROW("\x27\0\0\0\1", IN(CONNECT)),
    ROW("\x28\1", 0),
    ROW("\x29\1", 0),
    ROW("\x2a\1", 0),
};

enum { ROWS = sizeof rows / sizeof *rows };

/* Behind a length, in memory of just that size. */
static enum reason take(struct span bytes, unsigned packet, struct mqtt_properties *p, uint8_t **memory)
{
    *memory = malloc(bytes.len + 1);
    cr_assert(*memory);
    put_span(put_u8(*memory, (uint8_t)bytes.len), bytes);
    struct span in = span_of(*memory, bytes.len + 1);
    enum reason reason = properties_take(&in, packet, p);
    cr_assert(reason != REASON_SUCCESS || !in.len);
    return reason;
}

static enum reason verdict(struct span bytes, unsigned packet)
{
    struct mqtt_properties p;
    uint8_t *memory;
    enum reason reason = take(bytes, packet, &p, &memory);
    free(memory);
    return reason;
}

/* What is said of a property where it isn't allowed: 3.3.4 and 3.14.2.2.5 say of these two that it is a
 * protocol error, 2.2.2.2 of all others that they are malformed. */
static enum reason wrong_place(uint8_t id, unsigned packet)
{
    bool told = (id == 0x0b && packet == PACKET_PUBLISH) || (id == 0x1c && packet == PACKET_DISCONNECT);
    return told ? REASON_PROTOCOL : REASON_MALFORMED;
}

Test(mqtt_property, each_is_for_its_packets)
{
    for (unsigned i = 0; i < ROWS; i++)
        for (unsigned packet = PACKET_WILL; packet <= PACKET_AUTH; packet++)
            cr_assert_eq(verdict(rows[i].bytes, packet),
                         rows[i].packets >> packet & 1 ? REASON_SUCCESS
                                                       : wrong_place(rows[i].bytes.at[0], packet),
                         "property 0x%02x, packet %u", rows[i].bytes.at[0], packet);
}

static unsigned packet_of(unsigned i)
{
    return (unsigned)__builtin_ctz(rows[i].packets);
}

Test(mqtt_property, each_must_be_whole)
{
    for (unsigned i = 0; i < ROWS; i++)
        for (size_t len = 1; rows[i].packets && len < rows[i].bytes.len; len++)
            cr_assert_eq(verdict(span_of(rows[i].bytes.at, len), packet_of(i)), REASON_MALFORMED, "0x%02x",
                         rows[i].bytes.at[0]);
}

Test(mqtt_property, each_but_user_properties_comes_once)
{
    for (unsigned i = 0; i < ROWS; i++) {
        uint8_t twice[32], *end = put_span(put_span(twice, rows[i].bytes), rows[i].bytes);
        bool user = rows[i].bytes.at[0] == PROPERTY_USER;
        if (rows[i].packets)
            cr_assert_eq(verdict(span_of(twice, (size_t)(end - twice)), packet_of(i)),
                         user ? REASON_SUCCESS : REASON_PROTOCOL, "0x%02x", rows[i].bytes.at[0]);
    }
}

Test(mqtt_property, there_are_no_others)
{
    for (unsigned id = 0; id < 256; id++) {
        bool known = false;
        for (unsigned i = 0; i < ROWS; i++)
            known |= rows[i].bytes.at[0] == id;
        uint8_t bytes[] = {(uint8_t)id, 0, 0, 0, 0};
        if (!known)
            cr_assert_eq(verdict(span_of(bytes, sizeof bytes), PACKET_PUBLISH), REASON_MALFORMED, "%u", id);
    }
}

Test(mqtt_property, values_that_are_not_allowed)
{
    static const struct {
        struct span bytes;
        unsigned packet;
        enum reason reason;
    } wrong[] = {
#define WRONG(literal, packet, reason)                                                                       \
    {{(const uint8_t *)(literal), sizeof(literal) - 1}, PACKET_##packet, REASON_##reason}
        WRONG("\x01\x02", PUBLISH, PROTOCOL),         WRONG("\x17\x02", CONNECT, PROTOCOL),
        WRONG("\x19\x02", CONNECT, PROTOCOL),         WRONG("\x0b\x00", SUBSCRIBE, PROTOCOL),
        WRONG("\x21\0\0", CONNECT, PROTOCOL),         WRONG("\x27\0\0\0\0", CONNECT, PROTOCOL),
        WRONG("\x03\0\1\xff", PUBLISH, MALFORMED),    WRONG("\x08\0\1\0", PUBLISH, MALFORMED),
        WRONG("\x26\0\1\0\0\1a", PUBLISH, MALFORMED), WRONG("\x26\0\1a\0\1\xc0", PUBLISH, MALFORMED),
        WRONG("\x0b\x81\0", SUBSCRIBE, MALFORMED),    WRONG("\x0b\x80\x80\x80\x80\1", SUBSCRIBE, MALFORMED),
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_assert_eq(verdict(wrong[i].bytes, wrong[i].packet), wrong[i].reason, "row %zu", i);
}

Test(mqtt_property, user_properties_come_in_order_among_others)
{
    static const char bytes[] = "\x26\0\1a\0\1b\x02\0\0\0\7\x26\0\0\0\0\x09\0\2\x26\x26\x26\0\1a\0\1c";
    struct mqtt_properties p;
    uint8_t *memory;
    struct span name, value;
    cr_assert_eq(take(span_of(bytes, sizeof bytes - 1), PACKET_PUBLISH, &p, &memory), REASON_SUCCESS);
    cr_assert_eq(property_number(&p, PROPERTY_EXPIRY, 0), 7);
    struct span at = p.all;
    cr_assert(property_next_user(&at, &name, &value) && span_is(name, "a") && span_is(value, "b"));
    cr_assert(property_next_user(&at, &name, &value) && !name.len && !value.len);
    cr_assert(property_next_user(&at, &name, &value) && span_is(name, "a") && span_is(value, "c"));
    cr_assert_not(property_next_user(&at, &name, &value));
    free(memory);
}

Test(mqtt_property, what_is_written_can_be_read)
{
    uint8_t bytes[64], *at = put_property_u8(bytes, PROPERTY_FORMAT, 1);
    at = put_property_u32(at, PROPERTY_EXPIRY, 0xfedcba98);
    at = put_property_u16(at, PROPERTY_ALIAS, 0x1234);
    at = put_property_text(at, PROPERTY_RESPONSE_TOPIC, span_str("t"));
    at = put_property_pair(at, span_str("k"), span_str("v"));
    struct mqtt_properties p;
    uint8_t *memory;
    cr_assert_eq(take(span_of(bytes, (size_t)(at - bytes)), PACKET_PUBLISH, &p, &memory), REASON_SUCCESS);
    cr_assert_eq(property_number(&p, PROPERTY_FORMAT, 0), 1);
    cr_assert_eq(property_number(&p, PROPERTY_EXPIRY, 0), 0xfedcba98);
    cr_assert_eq(property_number(&p, PROPERTY_ALIAS, 0), 0x1234);
    cr_assert(span_is(property_text(&p, PROPERTY_RESPONSE_TOPIC), "t"));
    free(memory);
}
