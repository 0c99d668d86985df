/*
 * basic.publish. Most come as three frames behind each other in the input: then the command points into the
 * input, and nothing is copied here:
 *
 *   | 1 | ch | size | basic.publish: exchange, key, bits | ce | 2 | ch | size | header | properties | ce | 3
 * | ch | size | body | ce ^ bytes                                 ^ properties_at                   ^ body_at
 *
 * Whatever is out of the ordinary, wrong, or not in one piece goes the way of content.c, frame by frame;
 * there errors are told.
 */
#include "codec/amqp/copies.h"
#include "codec/amqp/expiration.h"
#include "codec/amqp/handlers.h"
#include "codec/amqp/permission.h"
#include "codec/amqp/publisher.h"
#include "codec/amqp/reply_to.h"

/* A publish whose frames are not all there is left in the input if they take this much together at most. */
#define WAIT_BYTES_MAX (INLINE_BODY_MAX + 2 * KIB)

enum { BIT_MANDATORY = 1, BIT_IMMEDIATE = 2 };

enum scan {
    SCAN_WHOLE, /* all frames are there */
    SCAN_WAIT,  /* as far as can be seen, they will be */
    SCAN_SPLIT, /* it can't be taken in one go */
};

/* Where the parts of a publish stand in the input. */
struct whole {
    struct span exchange, key, properties, body;
    uint8_t bits;
    size_t used; /* bytes of all frames */
};

/* Reads the method's fields. Its frame is there, the rest of it not yet checked. */
static inline bool scan_method(const uint8_t *p, const uint8_t *end, struct whole *w)
{
    p += 4 + 2; /* ids, ticket */
    if (p >= end)
        return false;
    w->exchange = span_of(p + 1, *p);
    p += 1 + w->exchange.len;
    if (p >= end)
        return false;
    w->key = span_of(p + 1, *p);
    p += 1 + w->key.len;
    if (p + 1 != end)
        return false;
    w->bits = *p;
    return true;
}

/* Whether the frame that begins at p, of which `avail` bytes are there, can be one of this type and channel.
 */
static inline bool frame_fits(const uint8_t *p, size_t avail, uint8_t type, const uint8_t *channel)
{
    return avail < 3 || (p[0] == type && p[1] == channel[0] && p[2] == channel[1]);
}

static inline enum scan scan_body(const struct amqp *c, struct span in, size_t at, uint64_t size,
                                  struct whole *w)
{
    size_t there = in.len > at ? in.len - at : 0;
    const uint8_t *p = in.at + at;
    w->used = at;
    w->body = span_of(p, 0);
    if (!size)
        return SCAN_WHOLE;
    w->used += size + FRAME_EXTRA_BYTES;
    if (size > c->frame_max - FRAME_EXTRA_BYTES || !frame_fits(p, there, FRAME_BODY, in.at + 1))
        return SCAN_SPLIT;
    if (there < FRAME_HEAD_BYTES)
        return w->used <= WAIT_BYTES_MAX ? SCAN_WAIT : SCAN_SPLIT;
    if (get_be32(p + 3) != size)
        return SCAN_SPLIT;
    w->body = span_of(p + FRAME_HEAD_BYTES, size);
    if (in.len < w->used)
        return w->used <= WAIT_BYTES_MAX ? SCAN_WAIT : SCAN_SPLIT;
    return p[FRAME_HEAD_BYTES + size] == FRAME_END ? SCAN_WHOLE : SCAN_SPLIT;
}

/* at: where the header frame begins. */
static inline enum scan scan_header(const struct amqp *c, struct span in, size_t at, struct whole *w)
{
    const uint8_t *p = in.at + at;
    size_t there = in.len - at;
    if (!frame_fits(p, there, FRAME_HEADER, in.at + 1))
        return SCAN_SPLIT;
    if (there < FRAME_HEAD_BYTES)
        return SCAN_WAIT;
    uint32_t size = get_be32(p + 3);
    if (size < CONTENT_HEAD_BYTES + 2 || size > c->frame_max - FRAME_EXTRA_BYTES)
        return SCAN_SPLIT;
    if (there < FRAME_HEAD_BYTES + CONTENT_HEAD_BYTES)
        return SCAN_WAIT;
    uint64_t body = get_be64(p + FRAME_HEAD_BYTES + 4);
    if (get_be32(p + FRAME_HEAD_BYTES) != CLASS_BASIC << 16 || body > INLINE_BODY_MAX)
        return SCAN_SPLIT;
    size_t next = at + size + FRAME_EXTRA_BYTES;
    if (in.len < next)
        return next + body <= WAIT_BYTES_MAX ? SCAN_WAIT : SCAN_SPLIT;
    if (in.at[next - 1] != FRAME_END)
        return SCAN_SPLIT;
    w->properties = span_of(p + FRAME_HEAD_BYTES + CONTENT_HEAD_BYTES, size - CONTENT_HEAD_BYTES);
    return scan_body(c, in, next, body, w);
}

/* in: begins with a whole method frame. */
static inline enum scan scan(const struct amqp *c, struct span in, struct whole *w)
{
    size_t size = get_be32(in.at + 3);
    const uint8_t *payload = in.at + FRAME_HEAD_BYTES;
    if (!scan_method(payload, payload + size, w))
        return SCAN_SPLIT;
    return scan_header(c, in, size + FRAME_EXTRA_BYTES, w);
}

/* Whether what there is to be looked at forbids nothing. */
static bool dispelled(struct amqp *c, const struct publisher *p, const struct whole *w)
{
    return !(p->doubts & DOUBT_REFUSED) &&
           host_may_topic(c->host, RIGHT_WRITE, w->exchange, w->key, span_of(NULL, 0));
}

/* Sends what was scanned. SCAN_WAIT: it must wait; SCAN_SPLIT: something about it is special, or wrong. */
static inline enum scan send_whole(struct amqp *c, struct channel *ch, const struct whole *w)
{
    const struct exchange_row *row = publisher_row(c, publisher_of(c, ch), w->exchange);
    struct properties p;
    if (!row || row->internal || (ch->publisher->doubts && !dispelled(c, ch->publisher, w)) ||
        (w->bits & BIT_IMMEDIATE) || w->body.len > c->options->max_message_size ||
        !properties_read(w->properties, &p) || properties_special(&p))
        return SCAN_SPLIT;
    struct command_publish publish = {
        .flags = (w->bits & BIT_MANDATORY ? PUBLISH_MANDATORY : 0) | properties_publish_flags(&p),
        .key_len = (uint8_t)w->key.len,
        .bytes = w->key.at,
        .properties_at = (uint16_t)(w->properties.at - w->key.at),
        .properties_len = (uint32_t)w->properties.len,
        .body_at = (uint32_t)(w->body.at - w->key.at),
        .body_len = (uint32_t)w->body.len,
        .total_len = (uint32_t)w->body.len,
        .headers_in = p.headers.len ? (uint32_t)(p.headers.at - w->properties.at) : 0,
    };
    if (p.flags & HAS_EXPIRATION && p.expiration_ms < UINT32_MAX)
        publish.expiration = (uint32_t)p.expiration_ms + 1;
    if (p.flags & HAS_X_HEADER)
        own_headers_place(&p.own, p.headers, &publish.producer_at, &publish.number_at);
    return publisher_send(c, ch, row, &publish, NULL) ? SCAN_WHOLE : SCAN_WAIT;
}

/* Takes the method frame alone. */
static size_t publish_split(struct amqp *c, struct channel *ch, struct span in)
{
    size_t size = get_be32(in.at + 3);
    union value args[METHOD_FIELDS_MAX];
    c->method = METHOD_BASIC_PUBLISH;
    if (method_decode(c->method, span_of(in.at + FRAME_HEAD_BYTES + 4, size - 4), args))
        on_basic_publish(c, ch, args);
    else
        amqp_fail(c, ch, ERR_SYNTAX, "malformed %s", methods[c->method].text);
    return size + FRAME_EXTRA_BYTES;
}

size_t publish_input(struct amqp *c, struct channel *ch, struct span in)
{
    struct whole w;
    enum scan found = ch->mode == MODE_TX ? SCAN_SPLIT : scan(c, in, &w);
    if (found == SCAN_WAIT)
        return 0;
    if (found == SCAN_WHOLE) {
        found = send_whole(c, ch, &w);
        if (found == SCAN_WHOLE)
            return w.used;
        if (found == SCAN_WAIT) {
            c->parked = true;
            return 0;
        }
    }
    return publish_split(c, ch, in);
}

/* ---- what may be published
 * ------------------------------------------------------------------------------------ */

bool exchange_allows(struct amqp *c, struct channel *ch, const struct exchange_row *row, struct span exchange,
                     struct span key)
{
    if ((ch->publisher->doubts & DOUBT_REFUSED) && !exchange_permitted(c, ch, RIGHT_WRITE, exchange))
        return false;
    if (!row)
        amqp_fail(c, ch, ERR_NOT_FOUND, "no exchange '%.*s' in vhost '%.*s'", TEXT_OF(exchange),
                  TEXT_OF(name_span(&c->vhost_name)));
    else if (row->internal)
        amqp_fail(c, ch, ERR_ACCESS_REFUSED, "cannot publish to internal exchange '%.*s' in vhost '%.*s'",
                  TEXT_OF(exchange), TEXT_OF(name_span(&c->vhost_name)));
    else
        return !ch->publisher->doubts || topic_permitted(c, ch, RIGHT_WRITE, exchange, key);
    return false;
}

bool piece_allowed(struct amqp *c, struct channel *ch, const struct piece *piece)
{
    const uint8_t *at = piece->bytes + piece->exchange_len;
    struct span exchange = span_of(piece->bytes, piece->exchange_len), key = span_of(at, piece->key_len);
    struct span copies = span_of(at + piece->key_len + piece->properties_len, piece->copies_len);
    const struct exchange_row *row = publisher_row(c, ch->publisher, exchange);
    bool ok = exchange_allows(c, ch, row, exchange, key);
    while (ok && ch->publisher->doubts && copies_next(&copies, &key))
        ok = topic_permitted(c, ch, RIGHT_WRITE, exchange, key);
    return ok;
}

static bool copies_allowed(struct amqp *c, struct channel *ch, struct span headers)
{
    const char *name, *type = copies_wrong_type(headers, &name);
    if (type)
        amqp_fail(c, ch, ERR_PRECONDITION_FAILED, "invalid message: {unacceptable_type_in_header,\"%s\",%s}",
                  name, type);
    return !type;
}

bool properties_allowed(struct amqp *c, struct channel *ch, const struct properties *p)
{
    struct span user = name_span(&c->user);
    char why[64];
    if ((p->flags & HAS_USER_ID) && !span_equal(p->user_id, user))
        amqp_fail(c, ch, ERR_PRECONDITION_FAILED,
                  "user_id property set to '%.*s' but authenticated user was '%.*s'", TEXT_OF(p->user_id),
                  TEXT_OF(user));
    else if (p->flags & HAS_ODD_EXPIRATION)
        amqp_fail(c, ch, ERR_PRECONDITION_FAILED, "invalid expiration '%.*s': %s", TEXT_OF(p->expiration),
                  expiration_fault(p->expiration, why, sizeof why));
    else if ((p->flags & HAS_REPLY_TO) && reply_to_named(p->reply_to) && !ch->reply_queue.len)
        amqp_fail(c, ch, ERR_PRECONDITION_FAILED, "fast reply consumer does not exist");
    else if (p->flags & HAS_ODD_DELIVERY_MODE)
        amqp_fail(c, ch, ERR_PRECONDITION_FAILED, "invalid message: {delivery_mode_unknown,%u}",
                  p->delivery_mode);
    else if (p->wrong)
        amqp_fail(c, ch, ERR_PRECONDITION_FAILED, "%s", p->wrong);
    else
        return !(p->flags & HAS_COPIES) || copies_allowed(c, ch, p->headers);
    return false;
}

bool on_basic_publish(struct amqp *c, struct channel *ch, const union value *args)
{
    const struct args_BASIC_PUBLISH *m = (const void *)args;
    if (m->immediate.n) {
        amqp_fail(c, ch, ERR_NOT_IMPLEMENTED, "immediate=true");
        return true;
    }
    if (exchange_allows(c, ch, publisher_row(c, publisher_of(c, ch), m->exchange.s), m->exchange.s,
                        m->routing_key.s))
        content_begin(c, ch, m);
    return true;
}
