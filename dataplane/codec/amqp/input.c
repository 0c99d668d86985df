/*
 * The input, frame by frame (section 4.2.3):
 *
 *   0      1         3      7        7 + size
 *   | type | channel | size | payload | 0xce |
 *
 * bytes -> take_frame -> method_frame -> its handler
 *                     -> publish_input (basic_publish.c), with the frames that follow the method
 *                     -> content_header, content_body (content.c)
 * Each returns the bytes it has used up, or whether the frame has been; 0 and false leave them in the input.
 */
#include "codec/amqp/input.h"

#include "codec/amqp/channel.h"

struct frame {
    uint8_t type;
    uint16_t channel;
    struct span payload;
};

/* ---- methods ----------------------------------------------------------------------------------------- */

/* On channel 0. */
static bool connection_method_allowed(struct amqp *c, const struct method_row *row)
{
    switch (row->when) {
    case WHEN_START:
        return c->phase == PHASE_START;
    case WHEN_TUNE:
        return c->phase == PHASE_TUNE;
    case WHEN_OPEN:
        return c->phase == PHASE_OPEN;
    case WHEN_ALWAYS:
        return true;
    case WHEN_RUNNING:
        return c->phase == PHASE_RUNNING;
    default:
        return false;
    }
}

static bool connection_method(struct amqp *c, struct span fields)
{
    const struct method_row *row = &methods[c->method];
    union value args[METHOD_FIELDS_MAX];
    if (!connection_method_allowed(c, row))
        amqp_fail(c, NULL, ERR_CHANNEL, "unexpected %s on channel 0", row->text);
    else if (!method_decode(c->method, fields, args))
        amqp_fail(c, NULL, ERR_SYNTAX, "malformed %s", row->text);
    else
        return row->handler(c, NULL, args);
    return true;
}

/* Whether the method may come on this channel now; if not, the client has been told. */
static bool channel_method_allowed(struct amqp *c, const struct channel *ch)
{
    const struct method_row *row = &methods[c->method];
    if (row->when != WHEN_UNOPENED && row->when != WHEN_CHANNEL && row->when != WHEN_CONTENT)
        amqp_fail(c, NULL, ERR_COMMAND_INVALID, "unexpected %s on a channel other than 0", row->text);
    else if (!ch && row->when != WHEN_UNOPENED)
        amqp_fail(c, NULL, ERR_CHANNEL, "expected 'channel.open'");
    else if (ch && row->when == WHEN_UNOPENED)
        amqp_fail(c, NULL, ERR_CHANNEL, "second 'channel.open' seen");
    else if (ch && content_expected(ch))
        amqp_fail(c, NULL, ERR_UNEXPECTED_FRAME, "expected content, got %s instead", row->text);
    else
        return true;
    return false;
}

static bool channel_method(struct amqp *c, struct channel *ch, struct span fields)
{
    const struct method_row *row = &methods[c->method];
    union value args[METHOD_FIELDS_MAX];
    if (!channel_method_allowed(c, ch))
        return true;
    if (!method_decode(c->method, fields, args)) {
        amqp_fail(c, ch, ERR_SYNTAX, "malformed %s", row->text);
        return true;
    }
    return row->handler(c, ch, args);
}

/* After we have closed a channel only these two mean something on it. */
static bool ends_channel(enum method method)
{
    return method == METHOD_CHANNEL_CLOSE || method == METHOD_CHANNEL_CLOSE_OK;
}

static bool ends_connection(enum method method)
{
    return method == METHOD_CONNECTION_CLOSE || method == METHOD_CONNECTION_CLOSE_OK;
}

static bool method_frame(struct amqp *c, const struct frame *f)
{
    struct channel *ch = channel_of(c, f->channel);
    if (f->payload.len < 4) {
        amqp_fail(c, NULL, ERR_FRAME, "method frame of %zu bytes", f->payload.len);
        return true;
    }
    uint16_t class_id = get_be16(f->payload.at), method_id = get_be16(f->payload.at + 2);
    c->method = method_of(class_id, method_id);
    c->frame_channel = f->channel;
    if (c->phase >= PHASE_ENDING && !ends_connection(c->method))
        return true;
    if (ch && ch->state == CHANNEL_CLOSING && !ends_channel(c->method))
        return true;
    if (c->method == METHOD_NONE) {
        amqp_fail(c, NULL, ERR_NOT_IMPLEMENTED, "unknown method %u of class %u", method_id, class_id);
        return true;
    }
    struct span fields = span_of(f->payload.at + 4, f->payload.len - 4);
    return f->channel ? channel_method(c, ch, fields) : connection_method(c, fields);
}

/* ---- frames ------------------------------------------------------------------------------------------ */

static bool content_frame(struct amqp *c, const struct frame *f)
{
    struct channel *ch = channel_of(c, f->channel);
    if (ch && ch->state == CHANNEL_CLOSING)
        return true;
    if (c->phase >= PHASE_ENDING)
        return true;
    c->method = METHOD_NONE;
    if (!f->channel)
        amqp_fail(c, NULL, ERR_UNEXPECTED_FRAME, "content on channel 0");
    else if (!ch)
        amqp_fail(c, NULL, ERR_CHANNEL, "expected 'channel.open'");
    else if (f->type == FRAME_HEADER)
        return content_header(c, ch, f->payload);
    else
        return content_body(c, ch, f->payload);
    return true;
}

static void heartbeat_frame(struct amqp *c, const struct frame *f)
{
    c->method = METHOD_NONE;
    if (c->phase == PHASE_RUNNING && (f->channel || f->payload.len))
        amqp_fail(c, NULL, ERR_FRAME, "heartbeat on channel %u with %zu bytes", f->channel, f->payload.len);
}

/* Returns whether the frame is used up. */
static bool dispatch(struct amqp *c, const struct frame *f)
{
    const struct channel *ch = channel_of(c, f->channel);
    if (f->type == FRAME_HEARTBEAT) {
        heartbeat_frame(c, f);
        return true;
    }
    if (c->phase < PHASE_RUNNING && (f->type != FRAME_METHOD || f->channel)) {
        amqp_drop(c, "a frame that is not for the negotiation came before its end");
        return true;
    }
    if (ch && channel_busy(ch))
        return false;
    return f->type == FRAME_METHOD ? method_frame(c, f) : content_frame(c, f);
}

/* Whether the frame's head can be right; if not, the client has been told. */
static bool head_check(struct amqp *c, uint8_t type, uint32_t size)
{
    c->method = METHOD_NONE;
    if (type != FRAME_METHOD && type != FRAME_HEADER && type != FRAME_BODY && type != FRAME_HEARTBEAT)
        amqp_fail(c, NULL, ERR_FRAME, "unknown frame type %u", type);
    else if (size > c->frame_max - FRAME_EXTRA_BYTES)
        amqp_fail(c, NULL, ERR_FRAME, "frame of %u bytes, but at most %u were agreed", size,
                  c->frame_max - FRAME_EXTRA_BYTES);
    else
        return true;
    if (c->phase != PHASE_CLOSED)
        amqp_drop(c, "a broken frame while closing");
    return false;
}

static bool is_publish(const struct amqp *c, const struct channel *ch, const struct frame *f)
{
    const struct method_row *publish = &methods[METHOD_BASIC_PUBLISH];
    return f->type == FRAME_METHOD && f->payload.len >= 4 && get_be16(f->payload.at) == publish->class_id &&
           get_be16(f->payload.at + 2) == publish->method_id && ch && ch->state == CHANNEL_OPEN &&
           c->phase == PHASE_RUNNING && !channel_busy(ch) && !content_expected(ch);
}

/* Takes one frame, or a publish of three. Returns the bytes used, 0 when the frame isn't complete or must
 * wait. */
static size_t take_frame(struct amqp *c, struct span in)
{
    if (in.len < FRAME_HEAD_BYTES)
        return 0;
    uint32_t size = get_be32(in.at + 3);
    struct frame f = {in.at[0], get_be16(in.at + 1), span_of(in.at + FRAME_HEAD_BYTES, size)};
    if (!head_check(c, f.type, size))
        return in.len;
    if (in.len < size + (size_t)FRAME_EXTRA_BYTES)
        return 0;
    if (in.at[FRAME_HEAD_BYTES + size] != FRAME_END) {
        amqp_fail(c, NULL, ERR_FRAME, "frame end octet is %02x", in.at[FRAME_HEAD_BYTES + size]);
        if (c->phase != PHASE_CLOSED)
            amqp_drop(c, "a broken frame while closing");
        return in.len;
    }
    struct channel *ch = channel_of(c, f.channel);
    if (is_publish(c, ch, &f))
        return publish_input(c, ch, in);
    if (dispatch(c, &f))
        return size + FRAME_EXTRA_BYTES;
    c->parked = true;
    return 0;
}

size_t amqp_input(struct amqp *c, struct span bytes)
{
    if (bytes.len > c->input_rest)
        c->input_ns = host_now(c->host);
    c->exchange_version = host_exchange_version(c->host);
    c->parked = false;
    size_t used = 0;
    while (used < bytes.len && c->phase != PHASE_CLOSED) {
        struct span in = span_of(bytes.at + used, bytes.len - used);
        size_t n = c->phase == PHASE_HEADER ? protocol_header(c, in) : take_frame(c, in);
        if (!n)
            break;
        used += n;
    }
    if (c->phase == PHASE_CLOSED)
        used = bytes.len;
    c->input_rest = bytes.len - used;
    return used;
}
