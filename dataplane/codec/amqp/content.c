/*
 * A publish whose frames come one by one, are many, or must be kept: put together in memory of its own,
 * INLINE_BODY_MAX at a time. A body larger than that goes to the routers in parts, while it comes in.
 *
 *   basic.publish -> content_begin     header frame -> content_header     body frames -> content_body
 */
#include "base/check.h"
#include "codec/amqp/copies.h"
#include "codec/amqp/publisher.h"
#include "codec/amqp/reply_to.h"

void content_begin(struct amqp *c, struct channel *ch, const struct args_BASIC_PUBLISH *m)
{
    struct assembly *a = &publisher_of(c, ch)->assembly;
    ch->content = CONTENT_HEADER;
    a->mandatory = m->mandatory.n;
    name_set(&a->exchange, m->exchange.s);
    name_set(&a->key, m->routing_key.s);
}

/* The routers that have the beginning of a message are told to forget it. */
void content_drop(struct amqp *c, struct channel *ch)
{
    struct assembly *a = &ch->publisher->assembly;
    if (a->piece)
        host_buffer_free(c->host, (uint8_t *)a->piece);
    a->piece = NULL;
    if (a->open && a->routers) {
        struct command_part part = {.flags = PART_ABORT, .channel = ch->number, .conn = host_conn(c->host)};
        host_part(c->host, a->routers, &part, NULL);
    }
    a->open = false;
    ch->content = CONTENT_NONE;
}

/* ---- pieces
 * -------------------------------------------------------------------------------------------------- */

/* A piece for what is still to come of the body, up to INLINE_BODY_MAX, behind `extra` bytes. NULL: told the
 * client that there is no memory for it. */
static struct piece *piece_new(struct amqp *c, struct channel *ch, size_t extra)
{
    struct assembly *a = &ch->publisher->assembly;
    uint32_t left = a->total - a->taken;
    size_t body = left < INLINE_BODY_MAX ? left : INLINE_BODY_MAX;
    struct piece *piece = (struct piece *)host_buffer(c->host, sizeof *piece + extra + body);
    if (!piece) {
        amqp_fail(c, ch, ERR_RESOURCE, "no memory for the body of a message");
        return NULL;
    }
    *piece = (struct piece){.total_len = a->total};
    return a->piece = piece;
}

static size_t body_at(const struct piece *piece)
{
    return (size_t)piece->exchange_len + piece->key_len + piece->properties_len + piece->copies_len;
}

enum sent {
    SENT,
    SENT_LATER, /* it must wait */
    SENT_NEVER, /* the channel is closing */
};

/* Sends the piece that is full, or the last. */
static enum sent piece_done(struct amqp *c, struct channel *ch)
{
    struct assembly *a = &ch->publisher->assembly;
    struct piece *piece = a->piece;
    bool last = a->taken == a->total;
    piece->last = last;
    if (ch->mode == MODE_TX)
        tx_add(ch, piece);
    else if (piece->first && !piece_allowed(c, ch, piece))
        return SENT_NEVER;
    else if (!piece_send(c, ch, piece, &a->routers))
        return SENT_LATER;
    a->piece = NULL;
    a->open = !last && ch->mode != MODE_TX;
    if (last)
        ch->content = CONTENT_NONE;
    return SENT;
}

/* ---- the header
 * ------------------------------------------------------------------------------------------------ */

/* The properties of a request for a direct reply name the real queue. Returns the bytes that stand before and
 * after what is exchanged; *with is it. */
static struct span exchange_reply_to(const struct channel *ch, const struct properties *p,
                                     struct span *before, uint8_t *with)
{
    struct span after = {0};
    const uint8_t *end = before->at + before->len;
    const uint8_t *value = p->reply_to.at + p->reply_to.len;
    after = span_of(value, (size_t)(end - value));
    before->len = (size_t)(p->reply_to.at - 1 - before->at);
    put_str(with, ch->reply_queue);
    return after;
}

/* properties: of the piece. */
static void put_copies(struct piece *piece, uint8_t *properties, struct span headers)
{
    size_t hidden = copies_hide(properties, piece->properties_len, piece->headers_at, headers.len);
    piece->properties_len -= (uint32_t)hidden;
    piece->headers_len -= (uint32_t)hidden;
    uint8_t *copies = properties + piece->properties_len;
    piece->copies_len = (uint32_t)(copies_put(copies, headers) - copies);
    piece->flags |= PUBLISH_COPIES;
}

/* Makes the first piece: exchange, key and properties. */
static bool first_piece(struct amqp *c, struct channel *ch, struct span properties,
                        const struct properties *p)
{
    struct assembly *a = &ch->publisher->assembly;
    uint8_t reply_to[1 + NAME_MAX_BYTES];
    struct span with = {0}, after = {0};
    const uint8_t *start = properties.at;
    if ((p->flags & HAS_REPLY_TO) && reply_to_named(p->reply_to)) {
        after = exchange_reply_to(ch, p, &properties, reply_to);
        with = span_of(reply_to, 1 + ch->reply_queue.len);
    }
    size_t properties_len = properties.len + with.len + after.len;
    size_t copies_len = p->flags & HAS_COPIES ? copies_size(p->headers) : 0;
    struct piece *piece = piece_new(c, ch, a->exchange.len + a->key.len + properties_len + copies_len);
    if (!piece)
        return false;
    piece->first = true;
    piece->flags = (a->mandatory ? PUBLISH_MANDATORY : 0) | properties_publish_flags(p);
    piece->exchange_len = a->exchange.len;
    piece->key_len = a->key.len;
    piece->properties_len = (uint32_t)properties_len;
    piece->headers_at = (uint32_t)(p->headers.at - start);
    piece->headers_len = (uint32_t)p->headers.len;
    uint8_t *at = put_span(put_span(piece->bytes, name_span(&a->exchange)), name_span(&a->key));
    put_span(put_span(put_span(at, properties), with), after);
    if (p->flags & HAS_COPIES)
        put_copies(piece, at, p->headers);
    return true;
}

/* Whether the header is what may come; if not, the client has been told. */
static bool header_check(struct amqp *c, struct channel *ch, struct span payload)
{
    c->method = METHOD_BASIC_PUBLISH;
    if (payload.len < CONTENT_HEAD_BYTES + 2)
        amqp_fail(c, NULL, ERR_SYNTAX, "content header of %zu bytes", payload.len);
    else if (get_be16(payload.at) != CLASS_BASIC)
        amqp_fail(c, NULL, ERR_UNEXPECTED_FRAME,
                  "expected content header for class %u, got one for class %u instead", CLASS_BASIC,
                  get_be16(payload.at));
    else if (get_be16(payload.at + 2) != 0)
        amqp_fail(c, NULL, ERR_SYNTAX, "content header with a weight of %u", get_be16(payload.at + 2));
    else if (get_be64(payload.at + 4) > c->options->max_message_size)
        amqp_fail(c, ch, ERR_PRECONDITION_FAILED, "message size %lu is larger than configured max size %u",
                  get_be64(payload.at + 4), c->options->max_message_size);
    else
        return true;
    return false;
}

static bool begin_body(struct amqp *c, struct channel *ch, struct span payload)
{
    struct assembly *a = &ch->publisher->assembly;
    struct span bytes = span_of(payload.at + CONTENT_HEAD_BYTES, payload.len - CONTENT_HEAD_BYTES);
    struct properties p;
    if (!header_check(c, ch, payload))
        return false;
    if (!properties_read(bytes, &p)) {
        amqp_fail(c, NULL, ERR_SYNTAX, "malformed properties");
        return false;
    }
    a->total = (uint32_t)get_be64(payload.at + 4);
    a->taken = a->skip = 0;
    if ((properties_special(&p) && !properties_allowed(c, ch, &p)) || !first_piece(c, ch, bytes, &p))
        return false;
    ch->content = CONTENT_BODY;
    return true;
}

bool content_header(struct amqp *c, struct channel *ch, struct span payload)
{
    struct assembly *a = ch->publisher ? &ch->publisher->assembly : NULL;
    /* A header frame that comes again had to wait with its empty message. */
    bool again = a && ch->content == CONTENT_BODY && a->piece && !a->total;
    if (!a || (ch->content != CONTENT_HEADER && !again)) {
        amqp_fail(c, NULL, ERR_UNEXPECTED_FRAME, "expected method frame, got content header instead");
        return true;
    }
    if (!again && !begin_body(c, ch, payload))
        return true;
    return a->total > 0 || piece_done(c, ch) != SENT_LATER;
}

/* ---- the body
 * ---------------------------------------------------------------------------------------------------- */

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Takes as much of the payload as the piece has room for. */
static uint32_t fill(struct assembly *a, struct span payload)
{
    struct piece *piece = a->piece;
    uint32_t n = least(INLINE_BODY_MAX - piece->body_len, (uint32_t)payload.len);
    memcpy(piece->bytes + body_at(piece) + piece->body_len, payload.at, n);
    piece->body_len += n;
    a->taken += n;
    return n;
}

/* The frame may end and begin in the middle of a piece. False: a full piece must wait; a->skip is where to go
 * on. */
static bool take_body(struct amqp *c, struct channel *ch, struct span payload)
{
    struct assembly *a = &ch->publisher->assembly;
    for (;;) {
        if (!a->piece && !piece_new(c, ch, 0))
            return true; /* the connection is closing */
        a->skip += fill(a, span_of(payload.at + a->skip, payload.len - a->skip));
        bool full = a->piece->body_len == INLINE_BODY_MAX || a->taken == a->total;
        enum sent sent = full ? piece_done(c, ch) : SENT;
        if (sent != SENT)
            return sent == SENT_NEVER;
        if (a->skip == payload.len)
            break;
    }
    a->skip = 0;
    return true;
}

bool content_body(struct amqp *c, struct channel *ch, struct span payload)
{
    struct assembly *a = ch->publisher ? &ch->publisher->assembly : NULL;
    c->method = METHOD_BASIC_PUBLISH;
    if (!a || ch->content != CONTENT_BODY) {
        amqp_fail(c, NULL, ERR_UNEXPECTED_FRAME, "expected %s, got content body instead",
                  a && ch->content == CONTENT_HEADER ? "content header" : "method frame");
        return true;
    }
    if (payload.len - a->skip > a->total - a->taken) {
        amqp_fail(c, NULL, ERR_FRAME, "content body is larger than the %u bytes of its header", a->total);
        return true;
    }
    return take_body(c, ch, payload);
}
