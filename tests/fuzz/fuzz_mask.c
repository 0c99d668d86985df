/*
 * What a trace shows of clients: bytes in which secrets stand, as clients of AMQP, MQTT and STOMP send them,
 * between whatever else. No secret may be left in them behind trace_mask, however they come in pieces of
 * whole frames; and bytes that are no frames at all must do no harm.
 *
 * The first byte of the input says which protocol, and whether frames come one by one. Then, again and again:
 * what is next, how long it is (a byte), and its bytes, which stand in the places of names, properties and
 * bodies. clang -fsanitize=fuzzer,address,undefined.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/span.h"
#include "trace_mask.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char secret[] = "S3cret*planted";

enum { SECRET_BYTES = sizeof secret - 1, ROOM = 1 << 16, FRAME_ROOM = 4096 };

/* A frame that is put together. */
struct piece {
    uint8_t bytes[FRAME_ROOM];
    size_t len;
};

struct play {
    const char *codec;
    bool one_by_one, logged_in;
    uint8_t *bytes; /* whole frames that nobody has masked yet */
    size_t len;
};

static void put(struct piece *p, const void *bytes, size_t n)
{
    CHECK(p->len + n <= sizeof p->bytes);
    memcpy(p->bytes + p->len, bytes, n);
    p->len += n;
}

static void put_number(struct piece *p, uint64_t number, unsigned bytes)
{
    while (bytes--)
        put(p, (const uint8_t[]){(uint8_t)(number >> 8 * bytes)}, 1);
}

/* With a length of so many bytes before it. */
static void put_long(struct piece *p, struct span s, unsigned bytes)
{
    put_number(p, s.len, bytes);
    put(p, s.at, s.len);
}

static struct span planted(void)
{
    return span_of(secret, SECRET_BYTES);
}

/* ---- frames with secrets ---------------------------------------------------------------------------- */

static void put_amqp(struct piece *frame, unsigned what, struct span s)
{
    struct piece p = {.len = 0};
    static const uint16_t methods[] = {11, 21, 70}; /* start-ok, secure-ok, update-secret */
    unsigned kind = what % 4;
    if (kind < 3) {
        put_number(&p, 10, 2);
        put_number(&p, methods[kind], 2);
        if (kind == 0) {
            put_long(&p, s, 4);
            put_long(&p, span_str("PLAIN"), 1);
        }
        put_long(&p, planted(), 4);
        if (kind != 1)
            put_long(&p, kind == 0 ? span_str("en_US") : s, 1);
    } else {
        put(&p, s.at, s.len);
    }
    put_number(frame, kind < 3 ? 1 : what >> 2, 1);
    put_number(frame, kind < 3 ? 0 : what, 2);
    put_long(frame, span_of(p.bytes, p.len), 4);
    put_number(frame, 0xCE, 1);
}

/* Authentication data, behind another property whose text is s. */
static void put_properties(struct piece *p, struct span s)
{
    struct piece properties = {.len = 0};
    put_number(&properties, 0x15, 1);
    put_long(&properties, span_of(s.at, s.len < 64 ? s.len : 64), 2);
    put_number(&properties, 0x16, 1);
    put_long(&properties, planted(), 2);
    put_number(p, properties.len, 1);
    put(p, properties.bytes, properties.len);
}

static void put_connect(struct piece *p, unsigned what, struct span s)
{
    bool is_5 = what & 4, will = what & 8, user = what & 16;
    put_long(p, span_str("MQTT"), 2);
    put_number(p, is_5 ? 5 : 4, 1);
    put_number(p, (will ? 4u : 0) | (user ? 128u : 0) | 64u, 1);
    put_number(p, what, 2);
    if (is_5)
        put_properties(p, s);
    put_long(p, s, 2);
    if (will && is_5)
        put_long(p, span_str(""), 1);
    for (unsigned i = 0; will && i < 2; i++)
        put_long(p, s, 2);
    if (user)
        put_long(p, s, 2);
    put_long(p, planted(), 2);
}

static void put_mqtt(struct piece *frame, unsigned what, struct span s)
{
    struct piece p = {.len = 0};
    unsigned kind = what % 4, type = kind == 0 ? 1 : kind == 1 ? 15 : what >> 4;
    if (kind == 0) {
        put_connect(&p, what, s);
    } else if (kind == 1) {
        put_number(&p, 0x18, 1);
        put_properties(&p, s);
    } else {
        put(&p, s.at, s.len);
    }
    put_number(frame, type << 4, 1);
    put_number(frame, (p.len > 127 ? 128 : 0) | (p.len & 127), 1);
    if (p.len > 127)
        put_number(frame, p.len >> 7, 1);
    put(frame, p.bytes, p.len);
}

/* A header's line has no end of its own in it. */
static void put_header(struct piece *frame, const char *name, struct span value)
{
    size_t len = 0;
    while (len < value.len && value.at[len] && value.at[len] != '\n' && value.at[len] != '\r')
        len++;
    put(frame, name, strlen(name));
    put(frame, value.at, len);
}

static void put_stomp(struct piece *frame, unsigned what, struct span s)
{
    struct span end = span_str(what & 4 ? "\r\n" : "\n");
    put(frame, what & 8 ? "STOMP" : "CONNECT", what & 8 ? 5 : 7);
    put(frame, end.at, end.len);
    put_header(frame, "login:", s);
    put(frame, end.at, end.len);
    put_header(frame, what % 4 == 3 ? "x:" : "passcode:", what % 4 == 3 ? s : planted());
    for (unsigned i = 0; i < 2; i++)
        put(frame, end.at, end.len);
    put(frame, s.at, what & 16 ? s.len : 0);
    put(frame, "", 1);
}

/* ---- pieces ----------------------------------------------------------------------------------------- */

/* A copy of its own, so that a byte behind it is seen to be looked at. */
static void mask(const char *codec, const uint8_t *bytes, size_t len, bool logged_in, bool planted_there)
{
    uint8_t *copy = malloc(len);
    CHECK(copy || !len);
    if (len)
        memcpy(copy, bytes, len);
    trace_mask(codec, copy, len, logged_in);
    CHECK(!planted_there || !memmem(copy, len, secret, SECRET_BYTES));
    free(copy);
}

static void flush(struct play *p)
{
    mask(p->codec, p->bytes, p->len, p->logged_in, true);
    p->len = 0;
}

static void play_frame(struct play *p, unsigned what, struct span s)
{
    struct piece frame = {.len = 0};
    if (memmem(s.at, s.len, secret + 4, SECRET_BYTES - 4))
        return; /* what anybody may see; its beginning may be a length */
    if (strcmp(p->codec, "amqp") == 0)
        put_amqp(&frame, what, s);
    else if (strcmp(p->codec, "mqtt") == 0)
        put_mqtt(&frame, what, s);
    else
        put_stomp(&frame, what, s);
    if (p->len + frame.len > ROOM)
        flush(p);
    memcpy(p->bytes + p->len, frame.bytes, frame.len);
    p->len += frame.len;
    if (p->one_by_one)
        flush(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const codecs[] = {"amqp", "mqtt", "stomp"};
    if (!size)
        return 0;
    for (unsigned i = 0; i < 6; i++)
        mask(codecs[i / 2], data + 1, size - 1, i & 1, false);
    struct play p = {.codec = codecs[data[0] % 3], .one_by_one = data[0] & 64, .logged_in = data[0] & 128};
    p.bytes = malloc(ROOM);
    CHECK(p.bytes);
    for (size_t at = 1; at + 2 <= size;) {
        size_t len = data[at + 1] < size - at - 2 ? data[at + 1] : size - at - 2;
        play_frame(&p, data[at], span_of(data + at + 2, len));
        at += 2 + len;
    }
    flush(&p);
    free(p.bytes);
    return 0;
}
