/* Deliveries: what is written, what is given back, windows, limits, acknowledgements. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "amqp_client.h"
#include "codec/amqp/amqp.h"

#define NONE span_of("\0\0", 2)

static struct client *connected(void)
{
    struct client *c = client_new();
    client_connect(c);
    return c;
}

static struct client *consuming(bool no_ack)
{
    struct client *c = connected();
    CALL(c, 1, BASIC_CONSUME, .queue = text("q"), .consumer_tag = text("tag"), .no_ack = num(no_ack));
    client_run(c);
    client_expect(c, 1, METHOD_BASIC_CONSUME_OK);
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

/* Header and body frames, none larger than most. */
static void expect_content(struct client *c, struct span properties, struct span body, size_t most)
{
    struct reply reply;
    cr_assert(client_reply(c, &reply));
    cr_assert_eq(reply.type, FRAME_HEADER);
    cr_assert_eq(get_be32(reply.payload.at), 60u << 16);
    cr_assert_eq(get_be64(reply.payload.at + 4), body.len);
    cr_assert(span_equal(span_of(reply.payload.at + 12, reply.payload.len - 12), properties));
    while (body.len) {
        cr_assert(client_reply(c, &reply));
        cr_assert_eq(reply.type, FRAME_BODY);
        cr_assert(reply.payload.len > 0 && reply.payload.len <= most - FRAME_EXTRA_BYTES);
        cr_assert(reply.payload.len == body.len || reply.payload.len == most - FRAME_EXTRA_BYTES);
        cr_assert(reply.payload.len <= body.len && !memcmp(reply.payload.at, body.at, reply.payload.len));
        body = span_of(body.at + reply.payload.len, body.len - reply.payload.len);
    }
}

static void expect_deliver(struct client *c, uint64_t tag, const char *exchange, const char *key)
{
    struct reply reply = client_expect(c, 1, METHOD_BASIC_DELIVER);
    const struct args_BASIC_DELIVER *m = (const void *)reply.args;
    cr_assert(span_is(m->consumer_tag.s, "tag"));
    cr_assert_eq(m->delivery_tag.n, tag);
    cr_assert(span_is(m->exchange.s, exchange) && span_is(m->routing_key.s, key));
}

/* ---- writing
 * ------------------------------------------------------------------------------------------------- */

Test(amqp_consume, bodies_of_many_sizes)
{
    static const size_t sizes[] = {0,    1,    3,    4,    7,    8,     15,     16,     17,    255,
                                   1000, 1023, 1024, 1025, 4088, 65536, 131064, 131065, 300000};
    uint8_t *bytes = filled(300000);
    struct client *c = consuming(false);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct span body = span_of(bytes, sizes[i]), properties = span_of("\x10\0\2", 3);
        struct message *m = client_message("an.exchange", "key", properties, body);
        size_t done = c->host->done + c->host->lent;
        client_deliver(c, i + 1, m);
        expect_deliver(c, i + 1, "an.exchange", "key");
        expect_content(c, properties, body, 131072);
        cr_assert(client_silent(c));
        if (sizes[i] <= 131064)
            cr_assert_eq(c->host->done + c->host->lent, done + 1);
        free(m);
    }
    client_free(c);
    free(bytes);
}

Test(amqp_consume, names_of_every_length)
{
    char name[256];
    uint8_t properties[300] = {0x80, 0};
    struct client *c = consuming(true);
    memset(name, 'n', sizeof name);
    for (size_t len = 0; len < 256; len++) {
        name[len] = 0;
        properties[2] = (uint8_t)len;
        struct message *m = client_message(name, name, span_of(properties, 3 + len), span_of(name, len));
        client_deliver(c, len + 1, m);
        expect_deliver(c, len + 1, name, name);
        expect_content(c, span_of(properties, 3 + len), span_of(name, len), 131072);
        free(m);
        name[len] = 'n';
    }
    client_free(c);
}

Test(amqp_consume, large_properties)
{
    uint8_t *properties = filled(120000);
    struct client *c = consuming(true);
    struct message *m = client_message("", "k", span_of(properties, 120000), span_str("body"));
    client_deliver(c, 1, m);
    expect_deliver(c, 1, "", "k");
    expect_content(c, span_of(properties, 120000), span_str("body"), 131072);
    client_free(c);
    free(m);
    free(properties);
}

/* Parts and the rest of the body stand in different pages; frames begin and end anywhere in them. */
Test(amqp_consume, parts)
{
    static const uint32_t sizes[][4] = {
        {65536, 65536, 65536, 5}, {1, 1, 1, 1}, {65536, 65536, 0, 0}, {4088, 1000, 10, 0}};
    uint8_t *bytes = filled(400000);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct client *c = consuming(true);
        const uint32_t *s = sizes[i];
        struct parts *parts = malloc(sizeof *parts + 3 * sizeof parts->part[0]);
        size_t at = 0;
        parts->n = 3;
        for (uint32_t n = 0; n < 3; at += s[n++]) {
            parts->part[n].at = bytes + at;
            parts->part[n].len = s[n];
            parts->part[n].page = n;
        }
        struct message *m = client_message("", "k", NONE, span_of(bytes + at, s[3]));
        client_event(c, 0,
                     &(union event){.deliver = {.kind = EVENT_DELIVER,
                                                .channel = 1,
                                                .tag = c->consumer_tag,
                                                .message = m,
                                                .parts = parts}});
        expect_deliver(c, 1, "", "k");
        expect_content(c, NONE, span_of(bytes, at + s[3]), 131072);
        cr_assert_eq(c->host->done + c->host->lent, 4);
        client_free(c);
        free(m);
    }
    free(bytes);
}

Test(amqp_consume, a_small_frame_max)
{
    uint8_t *bytes = filled(20000);
    struct client *c = client_new();
    client_bytes(c, span_of("AMQP\0\0\x09\x01", 8));
    CALL(c, 0, CONNECTION_START_OK, .mechanism = text("PLAIN"),
         .response = str(span_of("\0guest\0guest", 12)));
    CALL(c, 0, CONNECTION_TUNE_OK, num(0), num(4096), num(0));
    CALL(c, 0, CONNECTION_OPEN, .virtual_host = text("/"));
    CALL(c, 1, CHANNEL_OPEN);
    CALL(c, 1, BASIC_CONSUME, .queue = text("q"), .consumer_tag = text("tag"));
    client_run(c);
    struct reply reply;
    for (int i = 0; i < 5; i++)
        client_reply(c, &reply);
    for (size_t len = 4087; len < 20000; len += 1 + len % 4088 / 2) {
        struct message *m = client_message("", "k", NONE, span_of(bytes, len));
        client_deliver(c, 1, m);
        client_expect(c, 1, METHOD_BASIC_DELIVER);
        expect_content(c, NONE, span_of(bytes, len), 4096);
        free(m);
    }
    client_free(c);
    free(bytes);
}

Test(amqp_consume, get)
{
    struct client *c = connected();
    struct message *m = client_message("e", "k", NONE, span_str("hello"));
    c->manual = true;
    CALL(c, 1, BASIC_GET, .queue = text("q"));
    client_run(c);
    client_event(c, 1,
                 &(union event){.deliver = {.kind = EVENT_DELIVER,
                                            .flags = DELIVER_GET | DELIVER_REDELIVERED,
                                            .channel = 1,
                                            .ready = 7,
                                            .queue = 5,
                                            .seq = 11,
                                            .message = m}});
    c->host->op[0].op->got = true;
    client_answer(c, ERR_NONE, "");
    struct reply reply = client_expect(c, 1, METHOD_BASIC_GET_OK);
    const struct args_BASIC_GET_OK *ok = (const void *)reply.args;
    cr_assert(ok->delivery_tag.n == 1 && ok->redelivered.n == 1 && ok->message_count.n == 7);
    expect_content(c, NONE, span_str("hello"), 131072);
    cr_assert(client_silent(c));
    CALL(c, 1, BASIC_NACK, .delivery_tag = num(1), .requeue = num(1));
    client_run(c);
    cr_assert(c->host->settle[0].how == SETTLE_REQUEUE && c->host->settle[0].seq == 11 &&
              c->host->settle[0].consumer == 0 && c->host->settle[0].router == 1);
    client_free(c);
    free(m);
}

Test(amqp_consume, get_from_an_empty_queue)
{
    struct client *c = connected();
    CALL(c, 1, BASIC_GET, .queue = text("q"), .no_ack = num(1));
    client_run(c);
    client_expect(c, 1, METHOD_BASIC_GET_EMPTY);
    client_free(c);
}

/* ---- acknowledgements
 * ------------------------------------------------------------------------------------------ */

Test(amqp_consume, acknowledgements_are_gathered)
{
    struct client *c = consuming(false);
    struct message *m = client_message("", "q", NONE, span_str("x"));
    for (uint64_t seq = 1; seq <= 100; seq++)
        client_deliver(c, seq, m);
    for (uint64_t tag = 1; tag <= 50; tag++)
        CALL(c, 1, BASIC_ACK, .delivery_tag = num(tag));
    client_run(c);
    cr_assert_eq(c->host->settles, 1);
    cr_assert(c->host->settle[0].seq == 1 && c->host->settle[0].count == 50 &&
              c->host->settle[0].how == SETTLE_ACK && c->host->settle[0].queue == 5 &&
              c->host->settle[0].consumer == 1000);
    CALL(c, 1, BASIC_ACK, .delivery_tag = num(90), .multiple = num(1));
    CALL(c, 1, BASIC_REJECT, .delivery_tag = num(91));
    CALL(c, 1, BASIC_NACK, .multiple = num(1), .requeue = num(1));
    client_run(c);
    cr_assert_eq(c->host->settles, 4);
    cr_assert(c->host->settle[1].seq == 51 && c->host->settle[1].count == 40);
    cr_assert(c->host->settle[2].seq == 91 && c->host->settle[2].how == SETTLE_DROP);
    cr_assert(c->host->settle[3].seq == 92 && c->host->settle[3].count == 9 &&
              c->host->settle[3].how == SETTLE_REQUEUE);
    client_free(c);
    free(m);
}

Test(amqp_consume, unknown_tags)
{
    for (int method = 0; method < 4; method++) {
        struct client *c = consuming(false);
        struct message *m = client_message("", "q", NONE, span_str("x"));
        client_deliver(c, 1, m);
        struct reply reply;
        while (client_reply(c, &reply))
            ;
        if (method == 0)
            CALL(c, 1, BASIC_ACK, .delivery_tag = num(2));
        else if (method == 1)
            CALL(c, 1, BASIC_ACK, .delivery_tag = num(2), .multiple = num(1));
        else if (method == 2)
            CALL(c, 1, BASIC_NACK, .delivery_tag = num(2));
        else
            CALL(c, 1, BASIC_REJECT, .delivery_tag = num(2));
        client_run(c);
        client_expect_close(c, 1, 406, "PRECONDITION_FAILED - unknown delivery tag 2");
        client_free(c);
        free(m);
    }
}

/* ---- windows
 * ------------------------------------------------------------------------------------------------------ */

Test(amqp_consume, windows_are_given_back_by_halves)
{
    struct client *c = consuming(true);
    uint8_t *bytes = filled(60000);
    struct message *m = client_message("", "q", NONE, span_of(bytes, 60000));
    for (uint64_t seq = 1; seq <= 8; seq++)
        client_deliver(c, seq, m);
    cr_assert_eq(c->host->credits, 0);
    client_deliver(c, 9, m);
    cr_assert_eq(c->host->credits, 1);
    cr_assert_eq(c->host->credit[0].bytes, 9 * 60001);
    cr_assert_eq(c->host->credit[0].consumer, 1000);
    /* As long as the client takes nothing it gets nothing more. */
    c->host->backlog = 5000000;
    for (uint64_t seq = 10; seq <= 30; seq++)
        client_deliver(c, seq, m);
    cr_assert_eq(c->host->credits, 1);
    c->host->backlog = 0;
    codec_amqp.drained(c->state, c->host);
    cr_assert_eq(c->host->credits, 2);
    cr_assert_eq(c->host->credit[1].bytes, 21 * 60001);
    client_free(c);
    free(m);
    free(bytes);
}

Test(amqp_consume, many_consumers_share_the_window)
{
    struct client *c = connected();
    uint32_t sum = 0;
    c->manual = true;
    for (int i = 0; i < 200; i++) {
        CALL(c, 1, BASIC_CONSUME, .queue = text("q"));
        client_run(c);
        sum += c->host->op[0].op->window;
        client_answer(c, ERR_NONE, "");
    }
    cr_assert_lt(sum, 10 * CONSUMER_WINDOW);
    client_free(c);
}

/* ---- limits
 * ------------------------------------------------------------------------------------------------------- */

static unsigned delivered(struct client *c)
{
    struct reply reply;
    unsigned n = 0;
    while (client_reply(c, &reply))
        n += reply.method == METHOD_BASIC_DELIVER;
    return n;
}

Test(amqp_consume, the_limit_of_a_channel)
{
    struct client *c = connected();
    struct message *m = client_message("", "q", NONE, span_str("x"));
    CALL(c, 1, BASIC_QOS, .prefetch_count = num(3), .global = num(1));
    client_run(c);
    client_expect(c, 1, METHOD_BASIC_QOS_OK);
    c->manual = true;
    CALL(c, 1, BASIC_CONSUME, .queue = text("q"));
    client_run(c);
    cr_assert_eq(c->host->op[0].op->prefetch, 3);
    client_answer(c, ERR_NONE, "");
    for (uint64_t seq = 1; seq <= 5; seq++)
        client_deliver(c, seq, m);
    cr_assert_eq(delivered(c), 3);
    client_flush(c);
    cr_assert(c->host->settles >= 1 && c->host->settle[0].how == SETTLE_UNSEEN &&
              c->host->settle[0].seq == 4);
    cr_assert_eq(c->host->credits, 1);
    cr_assert_eq(c->host->credit[0].flags, CREDIT_PAUSE);
    CALL(c, 1, BASIC_ACK, .delivery_tag = num(1));
    client_run(c);
    cr_assert_eq(c->host->credits, 2);
    cr_assert_eq(c->host->credit[1].flags, CREDIT_RESUME);
    client_deliver(c, 4, m);
    client_deliver(c, 5, m);
    cr_assert_eq(delivered(c), 1);
    CALL(c, 1, BASIC_QOS, .prefetch_count = num(0), .global = num(1));
    client_run(c);
    cr_assert_eq(c->host->credit[c->host->credits - 1].flags, CREDIT_RESUME);
    client_free(c);
    free(m);
}

Test(amqp_consume, a_limit_that_is_raised_later)
{
    struct client *c = connected();
    CALL(c, 1, BASIC_QOS, .prefetch_count = num(2), .global = num(1));
    CALL(c, 1, BASIC_QOS, .prefetch_count = num(10));
    CALL(c, 1, BASIC_CONSUME, .queue = text("q"));
    CALL(c, 1, BASIC_QOS, .prefetch_count = num(1), .global = num(1));
    client_run(c);
    cr_assert_eq(c->host->settles, 0);
    CALL(c, 1, BASIC_QOS, .prefetch_count = num(5), .global = num(1));
    CALL(c, 1, BASIC_QOS, .prefetch_count = num(0), .global = num(1));
    CALL(c, 1, BASIC_QOS, .prefetch_count = num(20), .global = num(1));
    client_run(c);
    cr_assert_eq(c->host->settles, 2);
    cr_assert(c->host->settle[0].queue == 0 && c->host->settle[0].count == 3 &&
              c->host->settle[0].consumer == 1000);
    cr_assert_eq(c->host->settle[1].count, 5);
    client_free(c);
}

/* What a client never answers for is bounded, whatever it asks for. */
Test(amqp_consume, unacknowledged_deliveries_have_an_end)
{
    struct client *c = connected();
    struct message *m = client_message("", "q", NONE, span_str("x"));
    c->manual = true;
    CALL(c, 1, BASIC_CONSUME, .queue = text("q"));
    client_run(c);
    cr_assert_eq(c->host->op[0].op->prefetch, UNACKED_MAX);
    client_answer(c, ERR_NONE, "");
    for (uint64_t seq = 1; seq <= UNACKED_MAX + 1; seq++) {
        client_deliver(c, seq, m);
        cr_assert_eq(delivered(c), seq <= UNACKED_MAX);
    }
    client_flush(c);
    cr_assert_eq(c->host->settle[0].how, SETTLE_UNSEEN);
    CALL(c, 1, BASIC_GET, .queue = text("q"));
    client_run(c);
    client_expect_close(
        c, 1, 406, "PRECONDITION_FAILED - more than 1048576 deliveries on this channel are not acknowledged");
    client_free(c);
    free(m);
}
Test(amqp_consume, flow)
{
    struct client *c = consuming(false);
    struct message *m = client_message("", "q", NONE, span_str("x"));
    CALL(c, 1, CHANNEL_FLOW, .active = num(0));
    client_run(c);
    cr_assert_eq(client_expect(c, 1, METHOD_CHANNEL_FLOW_OK).args[0].n, 0);
    cr_assert_eq(c->host->credit[0].flags, CREDIT_PAUSE);
    client_deliver(c, 1, m);
    cr_assert(client_silent(c));
    cr_assert_eq(c->host->settle[0].how, SETTLE_UNSEEN);
    CALL(c, 1, CHANNEL_FLOW, .active = num(1));
    client_run(c);
    cr_assert_eq(client_expect(c, 1, METHOD_CHANNEL_FLOW_OK).args[0].n, 1);
    cr_assert_eq(c->host->credit[1].flags, CREDIT_RESUME);
    client_deliver(c, 1, m);
    cr_assert_eq(delivered(c), 1);
    client_free(c);
    free(m);
}

Test(amqp_consume, prefetch_is_that_of_consumers_to_come)
{
    struct client *c = connected();
    c->manual = true;
    for (uint64_t prefetch = 0; prefetch < 3; prefetch++) {
        CALL(c, 1, BASIC_QOS, .prefetch_count = num(prefetch));
        CALL(c, 1, BASIC_CONSUME, .queue = text("q"));
        client_run(c);
        cr_assert_eq(c->host->op[0].op->prefetch, prefetch ? prefetch : UNACKED_MAX);
        client_answer(c, ERR_NONE, "");
    }
    client_free(c);
}

Test(amqp_consume, too_many_consumers)
{
    struct client *c = connected();
    c->host->options.consumers_max = 2;
    for (int i = 0; i < 3; i++)
        CALL(c, 1, BASIC_CONSUME, .queue = text("q"));
    client_run(c);
    client_expect(c, 1, METHOD_BASIC_CONSUME_OK);
    client_expect(c, 1, METHOD_BASIC_CONSUME_OK);
    client_expect_close(c, 0, 530, "NOT_ALLOWED - reached maximum (2) of consumers per channel");
    client_free(c);
}

/* ---- cancelled
 * ------------------------------------------------------------------------------------------------------ */

Test(amqp_consume, a_refused_consumer_leaves_nothing)
{
    struct client *c = connected();
    c->manual = true;
    CALL(c, 1, BASIC_CONSUME, .queue = text("q"), .consumer_tag = text("t"));
    client_run(c);
    client_answer(c, ERR_NOT_FOUND, "no queue 'q' in vhost '/'");
    client_expect_close(c, 1, 404, "NOT_FOUND - no queue 'q' in vhost '/'");
    cr_assert_eq(c->host->ops, 0);
    client_free(c);
}

Test(amqp_consume, the_server_cancels)
{
    struct client *c = consuming(false);
    struct message *m = client_message("", "q", NONE, span_str("x"));
    union event cancel = {.cancel = {.kind = EVENT_CANCEL, .channel = 1, .tag = c->consumer_tag}};
    client_event(c, 0, &cancel);
    struct reply reply = client_expect(c, 1, METHOD_BASIC_CANCEL);
    cr_assert(span_is(reply.args[0].s, "tag") && reply.args[1].n == 1);
    client_event(c, 0, &cancel);
    client_deliver(c, 1, m);
    cr_assert(client_silent(c));
    cr_assert_eq(c->host->settle[0].how, SETTLE_UNSEEN);
    client_free(c);
    free(m);
}

Test(amqp_consume, both_cancel_at_once)
{
    struct client *c = consuming(false);
    c->manual = true;
    CALL(c, 1, BASIC_CANCEL, .consumer_tag = text("tag"));
    client_run(c);
    client_event(c, 0,
                 &(union event){.cancel = {.kind = EVENT_CANCEL, .channel = 1, .tag = c->consumer_tag}});
    cr_assert(client_silent(c));
    client_answer(c, ERR_NONE, "");
    client_expect(c, 1, METHOD_BASIC_CANCEL_OK);
    client_free(c);
}
