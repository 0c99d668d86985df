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
#include "codec_script.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct play {
    struct script s;
    size_t read;
};

/* ---- bytes in and out ----------------------------------------------------------------------------- */

static void append_frame(struct play *p, uint8_t type, uint16_t channel, struct span payload)
{
    uint8_t head[FRAME_HEAD_BYTES], end = FRAME_END;
    put_frame_head(head, type, channel, (uint32_t)payload.len);
    script_append(&p->s, span_of(head, sizeof head));
    script_append(&p->s, payload);
    script_append(&p->s, span_of(&end, 1));
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
    const struct fake_bytes *out = &p->s.host->output;
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
    script_show(&p->s, more);
    CHECK(p->s.shown <= REST_MAX || p->s.host->park || p->s.host->ops || commits(p->s.state));
    read_output(p);
}

/* ---- routers -------------------------------------------------------------------------------------- */

static void answer(struct play *p)
{
    unsigned router;
    uint8_t how;
    struct op *op = script_op(&p->s, 192, &how, &router);
    if (!op)
        return;
    op->messages = how;
    script_op_back(&p->s, op, router);
}

/* DELIVER and RETURN. */
static void send_message(struct play *p, uint8_t kind)
{
    uint8_t flags = script_next(&p->s), exchange = script_next(&p->s), body = script_next(&p->s);
    size_t properties = 2 + exchange % 50, body_len = body * 300u % 66000u;
    struct message *m = script_message(&p->s, exchange + 4 + properties + body_len);
    m->exchange_len = exchange;
    m->key_len = 4;
    m->properties_len = (uint32_t)properties;
    m->body_len = (uint32_t)body_len;
    struct event_deliver event = {
        .kind = kind,
        .flags = kind == EVENT_DELIVER ? flags & 3 : 0,
        .channel = flags >> 2 & 3,
        .tag = kind == EVENT_RETURN || (flags & DELIVER_GET) ? body % 8u
               : flags & 128                                 ? script_next(&p->s)
                                                             : p->s.handle,
        .queue = 5,
        .seq = ++p->s.seq,
        .page = 1,
        .message = m,
        .parts = script_parts(&p->s),
    };
    script_deliver(&p->s, flags >> 4 & 1, &event);
}

/* ---- one step ------------------------------------------------------------------------------------- */

static void front(struct play *p, uint8_t what)
{
    if (script_front(&p->s, what))
        return;
    if (what % 8 == 5) {
        p->s.host->exchange_version++;
        return;
    }
    struct event_cancel cancel = {
        .kind = EVENT_CANCEL, .flags = script_next(&p->s) & CANCEL_LAPSED, .channel = 1, .tag = p->s.handle};
    codec_amqp.event(p->s.state, p->s.host, 0, &(union event){.cancel = cancel});
}

static void publish(struct play *p)
{
    static uint8_t body[200000];
    uint8_t how = script_next(&p->s), size = script_next(&p->s), header[14] = {0, CLASS_BASIC};
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

static void step(struct play *p)
{
    uint8_t what = script_next(&p->s);
    if (p->s.input.len > SCRIPT_INPUT_MAX && what >> 4 < 12)
        what = 0xc0;
    switch (what >> 4) {
    default: { /* 0 to 7: raw bytes */
        script_append(&p->s, script_take(&p->s, what));
        break;
    }
    case 8: {
        uint8_t type = script_next(&p->s), channel = script_next(&p->s);
        append_frame(p, type, channel & 3, script_take(&p->s, script_next(&p->s)));
        break;
    }
    case 9:
    case 10: {
        enum method method = (enum method)(1 + script_next(&p->s) % (METHODS - 1));
        append_method(p, what & 3, method, script_take(&p->s, script_next(&p->s)));
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
        script_confirm(&p->s);
        break;
    case 15:
        front(p, what);
    }
    show(p, what & 1 ? p->s.input.len : script_next(&p->s));
}

/* ---- the negotiation, so that not every script needs it ------------------------------------------- */

static void negotiate(struct play *p, uint8_t how)
{
    static const char start_ok[] = "\0\0\0\0\5PLAIN\0\0\0\x0c\0guest\0guest\5en_US";
    script_append(&p->s, span_of("AMQP\0\0\x09\x01", 8));
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
    show(p, p->s.input.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct play p = {0};
    script_begin(&p.s, &codec_amqp, data, size);
    script_open(&p.s);
    uint8_t how = script_next(&p.s);
    p.s.host->options.frame_max = FRAME_BYTES_MAX;
    p.s.host->interest = how >> 4 & 1 ? 3 : 1;
    p.s.host->buffers_most = how & 32 ? 100000 : 1 << 20;
    if (!(how & 128))
        negotiate(&p, how);
    while (p.s.bytes.len)
        step(&p);
    p.s.host->park = false;
    show(&p, p.s.input.len);
    script_end(&p.s);
    return 0;
}
