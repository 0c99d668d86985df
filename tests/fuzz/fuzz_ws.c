/*
 * What peers send to WebSocket's server side: requests, frames, raw bytes, ends of every kind; while the
 * front pauses, resumes, sends from memory that it takes back when it may, closes and aborts. What comes back
 * must be one answer of HTTP and, behind a welcome, well-formed frames that carry what the front sent, with
 * nothing behind a close frame.
 *
 * The input is a script: three bytes of set-up, then steps of a byte and what it needs.
 */
#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "transport/transport_sim.h"
#include "transport/transport_ws.h"
#include "transport/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STEPS_MAX = 300, HEARD_MAX = 4096, LOANS_MAX = 1024, MESSAGE_MAX = 5000 };

struct play {
    struct span script;
    struct sim_network *network;
    struct transport *t;
    uint64_t now_ns, id, stream, epoch;
    bool accepted, paused, gone, binary;
    uint8_t greed; /* how much of what comes is used up, of 255 */
    struct {
        uint8_t *at;
        size_t len;
    } loan[LOANS_MAX];
    unsigned loans, back;   /* lent, and taken back */
    uint64_t sent, retired; /* bytes */
    /* what the client has heard */
    uint8_t heard[HEARD_MAX];
    size_t len;
    uint64_t got, left; /* payload of messages; of the frame that comes */
    uint8_t opcode;
    struct utf8 utf8;
    bool welcome, refused, farewell;
};

static uint8_t next(struct play *p)
{
    if (p->script.len == 0)
        return 0;
    uint8_t byte = *p->script.at;
    p->script = span_of(p->script.at + 1, p->script.len - 1);
    return byte;
}

static struct span bytes(struct play *p)
{
    size_t n = next(p);
    struct span taken = span_of(p->script.at, n < p->script.len ? n : p->script.len);
    p->script = span_of(p->script.at + taken.len, p->script.len - taken.len);
    return taken;
}

/* ---- the front ------------------------------------------------------------------------------------ */

static void *on_accepted(void *owner, uint64_t stream, int tag, const char *peer, const char *local)
{
    struct play *p = owner;
    (void)tag, (void)peer, (void)local;
    CHECK(!p->accepted);
    p->accepted = true;
    p->stream = stream;
    return p;
}

static size_t on_data(void *owner, void *user, struct span data, uint64_t epoch)
{
    struct play *p = owner;
    CHECK(user == p && !p->paused && !p->gone && data.len);
    p->epoch = epoch;
    volatile uint8_t sum = 0; /* every byte can be read */
    for (size_t i = 0; i < data.len; i++)
        sum = (uint8_t)(sum + data.at[i]);
    return data.len * p->greed / 255;
}

static void on_writable(void *owner, void *user)
{
    CHECK(owner == user && !((struct play *)owner)->gone);
}

static void on_closed(void *owner, void *user, int error)
{
    struct play *p = owner;
    (void)error;
    CHECK(user == p && !p->gone);
    p->gone = true;
}

static void take_back(struct play *p, uint64_t released)
{
    for (; p->back < p->loans && released - p->retired >= p->loan[p->back].len; p->back++) {
        p->retired += p->loan[p->back].len;
        free(p->loan[p->back].at);
    }
}

/* Bytes of one kind: ASCII, or the halves of characters. */
static void lend(struct play *p, size_t n, uint8_t what)
{
    if (p->loans == LOANS_MAX || n == 0 || !p->accepted)
        return;
    uint8_t *at = malloc(n);
    CHECK(at);
    memset(at, what, n);
    size_t took = p->t->ops->send(p->t, p->stream, &(struct iovec){at, n}, 1);
    CHECK(took == 0 || took == n);
    if (took == 0) {
        free(at);
        return;
    }
    p->loan[p->loans].at = at;
    p->loan[p->loans++].len = n;
    p->sent += n;
}

static void front(struct play *p, uint8_t what)
{
    const struct transport_ops *ops = p->t->ops;
    switch (what % 8) {
    case 0:
        p->paused = p->accepted;
        ops->pause(p->t, p->stream);
        break;
    case 1:
        p->paused = false;
        ops->resume(p->t, p->stream);
        break;
    case 2: {
        size_t n = next(p) * 200u + next(p);
        lend(p, n, next(p));
        break;
    }
    case 3:
        p->greed = next(p);
        break;
    case 4:
        ops->rx_release(p->t, p->epoch);
        break;
    case 5:
        if (next(p) == 1)
            ops->stop_listening(p->t);
        break;
    case 6:
        ops->close(p->t, p->stream);
        break;
    default:
        ops->abort(p->t, p->stream);
        p->gone |= p->accepted;
    }
}

/* ---- the client ----------------------------------------------------------------------------------- */

static void drop(struct play *p, size_t n)
{
    p->len -= n;
    memmove(p->heard, p->heard + n, p->len);
}

static void hear_head(struct play *p)
{
    const uint8_t *end = memmem(p->heard, p->len, "\r\n\r\n", 4);
    CHECK(end || p->len < HEARD_MAX);
    if (!end)
        return;
    struct span head = span_of(p->heard, (size_t)(end - p->heard) + 4);
    p->welcome = span_starts(head, "HTTP/1.1 101 ");
    p->refused = !p->welcome;
    CHECK(p->welcome || span_starts(head, "HTTP/1.1 4") || span_starts(head, "HTTP/1.1 50"));
    CHECK(!p->welcome || p->accepted);
    drop(p, head.len);
}

static bool hear_frame(struct play *p)
{
    if (p->len < 2)
        return false;
    CHECK(!p->farewell); /* nothing stands behind a close frame */
    uint8_t first = p->heard[0], length = p->heard[1];
    size_t head = length < 126 ? 2 : length == 126 ? 4 : 10;
    CHECK(length < 128 && (first & 0xf0) == 0x80);
    if (p->len < head)
        return false;
    p->left = length < 126 ? length : length == 126 ? get_be16(p->heard + 2) : get_be64(p->heard + 2);
    CHECK(head == 2 || p->left >= (head == 4 ? 126 : 65536));
    p->opcode = first & 15;
    CHECK(p->opcode == 1 || p->opcode == 2 || ((p->opcode == 8 || p->opcode == 10) && p->left <= 125));
    CHECK(p->opcode != 1 || !p->binary);
    p->farewell = p->opcode == 8;
    p->utf8 = (struct utf8){0};
    drop(p, head);
    return true;
}

static void hear_payload(struct play *p)
{
    size_t n = p->left < p->len ? (size_t)p->left : p->len;
    if (p->opcode == 1)
        CHECK(utf8_take(&p->utf8, span_of(p->heard, n)));
    if (p->opcode < 8)
        p->got += n;
    p->left -= n;
    CHECK(p->opcode != 1 || p->left || utf8_whole(&p->utf8));
    CHECK(p->got <= p->sent);
    drop(p, n);
}

static void hear(struct play *p)
{
    for (size_t n; (n = sim_read(p->network, p->id, p->heard + p->len, HEARD_MAX - p->len));) {
        p->len += n;
        if (!p->welcome && !p->refused)
            hear_head(p);
        if (p->refused)
            p->len = 0;
        while (p->welcome && (p->left || hear_frame(p)))
            if (hear_payload(p), p->left)
                break;
    }
}

static void turns(struct play *p, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        p->now_ns += 1000000;
        p->t->ops->poll(p->t, p->now_ns);
        p->t->ops->flush(p->t);
        if (p->accepted)
            take_back(p, p->t->ops->released(p->t, p->stream));
        hear(p);
    }
}

static void say(struct play *p, struct span s)
{
    for (unsigned i = 0; s.len && i < 200; i++) {
        size_t n = sim_write(p->network, p->id, s);
        s = span_of(s.at + n, s.len - n);
        if (s.len)
            turns(p, 1);
    }
}

/* A frame as it should be, but for its first byte, which may be any; times as long as the bytes that the
 * script has. */
static void frame(struct play *p, unsigned times)
{
    static uint8_t text[16 + 255 * 31];
    uint8_t first = next(p), *at = put_u8(text, first);
    struct span payload = bytes(p);
    size_t n = payload.len * times;
    at = n < 126 ? put_u8(at, 0x80 | (uint8_t)n) : put_be16(put_u8(at, 0x80 | 126), (uint16_t)n);
    at = put_be32(at, 0x01020304);
    for (size_t i = 0; i < n; i++)
        *at++ = payload.at[i % payload.len] ^ (uint8_t)(i % 4 + 1);
    say(p, span_of(text, (size_t)(at - text)));
}

static void step(struct play *p)
{
    uint8_t what = next(p), how = what >> 3;
    switch (what & 7) {
    case 0:
        say(p, bytes(p));
        break;
    case 1:
    case 2:
    case 3:
        frame(p, how);
        break;
    case 4:
    case 5:
        front(p, how);
        break;
    case 6:
        turns(p, how * 8u);
        break;
    default:
        if (how == 1)
            sim_close(p->network, p->id);
        if (how == 2)
            sim_reset(p->network, p->id);
        sim_deafen(p->network, p->id, how == 3);
    }
    turns(p, 2);
}

/* ---- one script ----------------------------------------------------------------------------------- */

static const char *const mqtt[] = {"mqtt", NULL}, *const stomp[] = {"v12.stomp", "v11.stomp", NULL};
static const struct ws_speech speech[] = {{.protocols = stomp},
                                          {.protocols = mqtt, .required = true, .binary = true}};

static void open_stream(struct play *p, uint8_t how)
{
    static const char *const origins[] = {"http://a.example"};
    const struct transport_ws_options options = {.agent = "front 0",
                                                 .speech = speech,
                                                 .speeches = 2,
                                                 .origins = {origins, how >> 1 & 1},
                                                 .message_max = MESSAGE_MAX,
                                                 .handshakes_max = 2,
                                                 .handshake_ms = 1000};
    uint16_t port;
    char error[64];
    p->binary = how & 1;
    p->t = transport_ws_new(&options, (struct transport_user){.owner = p,
                                                              .accepted = on_accepted,
                                                              .data = on_data,
                                                              .writable = on_writable,
                                                              .closed = on_closed});
    transport_ws_wrap(p->t, transport_sim_new(p->network, transport_ws_user(p->t)));
    CHECK(p->t->ops->listen(p->t, "ws", p->binary, &port, error, sizeof error) == 0);
    p->id = sim_connect(p->network, "ws");
    if (how & 4)
        say(p, span_str("GET /ws HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                        "Sec-WebSocket-Protocol: mqtt\r\n\r\n"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct play *p = calloc(1, sizeof *p);
    CHECK(p);
    log_set_level(LOG_ERROR);
    p->script = span_of(data, size);
    p->greed = 255;
    struct sim_network_options options = sim_network_defaults(next(p));
    options.piece_max = 1 + next(p) * 16u;
    p->network = sim_network_new(&options);
    open_stream(p, next(p));
    for (unsigned i = 0; p->script.len && i < STEPS_MAX; i++)
        step(p);
    p->t->ops->free(p->t);
    sim_network_free(p->network);
    take_back(p, UINT64_MAX);
    free(p);
    return 0;
}
