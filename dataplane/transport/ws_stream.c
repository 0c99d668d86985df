/* The happy path of a stream: ws_shake → the request is answered, accepted() → ws_pump: frames become chunks,
 * data() → ws_send: what is sent becomes a frame → ws_drain → a close frame, either way → ws_close. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "transport/ws_inside.h"

/* ---- making and ending one ------------------------------------------------------------------------ */

struct ws_stream *ws_stream_new(struct ws *t, uint64_t below, int tag, const char *peer, const char *local)
{
    struct ws_stream *s = calloc(1, sizeof *s);
    CHECK(s);
    s->hello = calloc(1, sizeof *s->hello);
    CHECK(s->hello);
    s->ws = t;
    s->id = slots_add(&t->streams, s);
    s->below = below;
    s->tag = tag;
    snprintf(s->peer, sizeof s->peer, "%s", peer);
    snprintf(s->hello->local, sizeof s->hello->local, "%s", local);
    s->deadline_ns = t->now_ns + t->options.handshake_ms * 1000000ull;
    TAILQ_INSERT_TAIL(&t->shaking, s, time);
    t->shaking_count++;
    return s;
}

/* Leaves the state it is in. */
static void become(struct ws_stream *s, enum ws_state state)
{
    struct ws *t = s->ws;
    if (s->state == WS_SHAKING) {
        TAILQ_REMOVE(&t->shaking, s, time);
        t->shaking_count--;
    } else if (s->state == WS_CLOSING && !s->below_closed) {
        TAILQ_REMOVE(&t->closing, s, time);
    }
    s->state = (uint8_t)state;
    if (state == WS_CLOSING) {
        s->deadline_ns = t->now_ns + t->linger_ns;
        TAILQ_INSERT_TAIL(&t->closing, s, time);
    }
}

static void leave_lists(struct ws_stream *s)
{
    struct ws *t = s->ws;
    if (s->listed) {
        TAILQ_REMOVE(&t->ready, s, ready);
        t->ready_count--;
    }
    if (s->owing) {
        TAILQ_REMOVE(&t->owing, s, owe);
        t->owing_count--;
    }
    s->listed = s->owing = false;
}

void ws_stream_bury(struct ws_stream *s)
{
    struct ws *t = s->ws;
    become(s, WS_GONE);
    leave_lists(s);
    rx_forget(&t->rx, &s->rest);
    ws_reader_give(s);
    TAILQ_INSERT_TAIL(&t->dead, s, time);
}

/* What was lent is out; its length stands where a page's number would. */
static void count_out(void *owner, unsigned router, uint64_t bytes)
{
    struct ws_stream *s = owner;
    (void)router;
    s->released += bytes;
}

/* Its id is good until then, so that released() tells the truth: the transport below may still look at what
 * was lent. */
void ws_reap(struct ws *t, bool all)
{
    struct ws_stream *s, *next;
    for (s = TAILQ_FIRST(&t->dead); s; s = next) {
        next = TAILQ_NEXT(s, time);
        if (!all && t->below->ops->released(t->below, s->below) < s->out.taken)
            continue;
        TAILQ_REMOVE(&t->dead, s, time);
        slots_remove(&t->streams, s->id);
        output_free(&s->out, &t->pool, count_out, s);
        free(s->hello);
        free(s->pong);
        free(s);
    }
}

void ws_list(struct ws_stream *s)
{
    if (s->listed)
        return;
    TAILQ_INSERT_TAIL(&s->ws->ready, s, ready);
    s->ws->ready_count++;
    s->listed = true;
}

/* ---- the handshake -------------------------------------------------------------------------------- */

static void put(struct ws_stream *s, const void *bytes, size_t n)
{
    memcpy(output_reserve(&s->out, &s->ws->pool, n), bytes, n);
    output_commit(&s->out, n);
}

static void refuse(struct ws_stream *s, const struct ws_answer *answer)
{
    log_line(LOG_INFO, s->ws->options.agent, "%s: no WebSocket (%u): %s", s->peer, answer->status,
             answer->why);
    put(s, answer->bytes, answer->len);
    s->ended = s->farewell = true;
    ws_close(s, true);
}

static void welcome(struct ws_stream *s, struct ws_answer *answer)
{
    struct ws *t = s->ws;
    struct ws_hello *hello = s->hello;
    become(s, WS_OPEN);
    put(s, answer->bytes, answer->len);
    s->user = t->base.up.accepted(t->base.up.owner, s->id, s->tag, s->peer, hello->local);
    s->hello = NULL;
    free(hello);
    if (s->user || s->state != WS_OPEN)
        return;
    CHECK(s->out.taken == 0); /* who refuses a stream has sent nothing */
    output_free(&s->out, &t->pool, count_out, s);
    ws_refuse(answer, 503, "The broker takes no more connections at the moment.");
    refuse(s, answer);
}

void ws_shake(struct ws_stream *s)
{
    struct ws_answer answer;
    size_t used = ws_handshake(s->in, &s->hello->seen, ws_speech_of(s), &s->ws->options.origins, &answer);
    s->in = span_of(s->in.at + used, s->in.len - used);
    if (used && answer.status == 101)
        welcome(s, &answer);
    else if (used)
        refuse(s, &answer);
}

/* ---- input ---------------------------------------------------------------------------------------- */

static bool may_read(const struct ws_stream *s)
{
    return s->state == WS_OPEN && !s->paused && (s->rest.len <= RX_REST_MAX || s->replay);
}

void ws_settle(struct ws_stream *s)
{
    struct ws *t = s->ws;
    if (s->state == WS_GONE || s->below_closed)
        return;
    bool hold = s->state == WS_OPEN && (t->starved || !may_read(s));
    if (hold && may_read(s))
        ws_list(s); /* served when there is a chunk again */
    if (hold == s->held)
        return;
    s->held = hold;
    if (hold) {
        t->below->ops->pause(t->below, s->below);
        return;
    }
    t->below->ops->resume(t->below, s->below);
    if (s->ended || s->reader)
        ws_list(s);
}

static bool has_replay(const struct ws_stream *s)
{
    return s->replay && s->rest.len;
}

/* Hands up the rest and n new bytes. */
static void hand_up(struct ws_stream *s, size_t n)
{
    struct ws *t = s->ws;
    s->replay = false;
    struct span bytes = rx_received(&t->rx, &s->rest, n);
    size_t used = t->base.up.data(t->base.up.owner, s->user, bytes, rx_epoch(&t->rx));
    CHECK(used <= bytes.len);
    if (s->state == WS_OPEN)
        rx_keep(&t->rx, &s->rest, bytes.len - used);
}

/* As many frames as fit, so that the owner is called once for all of them. */
static size_t fill(struct ws_stream *s, uint8_t *at, size_t room)
{
    size_t n = 0;
    while (n < room && ws_frame_read(s)) {
        struct span *payload = &s->reader->payload;
        size_t part = payload->len < room - n ? payload->len : room - n;
        memcpy(at + n, payload->at, part);
        *payload = span_of(payload->at + part, payload->len - part);
        n += part;
    }
    return n;
}

static void end(struct ws_stream *s)
{
    struct ws *t = s->ws;
    void *user = s->user;
    int error = s->error;
    ws_close(s, true);
    t->base.up.closed(t->base.up.owner, user, error);
}

/* The peer's leave is waited for; what else comes is of no use. It answers ours, so all that was sent has
 * come through: the owner need not wait until the stream below is closed too. */
static void throw_away(struct ws_stream *s)
{
    struct ws *t = s->ws;
    while (ws_frame_read(s))
        s->reader->payload = span_of(NULL, 0);
    if (!s->ended)
        return;
    s->in = span_of(NULL, 0);
    if (s->told || s->error)
        return;
    s->told = true;
    t->base.up.closed(t->base.up.owner, s->user, 0);
}

void ws_pump(struct ws_stream *s)
{
    struct ws *t = s->ws;
    while (may_read(s)) {
        size_t room;
        /* Before a receive chunk is asked for, there is something to put into it: who sends half a header
         * must not make rests move from chunk to chunk, and use up chunks that the owner never hears of. */
        if (!has_replay(s) && !ws_frame_read(s)) {
            if (s->ended)
                end(s);
            break;
        }
        uint8_t *at = rx_begin(&t->rx, &s->rest, &room);
        if (!at) {
            t->starved = true;
            ws_list(s);
            return;
        }
        hand_up(s, fill(s, at, room));
    }
    if (s->state == WS_CLOSING)
        throw_away(s);
}

/* ---- output --------------------------------------------------------------------------------------- */

static void put_control(struct ws_stream *s, enum ws_opcode opcode, struct span payload)
{
    uint8_t *to = output_reserve(&s->out, &s->ws->pool, WS_HEADER_MAX + WS_CONTROL_MAX);
    output_commit(&s->out, (size_t)(put_span(ws_frame_put(to, opcode, payload.len), payload) - to));
}

void ws_answer_ping(struct ws_stream *s, struct span payload)
{
    if (s->farewell)
        return;
    if (!s->pong && output_held(&s->out) < WS_PONGS_BYTES) {
        put_control(s, WS_PONG, payload);
        return;
    }
    if (!s->pong)
        s->pong = malloc(1 + WS_CONTROL_MAX);
    CHECK(s->pong);
    put_span(put_u8(s->pong, (uint8_t)payload.len), payload);
}

static void put_pong(struct ws_stream *s)
{
    if (!s->farewell)
        put_control(s, WS_PONG, span_of(s->pong + 1, s->pong[0]));
    free(s->pong);
    s->pong = NULL;
}

static void release(struct ws_stream *s)
{
    struct ws *t = s->ws;
    if (s->out.pieces.count == 0)
        return;
    output_released(&s->out, &t->pool, t->below->ops->released(t->below, s->below), count_out, s);
    if (s->out.pieces.count == 0)
        fifo_free(&s->out.pieces); /* an idle stream has none */
}

static void send_unsent(struct ws_stream *s)
{
    struct transport *below = s->ws->below;
    while (s->out.unsent) {
        struct iovec iov[OUTPUT_IOVS];
        int n = output_next(&s->out, iov);
        size_t offered = 0;
        for (int i = 0; i < n; i++)
            offered += iov[i].iov_len;
        size_t took = below->ops->send(below, s->below, iov, n);
        output_taken(&s->out, took);
        if (took < offered)
            break;
    }
}

/* All is sent, but the transport below still looks at it: it does not say when that ends. */
static void note_owing(struct ws_stream *s)
{
    struct ws *t = s->ws;
    bool owing = s->out.pieces.count && s->out.unsent == 0;
    if (owing == s->owing)
        return;
    s->owing = owing;
    t->owing_count += owing ? 1 : -1;
    if (owing)
        TAILQ_INSERT_TAIL(&t->owing, s, owe);
    else
        TAILQ_REMOVE(&t->owing, s, owe);
}

bool ws_drain(struct ws_stream *s)
{
    struct transport *below = s->ws->below;
    uint64_t before = s->released;
    if (s->state == WS_GONE)
        return false;
    release(s);
    if (!s->below_closed) {
        send_unsent(s);
        if (s->pong && s->out.unsent == 0) {
            put_pong(s);
            send_unsent(s);
        }
        release(s);
    }
    note_owing(s);
    if (s->state == WS_CLOSING && s->ended && s->out.unsent == 0 && !s->below_closed) {
        /* From here on the transport below has a time limit of its own. */
        TAILQ_REMOVE(&s->ws->closing, s, time);
        s->below_closed = true;
        below->ops->close(below, s->below);
    }
    return s->released > before;
}

/* ---- ends ----------------------------------------------------------------------------------------- */

void ws_finish(struct ws_stream *s, int error, uint16_t code, const char *why)
{
    s->ended = true;
    s->error = error;
    s->code = code;
    s->why = why;
    if (error && s->state == WS_OPEN)
        log_line(LOG_INFO, s->ws->options.agent, "%s: WebSocket ended (%u): %s", s->peer, code, why);
}

/* Section 5.5.1. */
static void say_farewell(struct ws_stream *s)
{
    uint8_t payload[WS_CONTROL_MAX];
    uint16_t code = s->ended ? s->code : s->ws->stopping ? WS_CODE_GOING_AWAY : WS_CODE_NORMAL;
    struct span why = span_str(s->ended ? s->why : "");
    uint8_t *at = code ? put_span(put_be16(payload, code), why) : payload;
    put_control(s, WS_CLOSE, span_of(payload, (size_t)(at - payload)));
    s->farewell = true;
}

void ws_close(struct ws_stream *s, bool told)
{
    if (!s->farewell)
        say_farewell(s);
    rx_forget(&s->ws->rx, &s->rest);
    if (s->ended)
        ws_reader_give(s);
    become(s, WS_CLOSING);
    s->told |= told;
    ws_settle(s);
    ws_drain(s);
}

void ws_drop(struct ws_stream *s, const char *why)
{
    struct ws *t = s->ws;
    bool tell = s->state == WS_CLOSING && !s->told;
    if (why)
        log_line(LOG_INFO, t->options.agent, "%s: closed: %s", s->peer, why);
    t->below->ops->abort(t->below, s->below);
    ws_stream_bury(s);
    if (tell)
        t->base.up.closed(t->base.up.owner, s->user, ETIMEDOUT);
}
