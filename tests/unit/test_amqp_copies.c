/* The headers CC and BCC, and expirations: what is looked at before a publish is sent. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amqp_client.h"
#include "codec/amqp/expiration.h"
#include "router/properties.h"

#define SPAN(literal) span_of(literal, sizeof(literal) - 1)

/* A header of type S or A, or of one without a value. */
static uint8_t *put_header(uint8_t *at, const char *name, char type, struct span value)
{
    at = put_u8(put_str(at, span_str(name)), (uint8_t)type);
    return type == 'V' ? at : put_span(put_be32(at, (uint32_t)value.len), value);
}

/* k1, something else, the empty key; k3. */
static const struct span cc = {(const uint8_t *)"S\0\0\0\2k1b\7VS\0\0\0\0", 15};
static const struct span bcc = {(const uint8_t *)"S\0\0\0\2k3", 7};

struct built {
    size_t properties_len, headers_len;
    uint8_t bytes[300];
};

/* Content type, headers, delivery mode, reply-to if there is one, application. */
static struct built build(bool with_bcc, const char *reply_to)
{
    struct built b;
    uint16_t flags =
        HAS_CONTENT_TYPE | HAS_HEADERS | HAS_DELIVERY_MODE | HAS_APP_ID | (reply_to ? HAS_REPLY_TO : 0);
    uint8_t *headers = put_str(put_be16(b.bytes, flags), span_str("type")) + 4, *at = headers;
    at = put_header(at, "before", 'S', span_str("b"));
    if (with_bcc)
        at = put_header(at, "BCC", 'A', bcc);
    at = put_header(at, "CC", 'A', cc);
    at = put_header(at, "cc", 'V', SPAN(""));
    at = put_header(at, "BCCC", 'S', span_str("after"));
    b.headers_len = (size_t)(at - headers);
    put_be32(headers - 4, (uint32_t)b.headers_len);
    at = put_u8(at, DELIVERY_PERSISTENT);
    if (reply_to)
        at = put_str(at, span_str(reply_to));
    at = put_str(at, span_str("app"));
    b.properties_len = (size_t)(at - b.bytes);
    return b;
}

static void publish(struct client *c, struct span properties, size_t size)
{
    uint8_t *body = malloc(size + 1);
    cr_assert(body);
    memset(body, 'x', size);
    CALL(c, 1, BASIC_PUBLISH, .exchange = text("amq.direct"), .routing_key = text("key"));
    client_header(c, 1, size, properties);
    for (size_t at = 0; at < size; at += 100000)
        client_frame(c, FRAME_BODY, 1, span_of(body + at, size - at < 100000 ? size - at : 100000));
    client_run(c);
    free(body);
}

/* What was published, as the routers see it. */
static void expect(const struct client *c, const struct built *properties, size_t size)
{
    const struct command_publish *p = &c->host->publish[0].command;
    cr_assert_eq(c->host->publishes, 1);
    cr_assert((p->flags & PUBLISH_COPIES) && (p->flags & PUBLISH_PERSISTENT));
    cr_assert(span_is(span_of(p->bytes, p->key_len), "key"));
    cr_assert(span_equal(span_of(p->bytes + p->properties_at, p->properties_len),
                         span_of(properties->bytes, properties->properties_len)));
    cr_assert_eq(p->headers_in, 2 + 5 + 4);
    cr_assert_eq(command_headers(p).len, properties->headers_len);
    cr_assert_eq(p->total_len, size);
    for (uint32_t i = 0; i < p->body_len; i++)
        cr_assert_eq(p->bytes[p->body_at + i], 'x');
}

static void expect_copies(const struct client *c, bool with_bcc)
{
    struct span rest = command_copies(&c->host->publish[0].command), key;
    cr_assert(!with_bcc || (copies_next(&rest, &key) && span_is(key, "k3")));
    cr_assert(copies_next(&rest, &key) && span_is(key, "k1"));
    cr_assert(copies_next(&rest, &key) && span_is(key, ""));
    cr_assert_not(copies_next(&rest, &key));
}

static struct client *connected(void)
{
    struct client *c = client_new();
    client_connect(c);
    return c;
}

Test(amqp_copies, are_listed_and_bcc_is_hidden)
{
    static const size_t sizes[] = {0, 1, 100, 200000, 3 * INLINE_BODY_MAX + 5};
    struct built without = build(false, NULL);
    for (size_t i = 0; i < 2 * sizeof sizes / sizeof *sizes; i++) {
        struct client *c = connected();
        struct built sent = build(i % 2, NULL);
        publish(c, span_of(sent.bytes, sent.properties_len), sizes[i / 2]);
        expect(c, &without, sizes[i / 2]);
        expect_copies(c, i % 2);
        client_gone(c);
        client_free(c);
    }
}

Test(amqp_copies, and_a_direct_reply)
{
    struct client *c = connected();
    CALL(c, 1, BASIC_CONSUME, .queue = text("amq.rabbitmq.reply-to"), .no_ack = num(1));
    client_run(c);
    client_expect(c, 1, METHOD_BASIC_CONSUME_OK);
    struct built sent = build(true, "amq.rabbitmq.reply-to");
    publish(c, span_of(sent.bytes, sent.properties_len), 10);
    const struct command_publish *p = &c->host->publish[0].command;
    struct properties properties;
    cr_assert(properties_read(span_of(p->bytes + p->properties_at, p->properties_len), &properties));
    cr_assert(span_starts(properties.reply_to, "amq.rabbitmq.reply-to."));
    char reply_to[NAME_MAX_BYTES + 1] = {0};
    memcpy(reply_to, properties.reply_to.at, properties.reply_to.len);
    struct built without = build(false, reply_to);
    expect(c, &without, 10);
    expect_copies(c, true);
    client_gone(c);
    client_free(c);
}

static void refused(const char *name, char type, struct span value, const char *why)
{
    struct built b = {0};
    char what[200];
    uint8_t *headers = put_be16(b.bytes, HAS_HEADERS) + 4;
    uint8_t *at = put_header(put_header(headers, "CC", 'A', cc), name, type, value);
    put_be32(headers - 4, (uint32_t)(at - headers));
    struct client *c = connected();
    publish(c, span_of(b.bytes, (size_t)(at - b.bytes)), 1);
    snprintf(what, sizeof what, "PRECONDITION_FAILED - invalid message: {unacceptable_type_in_header,%s}",
             why);
    client_expect_close(c, 1, 406, what);
    cr_assert_eq(c->host->publishes, 0);
    client_free(c);
}

Test(amqp_copies, must_be_arrays)
{
    refused("CC", 'S', SPAN("key"), "\"CC\",longstr");
    refused("BCC", 'V', SPAN(""), "\"BCC\",void");
    refused("BCC", 'F', SPAN(""), "\"BCC\",table");
    refused("BCC", 'x', SPAN("key"), "\"BCC\",binary");
}

/* NULL: it is one. */
static void expiration(const char *text, const char *why)
{
    char said[64];
    uint64_t ms;
    cr_assert_eq(expiration_ms(span_str(text), &ms), !why, "%s", text);
    if (why)
        cr_assert_str_eq(expiration_fault(span_str(text), said, sizeof said), why);
}

Test(amqp_copies, expirations)
{
    expiration("0", NULL);
    expiration("+5", NULL);
    expiration("-0", NULL);
    expiration("007", NULL);
    expiration("315360000000", NULL);
    expiration("315360000001", "{value_too_large,315360000001}");
    expiration("99999999999999999999", "{value_too_large,99999999999999999999}");
    expiration("-007", "{value_negative,-7}");
    expiration("", "no_integer");
    expiration("-", "no_integer");
    expiration("--5", "no_integer");
    expiration(" 5", "no_integer");
    expiration("5 \"s\\", "{leftover_string,\" \\\"s\\\\\"}");
    char text[256] = "1", why[64];
    memset(text + 1, '"', 254);
    cr_assert_lt(strlen(expiration_fault(span_str(text), why, sizeof why)), sizeof why);
    memset(text, '9', 255);
    cr_assert_lt(strlen(expiration_fault(span_str(text), why, sizeof why)), sizeof why);
}
