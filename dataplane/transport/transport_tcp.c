/*
 * The happy path of a stream: tcp hands up a segment in the device's buffer → on_data: the front uses it up,
 * and the buffer is held until the front releases its epoch; send() lends slices to tcp.
 *
 * What the front doesn't use up (the beginning of a frame) is the stream's rest. It is copied aside; when it
 * is short it is put right in front of the next segment, whose headers are read already; else the next
 * segment is copied behind it.
 */
#include "transport/transport_tcp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/check.h"
#include "base/fifo.h"
#include "base/limits.h"
#include "transport/address.h"
#include "transport/rest.h"

enum { LINGER_MS = 5000 };

struct stream {
    TAILQ_ENTRY(stream) ending; /* with ended */
    TAILQ_ENTRY(stream) again;  /* with listed */
    uint64_t id;
    void *user; /* the front's; NULL: it has been told that the stream is gone */
    struct rest rest;
    bool paused, closing;
    bool ended;   /* by the peer: gone when what we sent is through */
    bool listed;  /* in `again`: it is to be handed up what was kept */
    bool starved; /* in `starving`, with listed */
    uint64_t sent;
    uint64_t deadline_ns; /* with ended */
};

/* A received buffer that the front, and routers it told of it, may still look at. */
struct held {
    uint64_t epoch;
    void *buffer;   /* the device's; NULL: */
    uint8_t *block; /* of `blocks`, 1 << bits bytes */
    uint8_t bits;
};

struct tcp_transport {
    struct transport base;
    struct stack *stack;
    struct tcp *tcp;
    uint64_t now_ns, epoch;
    bool polls;  /* the stack */
    bool handed; /* something, with this epoch */
    bool going;  /* being freed: nobody is told anything */
    FIFO(struct held) held;
    uint32_t held_max;    /* with more, streams are not read from */
    struct blocks blocks; /* for rests */
    TAILQ_HEAD(stream_list, stream) ending, again, starving;
};

static struct tcp_transport *of(struct transport *base)
{
    return (struct tcp_transport *)base;
}

static struct stream *find(struct tcp_transport *t, uint64_t id)
{
    struct stream *s = tcp_user(t->tcp, id);
    return s && s->user ? s : NULL;
}

/* ---- handing up --------------------------------------------------------------------------------------- */

static size_t hand_up(struct tcp_transport *t, struct stream *s, struct span bytes)
{
    t->handed = true;
    size_t used = t->base.up.data(t->base.up.owner, s->user, bytes, t->epoch);
    CHECK(used <= bytes.len);
    return used;
}

/* The rest alone, or with what was appended to it. Its block is held if something of it was used. */
static void hand_up_rest(struct tcp_transport *t, struct stream *s)
{
    uint64_t id = s->id;
    struct rest rest = s->rest;
    struct span bytes = span_of(rest.at, rest.len);
    s->rest = (struct rest){0};
    size_t used = hand_up(t, s, bytes);
    bool gone = tcp_user(t->tcp, id) != s;
    if (used == 0 && !gone) {
        s->rest = rest;
        return;
    }
    if (!gone && used < bytes.len)
        rest_append(&s->rest, &t->blocks, span_of(bytes.at + used, bytes.len - used));
    *fifo_add(&t->held) = (struct held){.epoch = t->epoch, .block = rest.at, .bits = rest.bits};
    if (!gone)
        tcp_consumed(t->tcp, id, used);
}

/* Bytes in a buffer of the device's. */
static void hand_up_segment(struct tcp_transport *t, struct stream *s, struct span bytes, void *buffer)
{
    uint64_t id = s->id;
    size_t used = hand_up(t, s, bytes);
    bool gone = tcp_user(t->tcp, id) != s;
    if (!gone && used < bytes.len)
        rest_append(&s->rest, &t->blocks, span_of(bytes.at + used, bytes.len - used));
    if (used || gone)
        *fifo_add(&t->held) = (struct held){.epoch = t->epoch, .buffer = buffer};
    else
        tcp_free_buffer(t->tcp, buffer);
    if (!gone)
        tcp_consumed(t->tcp, id, used);
}

/* ---- what tcp tells ------------------------------------------------------------------------------------ */

static void write_address(const struct ip_address *address, uint16_t port, char *text)
{
    char ip[IP_TEXT];
    ip_address_text(address, ip);
    snprintf(text, ADDRESS_TEXT, ip_address_is_v4(address) ? "%s:%u" : "[%s]:%u", ip, port);
}

static struct stream *stream_new(uint64_t id, void *user)
{
    struct stream *s = calloc(1, sizeof *s);
    CHECK(s);
    s->id = id;
    s->user = user;
    return s;
}

static void unlist(struct tcp_transport *t, struct stream *s)
{
    if (s->ended)
        TAILQ_REMOVE(&t->ending, s, ending);
    if (s->starved)
        TAILQ_REMOVE(&t->starving, s, again);
    else if (s->listed)
        TAILQ_REMOVE(&t->again, s, again);
    s->ended = s->starved = s->listed = false;
}

static void forget(struct tcp_transport *t, struct stream *s)
{
    rest_drop(&s->rest, &t->blocks);
    unlist(t, s);
    free(s);
}

static void *on_accepted(void *owner, uint64_t id, int tag, const struct ip_address *peer, uint16_t peer_port,
                         const struct ip_address *local, uint16_t local_port)
{
    struct tcp_transport *t = owner;
    char peer_text[ADDRESS_TEXT], local_text[ADDRESS_TEXT];
    write_address(peer, peer_port, peer_text);
    write_address(local, local_port, local_text);
    void *user = t->base.up.accepted(t->base.up.owner, id, tag, peer_text, local_text);
    /* The upcall may have ended it. */
    return user && tcp_state(t->tcp, id) != TCP_CLOSED ? stream_new(id, user) : NULL;
}

static void on_connected(void *owner, void *user)
{
    struct tcp_transport *t = owner;
    struct stream *s = user;
    t->base.up.connected(t->base.up.owner, s->user);
}

static bool on_data(void *owner, void *user, struct span bytes, uint8_t *room, void *buffer)
{
    struct tcp_transport *t = owner;
    struct stream *s = user;
    if (s->paused || s->listed)
        return false;
    if (t->held.count >= t->held_max) {
        s->listed = s->starved = true;
        TAILQ_INSERT_TAIL(&t->starving, s, again);
        return false;
    }
    if (!s->rest.len) {
        hand_up_segment(t, s, bytes, buffer);
    } else if (s->rest.len <= (size_t)(bytes.at - room)) {
        uint8_t *at = (uint8_t *)(uintptr_t)bytes.at - s->rest.len;
        memcpy(at, s->rest.at, s->rest.len);
        bytes = span_of(at, s->rest.len + bytes.len);
        rest_drop(&s->rest, &t->blocks);
        hand_up_segment(t, s, bytes, buffer);
    } else {
        rest_append(&s->rest, &t->blocks, bytes);
        tcp_free_buffer(t->tcp, buffer);
        hand_up_rest(t, s);
    }
    return true;
}

static void on_ended(void *owner, void *user)
{
    struct tcp_transport *t = owner;
    struct stream *s = user;
    s->ended = true;
    s->deadline_ns = t->now_ns + LINGER_MS * UINT64_C(1000000);
    TAILQ_INSERT_TAIL(&t->ending, s, ending);
}

static void on_progress(void *owner, void *user)
{
    struct tcp_transport *t = owner;
    struct stream *s = user;
    if (s->user && !s->closing)
        t->base.up.writable(t->base.up.owner, s->user);
}

static void on_gone(void *owner, void *user, int error)
{
    struct tcp_transport *t = owner;
    struct stream *s = user;
    if (s->user && !t->going)
        t->base.up.closed(t->base.up.owner, s->user, error);
    forget(t, s);
}

/* ---- the turn -------------------------------------------------------------------------------------------
 */

/* Streams that were paused with a rest. */
static unsigned hand_up_again(struct tcp_transport *t)
{
    unsigned n = 0;
    for (struct stream *s; (s = TAILQ_FIRST(&t->again)); n++) {
        uint64_t id = s->id;
        TAILQ_REMOVE(&t->again, s, again);
        s->listed = false;
        if (s->paused)
            continue;
        if (s->rest.len)
            hand_up_rest(t, s);
        if (tcp_user(t->tcp, id) == s && !s->paused)
            tcp_resume(t->tcp, id);
    }
    return n;
}

/* The peer has ended its side, and has all of ours, or takes too long: the stream is over. */
static unsigned end_ended(struct tcp_transport *t)
{
    unsigned n = 0;
    for (struct stream *s = TAILQ_FIRST(&t->ending), *next; s; s = next) {
        next = TAILQ_NEXT(s, ending);
        if (s->paused || s->listed || s->closing)
            continue;
        if (tcp_released(t->tcp, s->id) < s->sent && s->deadline_ns > t->now_ns)
            continue;
        void *user = s->user;
        s->user = NULL;
        unlist(t, s);
        tcp_close(t->tcp, s->id, LINGER_MS);
        t->base.up.closed(t->base.up.owner, user, 0);
        n++;
    }
    return n;
}

static unsigned tcp_transport_poll(struct transport *base, uint64_t now_ns)
{
    struct tcp_transport *t = of(base);
    t->now_ns = now_ns;
    t->epoch += t->handed;
    t->handed = false;
    unsigned work = hand_up_again(t);
    if (t->polls)
        work += stack_poll(t->stack, now_ns);
    if (!TAILQ_EMPTY(&t->ending))
        work += end_ended(t);
    return work;
}

static void tcp_transport_flush(struct transport *base)
{
    struct tcp_transport *t = of(base);
    if (t->polls)
        stack_flush(t->stack);
}

/* ---- the table -------------------------------------------------------------------------------------------
 */

static bool parse(const char *text, struct ip_address *address, uint16_t *port, char *error,
                  size_t error_size)
{
    struct address socket;
    if (!address_parse(&socket, text, error, error_size))
        return false;
    memset(address, 0, sizeof *address);
    *port = address_port(&socket);
    if (socket.any.sa_family == AF_INET6) {
        memcpy(address->bytes, &socket.v6.sin6_addr, sizeof address->bytes);
    } else if (socket.v4.sin_addr.s_addr) {
        memset(address->bytes + 10, 0xff, 2);
        memcpy(address->bytes + 12, &socket.v4.sin_addr, 4);
    }
    return true;
}

static struct tcp_upcalls user_of(struct tcp_transport *t)
{
    return (struct tcp_upcalls){t, on_accepted, on_connected, on_data, on_ended, on_progress, on_gone};
}

static int tcp_transport_listen(struct transport *base, const char *text, int tag, uint16_t *port,
                                char *error, size_t error_size)
{
    struct tcp_transport *t = of(base);
    struct ip_address address;
    if (!parse(text, &address, port, error, error_size))
        return -1;
    int failed = tcp_listen(t->tcp, &address, port, tag, user_of(t));
    if (failed == EADDRNOTAVAIL)
        snprintf(error, error_size, "cannot listen on %s: it is none of dpdk.address", text);
    else if (failed)
        snprintf(error, error_size, "cannot listen on %s: %s", text, strerror(failed));
    return failed ? -1 : 0;
}

static uint64_t tcp_transport_connect(struct transport *base, const char *text, void *user, char *error,
                                      size_t error_size)
{
    struct tcp_transport *t = of(base);
    struct ip_address address;
    uint16_t port;
    int failed;
    if (!parse(text, &address, &port, error, error_size))
        return 0;
    struct stream *s = stream_new(0, user);
    s->id = tcp_connect(t->tcp, &address, port, user_of(t), s, &failed);
    if (s->id)
        return s->id;
    snprintf(error, error_size, "cannot connect to %s: %s", text, strerror(failed));
    free(s);
    return 0;
}

static void tcp_transport_rest(struct transport *base, bool rests)
{
    tcp_rest(of(base)->tcp, base, rests);
}

static void tcp_transport_stop(struct transport *base)
{
    tcp_stop_listening(of(base)->tcp, base);
}

static size_t tcp_transport_send(struct transport *base, uint64_t id, const struct iovec *iov, int n)
{
    struct tcp_transport *t = of(base);
    struct stream *s = find(t, id);
    if (!s || s->ended || s->closing)
        return 0;
    size_t taken = tcp_send(t->tcp, id, iov, n);
    s->sent += taken;
    return taken;
}

static uint64_t tcp_transport_released(struct transport *base, uint64_t id)
{
    return tcp_released(of(base)->tcp, id);
}

static void tcp_transport_pause(struct transport *base, uint64_t id)
{
    struct stream *s = find(of(base), id);
    if (s)
        s->paused = true;
}

static void tcp_transport_resume(struct transport *base, uint64_t id)
{
    struct tcp_transport *t = of(base);
    struct stream *s = find(t, id);
    if (!s || !s->paused)
        return;
    s->paused = false;
    if (s->listed)
        return;
    s->listed = true;
    TAILQ_INSERT_TAIL(&t->again, s, again);
}

static void tcp_transport_close(struct transport *base, uint64_t id)
{
    struct tcp_transport *t = of(base);
    struct stream *s = find(t, id);
    if (!s || s->closing)
        return;
    s->closing = true;
    rest_drop(&s->rest, &t->blocks);
    tcp_close(t->tcp, id, LINGER_MS);
}

static void tcp_transport_abort(struct transport *base, uint64_t id)
{
    struct tcp_transport *t = of(base);
    struct stream *s = tcp_user(t->tcp, id);
    tcp_abort(t->tcp, id);
    if (s)
        forget(t, s);
}

static void give_back(struct tcp_transport *t, const struct held *row)
{
    if (row->block)
        blocks_give(&t->blocks, row->block, row->bits);
    else
        tcp_free_buffer(t->tcp, row->buffer);
}

static void feed_starving(struct tcp_transport *t)
{
    struct stream *s;
    TAILQ_FOREACH(s, &t->starving, again)
    s->starved = false;
    TAILQ_CONCAT(&t->again, &t->starving, again);
}

static void tcp_transport_rx_release(struct transport *base, uint64_t epoch)
{
    struct tcp_transport *t = of(base);
    for (const struct held *row; (row = fifo_oldest(&t->held)) && row->epoch <= epoch;
         fifo_drop_oldest(&t->held))
        give_back(t, row);
    if (t->held.count < t->held_max / 2 && !TAILQ_EMPTY(&t->starving))
        feed_starving(t);
}

static int tcp_transport_wait_fd(struct transport *base)
{
    (void)base;
    return -1;
}

static void tcp_transport_free(struct transport *base)
{
    struct tcp_transport *t = of(base);
    t->going = true;
    tcp_stop_listening(t->tcp, t);
    tcp_abort_all(t->tcp, t);
    for (const struct held *row; (row = fifo_oldest(&t->held)); fifo_drop_oldest(&t->held))
        give_back(t, row);
    fifo_free(&t->held);
    blocks_end(&t->blocks);
    if (t->polls)
        stack_flush(t->stack);
    free(t);
}

static const struct transport_ops tcp_ops = {
    .listen = tcp_transport_listen,
    .connect = tcp_transport_connect,
    .rest = tcp_transport_rest,
    .stop_listening = tcp_transport_stop,
    .poll = tcp_transport_poll,
    .flush = tcp_transport_flush,
    .send = tcp_transport_send,
    .released = tcp_transport_released,
    .pause = tcp_transport_pause,
    .resume = tcp_transport_resume,
    .close = tcp_transport_close,
    .abort = tcp_transport_abort,
    .rx_release = tcp_transport_rx_release,
    .wait_fd = tcp_transport_wait_fd,
    .free = tcp_transport_free,
};

struct transport *transport_tcp_new(struct stack *stack, struct transport_user up)
{
    struct tcp_transport *t = calloc(1, sizeof *t);
    CHECK(t);
    t->base = (struct transport){.ops = &tcp_ops, .up = up};
    t->stack = stack;
    t->tcp = stack_tcp(stack);
    t->polls = stack_claim(stack);
    t->epoch = 1;
    t->held_max = device_rx_share(ip_device(stack_ip(stack)), TCP_FRAMES_HELD);
    blocks_init(&t->blocks, 1);
    TAILQ_INIT(&t->ending);
    TAILQ_INIT(&t->again);
    TAILQ_INIT(&t->starving);
    return &t->base;
}
