/* STOMP's encoder and decoder, and what a connection makes of frames, without a broker. */
#include "carrier.h"
#include "conn.h"
#include "options.h"
#include "stomp_wire.h"

#include <criterion/criterion.h>

static int64_t frame_of(struct stomp_frame *f, const char *bytes, size_t n)
{
    return stomp_frame_read(f, (const uint8_t *)bytes, n);
}
#define FRAME(f, bytes) frame_of(f, bytes, sizeof(bytes) - 1)

static bool text_is(struct stomp_text text, const char *word)
{
    return text.len == strlen(word) && memcmp(text.at, word, text.len) == 0;
}

/* ---- writing ---- */
Test(stomp_wire, a_frame_as_it_should_be)
{
    static const char expected[] = "SEND\ndestination:/queue/a\\cb\\\\c\nx:1\ncontent-length:3\n\na\0b";
    struct buffer b = {0};
    stomp_open(&b, "SEND");
    stomp_header(&b, "destination", "/queue/a:b\\c");
    stomp_header_raw(&b, "x", "1", 1);
    stomp_close(&b, (const uint8_t *)"a\0b", 3);
    cr_assert_eq(b.len, sizeof expected);
    cr_assert_eq(memcmp(b.data, expected, sizeof expected), 0);
    buffer_free(&b);
}

Test(stomp_wire, numbers_are_stamped_and_read)
{
    uint8_t at[STOMP_STAMP_WIDTH];
    static const uint64_t numbers[] = {0, 1, 9, 10, 123456789, 999999999999};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        stomp_stamp(at, numbers[i]);
        cr_assert_eq(stomp_number((struct stomp_text){at, sizeof at}), numbers[i]);
    }
    cr_assert_eq(stomp_number((struct stomp_text){(const uint8_t *)"1x", 2}), UINT64_MAX);
    cr_assert_eq(stomp_number((struct stomp_text){(const uint8_t *)"", 0}), UINT64_MAX);
}

/* ---- reading ---- */
static const char MESSAGE[] =
    "MESSAGE\nack:T_1\nack:T_2\r\nredelivered:true\ncontent-length:3\nother:x:y\n\na\0b";

Test(stomp_wire, a_message_with_a_length)
{
    struct stomp_frame f;
    cr_assert_eq(frame_of(&f, MESSAGE, sizeof MESSAGE), (int64_t)sizeof MESSAGE);
    cr_assert_eq(f.command, STOMP_MESSAGE);
    cr_assert(text_is(f.ack, "T_1"), "the first of several counts");
    cr_assert(f.redelivered);
    cr_assert_eq(f.body_len, 3);
    cr_assert_eq(memcmp(f.body, "a\0b", 3), 0);
}

Test(stomp_wire, a_frame_in_pieces_is_not_complete)
{
    struct stomp_frame f;
    for (size_t n = 0; n < sizeof MESSAGE; n++) {
        cr_assert_eq(frame_of(&f, MESSAGE, n), 0, "%zu bytes", n);
        cr_assert(f.total == 0 || f.total == sizeof MESSAGE);
    }
}

Test(stomp_wire, bodies_without_a_length_end_with_nul)
{
    struct stomp_frame f;
    cr_assert_eq(FRAME(&f, "RECEIPT\nreceipt-id:77\n\n\0\n"), 24);
    cr_assert_eq(f.command, STOMP_RECEIPT);
    cr_assert_eq(stomp_number(f.receipt_id), 77);
    cr_assert_eq(FRAME(&f, "ERROR\r\nmessage:no\r\n\r\nbecause\0"), 29);
    cr_assert(text_is(f.message, "no"));
    cr_assert_eq(f.body_len, 7);
    cr_assert_eq(FRAME(&f, "\n"), 1);
    cr_assert_eq(f.command, STOMP_EOL);
}

Test(stomp_wire, what_is_no_frame)
{
    struct stomp_frame f;
    cr_assert_eq(FRAME(&f, "HELLO\n\n\0"), -1);
    cr_assert_eq(FRAME(&f, "MESSAGE\nnocolon\n\n\0"), -1);
    cr_assert_eq(FRAME(&f, "MESSAGE\ncontent-length:x\n\n\0"), -1);
    cr_assert_eq(FRAME(&f, "MESSAGE\ncontent-length:1\n\nabc\0"), -1);
}

/* ---- a connection ---- */
static void drop(struct conn *c)
{
    (void)c;
}
static const struct carrier_ops no_ops = {.drop = drop};
static struct carrier no_carrier = {.ops = &no_ops};
static struct options options = {.protocol = &protocol_stomp, .ack_every = 1, .confirms = 10};

static enum incoming_kind read_one(struct conn *c, struct incoming *in, const char *bytes, size_t n)
{
    cr_assert_eq(protocol_stomp.read(c, (const uint8_t *)bytes, n, in), (int64_t)n, "%s", c->why);
    return in->kind;
}
#define READ(c, in, bytes) read_one(c, in, bytes, sizeof(bytes) - 1)

Test(stomp, deliveries_are_acked_by_their_ack_header_as_it_came)
{
    static const char expected[] = "ACK\nid:T_\\c1\n\n";
    struct conn c;
    struct incoming in;
    conn_init(&c, &options, CONN_CONSUMER, 1, &no_carrier);
    cr_assert_eq(READ(&c, &in, "MESSAGE\nack:T_\\c1\n\nxyz\0"), INCOMING_DELIVERY);
    cr_assert_eq(in.size, 3);
    cr_assert_not(in.redelivered);
    protocol_stomp.ack(&c, false);
    cr_assert_eq(c.out.len, sizeof expected);
    cr_assert_eq(memcmp(c.out.data, expected, sizeof expected), 0);
    cr_assert_eq(protocol_stomp.read(&c, (const uint8_t *)"MESSAGE\n\nx", 11, &in), -1, "no ack header");
    conn_free(&c);
}

Test(stomp, receipts)
{
    struct conn c;
    struct incoming in;
    conn_init(&c, &options, CONN_PRODUCER, 1, &no_carrier);
    cr_assert_eq(READ(&c, &in, "RECEIPT\nreceipt-id:000000000012\n\n\0"), INCOMING_CONFIRM);
    cr_assert(in.tag == 12 && in.acked && !in.multiple);
    cr_assert_eq(READ(&c, &in, "RECEIPT\nreceipt-id:subscribed\n\n\0"), INCOMING_SUBSCRIBED);
    cr_assert_eq(READ(&c, &in, "RECEIPT\nreceipt-id:done\n\n\0"), INCOMING_DONE);
    cr_assert_eq(READ(&c, &in, "CONNECTED\nversion:1.2\n\n\0"), INCOMING_WELCOME);
    cr_assert_eq(protocol_stomp.read(&c, (const uint8_t *)"ERROR\nmessage:no\n\nwhy", 22, &in), -1);
    cr_assert_not_null(strstr(c.why, "no: why"));
    conn_free(&c);
}

Test(stomp, publishes_can_be_stamped)
{
    struct buffer b = {0};
    struct layout at;
    const struct posting what = {.o = &options, .key = "/queue/a"};
    protocol_stomp.encode(&what, (const uint8_t *)"body", 4, &b, &at);
    size_t first = b.len;
    protocol_stomp.encode(&what, (const uint8_t *)"body", 4, &b, &at);
    protocol_stomp.stamp_tag(b.data + first + at.tag_at, 42);
    cr_assert_eq(memcmp(b.data + first + at.tag_at - 8, "receipt:000000000042\n", 21), 0);
    cr_assert_eq(memcmp(b.data + first + at.body_at, "body", 5), 0);
    cr_assert_eq(b.len, 2 * first);
    buffer_free(&b);
}
