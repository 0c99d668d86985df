#include "transport/uring_inside.h"

#include <errno.h>
#include <poll.h>

#include "base/check.h"
#include "transport/socket.h"

enum {
    TURN_BYTES = 4 * RX_READ_MAX,   /* read in one turn, of all streams */
    SHARE_LEAST = RX_READ_MAX / 16, /* less in one read is not worth the call */
};

void uring_watch(struct uring *t, struct stream *s, enum tag tag)
{
    static const int events[] = {[TAG_INPUT] = POLLIN | POLLRDHUP, [TAG_OUTPUT] = POLLOUT, [TAG_RESET] = 0};
    if (s->watches & 1u << tag)
        return;
    loop_watch(t->loop, s->fd, events[tag], uring_name(s->id, tag));
    s->watches |= (uint8_t)(1u << tag);
}

void uring_list(struct uring *t, struct stream *s)
{
    if (s->listed)
        return;
    TAILQ_INSERT_TAIL(&t->ready, s, ready);
    t->ready_count++;
    s->listed = true;
}

static void unlist(struct uring *t, struct stream *s)
{
    if (!s->listed)
        return;
    TAILQ_REMOVE(&t->ready, s, ready);
    t->ready_count--;
    s->listed = false;
}

void uring_detach(struct uring *t, struct stream *s, bool reset)
{
    unlist(t, s);
    if (s->state == STREAM_CLOSING)
        TAILQ_REMOVE(&t->lingering, s, lingering);
    rx_forget(&t->rx, &s->rest);
    s->state = STREAM_GONE;
    for (enum tag tag = TAG_INPUT; tag <= TAG_RESET; tag++)
        if (s->watches & 1u << tag)
            loop_cancel(t->loop, uring_name(s->id, tag), uring_name(0, TAG_NONE));
    socket_close(s->fd, reset);
    s->fd = -1;
    if (!s->watches)
        streams_close(&t->streams, s);
    uring_submit(t);
}

void uring_finish(struct uring *t, struct stream *s, int error, bool reset)
{
    void *user = s->user;
    uring_detach(t, s, reset);
    t->base.up.closed(t->base.up.owner, user, error);
}

static bool may_read(const struct stream *s)
{
    return s->state == STREAM_OPEN && !s->paused && (s->rest.len <= RX_REST_MAX || s->replay);
}

/* Hands up the rest and n new bytes. */
static void hand_up(struct uring *t, struct stream *s, size_t n)
{
    s->replay = false;
    struct span bytes = rx_received(&t->rx, &s->rest, n);
    size_t used = t->base.up.data(t->base.up.owner, s->user, bytes, rx_epoch(&t->rx));
    CHECK(used <= bytes.len);
    if (s->state == STREAM_OPEN)
        rx_keep(&t->rx, &s->rest, bytes.len - used);
}

/* One read and its upcall. Returns the bytes read; the stream has no more input when recv gave less than it
 * could. */
static size_t read_once(struct uring *t, struct stream *s)
{
    size_t room;
    uint8_t *at = rx_begin(&t->rx, &s->rest, &room);
    if (!at) {
        t->starved = true;
        return 0;
    }
    if (s->replay && s->rest.len) {
        hand_up(t, s, 0);
        return 0;
    }
    s->replay = false;
    size_t most = t->share < room ? t->share : room;
    ssize_t n = socket_receive(s->fd, at, most);
    if (n <= 0) {
        s->input = false;
        if (n == 0 || errno != EAGAIN)
            uring_finish(t, s, n == 0 ? 0 : errno, false);
        return 0;
    }
    s->input = (size_t)n == most;
    hand_up(t, s, (size_t)n);
    return (size_t)n;
}

/* What a closing stream still gets is thrown away: unread bytes would turn the end into a reset, which may
 * overtake what was sent. */
static size_t discard(struct uring *t, struct stream *s)
{
    ssize_t n = socket_discard(s->fd, RX_READ_MAX);
    if (n > 0)
        return (size_t)n;
    s->input = false;
    if (n == 0 || errno != EAGAIN)
        uring_finish(t, s, n == 0 ? 0 : errno, false);
    return 0;
}

/* What a stream waits for: its turn, or an event. */
static void go_on(struct uring *t, struct stream *s)
{
    bool readable = may_read(s) || s->state == STREAM_CLOSING;
    if (s->broken || (readable && (s->input || s->replay)))
        uring_list(t, s);
    else if (!s->input)
        uring_watch(t, s, TAG_INPUT);
    else
        uring_watch(t, s, TAG_RESET);
}

/* A listed stream's turn. Returns the bytes it read. */
static size_t serve(struct uring *t, struct stream *s)
{
    size_t bytes = 0;
    if (s->broken)
        uring_finish(t, s, s->broken, false);
    else if (s->state == STREAM_CLOSING)
        bytes = discard(t, s);
    else if (may_read(s))
        bytes = read_once(t, s);
    if (stream_alive(s))
        go_on(t, s);
    return bytes;
}

/* The more streams have input, the less each may read at once: a stream of small acknowledgements comes round
 * again before many publishes have gone by. */
static size_t fair_share(const struct uring *t)
{
    size_t share = TURN_BYTES / (t->ready_count + 1);
    return share < SHARE_LEAST ? SHARE_LEAST : share;
}

unsigned uring_read_ready(struct uring *t)
{
    unsigned work = 0;
    size_t bytes = 0;
    struct stream *s;
    t->share = fair_share(t);
    /* Streams listed during this turn have theirs in the next. */
    for (uint32_t n = t->ready_count; n && bytes < TURN_BYTES && !t->starved; n--) {
        if (!(s = TAILQ_FIRST(&t->ready)))
            break;
        unlist(t, s);
        bytes += serve(t, s);
        work++;
    }
    return work;
}

void uring_on_watched(struct uring *t, uint64_t id, enum tag tag, int result)
{
    struct stream *s = streams_find(&t->streams, id);
    CHECK(s); /* freed only after its last event */
    s->watches &= (uint8_t) ~(1u << tag);
    if (s->state == STREAM_GONE) {
        if (!s->watches)
            streams_close(&t->streams, s);
        return;
    }
    if (result < 0)
        s->broken = -result;
    else if (s->state == STREAM_OPEN && !may_read(s) && (result & (POLLERR | POLLHUP)))
        s->broken = socket_error(s->fd); /* nobody may read, but a reset is the end all the same */
    else if (tag != TAG_OUTPUT)
        s->input = true;
    if (tag == TAG_OUTPUT && s->state == STREAM_OPEN && !s->broken)
        t->base.up.writable(t->base.up.owner, s->user);
    if (stream_alive(s))
        go_on(t, s);
}
