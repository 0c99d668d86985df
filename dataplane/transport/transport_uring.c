/*
 * The happy path of a stream: the ring reports an accept → welcome() → the ring reports input → the stream is
 * listed → uring_read_ready gives each listed stream a fair share → data() upcall; send() goes straight to
 * the socket.
 *
 * A stream is listed as long as recv may find more; then the ring is asked, once, to report the next input.
 * So a stream has at most one event of a kind under way, and one that may not be read from has none.
 */
#include "transport/transport_uring.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "transport/socket.h"
#include "transport/uring_inside.h"

enum {
    HEARD_MAX = 256, /* completions taken in one turn */
    TICK_MS = 100,   /* how often lingering streams and failed accepts are looked at */
    LINGER_MS = 5000,
    COMPLAINT_S = 10, /* one line in the log at most so often about connections that can't be accepted */
};

/* ---- the loop ------------------------------------------------------------------------------------ */

void uring_submit(struct uring *t)
{
    if (!t->polling && t->started)
        loop_submit(t->loop);
}

void uring_kick(struct uring *t)
{
    if (t->polling || t->kicked || !t->started)
        return;
    loop_kick(t->loop, uring_name(0, TAG_KICK));
    t->kicked = true;
    uring_submit(t);
}

static void accept_from(struct uring *t, struct listener *l)
{
    loop_accept(t->loop, l->fd, uring_name((uint64_t)(l - t->listeners), TAG_ACCEPT));
    l->armed = true;
    l->resting = false;
}

static void cancel(struct uring *t, uint64_t id, enum tag tag)
{
    loop_cancel(t->loop, uring_name(id, tag), uring_name(0, TAG_NONE));
}

static bool resting(const struct uring *t)
{
    for (unsigned i = 0; i < t->listener_count; i++)
        if (t->listeners[i].resting)
            return true;
    return false;
}

static void tick(struct uring *t)
{
    if (t->ticking || (TAILQ_EMPTY(&t->lingering) && !resting(t)))
        return;
    loop_after(t->loop, TICK_MS, uring_name(0, TAG_TICK));
    t->ticking = true;
}

static bool may_complain(struct uring *t)
{
    if (t->now_ns < t->complain_at_ns)
        return false;
    t->complain_at_ns = t->now_ns + COMPLAINT_S * 1000000000ull;
    return true;
}

static void welcome(struct uring *t, const struct listener *l, int fd)
{
    char peer[ADDRESS_TEXT], local[ADDRESS_TEXT];
    socket_names(fd, peer, local);
    if (t->streams.used >= t->streams_max) {
        if (may_complain(t))
            log_line(LOG_WARNING, t->agent, "%s is refused: %u connections are open already", peer,
                     t->streams_max);
        socket_close(fd, true);
        return;
    }
    struct stream *s = streams_open(&t->streams);
    s->fd = fd;
    void *user = t->base.up.accepted(t->base.up.owner, s->id, l->tag, peer, local);
    s->user = user;
    if (!stream_alive(s)) /* aborted by the upcall */
        return;
    if (user)
        uring_watch(t, s, TAG_INPUT);
    else
        uring_detach(t, s, true);
}

static void on_accept(struct uring *t, struct listener *l, int result, bool more)
{
    l->armed = more;
    if (result >= 0 && t->stopped)
        close(result);
    else if (result >= 0)
        welcome(t, l, result);
    if (t->stopped || t->rests || more)
        return;
    if (result >= 0 || (result == -EINVAL && !l->deaf) || result == -ECONNABORTED || result == -EINTR ||
        result == -EAGAIN) {
        accept_from(t, l);
        return;
    }
    l->resting = true;
    if (!l->deaf && may_complain(t))
        log_line(LOG_ERROR, t->agent, "connections cannot be accepted: %s; trying again every %d ms",
                 strerror(-result), TICK_MS);
}

/* After a rest. What was accepted from before it may not have ended yet: then it is seen to when it has. */
static void listen_again(struct uring *t, struct listener *l)
{
    l->deaf = !socket_listen_again(l->fd, &l->bound);
    l->resting = l->deaf;
    if (!l->deaf && !l->armed && t->started)
        accept_from(t, l);
    if (!l->deaf || !may_complain(t))
        return;
    int failed = errno;
    char address[ADDRESS_TEXT];
    address_text(&l->bound, address);
    log_line(LOG_ERROR, t->agent, "cannot listen on %s again: %s; trying again every %d ms", address,
             strerror(failed), TICK_MS);
}

static void on_tick(struct uring *t)
{
    t->ticking = false;
    for (unsigned i = 0; i < t->listener_count && !t->stopped; i++)
        if (t->listeners[i].deaf && !t->rests)
            listen_again(t, &t->listeners[i]);
        else if (t->listeners[i].resting)
            accept_from(t, &t->listeners[i]);
}

static void on_event(struct uring *t, const struct loop_event *event)
{
    enum tag tag = (enum tag)((uint32_t)event->name >> STREAM_SLOT_BITS);
    uint64_t id = event->name ^ (uint64_t)tag << STREAM_SLOT_BITS;
    switch (tag) {
    case TAG_INPUT:
    case TAG_OUTPUT:
    case TAG_RESET:
        uring_on_watched(t, id, tag, event->result);
        break;
    case TAG_ACCEPT:
        on_accept(t, &t->listeners[id], event->result, event->more);
        break;
    case TAG_TICK:
        on_tick(t);
        break;
    case TAG_KICK:
        t->kicked = false;
        break;
    case TAG_NONE:
        break;
    }
}

static unsigned hear(struct uring *t)
{
    struct loop_event events[HEARD_MAX];
    unsigned n = loop_hear(t->loop, events, HEARD_MAX);
    for (unsigned i = 0; i < n; i++)
        on_event(t, &events[i]);
    return n;
}

static unsigned end_lingering(struct uring *t)
{
    unsigned work = 0;
    struct stream *s;
    while ((s = TAILQ_FIRST(&t->lingering)) && s->deadline_ns <= t->now_ns) {
        uring_finish(t, s, ETIMEDOUT, true);
        work++;
    }
    return work;
}

/* The ring belongs to the thread that first uses it: not before there is something to listen on, as whoever
 * polls until then may be another one. */
static bool start(struct uring *t)
{
    if (t->listener_count == 0)
        return false;
    t->started = true;
    for (unsigned i = 0; i < t->listener_count && !t->stopped; i++)
        accept_from(t, &t->listeners[i]);
    return true;
}

/* ---- the table ------------------------------------------------------------------------------------ */

static int uring_listen(struct transport *base, const char *address, int tag, uint16_t *port, char *error,
                        size_t error_size)
{
    struct uring *t = uring_of(base);
    if (t->listener_count == LISTENERS_MAX) {
        snprintf(error, error_size, "%d listeners are the most", LISTENERS_MAX);
        return -1;
    }
    int fd = socket_is_unix(address) ? socket_listen_unix(address, error, error_size)
                                     : socket_listen(address, t->shared, port, error, error_size);
    if (fd < 0)
        return -1;
    struct listener *l = &t->listeners[t->listener_count++];
    *l = (struct listener){.fd = fd, .tag = tag};
    if (t->started)
        accept_from(t, l);
    uring_submit(t);
    return 0;
}

static void uring_rest(struct transport *base, bool rests)
{
    struct uring *t = uring_of(base);
    if (t->stopped || t->rests == rests)
        return;
    t->rests = rests;
    for (unsigned i = 0; i < t->listener_count; i++) {
        struct listener *l = &t->listeners[i];
        if (!rests) {
            listen_again(t, l);
            continue;
        }
        l->resting = false;
        if (!l->deaf)
            socket_rest(l->fd, &l->bound); /* what is accepted from ends with EINVAL */
    }
    uring_submit(t);
}

static void uring_stop_listening(struct transport *base)
{
    struct uring *t = uring_of(base);
    if (t->stopped)
        return;
    t->stopped = true;
    for (unsigned i = 0; i < t->listener_count; i++) {
        if (t->listeners[i].armed)
            cancel(t, i, TAG_ACCEPT);
        t->listeners[i].resting = false;
        close(t->listeners[i].fd);
    }
    uring_submit(t);
}

static unsigned uring_poll(struct transport *base, uint64_t now_ns)
{
    struct uring *t = uring_of(base);
    t->now_ns = now_ns;
    if (!t->started && !start(t))
        return 0;
    t->polling = true;
    unsigned work = hear(t);
    work += uring_read_ready(t);
    work += end_lingering(t);
    tick(t);
    t->polling = false;
    uring_submit(t);
    return work;
}

static size_t uring_send(struct transport *base, uint64_t id, const struct iovec *iov, int n)
{
    struct uring *t = uring_of(base);
    struct stream *s = streams_find(&t->streams, id);
    if (!s || s->state != STREAM_OPEN || s->broken)
        return 0;
    int error;
    size_t taken = socket_send(s->fd, iov, n, &error);
    s->sent += taken;
    if (error == EAGAIN) {
        uring_watch(t, s, TAG_OUTPUT);
        uring_submit(t);
    } else if (error) {
        s->broken = error;
        uring_list(t, s);
        uring_kick(t);
    }
    return taken;
}

static uint64_t uring_released(struct transport *base, uint64_t id)
{
    struct stream *s = streams_find(&uring_of(base)->streams, id);
    return s ? s->sent : UINT64_MAX;
}

static void uring_pause(struct transport *base, uint64_t id)
{
    struct stream *s = streams_find(&uring_of(base)->streams, id);
    if (s)
        s->paused = true;
}

static void uring_resume(struct transport *base, uint64_t id)
{
    struct uring *t = uring_of(base);
    struct stream *s = streams_find(&t->streams, id);
    if (!s || s->state != STREAM_OPEN)
        return;
    s->paused = false;
    s->replay = s->rest.len > 0;
    if (!s->replay && !s->input)
        return;
    uring_list(t, s);
    uring_kick(t);
}

static void uring_close(struct transport *base, uint64_t id)
{
    struct uring *t = uring_of(base);
    struct stream *s = streams_find(&t->streams, id);
    if (!s || s->state != STREAM_OPEN)
        return;
    s->state = STREAM_CLOSING;
    rx_forget(&t->rx, &s->rest);
    s->deadline_ns = t->now_ns + t->linger_ns;
    TAILQ_INSERT_TAIL(&t->lingering, s, lingering);
    shutdown(s->fd, SHUT_WR);
    s->input = true;
    uring_list(t, s);
    uring_kick(t);
}

static void uring_abort(struct transport *base, uint64_t id)
{
    struct uring *t = uring_of(base);
    struct stream *s = streams_find(&t->streams, id);
    if (s && s->state != STREAM_GONE)
        uring_detach(t, s, true);
}

static void uring_rx_release(struct transport *base, uint64_t epoch)
{
    struct uring *t = uring_of(base);
    if (!rx_release(&t->rx, epoch) || !t->starved)
        return;
    t->starved = false;
    if (!TAILQ_EMPTY(&t->ready))
        uring_kick(t);
}

static int uring_wait_fd(struct transport *base)
{
    return loop_fd(uring_of(base)->loop);
}

static void forget(struct stream *s, void *owner)
{
    struct uring *t = owner;
    rx_forget(&t->rx, &s->rest);
    if (s->fd >= 0)
        close(s->fd);
}

static void uring_free(struct transport *base)
{
    struct uring *t = uring_of(base);
    loop_free(t->loop);
    for (unsigned i = 0; i < t->listener_count && !t->stopped; i++)
        close(t->listeners[i].fd);
    streams_each(&t->streams, forget, t);
    streams_free(&t->streams);
    rx_free(&t->rx);
    free(t);
}

static const struct transport_ops uring_ops = {
    .listen = uring_listen,
    .rest = uring_rest,
    .stop_listening = uring_stop_listening,
    .poll = uring_poll,
    .send = uring_send,
    .released = uring_released,
    .pause = uring_pause,
    .resume = uring_resume,
    .close = uring_close,
    .abort = uring_abort,
    .rx_release = uring_rx_release,
    .wait_fd = uring_wait_fd,
    .free = uring_free,
};

struct transport *transport_uring_new(const struct transport_uring_options *options, struct transport_user up,
                                      char *error, size_t error_size)
{
    struct uring *t = calloc(1, sizeof *t);
    CHECK(t);
    t->loop = loop_new(error, error_size);
    if (!t->loop) {
        free(t);
        return NULL;
    }
    t->base = (struct transport){.ops = &uring_ops, .up = up};
    t->agent = options->agent;
    t->shared = options->shared;
    t->streams_max = options->streams_max;
    t->linger_ns = (options->linger_ms ? options->linger_ms : LINGER_MS) * 1000000ull;
    TAILQ_INIT(&t->ready);
    TAILQ_INIT(&t->lingering);
    streams_init(&t->streams);
    rx_init(&t->rx);
    return &t->base;
}
