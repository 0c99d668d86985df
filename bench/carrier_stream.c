/* Streams of our own TCP, no kernel in between. What comes is looked at where the port put it; batches are
 * lent to TCP until they are acknowledged, small frames are copied into a ring of the stream's first. */
#include "buffer.h"
#include "carrier.h"
#include "clock.h"
#include "conn.h"
#include "port.h"

#include "transport/transport.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_TIMEOUT_MS 5000
#define CLOSE_TIMEOUT_MS   500
#define RING_SIZE          (64u << 10) /* bytes of small frames on their way */

/* A connection's stream; conn.stream. */
struct stream {
    struct conn *conn;
    uint64_t id;    /* 0: it is gone */
    uint64_t taken; /* bytes, ever */
    uint64_t ring_at;
    struct stream *next; /* with output */
    int error;           /* why it is gone */
    bool connected, adopted, fresh, paused, listed;
    uint8_t ring[RING_SIZE];
};

struct carrier_stream {
    struct carrier base;
    struct transport *transport;
    uint64_t now, epoch; /* epoch: the last that something was handed up with */
    struct stream *output;
};

static struct carrier_stream *of(struct carrier *carrier)
{
    return (struct carrier_stream *)carrier;
}

static struct transport *transport_of(const struct conn *c)
{
    return of(c->carrier)->transport;
}

/* ---- what the transport tells ---- */

/* Hands the user what is in c->in. False: the connection has failed. */
static bool feed_held(struct carrier_stream *t, struct conn *c)
{
    struct carrier_user *u = &t->base.user;
    int64_t used = c->in.len ? u->input(u->owner, c, c->in.data, c->in.len, t->now) : 0;
    if (used < 0)
        u->lost(u->owner, c);
    else if (used > 0)
        buffer_drop(&c->in, (size_t)used);
    return used >= 0;
}

/* Acks go out together at the end of the turn. */
static void note_output(struct carrier_stream *t, struct stream *s)
{
    if (s->listed)
        return;
    s->listed = true;
    s->next = t->output;
    t->output = s;
}

static size_t on_data(void *owner, void *user, struct span bytes, uint64_t epoch)
{
    struct carrier_stream *t = owner;
    struct stream *s = user;
    struct conn *c = s->conn;
    t->epoch = epoch;
    s->fresh = true;
    if (s->adopted && !c->polled && !c->in.len) {
        int64_t used = t->base.user.input(t->base.user.owner, c, bytes.at, bytes.len, t->now);
        if (used < 0)
            t->base.user.lost(t->base.user.owner, c);
        else if (c->out.len)
            note_output(t, s);
        return used < 0 ? bytes.len : (size_t)used;
    }
    buffer_put(&c->in, bytes.at, bytes.len);
    if (s->adopted && !c->polled && feed_held(t, c) && c->out.len)
        note_output(t, s);
    if (c->is_open && c->polled && c->in.len >= CARRIER_READ_SIZE) {
        s->paused = true;
        t->transport->ops->pause(t->transport, s->id);
    }
    return bytes.len;
}

static void on_connected(void *owner, void *user)
{
    (void)owner;
    ((struct stream *)user)->connected = true;
}

static void on_writable(void *owner, void *user)
{
    struct stream *s = user;
    if (s->adopted && conn_has_output(s->conn))
        note_output(owner, s);
}

static void on_closed(void *owner, void *user, int error)
{
    struct carrier_stream *t = owner;
    struct stream *s = user;
    struct conn *c = s->conn;
    s->id = 0;
    s->error = error;
    if (!s->adopted)
        return; /* whoever waits finds out */
    conn_ended(c, error);
    t->base.user.lost(t->base.user.owner, c);
}

/* ---- the turn ---- */
static void flush_output(struct carrier_stream *t)
{
    for (struct stream *s; (s = t->output);) {
        struct conn *c = s->conn;
        t->output = s->next;
        s->listed = false;
        if (conn_flush(c))
            t->base.user.lost(t->base.user.owner, c);
    }
}

static unsigned stream_turn(struct carrier *carrier, uint64_t pause_ns)
{
    struct carrier_stream *t = of(carrier);
    struct transport *transport = t->transport;
    (void)pause_ns;
    t->now = now_ns();
    unsigned work = transport->ops->poll(transport, t->now);
    transport->ops->rx_release(transport, t->epoch);
    flush_output(t);
    transport->ops->flush(transport);
    carrier->woke_ns = work ? 0 : now_ns();
    return work;
}

static uint64_t stream_lent(struct conn *c)
{
    struct stream *s = c->stream;
    if (!s->id)
        return s->taken ? 1 : 0;
    return s->taken - transport_of(c)->ops->released(transport_of(c), s->id);
}

/* ---- opening and closing ---- */
static bool settled(struct conn *c, bool to_send, uint64_t lent)
{
    struct stream *s = c->stream;
    if (!s->id)
        return true;
    if (!s->connected)
        return false;
    return to_send ? !lent || stream_lent(c) < lent : s->fresh;
}

static bool stream_wait(struct conn *c, bool to_send, int timeout_ms)
{
    struct stream *s = c->stream;
    uint64_t until = now_ns() + (uint64_t)timeout_ms * NS_PER_MS, lent = s->connected ? stream_lent(c) : 0;
    for (;;) {
        stream_turn(c->carrier, 0);
        if (settled(c, to_send, lent))
            return true;
        if (of(c->carrier)->now > until)
            return false;
    }
}

static void unlist(struct carrier_stream *t, struct stream *s)
{
    struct stream **at = &t->output;
    while (s->listed && *at != s)
        at = &(*at)->next;
    if (s->listed)
        *at = s->next;
    s->listed = false;
}

static void stream_drop(struct conn *c)
{
    struct stream *s = c->stream;
    struct carrier_stream *t = of(c->carrier);
    if (!s)
        return;
    if (s->id)
        t->transport->ops->abort(t->transport, s->id);
    t->transport->ops->flush(t->transport); /* what was lent is looked at no more */
    unlist(t, s);
    free(s);
    c->stream = NULL;
}

static int stream_connect(struct carrier *carrier, struct conn *c, const struct uri *u)
{
    struct transport *transport = of(carrier)->transport;
    char address[sizeof u->host + sizeof u->port + 4], why[256];
    struct stream *s = c->stream = zalloc(1, sizeof *s);
    s->conn = c;
    snprintf(address, sizeof address, strchr(u->host, ':') ? "[%s]:%s" : "%s:%s", u->host, u->port);
    s->id = transport->ops->connect(transport, address, s, why, sizeof why);
    if (!s->id)
        return conn_fail(
            c, "%s; with --transport dpdk the host of --uri is an address that --address reaches", why);
    if (!stream_wait(c, true, CONNECT_TIMEOUT_MS))
        return conn_refused(c, u, ETIMEDOUT);
    return s->id ? 0 : conn_refused(c, u, s->error);
}

static void stream_close(struct conn *c)
{
    struct stream *s = c->stream;
    struct transport *transport = transport_of(c);
    uint64_t until = now_ns() + CLOSE_TIMEOUT_MS * NS_PER_MS;
    s->adopted = false;
    if (s->id)
        transport->ops->close(transport, s->id);
    while (s->id && now_ns() < until)
        stream_turn(c->carrier, 0);
    stream_drop(c);
}

/* ---- bytes ---- */

/* As much of it as there is room for, in the ring. The whole of what is lent counts against the room: that is
 * more than is in the ring, and simple. */
static size_t copy_to_ring(struct conn *c, const uint8_t **bytes, size_t n)
{
    struct stream *s = c->stream;
    uint64_t lent = stream_lent(c);
    size_t at = s->ring_at % RING_SIZE, room = lent < RING_SIZE ? RING_SIZE - (size_t)lent : 0;
    if (n > room)
        n = room;
    if (n > RING_SIZE - at)
        n = RING_SIZE - at;
    memcpy(s->ring + at, *bytes, n);
    *bytes = s->ring + at;
    return n;
}

static int64_t stream_send(struct conn *c, const uint8_t *bytes, size_t n, bool lasting)
{
    struct stream *s = c->stream;
    struct transport *transport = transport_of(c);
    if (!s->id)
        return conn_broke(c, s->error);
    if (!lasting)
        n = copy_to_ring(c, &bytes, n);
    struct iovec iov = {(void *)(uintptr_t)bytes, n};
    size_t taken = n ? transport->ops->send(transport, s->id, &iov, 1) : 0;
    s->taken += taken;
    if (!lasting)
        s->ring_at += taken;
    return (int64_t)taken;
}

/* Data comes by itself, into c->in. */
static int stream_receive(struct conn *c)
{
    struct stream *s = c->stream;
    bool fresh = s->fresh;
    s->fresh = false;
    return fresh || s->id ? 0 : -1;
}

static void stream_adopt(struct conn *c)
{
    ((struct stream *)c->stream)->adopted = true;
}

static void stream_look(struct conn *c, uint64_t now)
{
    struct carrier_stream *t = of(c->carrier);
    struct stream *s = c->stream;
    t->now = now;
    if (!feed_held(t, c))
        return;
    if (c->out.len)
        note_output(t, s);
    if (s->paused && c->in.len < CARRIER_READ_SIZE) {
        s->paused = false;
        t->transport->ops->resume(t->transport, s->id);
    }
}

/* The end has come, and its answer is awaited. */
static void stream_disown(struct conn *c)
{
    struct stream *s = c->stream;
    s->adopted = false;
    if (s->paused)
        transport_of(c)->ops->resume(transport_of(c), s->id);
    s->paused = false;
}

static void stream_free(struct carrier *carrier)
{
    of(carrier)->transport->ops->free(of(carrier)->transport);
    free(carrier);
}

static const struct carrier_ops stream_ops = {
    .connect = stream_connect,
    .drop = stream_drop,
    .close = stream_close,
    .send = stream_send,
    .lent = stream_lent,
    .wait = stream_wait,
    .receive = stream_receive,
    .adopt = stream_adopt,
    .disown = stream_disown,
    .look = stream_look,
    .turn = stream_turn,
    .free = stream_free,
};

struct carrier *carrier_stream_new(struct port *port)
{
    struct carrier_stream *t = zalloc(1, sizeof *t);
    const struct transport_user up = {
        .owner = t, .data = on_data, .connected = on_connected, .writable = on_writable, .closed = on_closed};
    t->base.ops = &stream_ops;
    t->base.spins = true;
    t->transport = port_transport(port, &up);
    return &t->base;
}
