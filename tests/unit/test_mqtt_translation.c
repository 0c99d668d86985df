#include "codec/mqtt/translation.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/prng.h"
#include "mqtt_client.h"
#include "router/properties.h"
#include "router/table_out.h"

/* MQTT's properties in a buffer, with their length before them. */
struct built {
    uint8_t bytes[2000];
    size_t len;
    struct mqtt_properties p;
};

static void parse(struct built *b)
{
    static uint8_t packet[2100];
    uint8_t *at = put_span(varint_put(packet, (uint32_t)b->len), span_of(b->bytes, b->len));
    struct span in = span_of(packet, (size_t)(at - packet));
    cr_assert_eq(properties_take(&in, PACKET_PUBLISH, &b->p), REASON_SUCCESS);
}

static uint8_t *put_random(uint8_t *at, struct prng *prng)
{
    static const char *const texts[] = {"", "a", "text/plain", "\xc3\xbc"};
    struct span text = span_str(texts[prng_below(prng, 4)]);
    switch (prng_below(prng, 3)) {
    case 0:
        return put_property_pair(at, text, span_str(texts[prng_below(prng, 4)]));
    default:
        return put_property_pair(at, span_str("k"), text);
    }
}

/* In the order in which mqtt_form_put writes them, so that bytes can be compared. */
static void build(struct built *b, struct prng *prng)
{
    uint8_t *at = b->bytes;
    if (!prng_below(prng, 2))
        at = put_property_u8(at, PROPERTY_FORMAT, 1);
    if (!prng_below(prng, 2))
        at = put_property_u32(at, PROPERTY_EXPIRY, (uint32_t)prng_next(prng) >> prng_below(prng, 32));
    if (!prng_below(prng, 2))
        at = put_property_text(at, PROPERTY_CONTENT_TYPE, span_of("text/x", prng_below(prng, 7)));
    if (!prng_below(prng, 2))
        at = put_property_text(at, PROPERTY_RESPONSE_TOPIC, span_of("a/b.c*/d", 1 + prng_below(prng, 8)));
    if (!prng_below(prng, 2))
        at = put_property_text(at, PROPERTY_CORRELATION, span_of("id\0\xff", prng_below(prng, 5)));
    while (!prng_below(prng, 2))
        at = put_random(at, prng);
    b->len = (size_t)(at - b->bytes);
    parse(b);
}

static struct span text_of(const struct mqtt_form *form, uint64_t waited_ms, uint8_t *to)
{
    return span_of(to, (size_t)(mqtt_form_put(to, form, waited_ms) - to));
}

/* As a publisher's properties go in, and come out for a subscriber: the same bytes. */
Test(mqtt_translation, properties_come_out_as_they_went_in)
{
    struct prng prng;
    prng_seed(&prng, 1);
    for (unsigned i = 0; i < 50000; i++) {
        struct built b;
        struct amqp_form amqp;
        struct mqtt_form form;
        uint8_t bytes[6000], out[3000];
        unsigned qos = (unsigned)prng_below(&prng, 3);
        build(&b, &prng);
        struct span publisher = !prng_below(&prng, 2) ? span_str("me") : span_str("");
        cr_assert_null(properties_to_amqp(bytes, &b.p, qos, publisher, &amqp));
        cr_assert_leq(amqp.len, amqp_bytes_max(b.len));
        struct message *m = client_message(origin_of(qos, false, property_number(&b.p, PROPERTY_FORMAT, 0)),
                                           qos, SPAN("k"), span_of(bytes, amqp.len), SPAN("body"));
        properties_from_amqp(m, &form);
        struct span written = text_of(&form, 0, out);
        cr_assert_leq(written.len, mqtt_form_bytes_max(&form));
        cr_assert(span_equal(written, span_of(b.bytes, b.len)));
        cr_assert_eq(published_by(m, span_str("me")), publisher.len > 0);
        cr_assert_not(published_by(m, span_str("you")));
        free(m);
    }
}

/* What AMQP's consumers see. */
Test(mqtt_translation, a_publisher_of_mqtt_for_a_consumer_of_amqp)
{
    struct built b;
    struct amqp_form amqp;
    struct properties p;
    struct field field;
    uint8_t bytes[3000], *at = put_property_u32(b.bytes, PROPERTY_EXPIRY, 90);
    at = put_property_text(at, PROPERTY_CONTENT_TYPE, span_str("t"));
    at = put_property_text(at, PROPERTY_RESPONSE_TOPIC, span_str("a/+.b"));
    at = put_property_text(at, PROPERTY_CORRELATION, span_str("id"));
    at = put_property_pair(at, span_str("k"), span_str("v"));
    b.len = (size_t)(at - b.bytes);
    parse(&b);
    cr_assert_null(properties_to_amqp(bytes, &b.p, 1, span_str(""), &amqp));
    cr_assert(properties_read(span_of(bytes, amqp.len), &p));
    cr_assert(p.flags & HAS_DELIVERY_MODE && p.flags & HAS_CONTENT_TYPE);
    cr_assert(span_is(p.correlation_id, "id"));
    cr_assert(span_is(p.expiration, "90000") && p.expiration_ms == 90000);
    cr_assert(table_find(p.headers, "k", &field) && field.type == 'S' && span_is(field.value, "v"));
    cr_assert(table_find(p.headers, "x-reply-to-topic", &field) && span_is(field.value, "a.*/b"));
    cr_assert(amqp.marked);
    cr_assert_eq(span_of(bytes + amqp.headers_in, 0).at, p.headers.at, "where the headers are");
}

Test(mqtt_translation, what_amqp_cannot_say_is_refused)
{
    struct built b;
    struct amqp_form amqp;
    static const char long_text[257] = {0};
    uint8_t bytes[3000], text[256];
    memset(text, 'x', sizeof text);
    (void)long_text;
    uint8_t *at = put_property_text(b.bytes, PROPERTY_CONTENT_TYPE, span_of(text, 256));
    b.len = (size_t)(at - b.bytes);
    parse(&b);
    cr_assert_not_null(properties_to_amqp(bytes, &b.p, 1, span_str(""), &amqp));
    at = put_property_pair(b.bytes, span_of(text, 256), span_str("v"));
    b.len = (size_t)(at - b.bytes);
    parse(&b);
    cr_assert_not_null(properties_to_amqp(bytes, &b.p, 1, span_str(""), &amqp));
    at = put_property_pair(b.bytes, span_of(text, 255), span_str("v"));
    b.len = (size_t)(at - b.bytes);
    parse(&b);
    cr_assert_null(properties_to_amqp(bytes, &b.p, 1, span_str(""), &amqp));
}

/* AMQP's properties with these headers, and a correlation id and an expiration if they are given. */
static struct message *of_amqp(struct span headers, const char *correlation, const char *expiration)
{
    uint8_t bytes[600];
    uint16_t flags = HAS_HEADERS | (correlation ? HAS_CORRELATION_ID : 0) | (expiration ? HAS_EXPIRATION : 0);
    uint8_t *at = put_span(put_be32(put_be16(bytes, flags), (uint32_t)headers.len), headers);
    if (correlation)
        at = put_span(put_u8(at, (uint8_t)strlen(correlation)), span_str(correlation));
    if (expiration)
        at = put_span(put_u8(at, (uint8_t)strlen(expiration)), span_str(expiration));
    return client_message(PROPERTIES_AMQP, true, SPAN("k"), span_of(bytes, (size_t)(at - bytes)), SPAN("x"));
}

static void expect(const struct message *m, uint64_t waited_ms, struct span wanted)
{
    struct mqtt_form form;
    uint8_t out[1000];
    properties_from_amqp(m, &form);
    struct span got = text_of(&form, waited_ms, out);
    cr_assert(span_equal(got, wanted), "%zu bytes, expected %zu", got.len, wanted.len);
}

Test(mqtt_translation, a_publisher_of_amqp_for_a_subscriber_of_mqtt)
{
    uint8_t table[300], *at = put_field_str(table, "k", span_str("v"));
    at = put_field_long(at, "number", 5);
    at = put_field_str(at, "bad", span_str("\xff"));
    at = put_field_str(at, "l", span_str("w"));
    struct message *m = of_amqp(span_of(table, (size_t)(at - table)), "id", "2500");
    expect(m, 0, SPAN("\2\0\0\0\3\x09\0\2id\x26\0\1k\0\1v\x26\0\1l\0\1w"));
    expect(m, 1500, SPAN("\2\0\0\0\1\x09\0\2id\x26\0\1k\0\1v\x26\0\1l\0\1w"));
    expect(m, 99999, SPAN("\2\0\0\0\0\x09\0\2id\x26\0\1k\0\1v\x26\0\1l\0\1w"));
    free(m);
}

Test(mqtt_translation, headers_that_are_no_topic_or_no_text_are_left_out)
{
    static const char *const wrong[] = {"", "a.#", "\xff", "\xed\xa0\x80"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        uint8_t table[100], *at = put_field_str(table, "x-reply-to-topic", span_str(wrong[i]));
        struct message *m = of_amqp(span_of(table, (size_t)(at - table)), NULL, NULL);
        expect(m, 0, SPAN(""));
        free(m);
    }
    struct message *odd = of_amqp(SPAN(""), NULL, "soon");
    expect(odd, 0, SPAN(""));
    free(odd);
}
