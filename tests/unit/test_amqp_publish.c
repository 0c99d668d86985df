/* Publishing: the fast path and the assembly must send the same, however the bytes arrive. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "amqp_client.h"
#include "router/properties.h"

static struct client *connected(void)
{
    struct client *c = client_new();
    client_connect(c);
    return c;
}

static uint8_t *filled(size_t len)
{
    uint8_t *bytes = malloc(len + 1);
    cr_assert(bytes);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 251);
    return bytes;
}

/* Method, header, body in frames of `frame` bytes each. */
static void publish(struct client *c, uint16_t channel, const char *exchange, const char *key,
                    struct span properties, struct span body, size_t frame)
{
    CALL(c, channel, BASIC_PUBLISH, .exchange = text(exchange), .routing_key = text(key));
    client_header(c, channel, body.len, properties);
    for (size_t at = 0; at < body.len; at += frame)
        client_frame(c, FRAME_BODY, channel,
                     span_of(body.at + at, body.len - at < frame ? body.len - at : frame));
}

#define NONE span_of("\0\0", 2)

Test(amqp_publish, points_into_the_input)
{
    struct client *c = connected();
    client_publish(c, 1, "amq.direct", "key", span_str("hello"));
    client_run(c);
    cr_assert_eq(c->host->publishes, 1);
    const struct command_publish *p = &c->host->publish[0].command;
    cr_assert(span_is(span_of(p->bytes, p->key_len), "key"));
    cr_assert(span_is(span_of(p->bytes + p->body_at, p->body_len), "hello"));
    cr_assert_eq(p->total_len, 5);
    cr_assert_eq(p->properties_len, 2);
    cr_assert_eq(p->flags, 0);
    cr_assert_eq(c->host->buffers, 0);
    cr_assert(client_silent(c));
    client_free(c);
}

/* A table of one header, then a delivery mode. */
static const char with_headers[] = "\x30\0\0\0\0\x09\1hS\0\0\0\2ok\2";

Test(amqp_publish, properties_become_flags_and_headers)
{
    for (int split = 0; split < 2; split++) {
        struct client *c = connected();
        struct span properties = span_of(with_headers, sizeof with_headers - 1);
        publish(c, 1, "", "q", properties, span_str("abcdef"), split ? 3 : 6);
        client_run(c);
        const struct command_publish *p = &c->host->publish[0].command;
        cr_assert_eq(p->flags, PUBLISH_PERSISTENT);
        cr_assert(span_equal(span_of(p->bytes + p->properties_at, p->properties_len), properties));
        cr_assert(span_equal(command_headers(p), span_of("\1hS\0\0\0\2ok", 9)));
        client_free(c);
    }
}

/* Everything that can be said about publishing, on two channels. */
static void conversation(struct client *c, const uint8_t *bytes)
{
    struct span properties = span_of(with_headers, sizeof with_headers - 1);
    CALL(c, 2, CHANNEL_OPEN);
    CALL(c, 2, CONFIRM_SELECT);
    publish(c, 1, "amq.direct", "a", NONE, span_of(bytes, 16), 16);
    publish(c, 1, "", "", NONE, span_of(bytes, 0), 1);
    publish(c, 2, "amq.direct", "b", properties, span_of(bytes, 1000), 1000);
    publish(c, 2, "amq.direct", "b", properties, span_of(bytes, 1000), 64);
    publish(c, 2, "", "large", properties, span_of(bytes, INLINE_BODY_MAX), 1u << 16);
    publish(c, 2, "", "larger", properties, span_of(bytes, 3 * INLINE_BODY_MAX + 5), 100000);
    publish(c, 1, "", "exactly", NONE, span_of(bytes, 2 * INLINE_BODY_MAX), 131064);
    /* Frames of two channels between each other, a heartbeat among them. */
    CALL(c, 1, BASIC_PUBLISH, .routing_key = text("one"), .mandatory = num(1));
    CALL(c, 2, BASIC_PUBLISH, .routing_key = text("two"));
    client_header(c, 1, 4, NONE);
    client_header(c, 2, 4, properties);
    client_frame(c, FRAME_BODY, 2, span_of(bytes, 2));
    client_frame(c, FRAME_HEARTBEAT, 0, span_of(bytes, 0));
    client_frame(c, FRAME_BODY, 1, span_of(bytes, 4));
    client_frame(c, FRAME_BODY, 2, span_of(bytes, 0));
    client_frame(c, FRAME_BODY, 2, span_of(bytes, 2));
    publish(c, 1, "amq.direct", "last", NONE, span_of(bytes, 9), 9);
}

static struct client *converse(enum client_split split, uint64_t seed, const uint8_t *bytes)
{
    struct client *c = connected();
    c->split = split;
    c->random = seed;
    conversation(c, bytes);
    client_run(c);
    cr_assert(!c->host->closed);
    cr_assert_eq(c->input.len, 0);
    return c;
}

Test(amqp_publish, is_the_same_however_it_arrives)
{
    uint8_t *bytes = filled(4 * INLINE_BODY_MAX);
    struct client *whole = converse(SPLIT_NOT, 0, bytes);
    cr_assert_eq(whole->host->publishes, 10);
    cr_assert_eq(whole->host->parts, 4);
    for (uint64_t seed = 0; seed < 4; seed++) {
        struct client *c = converse(SPLIT_RANDOM, seed * 100000, bytes);
        cr_assert_eq(c->host->transcript.len, whole->host->transcript.len);
        cr_assert_eq(memcmp(c->host->transcript.at, whole->host->transcript.at, whole->host->transcript.len),
                     0);
        client_free(c);
    }
    client_free(whole);
    free(bytes);
}

/* Byte by byte, without the large bodies. */
Test(amqp_publish, is_the_same_byte_by_byte)
{
    uint8_t *bytes = filled(4000);
    struct client *c[2];
    for (int i = 0; i < 2; i++) {
        c[i] = connected();
        c[i]->split = i ? SPLIT_BYTES : SPLIT_NOT;
        publish(c[i], 1, "amq.direct", "a", NONE, span_of(bytes, 16), 16);
        publish(c[i], 1, "", "", NONE, span_of(bytes, 0), 1);
        publish(c[i], 1, "amq.direct", "c", span_of(with_headers, sizeof with_headers - 1),
                span_of(bytes, 4000), 900);
        publish(c[i], 1, "amq.direct", "d", NONE, span_of(bytes, 300), 300);
        client_run(c[i]);
        cr_assert_eq(c[i]->host->publishes, 4);
    }
    cr_assert_eq(c[0]->host->transcript.len, c[1]->host->transcript.len);
    cr_assert_eq(memcmp(c[0]->host->transcript.at, c[1]->host->transcript.at, c[0]->host->transcript.len), 0);
    client_free(c[0]);
    client_free(c[1]);
    free(bytes);
}

/* ---- waiting
 * ------------------------------------------------------------------------------------------------ */

Test(amqp_publish, waits_where_it_stands)
{
    uint8_t *bytes = filled(4 * INLINE_BODY_MAX);
    struct client *whole = converse(SPLIT_NOT, 0, bytes), *c = connected();
    conversation(c, bytes);
    /* The gate opens for one command at a time. */
    c->host->park = true;
    for (int turns = 0; c->input.len; turns++) {
        cr_assert(turns < 100);
        size_t sent = c->host->publishes + c->host->parts;
        c->host->admitted = 1;
        client_run(c);
        cr_assert(c->host->publishes + c->host->parts == sent + 1);
    }
    cr_assert_eq(c->host->transcript.len, whole->host->transcript.len);
    cr_assert_eq(memcmp(c->host->transcript.at, whole->host->transcript.at, whole->host->transcript.len), 0);
    client_free(c);
    client_free(whole);
    free(bytes);
}

Test(amqp_publish, forgets_what_is_half_sent)
{
    uint8_t *bytes = filled(2 * INLINE_BODY_MAX);
    struct client *c = connected();
    CALL(c, 1, BASIC_PUBLISH, .routing_key = text("q"));
    client_header(c, 1, 3 * INLINE_BODY_MAX, NONE);
    client_frame(c, FRAME_BODY, 1, span_of(bytes, INLINE_BODY_MAX + 10));
    client_run(c);
    cr_assert_eq(c->host->publishes, 1);
    cr_assert(c->host->publish[0].command.flags & PUBLISH_MORE);
    cr_assert_eq(c->host->parts, 0);
    client_gone(c);
    cr_assert_eq(c->host->parts, 1);
    cr_assert_eq(c->host->part[0].command.flags, PART_ABORT);
    cr_assert_eq(c->host->part[0].routers, c->host->publish[0].routers);
    client_free(c);
    free(bytes);
}

Test(amqp_publish, out_of_memory_closes_the_connection)
{
    struct client *c = connected();
    c->host->buffers_most = 100;
    CALL(c, 1, BASIC_PUBLISH, .routing_key = text("q"));
    client_header(c, 1, 3 * INLINE_BODY_MAX, NONE);
    client_run(c);
    client_expect_close(c, 0, 506, "RESOURCE_ERROR - no memory for the body of a message");
    client_free(c);
}

/* ---- errors
 * ------------------------------------------------------------------------------------------------- */

/* Between header and body another connection deletes the exchange. */
Test(amqp_publish, an_exchange_that_goes_in_the_middle)
{
    for (unsigned larger = 0; larger < 2; larger++) {
        size_t size = larger ? INLINE_BODY_MAX + 100 : 8;
        uint8_t *bytes = filled(size);
        struct client *c = connected();
        CALL(c, 1, CONFIRM_SELECT);
        fake_exchange(c->host, "brief", false);
        CALL(c, 1, BASIC_PUBLISH, .exchange = text("brief"), .mandatory = num(1));
        client_header(c, 1, size, NONE);
        client_frame(c, FRAME_BODY, 1, span_of(bytes, 4));
        client_run(c);
        client_expect(c, 1, METHOD_CONFIRM_SELECT_OK);
        c->host->exchanges--;
        c->host->exchange_version++;
        client_frame(c, FRAME_BODY, 1, span_of(bytes + 4, size - 4));
        client_run(c);
        client_expect_close(c, 1, 404, "NOT_FOUND - no exchange 'brief' in vhost '/'");
        cr_assert_eq(c->host->publishes, 0);
        client_free(c);
        free(bytes);
    }
}

Test(amqp_publish, unknown_exchange)
{
    struct client *c = connected();
    client_publish(c, 1, "nope", "k", span_str("x"));
    client_publish(c, 1, "", "k", span_str("ignored"));
    client_run(c);
    client_expect_close(c, 1, 404, "NOT_FOUND - no exchange 'nope' in vhost '/'");
    cr_assert_eq(c->host->publishes, 0);
    CALL(c, 1, CHANNEL_CLOSE_OK);
    CALL(c, 1, CHANNEL_OPEN);
    client_publish(c, 1, "", "k", span_str("x"));
    client_run(c);
    client_expect(c, 1, METHOD_CHANNEL_OPEN_OK);
    cr_assert_eq(c->host->publishes, 1);
    client_free(c);
}

Test(amqp_publish, internal_exchange)
{
    struct client *c = connected();
    fake_exchange(c->host, "inside", true);
    client_publish(c, 1, "inside", "k", span_str("x"));
    client_run(c);
    client_expect_close(c, 1, 403,
                        "ACCESS_REFUSED - cannot publish to internal exchange 'inside' in vhost '/'");
    client_free(c);
}

Test(amqp_publish, immediate)
{
    struct client *c = connected();
    CALL(c, 1, BASIC_PUBLISH, .immediate = num(1));
    client_header(c, 1, 0, NONE);
    client_run(c);
    client_expect_close(c, 0, 540, "NOT_IMPLEMENTED - immediate=true");
    client_free(c);
}

Test(amqp_publish, too_large)
{
    struct client *c = connected();
    CALL(c, 1, BASIC_PUBLISH, .routing_key = text("q"));
    client_header(c, 1, (1ull << 40) + 1, NONE);
    client_run(c);
    client_expect_close(
        c, 1, 406,
        "PRECONDITION_FAILED - message size 1099511627777 is larger than configured max size 16777216");
    client_free(c);
}

static void wrong_header(const void *payload, size_t len, uint16_t code, const char *what)
{
    struct client *c = connected();
    CALL(c, 1, BASIC_PUBLISH, .routing_key = text("q"));
    client_frame(c, FRAME_HEADER, 1, span_of(payload, len));
    client_run(c);
    client_expect_close(c, 0, code, what);
    client_free(c);
}

Test(amqp_publish, wrong_headers)
{
    wrong_header("\0\x3c\0\0\0\0\0\0\0\0\0\0\0", 13, 502, "SYNTAX_ERROR - content header of 13 bytes");
    wrong_header("\0\x32\0\0\0\0\0\0\0\0\0\0\0\0", 14, 505,
                 "UNEXPECTED_FRAME - expected content header for class 60, got one for class 50 instead");
    wrong_header("\0\x3c\0\1\0\0\0\0\0\0\0\0\0\0", 14, 502,
                 "SYNTAX_ERROR - content header with a weight of 1");
    wrong_header("\0\x3c\0\0\0\0\0\0\0\0\0\0\x80\0", 14, 502, "SYNTAX_ERROR - malformed properties");
    wrong_header("\0\x3c\0\0\0\0\0\0\0\0\0\0\0\1", 14, 502, "SYNTAX_ERROR - malformed properties");
    wrong_header("\0\x3c\0\0\0\0\0\0\0\0\0\0\0\0\0", 15, 502, "SYNTAX_ERROR - malformed properties");
}

static void wrong_property(const char *properties, size_t len, const char *what)
{
    struct client *c = connected();
    publish(c, 1, "", "q", span_of(properties, len), span_str("x"), 1);
    client_run(c);
    client_expect_close(c, 1, 406, what);
    client_free(c);
}

Test(amqp_publish, wrong_properties)
{
    wrong_property("\0\x10\4root", 7,
                   "PRECONDITION_FAILED - user_id property set to 'root' but authenticated user was 'guest'");
    wrong_property("\1\0\3abc", 6, "PRECONDITION_FAILED - invalid expiration 'abc': no_integer");
    wrong_property("\x10\0\3", 3, "PRECONDITION_FAILED - invalid message: {delivery_mode_unknown,3}");
    wrong_property("\2\0\x15"
                   "amq.rabbitmq.reply-to",
                   24, "PRECONDITION_FAILED - fast reply consumer does not exist");
}

Test(amqp_publish, right_user)
{
    struct client *c = connected();
    publish(c, 1, "", "q",
            span_of("\1\x10\3"
                    "100\5guest",
                    12),
            span_str("x"), 1);
    client_run(c);
    cr_assert_eq(c->host->publishes, 1);
    cr_assert(client_silent(c));
    client_free(c);
}

Test(amqp_publish, frames_out_of_order)
{
    struct client *c = connected();
    CALL(c, 1, BASIC_PUBLISH, .routing_key = text("q"));
    CALL(c, 1, BASIC_QOS);
    client_run(c);
    client_expect_close(c, 0, 505, "UNEXPECTED_FRAME - expected content, got basic.qos instead");
    client_free(c);

    c = connected();
    client_frame(c, FRAME_BODY, 1, span_str("x"));
    client_run(c);
    client_expect_close(c, 0, 505, "UNEXPECTED_FRAME - expected method frame, got content body instead");
    client_free(c);

    c = connected();
    client_header(c, 1, 1, NONE);
    client_run(c);
    client_expect_close(c, 0, 505, "UNEXPECTED_FRAME - expected method frame, got content header instead");
    client_free(c);

    c = connected();
    CALL(c, 1, BASIC_PUBLISH, .routing_key = text("q"));
    client_frame(c, FRAME_BODY, 1, span_str("x"));
    client_run(c);
    client_expect_close(c, 0, 505, "UNEXPECTED_FRAME - expected content header, got content body instead");
    client_free(c);
}

Test(amqp_publish, body_larger_than_declared)
{
    struct client *c = connected();
    CALL(c, 1, BASIC_PUBLISH, .routing_key = text("q"));
    client_header(c, 1, 2, NONE);
    client_frame(c, FRAME_BODY, 1, span_str("xyz"));
    client_run(c);
    client_expect_close(c, 0, 501, "FRAME_ERROR - content body is larger than the 2 bytes of its header");
    cr_assert(c->host->closed);
    client_free(c);
}
