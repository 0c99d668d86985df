/* MQTT's encoders and decoders, and what a connection answers by itself, without a broker. Expected bytes are
 * written down by hand from the standard. */
#include "carrier.h"
#include "conn.h"
#include "mqtt_wire.h"
#include "options.h"
#include "producer.h"

#include <criterion/criterion.h>

static void expect_bytes(struct buffer *b, const char *bytes, size_t n)
{
    cr_assert_eq(b->len, n, "%zu bytes instead of %zu", b->len, n);
    cr_assert_eq(memcmp(b->data, bytes, n), 0);
    buffer_free(b);
}
#define EXPECT(b, bytes) expect_bytes(b, bytes, sizeof(bytes) - 1)

/* ---- writing ---- */
Test(mqtt_wire, connect_of_both_versions)
{
    struct buffer b = {0};
    struct mqtt_connect c = {.version = 4, .client_id = "a", .user = "", .password = "", .clean = true};
    mqtt_write_connect(&b, &c);
    EXPECT(&b, "\x10\x0d\0\4MQTT\4\2\0\0\0\1a");
    c = (struct mqtt_connect){
        .version = 5, .client_id = "a", .user = "u", .password = "pw", .expiry = 258, .receive_maximum = 10};
    mqtt_write_connect(&b, &c);
    EXPECT(&b, "\x10\x1d\0\4MQTT\5\xc0\0\0\x08\x11\0\0\1\2\x21\0\x0a\0\1a\0\1u\0\2pw");
}

Test(mqtt_wire, publishes)
{
    struct buffer b = {0};
    struct mqtt_places at = mqtt_write_publish(&b, 4, 0, "t", (const uint8_t *)"xy", 2);
    cr_assert_eq(at.id_at, 0);
    cr_assert_eq(at.payload_at, 5);
    EXPECT(&b, "\x30\5\0\1txy");
    at = mqtt_write_publish(&b, 5, 2, "t", (const uint8_t *)"xy", 2);
    cr_assert_eq(at.id_at, 5);
    cr_assert_eq(at.payload_at, 8);
    EXPECT(&b, "\x34\x08\0\1t\0\1\0xy");
}

Test(mqtt_wire, subscribe_answers_and_disconnect)
{
    struct buffer b = {0};
    size_t at = mqtt_subscribe_open(&b, 5, 7);
    mqtt_subscribe_add(&b, "a/+", 1);
    mqtt_subscribe_add(&b, "#", 2);
    mqtt_subscribe_close(&b, at);
    EXPECT(&b, "\x82\x0d\0\7\0\0\3a/+\1\0\1#\2");
    mqtt_write_answer(&b, MQTT_PUBREL, 258);
    mqtt_write_answer(&b, MQTT_PUBACK, 1);
    EXPECT(&b, "\x62\2\1\2\x40\2\0\1");
    mqtt_write_disconnect(&b);
    EXPECT(&b, "\xe0\0");
}

/* Lengths where the number of bytes they take changes (2.2.3 of 3.1.1). */
Test(mqtt_wire, what_is_written_is_read_at_every_length)
{
    static const size_t sizes[] = {0, 1, 121, 122, 123, 16377, 16378, 16379, 2097145, 2097146, 2097147};
    static uint8_t payload[2097200];
    for (unsigned version = 4; version <= 5; version++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            struct buffer b = {0};
            struct mqtt_packet p;
            struct mqtt_publish m;
            struct mqtt_places at = mqtt_write_publish(&b, version, 1, "t", payload, sizes[i]);
            mqtt_set_id(b.data + at.id_at, 40000);
            cr_assert_eq(mqtt_packet_read(&p, b.data, b.len), (int64_t)b.len);
            cr_assert(mqtt_publish_read(&m, &p, version));
            cr_assert_eq(m.id, 40000);
            cr_assert_eq(m.qos, 1);
            cr_assert_eq(m.topic_len, 1);
            cr_assert_eq(m.payload_len, sizes[i]);
            cr_assert_eq(m.payload, b.data + at.payload_at);
            cr_assert_eq(mqtt_packet_read(&p, b.data, b.len - 1), 0);
            cr_assert_eq(p.total, b.len);
            buffer_free(&b);
        }
}

/* ---- reading ---- */
static bool packet_of(struct mqtt_packet *p, const char *bytes, size_t n)
{
    return mqtt_packet_read(p, (const uint8_t *)bytes, n) == (int64_t)n;
}
#define PACKET(p, bytes) cr_assert(packet_of(p, bytes, sizeof(bytes) - 1))

Test(mqtt_wire, a_length_of_five_bytes_is_no_packet)
{
    struct mqtt_packet p;
    cr_assert_eq(mqtt_packet_read(&p, (const uint8_t *)"\x30\xff\xff\xff\xff\x01", 6), -1);
    cr_assert_eq(mqtt_packet_read(&p, (const uint8_t *)"\x30\xff\xff", 3), 0);
    cr_assert_eq(p.total, 0);
}

Test(mqtt_wire, publish_with_properties)
{
    struct mqtt_packet p;
    struct mqtt_publish m;
    PACKET(&p, "\x3a\x0c\0\1t\0\2\3\x23\0\1xy\0");
    cr_assert(mqtt_publish_read(&m, &p, 5));
    cr_assert(m.dup);
    cr_assert_eq(m.id, 2);
    cr_assert_eq(m.payload_len, 3);
    PACKET(&p, "\x30\4\0\3ab");
    cr_assert_not(mqtt_publish_read(&m, &p, 4), "a topic longer than the packet");
    PACKET(&p, "\x30\4\0\1t\7");
    cr_assert_not(mqtt_publish_read(&m, &p, 5), "properties longer than the packet");
    PACKET(&p, "\x32\5\0\1t\0\0");
    cr_assert_not(mqtt_publish_read(&m, &p, 4), "identifier 0");
    PACKET(&p, "\x36\5\0\1t\0\1");
    cr_assert_not(mqtt_publish_read(&m, &p, 4), "QoS 3");
}

Test(mqtt_wire, connacks)
{
    struct mqtt_packet p;
    struct mqtt_connack k;
    PACKET(&p, "\x20\2\1\0");
    cr_assert(mqtt_connack_read(&k, &p, 4));
    cr_assert(k.session_present);
    cr_assert_eq(k.receive_maximum, 65535);
    /* receive maximum, a user property, a topic alias maximum */
    PACKET(&p, "\x20\x12\0\0\x0f\x21\0\x14\x26\0\1k\0\3val\x22\0\x0a");
    cr_assert(mqtt_connack_read(&k, &p, 5));
    cr_assert_eq(k.receive_maximum, 20);
    PACKET(&p, "\x20\x08\0\x87\5\x1f\0\2no");
    cr_assert(mqtt_connack_read(&k, &p, 5));
    cr_assert_eq(k.reason, 0x87);
    cr_assert_str_eq(k.text, "no");
    PACKET(&p, "\x20\5\0\0\2\x7f\0");
    cr_assert_not(mqtt_connack_read(&k, &p, 5), "a property nobody knows");
    PACKET(&p, "\x20\6\0\0\3\x21\0\0");
    cr_assert_not(mqtt_connack_read(&k, &p, 5), "receive maximum 0");
}

Test(mqtt_wire, subacks_tell_the_worst)
{
    struct mqtt_packet p;
    uint8_t reason;
    PACKET(&p, "\x90\5\0\1\1\x80\0");
    cr_assert(mqtt_suback_read(&reason, &p, 4));
    cr_assert_eq(reason, 0x80);
    PACKET(&p, "\x90\4\0\1\0\2");
    cr_assert(mqtt_suback_read(&reason, &p, 5));
    cr_assert_eq(reason, 2);
    PACKET(&p, "\x90\2\0\1");
    cr_assert_not(mqtt_suback_read(&reason, &p, 4));
}

/* ---- a connection ---- */
static void drop(struct conn *c)
{
    (void)c;
}
static const struct carrier_ops no_ops = {.drop = drop};
static struct carrier no_carrier = {.ops = &no_ops};
static struct options options = {.protocol = &protocol_mqtt, .mqtt_version = 5, .qos = 2};

static struct conn conn_of(enum conn_role role)
{
    struct conn c;
    conn_init(&c, &options, role, 1, &no_carrier);
    return c;
}

static enum incoming_kind read_one(struct conn *c, struct incoming *in, const char *bytes, size_t n)
{
    cr_assert_eq(protocol_mqtt.read(c, (const uint8_t *)bytes, n, in), (int64_t)n);
    return in->kind;
}
#define READ(c, in, bytes) read_one(c, in, bytes, sizeof(bytes) - 1)

Test(mqtt, qos_2_is_delivered_once_until_it_is_released)
{
    struct conn c = conn_of(CONN_CONSUMER);
    struct incoming in;
    cr_assert_eq(READ(&c, &in, "\x34\7\0\1t\0\5\0x"), INCOMING_DELIVERY);
    protocol_mqtt.ack(&c, false);
    EXPECT(&c.out, "\x50\2\0\5");
    cr_assert_eq(READ(&c, &in, "\x3c\7\0\1t\0\5\0x"), INCOMING_NOTHING);
    EXPECT(&c.out, "\x50\2\0\5");
    cr_assert_eq(READ(&c, &in, "\x62\2\0\5"), INCOMING_NOTHING);
    EXPECT(&c.out, "\x70\2\0\5");
    cr_assert_eq(READ(&c, &in, "\x34\7\0\1t\0\5\0x"), INCOMING_DELIVERY);
    conn_free(&c);
}

Test(mqtt, a_publish_of_qos_2_is_confirmed_by_pubcomp)
{
    struct conn c = conn_of(CONN_PRODUCER);
    struct incoming in;
    cr_assert_eq(READ(&c, &in, "\x50\2\0\3"), INCOMING_HALFWAY);
    cr_assert_eq(in.tag, 3);
    EXPECT(&c.out, "\x62\2\0\3");
    cr_assert_eq(READ(&c, &in, "\x70\2\0\3"), INCOMING_CONFIRM);
    cr_assert(in.acked && in.tag == 3);
    cr_assert_eq(READ(&c, &in, "\x50\3\0\4\x97"), INCOMING_CONFIRM);
    cr_assert(!in.acked && in.tag == 4);
    cr_assert_eq(c.out.len, 0);
    cr_assert_eq(READ(&c, &in, "\x40\2\0\6"), INCOMING_CONFIRM);
    cr_assert(in.acked && in.tag == 6);
    conn_free(&c);
}

Test(mqtt, packet_identifiers_are_never_0)
{
    uint8_t at[2];
    protocol_mqtt.stamp_tag(at, 65535);
    cr_assert(at[0] == 0xff && at[1] == 0xff);
    protocol_mqtt.stamp_tag(at, 65536);
    cr_assert(at[0] == 0 && at[1] == 1);
}

/* Identifiers begin again while the first ones are still awaited. */
Test(mqtt, confirms_find_their_publish_after_65535)
{
    static struct meter meter;
    struct producer p;
    options.confirms = 100;
    options.producers = options.queues = 1;
    options.queue = options.key = options.exchange = "";
    producer_init(&p, &options, &meter, &no_carrier, 0, 1);
    p.tag_low = 65530, p.tag_next = 65545;
    for (uint64_t tag = p.tag_low; tag < p.tag_next; tag++)
        p.ring[tag & p.ring_mask] = (struct flight){.seq = tag - 65530};
    p.outstanding = 15;
    const uint8_t last[] = {0x40, 2, 0, 9}, middle[] = {0x40, 2, 0xff, 0xff};
    cr_assert_eq(producer_input(&p, last, 4, 1000), 4);
    cr_assert(seen_has(&p.confirmed, 14));
    cr_assert_eq(producer_input(&p, middle, 4, 1000), 4);
    cr_assert(seen_has(&p.confirmed, 5));
    cr_assert_eq(p.outstanding, 13);
    const uint8_t never[] = {0x40, 2, 0, 10};
    cr_assert_eq(producer_input(&p, never, 4, 1000), -1);
    producer_free(&p);
}

Test(mqtt, nonsense_ends_the_connection)
{
    struct conn c = conn_of(CONN_CONSUMER);
    struct incoming in;
    cr_assert_eq(protocol_mqtt.read(&c, (const uint8_t *)"\x10\0", 2, &in), -1);
    cr_assert_neq(*c.why, 0);
    cr_assert_eq(protocol_mqtt.read(&c, (const uint8_t *)"\xe0\1\x8e", 3, &in), -1);
    cr_assert_not_null(strstr(c.why, "0x8e"));
    conn_free(&c);
}
