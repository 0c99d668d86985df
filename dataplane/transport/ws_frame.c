/* A frame as it comes: libwslay reads the header and takes the mask off → rules of its place in the message →
 * payload of a message is left for the owner, that of a control frame is collected and answered. */
#include <errno.h>
#include <stdlib.h>
#include <wslay/wslay.h>

#include "base/check.h"
#include "transport/ws_inside.h"

enum { READERS_KEPT = 64, MASK_BYTES = 4 };

/* ---- readers -------------------------------------------------------------------------------------- */

/* libwslay takes what it has room for of what the transport below has handed up. */
static ssize_t feed(uint8_t *to, size_t room, int flags, void *user)
{
    struct ws_reader *reader = user;
    struct span *in = &reader->stream->in;
    size_t n = room < in->len ? room : in->len;
    (void)flags;
    if (n == 0)
        return -1;
    memcpy(to, in->at, n);
    *in = span_of(in->at + n, in->len - n);
    reader->fed += n;
    return (ssize_t)n;
}

static struct ws_reader *take_reader(struct ws *t)
{
    static const struct wslay_frame_callbacks callbacks = {.recv_callback = feed};
    struct ws_reader *reader = t->readers;
    if (reader) {
        t->readers = reader->next;
        t->reader_count--;
        return reader;
    }
    reader = calloc(1, sizeof *reader);
    CHECK(reader && wslay_frame_context_init(&reader->context, &callbacks, reader) == 0);
    return reader;
}

static void free_reader(struct ws_reader *reader)
{
    wslay_frame_context_free(reader->context);
    free(reader);
}

/* Between two frames libwslay is as it was at first. */
static void put_back(struct ws_stream *s)
{
    struct ws *t = s->ws;
    struct ws_reader *reader = s->reader;
    if (t->reader_count == READERS_KEPT) {
        ws_reader_give(s);
        return;
    }
    s->reader = NULL;
    reader->next = t->readers;
    t->readers = reader;
    t->reader_count++;
}

void ws_reader_give(struct ws_stream *s)
{
    if (s->reader)
        free_reader(s->reader);
    s->reader = NULL;
}

void ws_readers_free(struct ws *t)
{
    for (struct ws_reader *reader; (reader = t->readers);) {
        t->readers = reader->next;
        free_reader(reader);
    }
}

/* ---- rules ---------------------------------------------------------------------------------------- */

static bool fail(struct ws_stream *s, enum ws_code code, const char *why)
{
    ws_finish(s, EPROTO, code, why);
    return false;
}

/* A frame of a message begins. Returns whether it may. */
static bool begin_data(struct ws_stream *s, const struct wslay_frame_iocb *frame)
{
    if ((frame->opcode == WS_MORE) == (s->opcode == WS_MORE))
        return fail(s, WS_CODE_PROTOCOL,
                    s->opcode == WS_MORE ? "a continuation of no message"
                                         : "a message in the middle of another");
    if (frame->opcode == WS_TEXT && ws_speech_of(s)->binary)
        return fail(s, WS_CODE_UNSUPPORTED, "messages must be binary");
    if (frame->opcode != WS_MORE) {
        s->opcode = frame->opcode;
        s->text = frame->opcode == WS_TEXT;
        s->message = 0;
        s->utf8 = (struct utf8){0};
    }
    if (frame->payload_length > s->ws->options.message_max - s->message)
        return fail(s, WS_CODE_TOO_BIG, "the message is too big");
    s->message += frame->payload_length;
    return true;
}

static bool begin(struct ws_stream *s, const struct wslay_frame_iocb *frame)
{
    s->reader->control_len = 0;
    if (!frame->mask)
        return fail(s, WS_CODE_PROTOCOL, "a client must mask its frames");
    if (frame->rsv)
        return fail(s, WS_CODE_PROTOCOL, "a reserved bit is set, and no extension was agreed on");
    switch (frame->opcode) {
    case WS_MORE:
    case WS_TEXT:
    case WS_BINARY:
        return begin_data(s, frame);
    case WS_CLOSE:
    case WS_PING:
    case WS_PONG:
        return true;
    default:
        return fail(s, WS_CODE_PROTOCOL, "there is no such opcode");
    }
}

static bool take_data(struct ws_stream *s, const struct wslay_frame_iocb *frame, bool last)
{
    struct span bytes = span_of(frame->data, frame->data_length);
    bool end = last && frame->fin;
    if (s->opcode == WS_TEXT && (!utf8_take(&s->utf8, bytes) || (end && !utf8_whole(&s->utf8))))
        return fail(s, WS_CODE_NO_TEXT, "a text message must be UTF-8");
    s->reader->payload = bytes;
    if (end)
        s->opcode = WS_MORE;
    return true;
}

/* Those that may stand in a frame (section 7.4). */
static bool is_code(uint16_t code)
{
    return (code >= 1000 && code <= 1014 && (code < 1004 || code > 1006)) || (code >= 3000 && code <= 4999);
}

static bool take_close(struct ws_stream *s)
{
    struct utf8 utf8 = {0};
    struct span payload = span_of(s->reader->control, s->reader->control_len);
    uint16_t code = payload.len >= 2 ? get_be16(payload.at) : WS_CODE_NONE;
    if (payload.len && !is_code(code))
        return fail(s, WS_CODE_PROTOCOL, "a close frame's code may not be so");
    if (payload.len && (!utf8_take(&utf8, span_of(payload.at + 2, payload.len - 2)) || !utf8_whole(&utf8)))
        return fail(s, WS_CODE_NO_TEXT, "a close frame's reason must be UTF-8");
    ws_finish(s, 0, code, "");
    return false;
}

static bool take_control(struct ws_stream *s, const struct wslay_frame_iocb *frame, bool last)
{
    struct ws_reader *reader = s->reader;
    CHECK(reader->control_len + frame->data_length <= sizeof reader->control);
    put_span(reader->control + reader->control_len, span_of(frame->data, frame->data_length));
    reader->control_len += (uint8_t)frame->data_length;
    if (last && frame->opcode == WS_CLOSE)
        return take_close(s);
    if (last && frame->opcode == WS_PING)
        ws_answer_ping(s, span_of(reader->control, reader->control_len));
    return true;
}

/* ---- reading -------------------------------------------------------------------------------------- */

static uint64_t header_bytes(uint64_t payload)
{
    return 2u + (payload < 126 ? 0 : payload <= UINT16_MAX ? 2 : 8) + MASK_BYTES;
}

/* One piece of a frame. Returns false if more must come first, or the stream has ended. */
static bool step(struct ws_stream *s)
{
    struct ws_reader *reader = s->reader;
    struct wslay_frame_iocb frame = {0};
    ssize_t n = wslay_frame_recv(reader->context, &frame);
    if (n == WSLAY_ERR_WANT_READ)
        return false;
    if (n < 0)
        return fail(s, WS_CODE_PROTOCOL,
                    "a control frame is too long or in parts, or a length is not as short as can be");
    if (reader->got == 0 && !begin(s, &frame))
        return false;
    reader->got += (uint64_t)n;
    bool last = reader->got == frame.payload_length;
    if (wslay_is_ctrl_frame(frame.opcode) ? !take_control(s, &frame, last) : !take_data(s, &frame, last))
        return false;
    if (last) {
        reader->fed -= header_bytes(frame.payload_length) + frame.payload_length;
        reader->got = 0;
    }
    return true;
}

bool ws_frame_read(struct ws_stream *s)
{
    if (!s->reader && s->in.len && !s->ended) {
        s->reader = take_reader(s->ws);
        s->reader->stream = s;
    }
    while (s->reader && s->reader->payload.len == 0 && !s->ended) {
        if (s->reader->fed == 0 && s->in.len == 0) {
            put_back(s);
            return false;
        }
        if (!step(s))
            return false;
    }
    return s->reader && s->reader->payload.len;
}

uint8_t *ws_frame_put(uint8_t *to, enum ws_opcode opcode, uint64_t bytes)
{
    enum { FIN = 0x80, LENGTH_16 = 126, LENGTH_64 = 127 };
    to = put_u8(to, FIN | opcode);
    if (bytes < LENGTH_16)
        return put_u8(to, (uint8_t)bytes);
    if (bytes <= UINT16_MAX)
        return put_be16(put_u8(to, LENGTH_16), (uint16_t)bytes);
    return put_be64(put_u8(to, LENGTH_64), bytes);
}
