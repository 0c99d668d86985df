/*
 * The life of a connection, as the front sees it:
 *
 *   open -> (input | event)*, flush after each turn -> gone
 *
 * header -> start -> tune -> open -> running -> ending (the client closes) -> closed
 *                                          '-> closing (we close)         ---^
 */
#include "codec/amqp/connection.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "codec/amqp/amqp.h"
#include "codec/amqp/channel.h"
#include "codec/amqp/consumer.h"
#include "codec/amqp/exclusive.h"
#include "codec/amqp/facts.h"
#include "codec/amqp/handlers.h"
#include "codec/amqp/input.h"
#include "codec/amqp/permission.h"

#define SECOND_NS 1000000000ull
/* How long we wait for a client's close-ok, or for the routers' answers before we send ours. */
#define CLOSE_NS (5 * SECOND_NS)

/* ---- output ------------------------------------------------------------------------------------- */

void send_method(struct amqp *c, uint16_t channel, enum method method, const void *args)
{
    size_t size = method_size(method, args);
    uint8_t *start = host_reserve(c->host, size + FRAME_EXTRA_BYTES);
    uint8_t *p = put_frame_head(start, FRAME_METHOD, channel, (uint32_t)size);
    p = method_encode(p, method, args);
    *p++ = FRAME_END;
    host_commit(c->host, (size_t)(p - start));
    c->wrote = true;
}

/* ---- failure ------------------------------------------------------------------------------------- */

static void close_now(struct amqp *c)
{
    connection_release(c);
    c->phase = PHASE_CLOSED;
    host_close(c->host);
}

void amqp_drop(struct amqp *c, const char *why)
{
    if (c->phase == PHASE_CLOSED)
        return;
    host_log(c->host, "connection dropped: %s", why);
    close_now(c);
}

/* Says goodbye and waits for the answer; after a frame that can't be told from the next there is nothing to
 * wait for. */
static void connection_fail(struct amqp *c, enum method method, enum error error, const char *text)
{
    host_log(c->host, "connection closed: %s", text);
    if (c->phase < PHASE_TUNE) {
        close_now(c);
        return;
    }
    SEND(c, 0, CONNECTION_CLOSE, .reply_code = num(error_code(error)), .reply_text = str(span_str(text)),
         .class_id = num(methods[method].class_id), .method_id = num(methods[method].method_id));
    if (error == ERR_FRAME) {
        close_now(c);
        return;
    }
    connection_release(c);
    c->phase = PHASE_CLOSING;
    host_wake_at(c->host, host_now(c->host) + CLOSE_NS);
}

/* As a short string holds at most 255 bytes, a longer text is cut, but not in the middle of a character. */
static void cut(char *text)
{
    size_t len = NAME_MAX_BYTES - 3;
    while (len && (text[len] & 0xc0) == 0x80)
        len--;
    memcpy(text + len, "...", 4);
}

static void fail_va(struct amqp *c, struct channel *ch, enum method method, enum error error,
                    const char *format, va_list args)
{
    char text[NAME_MAX_BYTES + 1];
    int n = snprintf(text, sizeof text, "%s - ", error_name(error));
    CHECK(n > 0 && (size_t)n < sizeof text);
    n += vsnprintf(text + n, sizeof text - (size_t)n, format, args);
    if ((size_t)n > NAME_MAX_BYTES)
        cut(text);
    if (c->phase >= PHASE_ENDING)
        return;
    if (!ch || error_is_hard(error))
        connection_fail(c, method, error, text);
    else
        channel_fail(c, ch, method, error, text);
}

void amqp_fail(struct amqp *c, struct channel *ch, enum error error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fail_va(c, ch, c->method, error, format, args);
    va_end(args);
}

void amqp_fail_method(struct amqp *c, struct channel *ch, enum method method, enum error error,
                      const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fail_va(c, ch, method, error, format, args);
    va_end(args);
}

/* ---- ops ------------------------------------------------------------------------------------------ */

struct op *op_new(struct amqp *c, struct channel *ch, enum op_kind kind, enum purpose purpose)
{
    struct op *op = host_op(c->host);
    op->kind = kind;
    op->reply = (uint16_t)purpose;
    op->vhost = c->vhost;
    c->ops++;
    if (ch) {
        op->channel = ch->number;
        ch->ops++;
    }
    return op;
}

void op_send(struct amqp *c, struct op *op)
{
    settle_flush(&c->settle, c->host);
    host_send_op(c->host, op);
}

void op_send_to(struct amqp *c, unsigned router, struct op *op)
{
    settle_flush(&c->settle, c->host);
    host_send_op_to(c->host, router, op);
}

void op_arguments(struct op *op, struct span arguments)
{
    op->arguments = name_keep(arguments);
}

struct span name_keep(struct span s)
{
    if (!s.len)
        return (struct span){0};
    uint8_t *at = malloc(s.len);
    CHECK(at);
    memcpy(at, s.at, s.len);
    return span_of(at, s.len);
}

void name_drop(struct span *s)
{
    free((void *)s->at);
    *s = (struct span){0};
}

void random_name(struct amqp *c, const char *prefix, struct name *name)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char text[64];
    size_t n = strlen(prefix);
    CHECK(n + 22 <= sizeof text);
    memcpy(text, prefix, n);
    uint64_t bits = 0;
    for (unsigned i = 0; i < 22; i++, bits >>= 6) {
        if (i % 10 == 0)
            bits = host_random(c->host);
        text[n + i] = digits[bits & 63];
    }
    name_set(name, span_of(text, n + 22));
}

/* ---- the end ---------------------------------------------------------------------------------------- */

void connection_release(struct amqp *c)
{
    for (uint32_t i = 0; i < c->channel_room; i++) {
        if (!c->channels[i])
            continue;
        channel_release(c, c->channels[i]);
        channel_free(c, c->channels[i]);
    }
    exclusive_queues_delete(c);
    settle_flush(&c->settle, c->host);
}

static void end_if_done(struct amqp *c)
{
    if (c->phase != PHASE_ENDING || c->ops)
        return;
    SEND(c, 0, CONNECTION_CLOSE_OK);
    close_now(c);
}

/* What a router has made for us in the meantime goes the way of the rest. */
static void undo(struct amqp *c, const struct op *done)
{
    if (done->error != ERR_NONE)
        return;
    if (done->kind == OP_CONSUME) {
        struct op *op = op_new(c, NULL, OP_CANCEL, PURPOSE_RELEASE);
        op->consumer = done->consumer;
        op_send_to(c, host_router_of(c->host, done->vhost, name_span(&done->name)), op);
    } else if (done->kind == OP_QUEUE_DECLARE && (done->flags & OP_EXCLUSIVE)) {
        struct op *op = op_new(c, NULL, OP_QUEUE_DELETE, PURPOSE_RELEASE);
        op->name = done->name;
        op->flags = OP_OF_OWNER;
        op_send(c, op);
    }
}

void connection_op_back(struct amqp *c, struct op *op)
{
    undo(c, op);
    host_free_op(c->host, op);
    end_if_done(c);
}

bool on_connection_close(struct amqp *c, struct channel *ch, const union value *args)
{
    (void)ch, (void)args;
    if (c->phase != PHASE_CLOSING) {
        connection_release(c);
        c->phase = PHASE_ENDING;
        host_wake_at(c->host, host_now(c->host) + CLOSE_NS);
        end_if_done(c);
        return true;
    }
    SEND(c, 0, CONNECTION_CLOSE_OK);
    close_now(c);
    return true;
}

bool on_connection_close_ok(struct amqp *c, struct channel *ch, const union value *args)
{
    (void)args;
    if (c->phase == PHASE_CLOSING)
        close_now(c);
    else
        amqp_fail(c, ch, ERR_CHANNEL, "connection.close-ok without connection.close");
    return true;
}

bool on_connection_update_secret(struct amqp *c, struct channel *ch, const union value *args)
{
    (void)ch, (void)args;
    SEND(c, 0, CONNECTION_UPDATE_SECRET_OK);
    return true;
}

/* ---- the codec ------------------------------------------------------------------------------------------
 */

static void amqp_open(void *state, struct host *host)
{
    struct amqp *c = state;
    c->host = host;
    c->options = host_options(host);
    c->frame_max = FRAME_MAX_BEFORE_TUNE;
    map_init(&c->consumer_tags);
    map_init(&c->exclusive_queues);
    host_wake_at(host, host_now(host) + c->options->handshake_ms * 1000000ull);
}

static size_t amqp_on_input(void *state, struct host *host, struct span bytes)
{
    struct amqp *c = state;
    c->host = host;
    return amqp_input(c, bytes);
}

static void op_back(struct amqp *c, unsigned router, struct op *op)
{
    CHECK(c->ops > 0);
    c->ops--;
    if (c->phase != PHASE_RUNNING) {
        connection_op_back(c, op);
        return;
    }
    struct channel *ch = channel_of(c, op->channel);
    CHECK(ch && ch->ops > 0);
    ch->ops--;
    switch (op->reply) {
    case PURPOSE_METHOD:
        request_back(c, ch, router, op);
        break;
    case PURPOSE_REPLY_QUEUE:
        reply_queue_declared(c, ch, router, op);
        break;
    case PURPOSE_BARRIER:
        tx_barrier_back(c, ch, op);
        break;
    default:
        channel_op_back(c, ch);
    }
    host_free_op(c->host, op);
}

static void amqp_event(void *state, struct host *host, unsigned router, const union event *event)
{
    struct amqp *c = state;
    c->host = host;
    switch (event->kind) {
    case EVENT_DELIVER:
        deliver(c, router, &event->deliver);
        break;
    case EVENT_RETURN:
        publisher_return(c, channel_of(c, event->deliver.channel), router, &event->deliver);
        break;
    case EVENT_CONFIRM:
        publisher_confirm(c, channel_of(c, event->confirm.channel), &event->confirm);
        break;
    case EVENT_CANCEL:
        consumer_cancelled(c, &event->cancel);
        break;
    case EVENT_OP:
        op_back(c, router, event->op.op);
        break;
    default:
        break; /* the front's own */
    }
}

static void amqp_flush(void *state, struct host *host)
{
    struct amqp *c = state;
    c->host = host;
    if (c->look_again && c->phase == PHASE_RUNNING)
        consumers_permitted(c);
    while (c->dirty) {
        struct channel *ch = c->dirty;
        c->dirty = ch->next_dirty;
        ch->dirty = false;
        channel_confirm(c, ch);
    }
    settle_flush(&c->settle, host);
    if (c->in_debt && host_backlog(host) < OUTPUT_HIGH_BYTES)
        consumers_credit(c);
    if (!c->wrote)
        return;
    c->wrote = false;
    c->output_ns = host_now(host);
}

static void amqp_drained(void *state, struct host *host)
{
    struct amqp *c = state;
    c->host = host;
    consumers_credit(c);
}

static void amqp_tick(void *state, struct host *host)
{
    struct amqp *c = state;
    c->host = host;
    switch (c->phase) {
    case PHASE_RUNNING:
        heartbeat_tick(c);
        break;
    case PHASE_ENDING:
        SEND(c, 0, CONNECTION_CLOSE_OK);
        close_now(c);
        break;
    case PHASE_CLOSING:
        amqp_drop(c, "no connection.close-ok from client");
        break;
    case PHASE_CLOSED:
        break;
    default:
        amqp_drop(c, "handshake timeout");
    }
}

static void amqp_blocked(void *state, struct host *host, const char *reason)
{
    struct amqp *c = state;
    c->host = host;
    if (c->phase != PHASE_RUNNING || !(c->capabilities & CAPABLE_BLOCKED) || c->blocked == (reason != NULL))
        return;
    c->blocked = reason != NULL;
    if (reason)
        SEND(c, 0, CONNECTION_BLOCKED, .reason = str(span_str(reason)));
    else
        SEND(c, 0, CONNECTION_UNBLOCKED);
}

static void amqp_shutdown(void *state, struct host *host, const char *why)
{
    struct amqp *c = state;
    c->host = host;
    if (c->phase < PHASE_ENDING)
        amqp_fail_method(c, NULL, METHOD_NONE, ERR_CONNECTION_FORCED,
                         "broker forced connection closure with reason '%s'", why);
}

static void amqp_expel(void *state, struct host *host, const char *why, bool gone)
{
    struct amqp *c = state;
    (void)gone;
    c->host = host;
    amqp_fail_method(c, NULL, METHOD_NONE, ERR_CONNECTION_FORCED, "%s", why);
}

static void amqp_access_changed(void *state, struct host *host)
{
    struct amqp *c = state;
    c->host = host;
    c->look_again = true;
}

static void amqp_gone(void *state, struct host *host)
{
    struct amqp *c = state;
    c->host = host;
    connection_release(c);
    c->phase = PHASE_CLOSED;
    free(c->channels);
    slots_free(&c->consumers);
    map_free(&c->consumer_tags);
    map_free(&c->exclusive_queues);
    name_drop(&c->client);
    name_drop(&c->properties);
    c->channels = NULL;
    c->channel_room = 0;
}

const struct codec codec_amqp = {
    .name = "amqp",
    .state_bytes = sizeof(struct amqp),
    .open = amqp_open,
    .input = amqp_on_input,
    .event = amqp_event,
    .flush = amqp_flush,
    .drained = amqp_drained,
    .tick = amqp_tick,
    .blocked = amqp_blocked,
    .shutdown = amqp_shutdown,
    .expel = amqp_expel,
    .access_changed = amqp_access_changed,
    .gone = amqp_gone,
    .about = amqp_about,
    .channel = amqp_channel,
    .consumer = amqp_consumer,
    .delivery = amqp_delivery,
};
