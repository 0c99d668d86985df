/*
 * The life of a STOMP connection, as the front sees it:
 *
 *   open -> (input | event)*, flush after each turn -> gone
 */
#include "codec/stomp/connection.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "codec/stomp/permission.h"
#include "codec/stomp/stomp.h"

struct span stomp_keep(struct span s)
{
    uint8_t *at = malloc(s.len + 1);
    CHECK(at);
    put_span(at, s);
    return span_of(at, s.len);
}

void stomp_drop(struct span *s)
{
    free((void *)(uintptr_t)s->at);
    *s = (struct span){0};
}

/* ---- failure, receipts ---------------------------------------------------------------------------- */

static void close_now(struct stomp *c)
{
    stomp_release(c);
    c->stage = STOMP_CLOSED;
    host_close(c->host);
}

void stomp_fail(struct stomp *c, const struct stomp_frame *f, const char *format, ...)
{
    char text[512];
    va_list args;
    if (c->stage == STOMP_CLOSED)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    host_log(c->host, "connection closed: %s", text);
    struct span receipt = f ? stomp_value(f, "receipt") : span_of("", 0), message = span_str(text);
    uint8_t *start = host_reserve(c->host, 4096 + 2 * receipt.len);
    uint8_t *p = put_span(start, span_str("ERROR\n"));
    p = stomp_put_str(p, c->version, "message", message);
    if (receipt.len)
        p = stomp_put_str(p, c->version, "receipt-id", receipt);
    if (c->stage == STOMP_NEW)
        p = put_span(p, span_str("version:1.0,1.1,1.2\n"));
    p = put_span(p, span_str("content-type:text/plain\n"));
    p = put_u8(stomp_put_number(p, "content-length", message.len), '\n');
    p = put_span(put_span(p, message), span_of("\0\n", 2));
    host_commit(c->host, (size_t)(p - start));
    close_now(c);
}

void stomp_receipt(struct stomp *c, const struct stomp_frame *f, bool last)
{
    stomp_receipt_behind(c, f, 0, last);
}

static void send_barriers(struct stomp *c, struct stomp_receipt *r, uint64_t routers)
{
    for (; routers; routers &= routers - 1) {
        struct op *op = stomp_op(c, OP_BARRIER, STOMP_BARRIER, span_of("", 0));
        op->flags = OP_DURABLE;
        op->tag = r->number;
        r->barriers++;
        stomp_send_op_to(c, (unsigned)__builtin_ctzll(routers), op);
    }
}

void stomp_receipt_behind(struct stomp *c, const struct stomp_frame *f, uint64_t routers, bool last)
{
    const struct span *id = stomp_find(f, "receipt");
    if (c->committing || c->stage == STOMP_CLOSED || (!id && !last))
        return;
    struct stomp_receipt *r = calloc(1, sizeof *r + (id ? id->len : 0));
    CHECK(r);
    r->seq = c->unconfirmed.next - 1;
    r->number = ++c->receipt_count;
    r->last = last;
    if (id)
        r->len = (uint32_t)id->len, put_span(r->id, *id);
    *c->receipt_end = r;
    c->receipt_end = &r->next;
    send_barriers(c, r, id ? routers : 0);
    stomp_receipts(c);
}

static void barrier_back(struct stomp *c, const struct op *op)
{
    for (struct stomp_receipt *r = c->receipt; r; r = r->next)
        if (r->number == op->tag)
            r->barriers--;
    stomp_receipts(c);
}

void stomp_receipts(struct stomp *c)
{
    struct stomp_receipt *r;
    while (c->stage != STOMP_CLOSED && !c->again && (r = c->receipt) && r->seq < c->unconfirmed.first &&
           !r->barriers) {
        if (r->len) {
            uint8_t *start = host_reserve(c->host, 64 + 2 * (size_t)r->len);
            uint8_t *p = put_span(start, span_str("RECEIPT\n"));
            p = stomp_put_str(p, c->version, "receipt-id", span_of(r->id, r->len));
            p = put_span(p, span_of("\n\0\n", 3));
            host_commit(c->host, (size_t)(p - start));
        }
        bool last = r->last;
        c->receipt = r->next;
        if (!c->receipt)
            c->receipt_end = &c->receipt;
        free(r);
        if (last)
            close_now(c);
    }
}

/* ---- ops ------------------------------------------------------------------------------------------ */

struct op *stomp_op(struct stomp *c, enum op_kind kind, enum stomp_purpose purpose, struct span queue)
{
    struct op *op = host_op(c->host);
    op->kind = kind;
    op->reply = (uint16_t)purpose;
    op->vhost = c->vhost;
    name_set(&op->name, queue);
    return op;
}

static bool input_waits_for(const struct op *op)
{
    return op->reply != STOMP_RELEASE && op->reply != STOMP_BARRIER;
}

static void before_op(struct stomp *c, const struct op *op)
{
    settle_flush(&c->settle, c->host);
    c->pending += input_waits_for(op);
}

void stomp_send_op(struct stomp *c, struct op *op)
{
    before_op(c, op);
    host_send_op(c->host, op);
}

void stomp_send_op_to(struct stomp *c, unsigned router, struct op *op)
{
    before_op(c, op);
    host_send_op_to(c->host, router, op);
}

/* What came to be while the connection ended goes the way of the rest. */
static void undo(struct stomp *c, const struct op *done)
{
    bool consumer = done->kind == OP_CONSUME;
    if (done->error != ERR_NONE ||
        (!consumer && (done->kind != OP_QUEUE_DECLARE || !(done->flags & OP_EXCLUSIVE))))
        return;
    struct op *op =
        stomp_op(c, consumer ? OP_CANCEL : OP_QUEUE_DELETE, STOMP_RELEASE, name_span(&done->name));
    op->flags = consumer ? 0 : OP_OF_OWNER;
    op->consumer = done->consumer;
    stomp_send_op_to(c, host_router_of(c->host, c->vhost, name_span(&done->name)), op);
}

static void done(struct stomp *c, const struct op *op)
{
    switch ((enum stomp_purpose)op->reply) {
    case STOMP_QUEUE:
        stomp_queue_declared(c, op);
        c->declared = !op->tag;
        break;
    case STOMP_AGAIN:
        c->again_queue = op->name;
        stomp_again_run(c);
        break;
    case STOMP_BARRIER:
        barrier_back(c, op);
        break;
    case STOMP_CONSUME:
    case STOMP_CANCEL:
        stomp_subscription_back(c, op);
        break;
    case STOMP_RELEASE:
    case STOMP_BIND:
        break;
    }
}

static void op_back(struct stomp *c, struct op *op)
{
    c->pending -= input_waits_for(op);
    if (c->stage == STOMP_CLOSED)
        undo(c, op);
    else if (op->reply != STOMP_RELEASE && op->error != ERR_NONE)
        stomp_fail(c, NULL, "%s", op->text);
    else
        done(c, op);
    host_free_op(c->host, op);
}

/* ---- input ----------------------------------------------------------------------------------------- */

static void disconnect(struct stomp *c, const struct stomp_frame *f)
{
    c->stage = STOMP_ENDING;
    stomp_receipt_behind(c, f, c->told, true);
}

static bool is_part_of_transaction(const struct stomp *c, const struct stomp_frame *f)
{
    return !c->committing && stomp_find(f, "transaction") &&
           (span_is(f->command, "SEND") || span_is(f->command, "ACK") || span_is(f->command, "NACK"));
}

/* Those that are done at once. */
static bool do_simple(struct stomp *c, const struct stomp_frame *f)
{
    if (span_is(f->command, "ACK"))
        stomp_ack(c, f, true);
    else if (span_is(f->command, "NACK") && c->version >= STOMP_11)
        stomp_ack(c, f, false);
    else if (span_is(f->command, "BEGIN"))
        stomp_begin(c, f);
    else if (span_is(f->command, "ABORT"))
        stomp_abort(c, f);
    else if (span_is(f->command, "DISCONNECT"))
        disconnect(c, f);
    else
        stomp_fail(c, f, "there is no command '%.*s'", (int)(f->command.len < 32 ? f->command.len : 32),
                   (const char *)f->command.at);
    return c->stage != STOMP_CLOSED;
}

bool stomp_frame_do(struct stomp *c, const struct stomp_frame *f, struct span body, struct span whole)
{
    bool is_send = span_is(f->command, "SEND");
    if (c->stage == STOMP_NEW) {
        stomp_connect(c, f);
        return c->stage == STOMP_OPEN;
    }
    if (f->has_length && f->length && !is_send) {
        stomp_fail(c, f, "only SEND may have a body");
        return false;
    }
    if (is_part_of_transaction(c, f))
        return stomp_hold(c, f, body, whole);
    if (is_send)
        return stomp_publish(c, f, body);
    if (span_is(f->command, "SUBSCRIBE"))
        return stomp_subscribe(c, f);
    if (span_is(f->command, "UNSUBSCRIBE"))
        return stomp_unsubscribe(c, f);
    if (span_is(f->command, "COMMIT"))
        return stomp_commit(c, f);
    return do_simple(c, f);
}

/* A body that doesn't say how long it is ends at the first NUL, and is waited for as a whole. */
static size_t short_frame(struct stomp *c, struct span in, const struct stomp_frame *f)
{
    size_t len = (size_t)f->length, rest = in.len - f->head_bytes;
    const uint8_t *body = in.at + f->head_bytes;
    if (!f->has_length) {
        const uint8_t *end = rest ? memchr(body, 0, rest) : NULL;
        len = end ? (size_t)(end - body) : rest;
        if (len > INLINE_BODY_MAX)
            stomp_fail(c, f, "a body of more than %u bytes needs a content-length", INLINE_BODY_MAX);
        if (!end || len > INLINE_BODY_MAX)
            return 0;
    }
    if (rest <= len)
        return 0;
    if (body[len]) {
        stomp_fail(c, f, "no NUL behind the body");
        return 0;
    }
    struct span whole = span_of(in.at, f->head_bytes + len + 1);
    return stomp_frame_do(c, f, span_of(body, len), whole) ? whole.len : 0;
}

/* Only its head: the body follows in pieces. */
static size_t long_frame(struct stomp *c, struct span in, const struct stomp_frame *f)
{
    if (f->length > c->options->max_message_size)
        stomp_fail(c, f, "a message of %llu bytes; %u at most", (unsigned long long)f->length,
                   c->options->max_message_size);
    else if (c->stage != STOMP_OPEN || !span_is(f->command, "SEND"))
        stomp_fail(c, f, "only SEND may have a body");
    else if (is_part_of_transaction(c, f))
        return stomp_hold_head(c, f, span_of(in.at, f->head_bytes)) ? f->head_bytes : 0;
    else if (stomp_publish(c, f, span_of("", 0)))
        return f->head_bytes;
    return 0;
}

/* Takes the first frame of in; returns its bytes, 0 if it is not all there or must wait. */
static size_t frame_input(struct stomp *c, struct span in)
{
    static _Thread_local struct stomp_frame f;
    const char *wrong;
    size_t skip = stomp_skip(in);
    if (skip)
        return skip;
    enum stomp_read read = stomp_head_read(in, c->version, &f, &wrong);
    if (read == STOMP_READ_WRONG)
        stomp_fail(c, NULL, "malformed frame: %s", wrong);
    if (read != STOMP_READ)
        return 0;
    if (c->stage == STOMP_NEW && !stomp_is_connect(&f)) {
        stomp_fail(c, &f, "the first frame is no CONNECT");
        return 0;
    }
    return f.has_length && f.length > INLINE_BODY_MAX ? long_frame(c, in, &f) : short_frame(c, in, &f);
}

/* What came back goes first; it can't go between the parts of another message. */
static bool again_done(struct stomp *c)
{
    stomp_again_run(c);
    return !c->again || c->rest.going;
}

static size_t stomp_input(void *state, struct host *host, struct span bytes)
{
    struct stomp *c = state;
    size_t used = 0, n = 1;
    c->host = host;
    c->parked = false;
    c->heard_ns = host_now(host);
    while (again_done(c) && used < bytes.len && n && c->stage < STOMP_ENDING && !c->pending) {
        struct span in = span_of(bytes.at + used, bytes.len - used);
        n = c->rest.going && !c->rest.kept ? stomp_publish_rest(c, in, NULL) : frame_input(c, in);
        used += n;
    }
    return c->stage >= STOMP_ENDING ? bytes.len : used;
}

/* ---- the codec -------------------------------------------------------------------------------------- */

static void stomp_open(void *state, struct host *host)
{
    struct stomp *c = state;
    c->host = host;
    c->options = host_options(host);
    c->receipt_end = &c->receipt;
    c->again_end = &c->again;
    unconfirmed_init(&c->unconfirmed, 1);
    host_wake_at(host, host_now(host) + c->options->handshake_ms * 1000000ull);
}

static void stomp_event(void *state, struct host *host, unsigned router, const union event *event)
{
    struct stomp *c = state;
    c->host = host;
    switch (event->kind) {
    case EVENT_DELIVER:
        stomp_deliver(c, router, &event->deliver);
        break;
    case EVENT_RETURN:
        stomp_returned(c, router, &event->deliver);
        break;
    case EVENT_CONFIRM:
        stomp_confirmed(c, &event->confirm);
        break;
    case EVENT_CANCEL:
        stomp_cancelled(c, &event->cancel);
        break;
    case EVENT_OP:
        op_back(c, event->op.op);
        break;
    default:
        break; /* the front's own */
    }
}

static void stomp_flush(void *state, struct host *host)
{
    struct stomp *c = state;
    c->host = host;
    settle_flush(&c->settle, host);
    stomp_again_retry(c);
    if (host_backlog(host) < OUTPUT_HIGH_BYTES)
        stomp_credit(c);
}

static void stomp_drained(void *state, struct host *host)
{
    struct stomp *c = state;
    c->host = host;
    stomp_credit(c);
}

static void stomp_tick(void *state, struct host *host)
{
    struct stomp *c = state;
    c->host = host;
    if (c->stage == STOMP_OPEN)
        stomp_tick_beats(c);
    else if (c->stage == STOMP_NEW)
        stomp_fail(c, NULL, "no CONNECT in time");
}

/* STOMP has no word for it: what is sent waits. */
static void stomp_blocked(void *state, struct host *host, const char *reason)
{
    struct stomp *c = state;
    c->host = host;
    if (reason)
        host_log(host, "publishes wait: %s", reason);
}

/* The broker ends: an ERROR says so. */
static void stomp_shutdown(void *state, struct host *host, const char *why)
{
    struct stomp *c = state;
    c->host = host;
    stomp_fail(c, NULL, "%s", why);
}

/* An ERROR says why, whether the user is gone or only this connection. */
static void stomp_expel(void *state, struct host *host, const char *why, bool gone)
{
    (void)gone;
    stomp_shutdown(state, host, why);
}

static void stomp_gone(void *state, struct host *host)
{
    struct stomp *c = state;
    c->host = host;
    stomp_release(c);
    settle_flush(&c->settle, host); /* deliveries may have come since it was closed */
    c->stage = STOMP_CLOSED;
}

/* Of the first that isn't, the connection ends, and with it all of them. */
static void stomp_access_changed(void *state, struct host *host)
{
    struct stomp *c = state;
    c->host = host;
    for (const struct stomp_subscription *s = c->subscriptions; s && stomp_still_permitted(c, s);)
        s = s->next;
}

const struct codec codec_stomp = {
    .name = "stomp",
    .state_bytes = sizeof(struct stomp),
    .open = stomp_open,
    .input = stomp_input,
    .event = stomp_event,
    .flush = stomp_flush,
    .drained = stomp_drained,
    .tick = stomp_tick,
    .blocked = stomp_blocked,
    .shutdown = stomp_shutdown,
    .expel = stomp_expel,
    .access_changed = stomp_access_changed,
    .gone = stomp_gone,
    .about = stomp_about,
    .consumer = stomp_consumer,
    .delivery = stomp_delivery,
};
