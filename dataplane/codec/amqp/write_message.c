#include "codec/amqp/write_message.h"

#include <stdlib.h>

#include "codec/amqp/annotation.h"
#include "codec/body.h"
#include "router/message.h"

/* What is reserved in one piece at most: host_reserve's bound is 64 KiB. */
#define PIECE_MAX (60u * KIB)
/* Method frame and head of the header frame: ids, three strings with their lengths, delivery tag, bits,
 * count, frames. */
#define HEADS_MAX (3 * (1 + NAME_MAX_BYTES) + 128u)

/* A message taken apart once. */
struct content {
    struct span exchange, key, properties, body;
    uint64_t body_size; /* with the parts before `body` */
};

static struct content content_of(const struct event_deliver *event)
{
    const struct message *m = event->message;
    struct content t;
    t.exchange = message_exchange(m);
    t.key = span_of(t.exchange.at + t.exchange.len, m->key_len);
    t.properties = span_of(t.key.at + t.key.len, m->properties_len);
    t.body = span_of(t.properties.at + t.properties.len, m->body_len);
    t.body_size = body_bytes(event);
    return t;
}

/* As the client is to see it. */
static inline struct content delivery_of(const struct event_deliver *event)
{
    struct content t = content_of(event);
    if (event->flags & DELIVER_ANNOTATED)
        t.properties = annotated(event, t.properties);
    return t;
}

/* ---- large bodies
 * ------------------------------------------------------------------------------------------ */

/* Body frames under way: how much of the body and of the current frame is still to come. */
struct body {
    struct amqp *c;
    uint16_t channel;
    unsigned router;
    uint64_t left;
    uint32_t frame_left;
};

static void frame_begin(struct body *b)
{
    uint32_t most = b->c->frame_max - FRAME_EXTRA_BYTES;
    b->frame_left = b->left < most ? (uint32_t)b->left : most;
    uint8_t *p = host_reserve(b->c->host, FRAME_HEAD_BYTES);
    put_frame_head(p, FRAME_BODY, b->channel, b->frame_left);
    host_commit(b->c->host, FRAME_HEAD_BYTES);
}

static void frame_end(struct body *b)
{
    static const uint8_t end = FRAME_END;
    host_write(b->c->host, span_of(&end, 1));
}

/* A run of the body that stands in one page. Only its last piece can be lent: what is lent gives the page
 * back when it is out, and what went before it is out then too. */
static void write_run(struct body *b, struct span run, uint64_t page)
{
    bool lent = false;
    while (run.len) {
        if (!b->frame_left)
            frame_begin(b);
        size_t n = run.len < b->frame_left ? run.len : b->frame_left;
        lent = n == run.len && n >= LEND_MIN;
        if (lent)
            host_lend(b->c->host, b->router, page, span_of(run.at, n));
        else
            host_write(b->c->host, span_of(run.at, n));
        run.at += n;
        run.len -= n;
        b->left -= n;
        b->frame_left -= (uint32_t)n;
        if (!b->frame_left)
            frame_end(b);
    }
    if (!lent)
        host_done(b->c->host, b->router, page);
}

static void write_body(struct amqp *c, uint16_t channel, unsigned router, const struct event_deliver *event,
                       const struct content *t)
{
    struct body b = {c, channel, router, t->body_size, 0};
    struct parts *parts = event->parts;
    if (parts)
        for (uint32_t i = 0; i < parts->n; i++)
            write_run(&b, span_of(parts->part[i].at, parts->part[i].len), parts->part[i].page);
    free(parts);
    write_run(&b, t->body, event->page);
}

/* ---- few bytes
 * ----------------------------------------------------------------------------------------------- */

/* Names and properties are mostly short: two overlapping words are cheaper than a call of memcpy. */
static inline uint8_t *put_few(uint8_t *p, struct span s)
{
    if (s.len > 16 || s.len == 0)
        return put_span(p, s);
    if (s.len >= 8) {
        uint64_t low, high;
        memcpy(&low, s.at, 8);
        memcpy(&high, s.at + s.len - 8, 8);
        memcpy(p, &low, 8);
        memcpy(p + s.len - 8, &high, 8);
    } else if (s.len >= 4) {
        uint32_t low, high;
        memcpy(&low, s.at, 4);
        memcpy(&high, s.at + s.len - 4, 4);
        memcpy(p, &low, 4);
        memcpy(p + s.len - 4, &high, 4);
    } else {
        p[0] = s.at[0];
        p[s.len / 2] = s.at[s.len / 2];
        p[s.len - 1] = s.at[s.len - 1];
    }
    return p + s.len;
}

static inline uint8_t *put_few_str(uint8_t *p, struct span s)
{
    *p = (uint8_t)s.len;
    return put_few(p + 1, s);
}

/* ---- the frames
 * -------------------------------------------------------------------------------------------- */

static inline uint8_t *put_header_head(uint8_t *p, uint16_t channel, const struct content *t)
{
    p = put_frame_head(p, FRAME_HEADER, channel, (uint32_t)(CONTENT_HEAD_BYTES + t->properties.len));
    p = put_be32(p, CLASS_BASIC << 16);
    return put_be64(p, t->body_size);
}

/* What follows the method frame, where all fits the reservation: header, and body in one frame. */
static inline uint8_t *put_small_content(uint8_t *p, uint16_t channel, const struct content *t)
{
    p = put_few(put_header_head(p, channel, t), t->properties);
    *p++ = FRAME_END;
    if (!t->body.len)
        return p;
    p = put_frame_head(p, FRAME_BODY, channel, (uint32_t)t->body.len);
    p = put_few(p, t->body);
    *p++ = FRAME_END;
    return p;
}

static void write_large_content(struct amqp *c, uint16_t channel, unsigned router,
                                const struct event_deliver *event, const struct content *t)
{
    static const uint8_t end = FRAME_END;
    uint8_t *p = host_reserve(c->host, FRAME_HEAD_BYTES + CONTENT_HEAD_BYTES);
    put_header_head(p, channel, t);
    host_commit(c->host, FRAME_HEAD_BYTES + CONTENT_HEAD_BYTES);
    host_write(c->host, t->properties);
    host_write(c->host, span_of(&end, 1));
    write_body(c, channel, router, event, t);
}

static inline bool is_small(const struct amqp *c, const struct event_deliver *event, const struct content *t)
{
    return !event->parts && t->body.len < LEND_MIN && t->body.len <= c->frame_max - FRAME_EXTRA_BYTES &&
           t->properties.len <= PIECE_MAX - HEADS_MAX - LEND_MIN;
}

/* p: behind the method frame of the reservation that begins at start. */
static inline void finish(struct amqp *c, uint16_t channel, unsigned router,
                          const struct event_deliver *event, const struct content *t, uint8_t *start,
                          uint8_t *p)
{
    c->wrote = true;
    if (is_small(c, event, t)) {
        p = put_small_content(p, channel, t);
        host_commit(c->host, (size_t)(p - start));
        host_done(c->host, router, event->page);
    } else {
        host_commit(c->host, (size_t)(p - start));
        write_large_content(c, channel, router, event, t);
    }
}

static inline uint8_t *reserve(struct amqp *c, const struct event_deliver *event, const struct content *t)
{
    size_t bytes = HEADS_MAX;
    if (is_small(c, event, t))
        bytes += t->properties.len + t->body.len;
    return host_reserve(c->host, bytes);
}

/* Closes the method frame that begins at start. */
static inline uint8_t *end_method(uint8_t *start, uint8_t *p, uint16_t channel)
{
    put_frame_head(start, FRAME_METHOD, channel, (uint32_t)(p - start - FRAME_HEAD_BYTES));
    *p++ = FRAME_END;
    return p;
}

uint32_t message_bytes(const struct event_deliver *event)
{
    return (uint32_t)content_of(event).body_size + 1;
}

void write_deliver(struct amqp *c, const struct consumer *consumer, unsigned router,
                   const struct event_deliver *event)
{
    const struct channel *ch = consumer->channel;
    struct content t = delivery_of(event);
    uint8_t *start = reserve(c, event, &t);
    uint8_t *p = put_few(start + FRAME_HEAD_BYTES, span_of(consumer->prefix, consumer->prefix_len));
    p = put_be64(p, ch->delivery_tag);
    p = put_u8(p, event->flags & DELIVER_REDELIVERED);
    p = put_few_str(p, t.exchange);
    p = put_few_str(p, t.key);
    p = end_method(start, p, ch->number);
    finish(c, ch->number, router, event, &t, start, p);
}

void write_get_ok(struct amqp *c, const struct channel *ch, unsigned router,
                  const struct event_deliver *event)
{
    struct content t = delivery_of(event);
    struct args_BASIC_GET_OK args = {
        .delivery_tag = num(ch->delivery_tag),
        .redelivered = num(event->flags & DELIVER_REDELIVERED),
        .exchange = str(t.exchange),
        .routing_key = str(t.key),
        .message_count = num(event->ready),
    };
    uint8_t *start = reserve(c, event, &t);
    uint8_t *p = method_encode(start + FRAME_HEAD_BYTES, METHOD_BASIC_GET_OK, (const void *)&args);
    p = end_method(start, p, ch->number);
    finish(c, ch->number, router, event, &t, start, p);
}

void write_return(struct amqp *c, const struct channel *ch, unsigned router,
                  const struct event_deliver *event)
{
    struct content t = content_of(event);
    struct args_BASIC_RETURN args = {
        .reply_code = num(error_code(ERR_NO_ROUTE)),
        .reply_text = str(span_str(error_name(ERR_NO_ROUTE))),
        .exchange = str(t.exchange),
        .routing_key = str(t.key),
    };
    uint8_t *start = reserve(c, event, &t);
    uint8_t *p = method_encode(start + FRAME_HEAD_BYTES, METHOD_BASIC_RETURN, (const void *)&args);
    p = end_method(start, p, ch->number);
    finish(c, ch->number, router, event, &t, start, p);
}
