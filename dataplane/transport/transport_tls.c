#include "transport/transport_tls.h"

#include <errno.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "transport/tls_inside.h"
#include "transport/tls_name.h"

enum {
    LINGER_MS = 5000,
    TURN_SHAKES = 16, /* steps of handshakes in one turn: one may take a millisecond of arithmetic */
};

static struct tls *of(struct transport *base)
{
    return (struct tls *)base;
}

static struct tls_stream *find(struct transport *base, uint64_t id)
{
    return slots_get(&of(base)->streams, id);
}

/* ---- upcalls of the transport below --------------------------------------------------------------- */

static void *on_accepted(void *owner, uint64_t below, int tag, const char *peer, const char *local)
{
    struct tls *t = owner;
    /* An honest handshake is done in a moment: whoever has taken longest is the least likely to be one. */
    if (t->shaking_count >= t->options.handshakes_max)
        tls_drop(TAILQ_FIRST(&t->shaking), "too many TLS handshakes are under way, and this is the oldest");
    return tls_stream_new(t, below, tag, peer, local);
}

static size_t on_data(void *owner, void *user, struct span bytes, uint64_t epoch)
{
    struct tls *t = owner;
    struct tls_stream *s = user;
    t->below_epoch = epoch;
    if (s->state == TLS_SHAKING && t->shakes >= TURN_SHAKES) {
        s->held = true;
        t->below->ops->pause(t->below, s->below);
        tls_list(s);
        return 0;
    }
    s->in = bytes;
    if (s->state == TLS_SHAKING)
        tls_shake(s);
    if (s->state == TLS_OPEN)
        tls_pump(s);
    tls_drain(s);
    tls_settle(s);
    tls_rest(s);
    size_t left = s->state == TLS_OPEN || s->state == TLS_SHAKING ? s->in.len : 0;
    s->in = span_of(NULL, 0);
    return bytes.len - left;
}

/* Whether send() would take more again. */
static void unblock(struct tls_stream *s)
{
    struct tls *t = s->tls;
    if (s->lagging)
        TAILQ_REMOVE(&t->lagging, s, lag);
    s->lagging = false;
    if (!s->blocked || s->state != TLS_OPEN)
        return;
    if (output_held(&s->out) <= TLS_HIGH_BYTES / 2) {
        s->blocked = false;
        t->base.up.writable(t->base.up.owner, s->user);
    } else if (s->out.unsent == 0) {
        s->lagging = true;
        TAILQ_INSERT_TAIL(&t->lagging, s, lag);
    }
}

static void on_writable(void *owner, void *user)
{
    struct tls_stream *s = user;
    (void)owner;
    tls_drain(s);
    unblock(s);
    tls_settle(s);
}

static void lost_open(struct tls_stream *s, int error)
{
    struct tls *t = s->tls;
    /* Without a close_notify bytes may be missing, and it may be an attacker who made it so. */
    if (!s->ended && !error)
        log_line(LOG_INFO, t->options.agent,
                 "%s: the stream was cut off: it ended without TLS's close_notify", s->peer);
    int why = s->ended ? s->error : error ? error : EPROTO;
    tls_stream_bury(s);
    t->base.up.closed(t->base.up.owner, s->user, why);
}

static void on_closed(void *owner, void *user, int error)
{
    struct tls *t = owner;
    struct tls_stream *s = user;
    if (s->state == TLS_OPEN) {
        lost_open(s, error);
        return;
    }
    bool shaking = s->state == TLS_SHAKING, told = s->told;
    tls_stream_bury(s);
    if (shaking)
        log_line(s->ssl ? LOG_INFO : LOG_DEBUG, t->options.agent, "%s: gone %s the TLS handshake", s->peer,
                 s->ssl ? "in the middle of" : "before");
    else if (!told)
        t->base.up.closed(t->base.up.owner, s->user, error);
}

/* ---- the turn ------------------------------------------------------------------------------------- */

static void serve(struct tls_stream *s)
{
    if (s->state == TLS_OPEN && s->broken)
        tls_end(s, s->error);
    else if (s->state == TLS_OPEN)
        tls_pump(s);
    tls_drain(s);
    tls_settle(s);
}

static unsigned serve_ready(struct tls *t)
{
    unsigned work = 0;
    for (uint32_t n = t->ready_count; n && !t->starved; n--, work++) {
        struct tls_stream *s = TAILQ_FIRST(&t->ready);
        TAILQ_REMOVE(&t->ready, s, ready);
        t->ready_count--;
        s->listed = false;
        serve(s);
    }
    return work;
}

static unsigned look_after_lagging(struct tls *t)
{
    unsigned work = 0;
    struct tls_stream *s, *next;
    for (s = TAILQ_FIRST(&t->lagging); s; s = next) {
        next = TAILQ_NEXT(s, lag);
        tls_drain(s);
        tls_settle(s);
        if (output_held(&s->out) > TLS_HIGH_BYTES / 2)
            continue;
        unblock(s);
        work++;
    }
    return work;
}

static unsigned expire(struct tls *t)
{
    unsigned work = 0;
    struct tls_stream *s;
    for (; (s = TAILQ_FIRST(&t->shaking)) && s->deadline_ns <= t->now_ns; work++)
        tls_drop(s, "the TLS handshake took too long (handshake_timeout)");
    for (; (s = TAILQ_FIRST(&t->closing)) && s->deadline_ns <= t->now_ns; work++)
        tls_drop(s, NULL);
    return work;
}

static void send_unsent(struct tls *t)
{
    for (struct tls_stream *s; (s = TAILQ_FIRST(&t->unsent));) {
        TAILQ_REMOVE(&t->unsent, s, unsent);
        s->dirty = false;
        tls_drain(s);
        tls_rest(s);
        if (s->blocked && !s->lagging && s->out.unsent == 0) {
            s->lagging = true;
            TAILQ_INSERT_TAIL(&t->lagging, s, lag);
        }
    }
}

/* Looked at before anything is accepted: who connects behind a reload has what it brought. */
static void take_offer(struct tls *t)
{
    if (!atomic_load_explicit(&t->offered, memory_order_relaxed))
        return;
    tls_context_free(t->context);
    t->context = atomic_exchange_explicit(&t->offered, NULL, memory_order_acquire);
}

static unsigned tls_poll(struct transport *base, uint64_t now_ns)
{
    struct tls *t = of(base);
    t->now_ns = now_ns;
    t->shakes = 0;
    take_offer(t);
    unsigned work = serve_ready(t);
    work += t->below->ops->poll(t->below, now_ns);
    work += look_after_lagging(t);
    work += expire(t);
    /* All that was handed up has been decrypted, or is a rest that the transport below keeps. */
    if (t->below_epoch != t->below_released)
        t->below->ops->rx_release(t->below, t->below_epoch);
    t->below_released = t->below_epoch;
    send_unsent(t);
    tls_reap(t);
    return work;
}

/* ---- the table ------------------------------------------------------------------------------------ */

static int tls_listen(struct transport *base, const char *address, int tag, uint16_t *port, char *error,
                      size_t error_size)
{
    struct transport *below = of(base)->below;
    return below->ops->listen(below, address, tag, port, error, error_size);
}

static void tls_listeners_rest(struct transport *base, bool rests)
{
    struct transport *below = of(base)->below;
    if (below->ops->rest)
        below->ops->rest(below, rests);
}

static void tls_stop_listening(struct transport *base)
{
    struct tls *t = of(base);
    t->below->ops->stop_listening(t->below);
    for (struct tls_stream *s; (s = TAILQ_FIRST(&t->shaking));)
        tls_drop(s, "shutdown");
}

static void tls_flush(struct transport *base)
{
    struct tls *t = of(base);
    send_unsent(t);
    if (t->below->ops->flush)
        t->below->ops->flush(t->below);
}

/* What a send is given, cut into records: small pieces share one. */
struct cutter {
    const struct iovec *iov;
    int left;
    size_t offset; /* into the first */
};

static void skip_empty(struct cutter *c)
{
    while (c->left && c->offset == c->iov->iov_len) {
        c->iov++;
        c->left--;
        c->offset = 0;
    }
}

static struct span next_record(struct tls *t, struct cutter *c)
{
    size_t fill = 0;
    const uint8_t *at = (const uint8_t *)c->iov->iov_base + c->offset;
    if (c->iov->iov_len - c->offset >= TLS_RECORD_BYTES) {
        c->offset += TLS_RECORD_BYTES;
        return span_of(at, TLS_RECORD_BYTES);
    }
    for (; c->left && fill < TLS_RECORD_BYTES; skip_empty(c)) {
        size_t n = c->iov->iov_len - c->offset;
        n = n < TLS_RECORD_BYTES - fill ? n : TLS_RECORD_BYTES - fill;
        memcpy(t->scratch + fill, (const uint8_t *)c->iov->iov_base + c->offset, n);
        fill += n;
        c->offset += n;
    }
    return span_of(t->scratch, fill);
}

static bool has_room(struct tls_stream *s)
{
    if (output_held(&s->out) >= TLS_HIGH_BYTES)
        tls_drain(s);
    return output_held(&s->out) < TLS_HIGH_BYTES;
}

static size_t tls_send(struct transport *base, uint64_t id, const struct iovec *iov, int n)
{
    struct tls *t = of(base);
    struct tls_stream *s = find(base, id);
    struct cutter cutter = {iov, n, 0};
    size_t taken = 0;
    if (!s || s->state != TLS_OPEN || s->broken)
        return 0;
    for (skip_empty(&cutter); cutter.left; skip_empty(&cutter)) {
        if (!has_room(s)) {
            s->blocked = true;
            break;
        }
        struct span record = next_record(t, &cutter);
        if (!tls_encrypt(s, record))
            break;
        taken += record.len;
    }
    s->sent += taken;
    if (!s->dirty) {
        s->dirty = true;
        TAILQ_INSERT_TAIL(&t->unsent, s, unsent);
    }
    return taken;
}

static uint64_t tls_released(struct transport *base, uint64_t id)
{
    const struct tls_stream *s = find(base, id);
    return s && !s->told ? s->sent : UINT64_MAX;
}

static size_t tls_certified(struct transport *base, uint64_t id, enum certificate_name which, uint8_t *to,
                            size_t room)
{
    const struct tls_stream *s = find(base, id);
    return s && s->ssl && s->state == TLS_OPEN ? tls_name(s->ssl, which, to, room) : 0;
}

static void tls_pause(struct transport *base, uint64_t id)
{
    struct tls_stream *s = find(base, id);
    if (!s || s->state != TLS_OPEN)
        return;
    s->paused = true;
    tls_settle(s);
}

static void tls_resume(struct transport *base, uint64_t id)
{
    struct tls_stream *s = find(base, id);
    if (!s || s->state != TLS_OPEN)
        return;
    s->paused = false;
    s->replay = s->rest.len > 0;
    tls_list(s);
    tls_settle(s);
}

static void tls_close_stream(struct transport *base, uint64_t id)
{
    struct tls_stream *s = find(base, id);
    if (s && s->state == TLS_OPEN)
        tls_close(s, false);
}

static void tls_abort(struct transport *base, uint64_t id)
{
    struct tls_stream *s = find(base, id);
    if (!s || s->told)
        return;
    s->told = true;
    tls_drop(s, NULL);
}

static void tls_rx_release(struct transport *base, uint64_t epoch)
{
    struct tls *t = of(base);
    if (rx_release(&t->rx, epoch))
        t->starved = false;
}

static int tls_wait_fd(struct transport *base)
{
    struct transport *below = of(base)->below;
    return below->ops->wait_fd(below);
}

static void tls_free(struct transport *base)
{
    struct tls *t = of(base);
    for (uint32_t i = 0; i < t->streams.count; i++)
        if (t->streams.slot[i].thing)
            tls_stream_bury(t->streams.slot[i].thing);
    if (t->below)
        t->below->ops->free(t->below);
    tls_reap(t);
    slots_free(&t->streams);
    output_pool_free(&t->pool);
    rx_free(&t->rx);
    tls_bio_free(t->bio);
    tls_context_free(t->context);
    tls_context_free(t->offered);
    free(t);
}

static const struct transport_ops tls_ops = {
    .listen = tls_listen,
    .rest = tls_listeners_rest,
    .stop_listening = tls_stop_listening,
    .poll = tls_poll,
    .flush = tls_flush,
    .send = tls_send,
    .released = tls_released,
    .certified = tls_certified,
    .pause = tls_pause,
    .resume = tls_resume,
    .close = tls_close_stream,
    .abort = tls_abort,
    .rx_release = tls_rx_release,
    .wait_fd = tls_wait_fd,
    .free = tls_free,
};

struct transport *transport_tls_new(const struct transport_tls_options *options, struct transport_user up)
{
    struct tls *t = calloc(1, sizeof *t);
    CHECK(t && options->handshakes_max);
    t->base = (struct transport){.ops = &tls_ops, .up = up, .encrypted = true};
    t->options = *options;
    t->context = tls_context_share(options->context);
    t->linger_ns = (options->linger_ms ? options->linger_ms : LINGER_MS) * 1000000ull;
    t->pool.most = OUTPUT_POOL_CHUNKS;
    t->bio = tls_bio_new();
    TAILQ_INIT(&t->ready);
    TAILQ_INIT(&t->unsent);
    TAILQ_INIT(&t->lagging);
    TAILQ_INIT(&t->shaking);
    TAILQ_INIT(&t->closing);
    TAILQ_INIT(&t->dead);
    rx_init(&t->rx);
    return &t->base;
}

struct transport_user transport_tls_user(struct transport *tls)
{
    return (struct transport_user){
        .owner = tls, .accepted = on_accepted, .data = on_data, .writable = on_writable, .closed = on_closed};
}

void transport_tls_offer(struct transport *tls, struct tls_context *context)
{
    tls_context_free(atomic_exchange_explicit(&of(tls)->offered, context, memory_order_acq_rel));
}

void transport_tls_wrap(struct transport *tls, struct transport *below)
{
    CHECK(!of(tls)->below);
    of(tls)->below = below;
}
