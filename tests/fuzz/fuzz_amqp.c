/*
 * A hostile AMQP client, and routers that answer as they like: no input, however it is cut, may break the
 * codec, make it keep memory, stall, or write what is not AMQP.
 *
 * The fuzzer's bytes are a script: what arrives raw, as a frame, or as a method; what the routers answer;
 * what the front says. clang -fsanitize=fuzzer,address,undefined; corpus/amqp holds one script per file.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "codec/amqp/amqp.h"
#include "codec/amqp/channel.h"
#include "codec/amqp/input.h"
#include "codec/amqp/methods.h"
#include "fake_host.h"
#include "router/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct play {
    struct host *host;
    void *state;
    struct span script;
    struct fake_bytes input; /* on its way */
    size_t shown, read;
    uint64_t handle; /* of the last consumer that was accepted */
    uint64_t seq;
    struct kept {
        struct kept *next;
        struct message message;
    } * kept; /* pages are pinned until DONE: to the end, here */
};

/* ---- the script
 * ------------------------------------------------------------------------------------------------ */

static uint8_t next(struct play *p)
{
    if (!p->script.len)
        return 0;
    p->script.len--;
    return *p->script.at++;
}

static struct span take(struct play *p, size_t n)
{
    struct span s = span_of(p->script.at, n < p->script.len ? n : p->script.len);
    p->script = span_of(s.at + s.len, p->script.len - s.len);
    return s;
}

/* ---- bytes in and out
 * ------------------------------------------------------------------------------------------- */

static void append(struct play *p, struct span s)
{
    struct fake_bytes *b = &p->input;
    if (b->len + s.len >= b->room) {
        b->room = 2 * (b->len + s.len) + 1;
        b->at = realloc(b->at, b->room);
        CHECK(b->at);
    }
    put_span(b->at + b->len, s);
    b->len += s.len;
}

static void append_frame(struct play *p, uint8_t type, uint16_t channel, struct span payload)
{
    uint8_t head[FRAME_HEAD_BYTES], end = FRAME_END;
    put_frame_head(head, type, channel, (uint32_t)payload.len);
    append(p, span_of(head, sizeof head));
    append(p, payload);
    append(p, span_of(&end, 1));
}

static void append_method(struct play *p, uint16_t channel, enum method method, struct span fields)
{
    uint8_t payload[4 + 256];
    put_be16(put_be16(payload, methods[method].class_id), methods[method].method_id);
    put_span(payload + 4, fields);
    append_frame(p, FRAME_METHOD, channel, span_of(payload, 4 + fields.len));
}

/* Everything that is written is AMQP. */
static void read_output(struct play *p)
{
    const struct fake_bytes *out = &p->host->output;
    union value args[METHOD_FIELDS_MAX];
    while (p->read < out->len) {
        const uint8_t *at = out->at + p->read;
        if (at[0] == 'A') { /* our protocol header, and the end */
            CHECK(out->len - p->read == 8);
            p->read = out->len;
            return;
        }
        CHECK(out->len - p->read >= FRAME_EXTRA_BYTES);
        uint32_t size = get_be32(at + 3);
        CHECK(out->len - p->read >= size + FRAME_EXTRA_BYTES && at[FRAME_HEAD_BYTES + size] == FRAME_END);
        if (at[0] == FRAME_METHOD) {
            enum method method = method_of(get_be16(at + 7), get_be16(at + 9));
            CHECK(method != METHOD_NONE && method_decode(method, span_of(at + 11, size - 4), args));
        }
        p->read += size + FRAME_EXTRA_BYTES;
    }
}

/* A frame at most is left, or a publish that is left whole, unless something must wait. */
#define REST_MAX (FRAME_BYTES_MAX + INLINE_BODY_MAX + 4 * KIB)

/* A commit waits until its publishes are answered for. */
static bool commits(const struct amqp *c)
{
    for (unsigned number = 1; number <= 3; number++) {
        const struct channel *ch = channel_of(c, (uint16_t)number);
        if (ch && ch->committing)
            return true;
    }
    return false;
}

static void show(struct play *p, size_t more)
{
    size_t bytes = p->shown + more;
    if (bytes > p->input.len)
        bytes = p->input.len;
    uint8_t *exact = malloc(bytes + 1);
    CHECK(exact);
    put_span(exact, span_of(p->input.at, bytes));
    size_t used = p->host->closed ? bytes : codec_amqp.input(p->state, p->host, span_of(exact, bytes));
    free(exact);
    CHECK(used <= bytes);
    p->input.len -= used;
    if (used)
        memmove(p->input.at, p->input.at + used, p->input.len);
    p->shown = bytes - used;
    CHECK(p->shown <= REST_MAX || p->host->park || p->host->ops || commits(p->state));
    codec_amqp.flush(p->state, p->host);
    read_output(p);
}

/* ---- routers
 * ------------------------------------------------------------------------------------------------------ */

static void answer(struct play *p)
{
    unsigned router;
    struct op *op = fake_take_op(p->host, &router);
    uint8_t how = next(p);
    if (!op)
        return;
    op->error = how < 192 ? ERR_NONE : (enum error)(how % ERRORS);
    snprintf(op->text, sizeof op->text, "because of the fuzzer");
    op->got = how & 1;
    op->messages = how;
    if (op->kind == OP_CONSUME && op->error == ERR_NONE) {
        op->consumer = 1 + how;
        p->handle = op->tag;
    }
    codec_amqp.event(p->state, p->host, router, &(union event){.op = {.kind = EVENT_OP, .op = op}});
}

static struct parts *some_parts(struct play *p, const uint8_t *bytes)
{
    uint32_t n = next(p) % 4;
    struct parts *parts = n ? malloc(sizeof *parts + n * sizeof parts->part[0]) : NULL;
    for (uint32_t i = 0; i < n; i++) {
        parts->part[i].at = bytes;
        parts->part[i].len = next(p) * 257u;
        parts->part[i].page = i;
    }
    if (parts)
        parts->n = n;
    return parts;
}

/* DELIVER and RETURN. */
static void send_message(struct play *p, uint8_t kind)
{
    static uint8_t zeros[70000];
    uint8_t flags = next(p), exchange = next(p), body = next(p);
    size_t properties = 2 + exchange % 50, body_len = body * 300u % 66000u;
    struct kept *kept = calloc(1, sizeof *kept + exchange + 4 + properties + body_len);
    CHECK(kept);
    struct message *m = &kept->message;
    kept->next = p->kept;
    p->kept = kept;
    m->exchange_len = exchange;
    m->key_len = 4;
    m->properties_len = (uint32_t)properties;
    m->body_len = (uint32_t)body_len;
    struct event_deliver event = {
        .kind = kind,
        .flags = kind == EVENT_DELIVER ? flags & 3 : 0,
        .channel = flags >> 2 & 3,
        .tag = kind == EVENT_RETURN || (flags & DELIVER_GET) ? body % 8u
               : flags & 128                                 ? next(p)
                                                             : p->handle,
        .queue = 5,
        .seq = ++p->seq,
        .page = 1,
        .message = m,
        .parts = some_parts(p, zeros),
    };
    codec_amqp.event(p->state, p->host, flags >> 4 & 1, &(union event){.deliver = event});
    codec_amqp.flush(p->state, p->host);
}

static void confirm(struct play *p)
{
    uint8_t flags = next(p);
    struct event_confirm event = {.kind = EVENT_CONFIRM,
                                  .flags = flags & 3,
                                  .channel = flags >> 2 & 3,
                                  .count = 1 + next(p) % 16,
                                  .seq = next(p)};
    codec_amqp.event(p->state, p->host, 0, &(union event){.confirm = event});
}

/* ---- one step
 * ------------------------------------------------------------------------------------------------------- */

static void front(struct play *p, uint8_t what)
{
    switch (what % 8) {
    case 0:
        p->host->park = !p->host->park;
        break;
    case 1:
        p->host->admitted = next(p) % 4;
        break;
    case 2:
        p->host->now_ns += next(p) * 500000000ull;
        if (p->host->wake_ns && p->host->now_ns >= p->host->wake_ns)
            codec_amqp.tick(p->state, p->host);
        break;
    case 3:
        p->host->backlog = next(p) * 10000u;
        codec_amqp.drained(p->state, p->host);
        break;
    case 4:
        codec_amqp.blocked(p->state, p->host, next(p) & 1 ? "why" : NULL);
        break;
    case 5:
        p->host->exchange_version++;
        break;
    case 6:
        codec_amqp.event(p->state, p->host, 0,
                         &(union event){.cancel = {.kind = EVENT_CANCEL,
                                                   .flags = next(p) & CANCEL_LAPSED,
                                                   .channel = 1,
                                                   .tag = p->handle}});
        break;
    default:
        if (next(p) == 255)
            codec_amqp.shutdown(p->state, p->host, "fuzzing");
    }
}

static void publish(struct play *p)
{
    static uint8_t body[200000];
    uint8_t how = next(p), size = next(p), header[14] = {0, CLASS_BASIC};
    uint32_t len = how & 64 ? size : size * (INLINE_BODY_MAX / 100);
    const char *exchange = how & 1 ? "amq.direct" : "";
    uint8_t fields[64], *at = put_str(put_str(put_be16(fields, 0), span_str(exchange)), span_str("key"));
    *at++ = how >> 1 & 1;
    append_method(p, how >> 2 & 3, METHOD_BASIC_PUBLISH, span_of(fields, (size_t)(at - fields)));
    put_be64(header + 4, len);
    append_frame(p, FRAME_HEADER, how >> 2 & 3, span_of(header, sizeof header));
    uint32_t most = how & 128 ? FRAME_BYTES_MAX / 3 : FRAME_BYTES_MAX - FRAME_EXTRA_BYTES;
    for (uint32_t done = 0; done < len; done += most)
        append_frame(p, FRAME_BODY, how >> 2 & 3, span_of(body, len - done < most ? len - done : most));
}

/* A client that is held back sends no more for long. */
#define INPUT_MAX (512 * KIB)

static void step(struct play *p)
{
    uint8_t what = next(p);
    if (p->input.len > INPUT_MAX && what >> 4 < 12)
        what = 0xc0;
    switch (what >> 4) {
    default: { /* 0 to 7: raw bytes */
        append(p, take(p, what));
        break;
    }
    case 8: {
        uint8_t type = next(p), channel = next(p);
        append_frame(p, type, channel & 3, take(p, next(p)));
        break;
    }
    case 9:
    case 10: {
        enum method method = (enum method)(1 + next(p) % (METHODS - 1));
        append_method(p, what & 3, method, take(p, next(p)));
        break;
    }
    case 11:
        publish(p);
        break;
    case 12:
        answer(p);
        break;
    case 13:
        send_message(p, what & 8 ? EVENT_RETURN : EVENT_DELIVER);
        break;
    case 14:
        confirm(p);
        break;
    case 15:
        front(p, what);
    }
    show(p, what & 1 ? p->input.len : next(p));
}

/* ---- the negotiation, so that not every script needs it
 * -------------------------------------------------------------- */

static void negotiate(struct play *p, uint8_t how)
{
    static const char start_ok[] = "\0\0\0\0\5PLAIN\0\0\0\x0c\0guest\0guest\5en_US";
    append(p, span_of("AMQP\0\0\x09\x01", 8));
    append_method(p, 0, METHOD_CONNECTION_START_OK, span_of(start_ok, sizeof start_ok - 1));
    append_method(p, 0, METHOD_CONNECTION_TUNE_OK,
                  span_of(how & 1 ? "\0\0\0\0\x10\0\0\x0a" : "\0\0\0\0\0\0\0\0", 8));
    append_method(p, 0, METHOD_CONNECTION_OPEN, span_of("\1/\0\0", 4));
    append_method(p, 1, METHOD_CHANNEL_OPEN, span_of("\0", 1));
    append_method(p, 2, METHOD_CHANNEL_OPEN, span_of("\0", 1));
    if (how & 2)
        append_method(p, 1, METHOD_CONFIRM_SELECT, span_of("\0", 1));
    if (how & 4)
        append_method(p, 2, METHOD_TX_SELECT, span_of("", 0));
    show(p, p->input.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct play p = {.host = fake_host_new(), .script = span_of(data, size)};
    p.state = calloc(1, codec_amqp.state_bytes);
    CHECK(p.state);
    codec_amqp.open(p.state, p.host);
    uint8_t how = next(&p);
    p.host->options.frame_max = FRAME_BYTES_MAX;
    p.host->interest = how >> 4 & 1 ? 3 : 1;
    p.host->buffers_most = how & 32 ? 100000 : 1 << 20;
    if (!(how & 128))
        negotiate(&p, how);
    while (p.script.len)
        step(&p);
    p.host->park = false;
    show(&p, p.input.len);
    codec_amqp.gone(p.state, p.host);
    fake_host_free(p.host);
    free(p.state);
    free(p.input.at);
    for (struct kept *kept; (kept = p.kept); free(kept))
        p.kept = kept->next;
    return 0;
}
