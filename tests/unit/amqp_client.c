#include "amqp_client.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/map.h"
#include "codec/amqp/amqp.h"
#include "router/message.h"

/* ---- made, freed
 * -------------------------------------------------------------------------------------------- */

struct client *client_new(void)
{
    struct client *c = calloc(1, sizeof *c);
    CHECK(c);
    c->host = fake_host_new();
    c->state = calloc(1, codec_amqp.state_bytes);
    CHECK(c->state);
    c->next_consumer = 1000;
    codec_amqp.open(c->state, c->host);
    return c;
}

void client_gone(struct client *c)
{
    if (!c->gone)
        codec_amqp.gone(c->state, c->host);
    c->gone = true;
}

void client_free(struct client *c)
{
    client_gone(c);
    fake_host_free(c->host);
    free(c->state);
    free(c->input.at);
    free(c);
}

/* ---- sending
 * --------------------------------------------------------------------------------------------------- */

void client_bytes(struct client *c, struct span bytes)
{
    struct fake_bytes *b = &c->input;
    b->at = realloc(b->at, b->len + bytes.len + 1);
    CHECK(b->at);
    put_span(b->at + b->len, bytes);
    b->len += bytes.len;
}

void client_frame(struct client *c, uint8_t type, uint16_t channel, struct span payload)
{
    uint8_t head[FRAME_HEAD_BYTES], end = FRAME_END;
    put_frame_head(head, type, channel, (uint32_t)payload.len);
    client_bytes(c, span_of(head, sizeof head));
    client_bytes(c, payload);
    client_bytes(c, span_of(&end, 1));
}

void client_method(struct client *c, uint16_t channel, enum method method, const void *args)
{
    uint8_t payload[8192];
    CHECK(method_size(method, args) <= sizeof payload);
    uint8_t *end = method_encode(payload, method, args);
    client_frame(c, FRAME_METHOD, channel, span_of(payload, (size_t)(end - payload)));
}

void client_header(struct client *c, uint16_t channel, uint64_t body, struct span properties)
{
    uint8_t *payload = malloc(CONTENT_HEAD_BYTES + properties.len);
    CHECK(payload);
    uint8_t *p = put_be64(put_be32(payload, (uint32_t)CLASS_BASIC << 16), body);
    put_span(p, properties);
    client_frame(c, FRAME_HEADER, channel, span_of(payload, CONTENT_HEAD_BYTES + properties.len));
    free(payload);
}

void client_publish(struct client *c, uint16_t channel, const char *exchange, const char *key,
                    struct span body)
{
    CALL(c, channel, BASIC_PUBLISH, .exchange = text(exchange), .routing_key = text(key));
    client_header(c, channel, body.len, span_of("\0\0", 2));
    if (body.len)
        client_frame(c, FRAME_BODY, channel, body);
}

/* ---- arriving
 * -------------------------------------------------------------------------------------------------- */

/* As a transport does: the codec sees what it left, and more behind it. */
static void show(struct client *c, size_t bytes)
{
    uint8_t *exact = malloc(bytes + 1); /* so that a sanitizer sees a step beyond */
    CHECK(exact);
    memcpy(exact, c->input.at, bytes);
    size_t used = codec_amqp.input(c->state, c->host, span_of(exact, bytes));
    free(exact);
    cr_assert(used <= bytes);
    c->input.len -= used;
    memmove(c->input.at, c->input.at + used, c->input.len);
    c->shown = bytes - used;
    codec_amqp.flush(c->state, c->host);
}

static size_t next_piece(struct client *c)
{
    size_t left = c->input.len - c->shown;
    if (!left || c->split == SPLIT_NOT)
        return left;
    if (c->split == SPLIT_BYTES)
        return 1;
    size_t n = 1 + hash_id(++c->random) % 40;
    return n < left ? n : left;
}

static bool answer_all(struct client *c)
{
    bool any = c->host->ops > 0;
    while (c->host->ops && !c->manual)
        client_answer(c, ERR_NONE, "");
    return any && !c->manual;
}

void client_run(struct client *c)
{
    bool changed = true;
    while (changed && !c->host->closed) {
        size_t before = c->input.len, n = next_piece(c);
        show(c, c->shown + n);
        changed = n || before != c->input.len;
        changed |= answer_all(c);
    }
}

void client_event(struct client *c, unsigned router, const union event *event)
{
    codec_amqp.event(c->state, c->host, router, event);
    if (event->kind == EVENT_OP)
        show(c, c->shown);
    else
        codec_amqp.flush(c->state, c->host);
}

void client_flush(struct client *c)
{
    codec_amqp.flush(c->state, c->host);
}

void client_answer(struct client *c, enum error error, const char *what)
{
    unsigned router;
    struct op *op = fake_take_op(c->host, &router);
    cr_assert(op);
    op->error = error;
    snprintf(op->text, sizeof op->text, "%s", what);
    if (op->kind == OP_CONSUME && error == ERR_NONE) {
        op->consumer = c->next_consumer++;
        c->consumer_tag = op->tag;
        c->consumer_router = router;
    }
    client_event(c, router, &(union event){.op = {.kind = EVENT_OP, .op = op}});
}

void client_confirm(struct client *c, unsigned router, uint16_t channel, uint64_t seq, uint32_t count,
                    uint8_t flags)
{
    client_event(c, router,
                 &(union event){.confirm = {.kind = EVENT_CONFIRM,
                                            .flags = flags,
                                            .channel = channel,
                                            .count = count,
                                            .conn = host_conn(c->host),
                                            .seq = seq}});
}

struct message *client_message(const char *exchange, const char *key, struct span properties,
                               struct span body)
{
    struct message *m = calloc(1, sizeof *m + strlen(exchange) + strlen(key) + properties.len + body.len);
    CHECK(m);
    m->protocol = PROPERTIES_AMQP;
    m->exchange_len = (uint8_t)strlen(exchange);
    m->key_len = (uint8_t)strlen(key);
    m->properties_len = (uint32_t)properties.len;
    m->body_len = (uint32_t)body.len;
    uint8_t *p = put_span((uint8_t *)(m + 1), span_str(exchange));
    put_span(put_span(put_span(p, span_str(key)), properties), body);
    return m;
}

void client_deliver(struct client *c, uint64_t seq, const struct message *message)
{
    client_event(c, c->consumer_router,
                 &(union event){.deliver = {.kind = EVENT_DELIVER,
                                            .channel = 1,
                                            .ready = c->host->round,
                                            .conn = host_conn(c->host),
                                            .tag = c->consumer_tag,
                                            .queue = 5,
                                            .seq = seq,
                                            .page = 9,
                                            .message = message}});
}

/* ---- reading
 * --------------------------------------------------------------------------------------------------- */

bool client_reply(struct client *c, struct reply *reply)
{
    const uint8_t *p = c->host->output.at + c->read;
    size_t left = c->host->output.len - c->read;
    if (!left)
        return false;
    cr_assert(left >= FRAME_EXTRA_BYTES);
    uint32_t size = get_be32(p + 3);
    cr_assert(left >= size + FRAME_EXTRA_BYTES);
    cr_assert_eq(p[FRAME_HEAD_BYTES + size], FRAME_END);
    *reply = (struct reply){
        .type = p[0], .channel = get_be16(p + 1), .payload = span_of(p + FRAME_HEAD_BYTES, size)};
    if (reply->type == FRAME_METHOD) {
        reply->method = method_of(get_be16(p + 7), get_be16(p + 9));
        cr_assert(reply->method != METHOD_NONE);
        cr_assert(method_decode(reply->method, span_of(p + 11, size - 4), reply->args), "%s",
                  methods[reply->method].text);
    }
    c->read += size + FRAME_EXTRA_BYTES;
    return true;
}

struct reply client_expect(struct client *c, uint16_t channel, enum method method)
{
    struct reply reply;
    cr_assert(client_reply(c, &reply), "nothing came, expected %s", methods[method].text);
    cr_assert_eq(reply.method, method, "%s came (type %u), expected %s; log: %.*s",
                 methods[reply.method].text, reply.type, methods[method].text, (int)c->host->log.len,
                 (const char *)c->host->log.at);
    cr_assert_eq(reply.channel, channel);
    return reply;
}

void client_expect_close(struct client *c, uint16_t channel, uint16_t code, const char *what)
{
    struct reply reply = client_expect(c, channel, channel ? METHOD_CHANNEL_CLOSE : METHOD_CONNECTION_CLOSE);
    const struct args_CHANNEL_CLOSE *m = (const void *)reply.args;
    cr_assert_eq(m->reply_code.n, code, "code %lu: %.*s", m->reply_code.n, (int)m->reply_text.s.len,
                 (const char *)m->reply_text.s.at);
    cr_assert(span_is(m->reply_text.s, what), "text: %.*s", (int)m->reply_text.s.len,
              (const char *)m->reply_text.s.at);
}

bool client_silent(struct client *c)
{
    return c->read == c->host->output.len;
}

/* ---- the way in
 * ------------------------------------------------------------------------------------------------- */

static const char properties[] = "\x0c"
                                 "capabilitiesF\0\0\0\x54"
                                 "\x16"
                                 "consumer_cancel_notifyt\1"
                                 "\x12"
                                 "connection.blockedt\1"
                                 "\x1c"
                                 "authentication_failure_closet\1";

void client_connect(struct client *c)
{
    static const char plain[] = "\0guest\0guest";
    uint8_t table[256];
    memcpy(table, properties, sizeof properties - 1);
    put_be32(table + 14, (uint32_t)(sizeof properties - 1 - 18));
    client_bytes(c, span_of("AMQP\0\0\x09\x01", 8));
    CALL(c, 0, CONNECTION_START_OK, .client_properties = str(span_of(table, sizeof properties - 1)),
         .mechanism = text("PLAIN"), .response = str(span_of(plain, sizeof plain - 1)),
         .locale = text("en_US"));
    CALL(c, 0, CONNECTION_TUNE_OK, num(2047), num(131072), num(0));
    CALL(c, 0, CONNECTION_OPEN, .virtual_host = text("/"));
    CALL(c, 1, CHANNEL_OPEN);
    client_run(c);
    client_expect(c, 0, METHOD_CONNECTION_START);
    client_expect(c, 0, METHOD_CONNECTION_TUNE);
    client_expect(c, 0, METHOD_CONNECTION_OPEN_OK);
    client_expect(c, 1, METHOD_CHANNEL_OPEN_OK);
}
