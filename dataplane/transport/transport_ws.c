#include "transport/transport_ws.h"

#include <errno.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "transport/ws_inside.h"

enum { LINGER_MS = 5000 };

static struct ws *of(struct transport *base)
{
    return (struct ws *)base;
}

/* NULL: the owner can do nothing with it any more. */
static struct ws_stream *find(struct transport *base, uint64_t id)
{
    struct ws_stream *s = slots_get(&of(base)->streams, id);
    return s && s->state != WS_GONE ? s : NULL;
}

/* ---- upcalls of the transport below --------------------------------------------------------------- */

static void *on_accepted(void *owner, uint64_t below, int tag, const char *peer, const char *local)
{
    struct ws *t = owner;
    /* An honest request comes in a moment: whoever has taken longest is the least likely to send one. */
    if (t->shaking_count >= t->options.handshakes_max)
        ws_drop(TAILQ_FIRST(&t->shaking),
                "too many WebSocket handshakes are under way, and this is the oldest");
    return ws_stream_new(t, below, tag, peer, local);
}

/* Whether send() would take more again, or has released more. */
static void unblock(struct ws_stream *s, bool released)
{
    struct ws *t = s->ws;
    bool room = s->blocked && output_held(&s->out) <= WS_HIGH_BYTES / 2;
    if (s->state != WS_OPEN || (!room && !released))
        return;
    s->blocked &= !room;
    t->base.up.writable(t->base.up.owner, s->user);
}

static size_t on_data(void *owner, void *user, struct span bytes, uint64_t epoch)
{
    struct ws *t = owner;
    struct ws_stream *s = user;
    t->below_epoch = epoch;
    s->in = bytes;
    if (s->state == WS_SHAKING)
        ws_shake(s);
    if (s->state == WS_OPEN || s->state == WS_CLOSING)
        ws_pump(s);
    unblock(s, ws_drain(s));
    ws_settle(s);
    size_t left = s->state == WS_GONE ? 0 : s->in.len;
    s->in = span_of(NULL, 0);
    return bytes.len - left;
}

static void on_writable(void *owner, void *user)
{
    struct ws_stream *s = user;
    (void)owner;
    unblock(s, ws_drain(s));
    ws_settle(s);
}

static void lost_open(struct ws_stream *s, int error)
{
    struct ws *t = s->ws;
    if (!s->ended && !error)
        log_line(LOG_INFO, t->options.agent,
                 "%s: the stream was cut off: it ended without WebSocket's close frame", s->peer);
    int why = s->ended ? s->error : error ? error : EPROTO;
    ws_stream_bury(s);
    t->base.up.closed(t->base.up.owner, s->user, why);
}

static void on_closed(void *owner, void *user, int error)
{
    struct ws *t = owner;
    struct ws_stream *s = user;
    if (s->state == WS_OPEN) {
        lost_open(s, error);
        return;
    }
    bool shaking = s->state == WS_SHAKING, told = s->told;
    ws_stream_bury(s);
    if (shaking)
        log_line(s->hello->seen ? LOG_INFO : LOG_DEBUG, t->options.agent,
                 "%s: gone %s the request for WebSocket", s->peer,
                 s->hello->seen ? "in the middle of" : "before");
    else if (!told)
        t->base.up.closed(t->base.up.owner, s->user, error);
}

/* ---- the turn ------------------------------------------------------------------------------------- */

static unsigned serve_ready(struct ws *t)
{
    unsigned work = 0;
    for (uint32_t n = t->ready_count; n && !t->starved; n--, work++) {
        struct ws_stream *s = TAILQ_FIRST(&t->ready);
        TAILQ_REMOVE(&t->ready, s, ready);
        t->ready_count--;
        s->listed = false;
        ws_pump(s);
        unblock(s, ws_drain(s));
        ws_settle(s);
    }
    return work;
}

static unsigned look_after_owing(struct ws *t)
{
    unsigned work = 0;
    for (uint32_t n = t->owing_count; n && t->owing_count; n--) {
        struct ws_stream *s = TAILQ_FIRST(&t->owing);
        TAILQ_REMOVE(&t->owing, s, owe);
        TAILQ_INSERT_TAIL(&t->owing, s, owe);
        bool released = ws_drain(s);
        unblock(s, released);
        ws_settle(s);
        work += released;
    }
    return work;
}

static unsigned expire(struct ws *t)
{
    unsigned work = 0;
    struct ws_stream *s;
    for (; (s = TAILQ_FIRST(&t->shaking)) && s->deadline_ns <= t->now_ns; work++)
        ws_drop(s, "the request for WebSocket took too long (handshake_timeout)");
    for (; (s = TAILQ_FIRST(&t->closing)) && s->deadline_ns <= t->now_ns; work++)
        ws_drop(s, NULL);
    return work;
}

static unsigned ws_poll(struct transport *base, uint64_t now_ns)
{
    struct ws *t = of(base);
    t->now_ns = now_ns;
    unsigned work = serve_ready(t);
    work += t->below->ops->poll(t->below, now_ns);
    work += look_after_owing(t);
    work += expire(t);
    /* All that was handed up has been read, or is a rest that the transport below keeps. */
    if (t->below_epoch != t->below_released)
        t->below->ops->rx_release(t->below, t->below_epoch);
    t->below_released = t->below_epoch;
    ws_reap(t, false);
    return work;
}

/* ---- the table ------------------------------------------------------------------------------------ */

static int ws_listen(struct transport *base, const char *address, int tag, uint16_t *port, char *error,
                     size_t error_size)
{
    struct transport *below = of(base)->below;
    CHECK(tag >= 0 && (unsigned)tag < of(base)->options.speeches && of(base)->options.speech[tag].protocols);
    return below->ops->listen(below, address, tag, port, error, error_size);
}

static void ws_rest(struct transport *base, bool rests)
{
    struct transport *below = of(base)->below;
    if (below->ops->rest)
        below->ops->rest(below, rests);
}

static void ws_stop_listening(struct transport *base)
{
    struct ws *t = of(base);
    t->stopping = true;
    t->below->ops->stop_listening(t->below);
    for (struct ws_stream *s; (s = TAILQ_FIRST(&t->shaking));)
        ws_drop(s, "shutdown");
}

static void ws_flush(struct transport *base)
{
    struct transport *below = of(base)->below;
    if (below->ops->flush)
        below->ops->flush(below);
}

static bool has_room(struct ws_stream *s)
{
    if (output_held(&s->out) >= WS_HIGH_BYTES)
        ws_drain(s);
    return output_held(&s->out) < WS_HIGH_BYTES;
}

/* To who sends texts, what is a text goes as one (RFC 6455, section 5.6: no other bytes may). */
static enum ws_opcode opcode_for(const struct ws_stream *s, const struct iovec *iov, int n)
{
    struct utf8 utf8 = {0};
    if (!s->text)
        return WS_BINARY;
    for (int i = 0; i < n; i++)
        if (!utf8_take(&utf8, span_of(iov[i].iov_base, iov[i].iov_len)))
            return WS_BINARY;
    return utf8_whole(&utf8) ? WS_TEXT : WS_BINARY;
}

/* All or nothing: a frame is never left half sent by the owner. What is taken is lent by the owner, as
 * everywhere, and is lent on. */
static size_t ws_send(struct transport *base, uint64_t id, const struct iovec *iov, int n)
{
    struct ws_stream *s = find(base, id);
    size_t bytes = 0;
    for (int i = 0; i < n; i++)
        bytes += iov[i].iov_len;
    if (!s || s->state != WS_OPEN || bytes == 0)
        return 0;
    if (!has_room(s)) {
        s->blocked = true;
        return 0;
    }
    uint8_t *header = output_reserve(&s->out, &s->ws->pool, WS_HEADER_MAX);
    output_commit(&s->out, (size_t)(ws_frame_put(header, opcode_for(s, iov, n), bytes) - header));
    for (int i = 0; i < n; i++)
        if (iov[i].iov_len)
            output_lend(&s->out, 0, iov[i].iov_len, span_of(iov[i].iov_base, iov[i].iov_len));
    ws_drain(s);
    return bytes;
}

static uint64_t ws_released(struct transport *base, uint64_t id)
{
    const struct ws_stream *s = slots_get(&of(base)->streams, id);
    return s ? s->released : UINT64_MAX;
}

static void ws_pause(struct transport *base, uint64_t id)
{
    struct ws_stream *s = find(base, id);
    if (!s || s->state != WS_OPEN)
        return;
    s->paused = true;
    ws_settle(s);
}

static void ws_resume(struct transport *base, uint64_t id)
{
    struct ws_stream *s = find(base, id);
    if (!s || s->state != WS_OPEN)
        return;
    s->paused = false;
    s->replay = s->rest.len > 0;
    ws_list(s);
    ws_settle(s);
}

static void ws_close_stream(struct transport *base, uint64_t id)
{
    struct ws_stream *s = find(base, id);
    if (s && s->state == WS_OPEN)
        ws_close(s, false);
}

static void ws_abort(struct transport *base, uint64_t id)
{
    struct ws_stream *s = find(base, id);
    if (!s || s->told)
        return;
    s->told = true;
    ws_drop(s, NULL);
}

static void ws_rx_release(struct transport *base, uint64_t epoch)
{
    struct ws *t = of(base);
    if (rx_release(&t->rx, epoch))
        t->starved = false;
}

static int ws_wait_fd(struct transport *base)
{
    struct transport *below = of(base)->below;
    return below->ops->wait_fd(below);
}

static void ws_free(struct transport *base)
{
    struct ws *t = of(base);
    for (uint32_t i = 0; i < t->streams.count; i++) {
        struct ws_stream *s = t->streams.slot[i].thing;
        if (s && s->state != WS_GONE)
            ws_stream_bury(s);
    }
    if (t->below)
        t->below->ops->free(t->below);
    ws_reap(t, true);
    slots_free(&t->streams);
    output_pool_free(&t->pool);
    rx_free(&t->rx);
    ws_readers_free(t);
    free(t);
}

static const struct transport_ops ws_ops = {
    .listen = ws_listen,
    .rest = ws_rest,
    .stop_listening = ws_stop_listening,
    .poll = ws_poll,
    .flush = ws_flush,
    .send = ws_send,
    .released = ws_released,
    .pause = ws_pause,
    .resume = ws_resume,
    .close = ws_close_stream,
    .abort = ws_abort,
    .rx_release = ws_rx_release,
    .wait_fd = ws_wait_fd,
    .free = ws_free,
};

struct transport *transport_ws_new(const struct transport_ws_options *options, struct transport_user up)
{
    struct ws *t = calloc(1, sizeof *t);
    CHECK(t && options->handshakes_max && options->message_max);
    t->base = (struct transport){.ops = &ws_ops, .up = up};
    t->options = *options;
    t->linger_ns = (options->linger_ms ? options->linger_ms : LINGER_MS) * 1000000ull;
    t->pool.most = OUTPUT_POOL_CHUNKS;
    TAILQ_INIT(&t->ready);
    TAILQ_INIT(&t->owing);
    TAILQ_INIT(&t->shaking);
    TAILQ_INIT(&t->closing);
    TAILQ_INIT(&t->dead);
    rx_init(&t->rx);
    return &t->base;
}

struct transport_user transport_ws_user(struct transport *ws)
{
    return (struct transport_user){
        .owner = ws, .accepted = on_accepted, .data = on_data, .writable = on_writable, .closed = on_closed};
}

void transport_ws_wrap(struct transport *ws, struct transport *below)
{
    CHECK(!of(ws)->below);
    of(ws)->below = below;
    ws->encrypted = below->encrypted;
}
