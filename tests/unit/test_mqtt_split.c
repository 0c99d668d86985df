/*
 * A conversation of many packets, cut at every byte: however it comes, the codec does and says the same; and
 * what it says of messages of all sizes.
 */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/prng.h"
#include "mqtt_client.h"

enum { BIG = 3 * INLINE_BODY_MAX / 2 };

static const struct span five[] = {
    {(const uint8_t *)"\x82\x0b\0\1\0\0\5a/+/c\2", 13},
    {(const uint8_t *)"\x30\5\0\1a\0x", 7},
    {(const uint8_t *)"\x32\x0f\0\1a\0\5\7\x26\0\1k\0\1vxy", 17},
    {(const uint8_t *)"\x34\x0a\0\3a/b\0\6\0xy", 12},
    {(const uint8_t *)"\x3c\x0a\0\3a/b\0\6\0xy", 12},
    {(const uint8_t *)"\x40\2\0\5", 4},
    {(const uint8_t *)"\x50\4\0\6\x80\0", 6},
    {(const uint8_t *)"\x62\2\0\6", 4},
    {(const uint8_t *)"\x70\3\0\7\0", 5},
    {(const uint8_t *)"\xa2\x0a\0\2\0\0\5a/+/c", 12},
    {(const uint8_t *)"\xc0\0", 2},
    {(const uint8_t *)"\xe0\2\4\0", 4},
};

static const struct span three[] = {
    {(const uint8_t *)"\x82\x0a\0\1\0\5a/+/c\2", 12},
    {(const uint8_t *)"\x30\4\0\1ax", 6},
    {(const uint8_t *)"\x34\x09\0\3a/b\0\6xy", 11},
    {(const uint8_t *)"\x62\2\0\6", 4},
    {(const uint8_t *)"\xa2\x09\0\2\0\5a/+/c", 11},
    {(const uint8_t *)"\xc0\0", 2},
    {(const uint8_t *)"\xe0\0", 2},
};

/* What became of it, as one text: what was asked of the routers, then what was written. */
struct trace {
    struct fake_bytes text, output;
};

static void keep(struct fake_bytes *to, const struct fake_bytes *from)
{
    to->at = malloc(from->len + 1);
    cr_assert(to->at);
    put_span(to->at, span_of(from->at, from->len));
    to->len = from->len;
}

static void feed(struct client *client, const struct span *packets, size_t count, size_t cut)
{
    static uint8_t big[BIG + 16];
    uint8_t *at = put_be16(put_u8(put_be16(big, 1), 'b'), 9);
    for (size_t i = 0; i < count; i++) {
        if (i == 2) { /* one that goes to the routers in parts */
            at = client->c->version == MQTT_5 ? put_u8(big + 5, 0) : big + 5;
            client_packet(client, 0x32, span_of(big, (size_t)(at - big) + BIG));
        }
        client_bytes(client, packets[i]);
    }
    if (cut) {
        struct fake_bytes rest = client->input;
        rest.len -= cut;
        rest.at = malloc(rest.len + 1);
        cr_assert(rest.at);
        memcpy(rest.at, client->input.at + cut, rest.len);
        client->input.len = cut;
        client_run(client);
        client_bytes(client, span_of(rest.at, rest.len));
        free(rest.at);
    }
    client_run(client);
}

static struct trace run(uint8_t version, size_t piece, size_t cut)
{
    struct trace trace;
    struct client *client = client_new();
    client_connect(client, version, false); /* what is safe first is said in batches, by turns */
    client->piece = piece;
    if (version == MQTT_5)
        feed(client, five, sizeof five / sizeof *five, cut);
    else
        feed(client, three, sizeof three / sizeof *three, cut);
    cr_assert(client->host->closed && !client->input.len);
    keep(&trace.text, &client->host->transcript);
    keep(&trace.output, &client->host->output);
    client_free(client);
    return trace;
}

static bool same(const struct fake_bytes *a, const struct fake_bytes *b)
{
    return span_equal(span_of(a->at, a->len), span_of(b->at, b->len));
}

static void check(uint8_t version, size_t piece, size_t cut, const struct trace *whole)
{
    struct trace trace = run(version, piece, cut);
    cr_assert(same(&trace.output, &whole->output), "version %d, pieces of %zu, cut at %zu", version, piece,
              cut);
    cr_assert(same(&trace.text, &whole->text), "version %d, pieces of %zu, cut at %zu: %.*s", version, piece,
              cut, (int)trace.text.len, (const char *)trace.text.at);
    free(trace.text.at);
    free(trace.output.at);
}

Test(mqtt_split, it_does_not_matter_how_bytes_come, .timeout = 100)
{
    static const uint8_t versions[] = {MQTT_31, MQTT_311, MQTT_5};
    for (unsigned v = 0; v < 3; v++) {
        struct trace whole = run(versions[v], 0, 0);
        cr_assert_gt(whole.output.len, 15);
        for (size_t cut = 1; cut < 60; cut++)
            check(versions[v], 0, cut, &whole);
        static const size_t pieces[] = {7, 1000, 4096, 65536};
        for (unsigned i = 0; i < 4; i++)
            check(versions[v], pieces[i], 0, &whole);
        free(whole.text.at);
        free(whole.output.at);
    }
}

/* A packet alone, in single bytes. */
Test(mqtt_split, single_bytes)
{
    for (size_t i = 0; i < sizeof five / sizeof *five; i++) {
        struct client *whole = client_new(), *bytes = client_new();
        client_connect(whole, MQTT_5, true);
        client_connect(bytes, MQTT_5, true);
        bytes->piece = 1;
        client_bytes(whole, five[i]);
        client_bytes(bytes, five[i]);
        client_run(whole);
        client_run(bytes);
        cr_assert(same(&whole->host->output, &bytes->host->output), "packet %zu", i);
        cr_assert(same(&whole->host->transcript, &bytes->host->transcript), "packet %zu", i);
        client_free(whole);
        client_free(bytes);
    }
}

/* Nothing is done of a packet before all of it is there, but for the payload of a large PUBLISH. */
Test(mqtt_split, the_beginning_of_a_packet_is_left_where_it_is)
{
    for (size_t i = 0; i < sizeof five / sizeof *five; i++)
        for (size_t len = 0; len < five[i].len; len++) {
            struct client *client = client_new();
            client_connect(client, MQTT_5, true);
            size_t before = client->host->transcript.len;
            client_bytes(client, span_of(five[i].at, len));
            client_run(client);
            cr_assert_eq(client->input.len, len);
            cr_assert(client_silent(client) && client->host->transcript.len == before);
            client_free(client);
        }
}

/* ---- and out ------------------------------------------------------------------------------------- */

/* Output is asked for in pieces of 64 KiB at most, which the fake host checks. */
Test(mqtt_split, deliveries_with_properties_of_every_size)
{
    static const size_t values[] = {1, 400, 500, 520, 1000, 32760, 32770, 60000};
    for (size_t n = 0; n < sizeof values / sizeof *values; n++) {
        size_t value = values[n];
        struct client *client = client_new();
        client_connect(client, MQTT_5, true);
        client_subscribe(client, "a", 0);
        uint8_t *properties = malloc(2 * value + 40), *headers = put_be16(properties, 0x2000) + 4,
                *at = headers;
        for (unsigned i = 0; i < 2; i++) {
            at = put_be32(put_span(at, SPAN("\1kS")), (uint32_t)value);
            memset(at, 'v', value);
            at += value;
        }
        put_be32(headers - 4, (uint32_t)(at - headers));
        struct message *m = client_message(PROPERTIES_AMQP, false, SPAN("a"),
                                           span_of(properties, (size_t)(at - properties)), SPAN("body"));
        client_deliver(client, 1, m);
        struct span body = client_expect(client, PACKET_PUBLISH);
        cr_assert(span_equal(span_of(body.at + body.len - 4, 4), SPAN("body")));
        cr_assert_geq(body.len, 2 * (value + 6) + 8);
        cr_assert_eq(client->host->done, 1);
        free(m);
        free(properties);
        client_free(client);
    }
}

Test(mqtt_split, what_is_no_topic_is_not_delivered)
{
    static const struct span keys[] = {{(const uint8_t *)"", 0},
                                       {(const uint8_t *)"a.#", 3},
                                       {(const uint8_t *)"\xff", 1},
                                       {(const uint8_t *)"a\0", 2}};
    for (unsigned version = MQTT_31; version <= MQTT_5; version++)
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
            struct client *client = client_new();
            client_connect(client, (uint8_t)version, true);
            client_subscribe(client, "#", 1);
            struct message *m = client_message(PROPERTIES_AMQP, true, keys[i], SPAN("\0\0"), SPAN("x"));
            client_deliver(client, 1, m);
            cr_assert(client_silent(client));
            cr_assert_eq(client->host->done, 1);
            cr_assert_eq(client->host->settle[client->host->settles - 1].how, SETTLE_ACK);
            free(m);
            client_free(client);
        }
}
