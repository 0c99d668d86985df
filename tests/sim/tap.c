#include "tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "codec/codecs.h"
#include "history.h"
#include "sim_log.h"

struct tapped {
    struct tapped *next;
    struct taps *taps;
    uint64_t stream;      /* as the client names it */
    uint64_t below;       /* as the transport does */
    struct tap *tap;      /* NULL: the front doesn't know it any more */
    void *user;           /* the front's */
    struct talk in, out;  /* to the front, from the front */
    struct buffer unread; /* given by the front, not yet read by the client */
    bool behind;          /* the transport took less than it was offered */
    bool forgotten;       /* by the client */
    bool other;           /* its client judges what is said there */
    uint64_t shortfalls;  /* how often it did */
};

struct expected {
    uint64_t stream;
    enum tap_speaks speaks;
};

struct tap {
    struct transport base;
    struct transport *inner;
    struct taps *taps;
};

struct taps {
    struct network *network;
    struct tap_watch watch;
    struct tapped *streams;
    struct expected *expected; /* streams of those who judge for themselves */
    size_t expected_count;
};

static struct tap *of(struct transport *base)
{
    return (struct tap *)base;
}

static struct tapped *find(const struct taps *taps, uint64_t stream)
{
    struct tapped *t = taps->streams;
    while (t && t->stream != stream)
        t = t->next;
    return t;
}

static struct tapped *find_below(const struct tap *tap, uint64_t below)
{
    struct tapped *t = tap->taps->streams;
    while (t && !(t->tap == tap && t->below == below))
        t = t->next;
    return t;
}

static void leave(struct tapped *t)
{
    if (!t || !t->tap)
        return;
    history_note("stream %llu: the front leaves it", (unsigned long long)t->stream);
    t->tap = NULL;
    t->taps->watch.left(t->taps->watch.owner, t->stream);
}

/* ---- what is said --------------------------------------------------------------------------------- */

static void note(const struct tapped *t, const char *who, const struct said *said)
{
    if (said->method)
        history_note("stream %llu.%u %s %s", (unsigned long long)t->stream, said->channel, who,
                     method_text(said->method));
}

static void client_said(void *owner, const struct said *said)
{
    struct tapped *t = owner;
    note(t, ">", said);
    t->taps->watch.client_said(t->taps->watch.owner, t->stream, said);
}

static void client_begun(void *owner, const struct said *said)
{
    struct tapped *t = owner;
    t->taps->watch.client_begun(t->taps->watch.owner, t->stream, said);
}

static void client_broken(void *owner, const char *why)
{
    const struct tapped *t = owner;
    history_note("stream %llu: the client breaks the protocol: %s", (unsigned long long)t->stream, why);
}

static void broker_said(void *owner, const struct said *said)
{
    struct tapped *t = owner;
    note(t, "<", said);
    t->taps->watch.broker_said(t->taps->watch.owner, t->stream, said);
}

static void broker_broken(void *owner, const char *why)
{
    const struct tapped *t = owner;
    history_fail("the broker breaks the protocol on stream %llu: %s", (unsigned long long)t->stream, why);
}

/* ---- upcalls, on their way to the front ------------------------------------------------------------ */

static struct tapped *add(struct tap *tap, uint64_t stream, uint64_t below)
{
    struct tapped *t = calloc(1, sizeof *t);
    CHECK(t);
    t->taps = tap->taps;
    t->tap = tap;
    t->stream = stream;
    t->below = below;
    talk_init(&t->in, (struct talk_user){t, client_said, client_begun, client_broken}, true);
    talk_init(&t->out, (struct talk_user){t, broker_said, NULL, broker_broken}, false);
    t->next = tap->taps->streams;
    tap->taps->streams = t;
    return t;
}

/* The codec that its client speaks to; AMQP is the listener's. other: nobody judges what is said but he. */
static int codec_of(const struct taps *taps, uint64_t stream, int listeners, bool *other)
{
    static const int codecs_of[] = {
        [TAP_MQTT] = CODEC_MQTT, [TAP_STOMP] = CODEC_STOMP, [TAP_GUARDED] = CODEC_AMQP};
    *other = false;
    for (size_t i = taps->expected_count; i-- > 0;)
        if (taps->expected[i].stream == stream) {
            *other = true;
            return codecs_of[taps->expected[i].speaks];
        }
    return listeners;
}

static void *on_accepted(void *owner, uint64_t below, int tag, const char *peer, const char *local)
{
    struct tap *tap = owner;
    uint64_t stream = network_accepted(tap->taps->network, below, peer);
    struct tapped *t = add(tap, stream, below);
    char named[ADDRESS_TEXT]; /* what the log calls it: sim_log.c knows it by that */
    snprintf(named, sizeof named, "127.0.0.1:%llu", (unsigned long long)stream);
    t->forgotten = !network_knows(tap->taps->network, stream);
    history_note("stream %llu: accepted", (unsigned long long)stream);
    tap->taps->watch.opened(tap->taps->watch.owner, stream);
    int codec = codec_of(tap->taps, stream, tag, &t->other);
    t->user = tap->base.up.accepted(tap->base.up.owner, below, codec, named, local);
    if (t->user)
        return t;
    leave(t);
    return NULL;
}

static size_t on_data(void *owner, void *user, struct span bytes, uint64_t epoch)
{
    struct tap *tap = owner;
    struct tapped *t = user;
    sim_log_hold(true);
    size_t used = tap->base.up.data(tap->base.up.owner, t->user, bytes, epoch);
    history_bytes(bytes.at, used);
    if (t->tap && !t->other)
        talk_feed(&t->in, bytes.at, used);
    sim_log_hold(false);
    return used;
}

static void on_writable(void *owner, void *user)
{
    struct tap *tap = owner;
    struct tapped *t = user;
    tap->base.up.writable(tap->base.up.owner, t->user);
}

static void on_closed(void *owner, void *user, int error)
{
    struct tap *tap = owner;
    struct tapped *t = user;
    leave(t);
    tap->base.up.closed(tap->base.up.owner, t->user, error);
}

/* ---- downcalls, on their way to the network ---------------------------------------------------------- */

static int tap_listen(struct transport *base, const char *address, int tag, uint16_t *port, char *error,
                      size_t error_size)
{
    struct transport *inner = of(base)->inner;
    return inner->ops->listen(inner, address, tag, port, error, error_size);
}

static void tap_stop_listening(struct transport *base)
{
    struct transport *inner = of(base)->inner;
    inner->ops->stop_listening(inner);
}

static unsigned tap_poll(struct transport *base, uint64_t now_ns)
{
    struct transport *inner = of(base)->inner;
    return inner->ops->poll(inner, now_ns);
}

static void tap_flush(struct transport *base)
{
    struct transport *inner = of(base)->inner;
    if (inner->ops->flush)
        inner->ops->flush(inner);
}

static void hear(struct tapped *t, const struct iovec *iov, size_t took)
{
    for (; took; iov++) {
        size_t n = iov->iov_len < took ? iov->iov_len : took;
        history_bytes(iov->iov_base, n);
        if (!t->forgotten)
            buffer_add(&t->unread, iov->iov_base, n);
        if (!t->other)
            talk_feed(&t->out, iov->iov_base, n);
        took -= n;
    }
}

static size_t tap_send(struct transport *base, uint64_t stream, const struct iovec *iov, int n)
{
    struct tap *tap = of(base);
    struct tapped *t = find_below(tap, stream);
    size_t offered = 0, took = tap->inner->ops->send(tap->inner, stream, iov, n);
    for (int i = 0; i < n; i++)
        offered += iov[i].iov_len;
    CHECK(took <= offered);
    if (!t)
        return took;
    t->behind = took < offered;
    t->shortfalls += t->behind;
    hear(t, iov, took);
    return took;
}

static uint64_t tap_released(struct transport *base, uint64_t stream)
{
    struct transport *inner = of(base)->inner;
    return inner->ops->released(inner, stream);
}

static void tap_pause(struct transport *base, uint64_t stream)
{
    struct transport *inner = of(base)->inner;
    inner->ops->pause(inner, stream);
}

static void tap_resume(struct transport *base, uint64_t stream)
{
    struct transport *inner = of(base)->inner;
    inner->ops->resume(inner, stream);
}

static void tap_close(struct transport *base, uint64_t stream)
{
    struct tap *tap = of(base);
    leave(find_below(tap, stream));
    tap->inner->ops->close(tap->inner, stream);
}

static void tap_abort(struct transport *base, uint64_t stream)
{
    struct tap *tap = of(base);
    leave(find_below(tap, stream));
    tap->inner->ops->abort(tap->inner, stream);
}

static void tap_rx_release(struct transport *base, uint64_t epoch)
{
    struct transport *inner = of(base)->inner;
    inner->ops->rx_release(inner, epoch);
}

static int tap_wait_fd(struct transport *base)
{
    struct transport *inner = of(base)->inner;
    return inner->ops->wait_fd(inner);
}

static void tap_free(struct transport *base)
{
    struct tap *tap = of(base);
    network_transport_free(tap->taps->network, tap->inner);
    free(tap);
}

static const struct transport_ops tap_ops = {
    .listen = tap_listen,
    .stop_listening = tap_stop_listening,
    .poll = tap_poll,
    .flush = tap_flush,
    .send = tap_send,
    .released = tap_released,
    .pause = tap_pause,
    .resume = tap_resume,
    .close = tap_close,
    .abort = tap_abort,
    .rx_release = tap_rx_release,
    .wait_fd = tap_wait_fd,
    .free = tap_free,
};

struct transport *taps_transport(struct taps *taps, struct transport_user up)
{
    struct tap *tap = calloc(1, sizeof *tap);
    CHECK(tap);
    tap->base = (struct transport){.ops = &tap_ops, .up = up};
    tap->taps = taps;
    tap->inner = network_transport(taps->network, (struct transport_user){.owner = tap,
                                                                          .accepted = on_accepted,
                                                                          .data = on_data,
                                                                          .writable = on_writable,
                                                                          .closed = on_closed});
    return &tap->base;
}

/* ---- all of them -------------------------------------------------------------------------------------- */

struct taps *taps_new(struct network *network, struct tap_watch watch)
{
    struct taps *taps = calloc(1, sizeof *taps);
    CHECK(taps);
    taps->network = network;
    taps->watch = watch;
    return taps;
}

static void tapped_free(struct tapped *t)
{
    talk_free(&t->in);
    talk_free(&t->out);
    buffer_free(&t->unread);
    free(t);
}

void taps_free(struct taps *taps)
{
    for (struct tapped *t; (t = taps->streams); tapped_free(t))
        taps->streams = t->next;
    free(taps->expected);
    free(taps);
}

void taps_expect(struct taps *taps, uint64_t stream, enum tap_speaks speaks)
{
    taps->expected = realloc(taps->expected, (taps->expected_count + 1) * sizeof *taps->expected);
    CHECK(taps->expected);
    taps->expected[taps->expected_count++] = (struct expected){stream, speaks};
}

void taps_cut(struct taps *taps)
{
    for (struct tapped *t = taps->streams; t; t = t->next)
        t->tap = NULL;
}

void taps_read(struct taps *taps, uint64_t stream, const void *bytes, size_t n)
{
    struct tapped *t = find(taps, stream);
    if (!t || t->unread.len < n || memcmp(t->unread.at, bytes, n) != 0)
        history_fail("the client of stream %llu has read other bytes than the broker sent",
                     (unsigned long long)stream);
    buffer_drop(&t->unread, n);
}

/* The record stays: a transport may still name it in an upcall. */
void taps_forget(struct taps *taps, uint64_t stream)
{
    struct tapped *t = find(taps, stream);
    if (!t)
        return;
    t->forgotten = true;
    buffer_free(&t->unread);
}

bool taps_left(const struct taps *taps, uint64_t stream)
{
    const struct tapped *t = find(taps, stream);
    return !t || !t->tap;
}

bool taps_flushed(const struct taps *taps, uint64_t stream)
{
    const struct tapped *t = find(taps, stream);
    return t && t->tap && !t->behind;
}

uint64_t taps_shortfalls(const struct taps *taps, uint64_t stream)
{
    const struct tapped *t = find(taps, stream);
    return t ? t->shortfalls : 0;
}

bool taps_all_read(const struct taps *taps)
{
    for (const struct tapped *t = taps->streams; t; t = t->next)
        if (!t->forgotten && t->unread.len)
            return false;
    return true;
}
