#include "amqp.h"
#include "options.h"

#include <stdio.h>
#include <string.h>

/* ---- publishing ---- */
static int amqp_produce(struct conn *c)
{
    if (!c->o->confirms)
        return 0;
    size_t at = method_open(&c->out, 1, CONFIRM_SELECT);
    write_u8(&c->out, 0);
    method_close(&c->out, at);
    return amqp_await(c, CONFIRM_SELECT_OK, NULL);
}

/* Where the table ends that begins the properties in a content header frame. */
static size_t headers_end(const uint8_t *frame)
{
    size_t table = FRAME_HEAD + 2 + 2 + 8 + 2;
    return table + 4 + get_u32(frame + table);
}

static void amqp_encode(const struct posting *p, const uint8_t *body, size_t size, struct buffer *to,
                        struct layout *at)
{
    const struct options *o = p->o;
    char name[64];
    size_t begin = to->len;
    snprintf(name, sizeof name, "gannet-bench-%u-%u", p->run, p->index);
    struct publish what = {.exchange = o->exchange,
                           .key = p->key,
                           .header = strcmp(o->type, "headers") == 0 ? p->key : NULL,
                           .producer = o->numbered ? name : NULL,
                           .expiration = o->expiration,
                           .priority = o->priorities ? (int)(p->index * o->priorities / o->producers) : -1,
                           .mandatory = o->mandatory,
                           .persistent = o->persistent};
    write_publish(to, &what, body, size, p->frame_max);
    const uint8_t *bytes = to->data + begin;
    size_t header = get_u32(bytes + 3) + FRAME_OVERHEAD; /* behind the method frame */
    *at = (struct layout){
        .body_at = header + get_u32(bytes + header + 3) + FRAME_OVERHEAD + FRAME_HEAD,
        .seq_at = o->numbered ? header + headers_end(bytes + header) - sizeof(uint64_t) : 0,
    };
}

/* ---- consuming ---- */
static void write_qos(struct conn *c)
{
    size_t at = method_open(&c->out, 1, BASIC_QOS);
    write_u32(&c->out, 0); /* prefetch-size */
    write_u16(&c->out, (uint16_t)c->o->prefetch);
    write_u8(&c->out, 0); /* global */
    method_close(&c->out, at);
}

static void write_consume(struct conn *c, const char *queue)
{
    size_t at = method_open(&c->out, 1, BASIC_CONSUME);
    write_u16(&c->out, 0); /* reserved-1 */
    write_shortstr(&c->out, queue);
    write_shortstr(&c->out, "c");
    write_u8(&c->out, c->o->auto_ack ? 1 << 1 : 0); /* bits: no-local, no-ack, exclusive, no-wait */
    write_table(&c->out, c->o->consumer_args.row, c->o->consumer_args.n);
    method_close(&c->out, at);
}

static int amqp_consume(struct conn *c, const char *queue)
{
    if (c->o->prefetch) {
        write_qos(c);
        if (amqp_await(c, BASIC_QOS_OK, NULL))
            return -1;
    }
    write_consume(c, queue);
    return amqp_await(c, BASIC_CONSUME_OK, NULL);
}

static void amqp_ack(struct conn *c, bool multiple)
{
    static const uint8_t frame[21] = {FRAME_METHOD, 0, 1, 0, 0, 0, 13, 0, 60, 0, 80, [20] = FRAME_END};
    buffer_reserve(&c->out, sizeof frame);
    uint8_t *to = c->out.data + c->out.len;
    memcpy(to, frame, sizeof frame);
    set_u64(to + 11, amqp_of(c)->tag);
    to[19] = multiple;
    c->out.len += sizeof frame;
}

/* ---- reading ---- */
static void fill_delivery(const struct amqp *a, const uint8_t *body, size_t size, struct incoming *in)
{
    if (a->returned)
        return;
    in->kind = INCOMING_DELIVERY;
    in->redelivered = a->redelivered;
    in->body = body;
    in->size = size;
}

/* Delivery tag and flag of basic.deliver (spec 1.8.3.13); false when the frame is something else. */
static inline bool read_deliver(struct amqp *a, const struct frame *f)
{
    if (f->type != FRAME_METHOD || f->size < 15 || get_u32(f->payload) != BASIC_DELIVER)
        return false;
    size_t at = 5u + f->payload[4];
    if (at + 9 > f->size)
        return false;
    a->tag = get_u64(f->payload + at);
    a->redelivered = f->payload[at + 8] & 1;
    a->returned = false;
    return true;
}

/* The usual case, and the fast one: a message in three frames, all here. Returns 0 when it is not that. */
static size_t whole_message(struct amqp *a, const uint8_t *p, size_t n, struct incoming *in)
{
    struct frame method, header, body;
    int64_t x = frame_read(&method, p, n, CONN_FRAME_MAX);
    if (x <= 0 || !read_deliver(a, &method))
        return 0;
    int64_t y = frame_read(&header, p + x, n - (size_t)x, CONN_FRAME_MAX);
    if (y <= 0 || header.type != FRAME_HEADER || header.size < 14)
        return 0;
    int64_t z = frame_read(&body, p + x + y, n - (size_t)(x + y), CONN_FRAME_MAX);
    if (z <= 0 || body.type != FRAME_BODY || body.size != get_u64(header.payload + 4))
        return 0;
    fill_delivery(a, body.payload, body.size, in);
    return (size_t)(x + y + z);
}

static int on_header(struct conn *c, const struct frame *f, struct incoming *in)
{
    struct amqp *a = amqp_of(c);
    char name[32];
    if (f->size < 14 || get_u64(f->payload + 4) > 1ull << 31)
        return conn_fail(c, "%s was sent a malformed content header", conn_name(c, name));
    a->body_size = get_u64(f->payload + 4);
    c->partial.len = 0;
    a->expects = EXPECT_BODY;
    if (!a->body_size) {
        a->expects = EXPECT_METHOD;
        fill_delivery(a, NULL, 0, in);
    }
    return 0;
}

static int on_body(struct conn *c, const struct frame *f, struct incoming *in)
{
    struct amqp *a = amqp_of(c);
    char name[32];
    buffer_put(&c->partial, f->payload, f->size);
    if (c->partial.len > a->body_size)
        return conn_fail(c, "%s was sent more body than its header announced", conn_name(c, name));
    if (c->partial.len == a->body_size) {
        a->expects = EXPECT_METHOD;
        fill_delivery(a, c->partial.data, c->partial.len, in);
    }
    return 0;
}

/* basic.ack and basic.nack to a publisher: one tag, or all up to it (tag 0: all there are). */
static int on_confirm(struct conn *c, const struct frame *f, bool acked, struct incoming *in)
{
    struct reader r = {f->payload + 4, f->payload + f->size, false};
    char name[32];
    in->kind = INCOMING_CONFIRM;
    in->acked = acked;
    in->tag = read_u64(&r);
    in->multiple = read_u8(&r) & 1;
    return r.bad ? conn_fail(c, "%s was sent a malformed confirm", conn_name(c, name)) : 0;
}

static int on_method(struct conn *c, const struct frame *f, struct incoming *in)
{
    struct amqp *a = amqp_of(c);
    switch (f->size < 4 ? 0 : get_u32(f->payload)) {
    case BASIC_ACK:
        return on_confirm(c, f, true, in);
    case BASIC_NACK:
        return on_confirm(c, f, false, in);
    case BASIC_RETURN: /* its header and body follow and are passed over */
        a->returned = true;
        a->expects = EXPECT_HEADER;
        in->kind = INCOMING_RETURN;
        return 0;
    case CONNECTION_BLOCKED:
        in->kind = INCOMING_BLOCKED;
        return 0;
    default:
        if (!read_deliver(a, f))
            return amqp_on_method(c, f);
        a->expects = EXPECT_HEADER;
        return 0;
    }
}

/* A message in pieces, or anything else. Frames of channel 0 may stand between the pieces. */
static int on_frame(struct conn *c, const struct frame *f, struct incoming *in)
{
    enum amqp_expects expects = amqp_of(c)->expects;
    char name[32];
    if (f->channel == 0)
        return f->type == FRAME_METHOD ? on_method(c, f, in) : 0;
    if (expects == EXPECT_HEADER && f->type == FRAME_HEADER)
        return on_header(c, f, in);
    if (expects == EXPECT_BODY && f->type == FRAME_BODY)
        return on_body(c, f, in);
    if (expects != EXPECT_METHOD || f->type != FRAME_METHOD)
        return conn_fail(c, "%s was sent frame type %u in the wrong place", conn_name(c, name), f->type);
    return on_method(c, f, in);
}

static int64_t amqp_read(struct conn *c, const uint8_t *bytes, size_t n, struct incoming *in)
{
    struct frame f;
    char name[32];
    in->kind = INCOMING_NOTHING;
    size_t whole = amqp_of(c)->expects == EXPECT_METHOD ? whole_message(amqp_of(c), bytes, n, in) : 0;
    if (whole)
        return (int64_t)whole;
    int64_t used = frame_read(&f, bytes, n, CONN_FRAME_MAX);
    if (used < 0)
        return conn_fail(c, "%s was sent bytes that are no AMQP frame", conn_name(c, name));
    return used && on_frame(c, &f, in) ? -1 : used;
}

const struct protocol protocol_amqp = {
    .name = "amqp",
    .title = "AMQP 0-9-1",
    .scheme = "amqp",
    .port = "5672",
    .tls_port = "5671",
    .state_size = sizeof(struct amqp),
    .login = amqp_login,
    .leave = amqp_leave,
    .make = amqp_make,
    .remove = amqp_remove,
    .produce = amqp_produce,
    .encode = amqp_encode,
    .consume = amqp_consume,
    .ack = amqp_ack,
    .read = amqp_read,
};
