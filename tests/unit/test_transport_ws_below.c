/* WebSocket over a transport that is played here: one that looks at what it was lent for as long as it likes,
 * even when the stream is gone, as a network card does that still reads from memory; and one that has much at
 * once. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "transport/rx.h"
#include "transport/transport_ws.h"

/* Takes what it is given, and lets go of it when told to. */
struct below {
    struct transport base;
    struct iovec taken[64];
    unsigned pieces;
    uint64_t sent, released;
    bool closed, aborted;
};

static struct below *of(struct transport *t)
{
    return (struct below *)t;
}

static unsigned below_poll(struct transport *t, uint64_t now_ns)
{
    (void)t, (void)now_ns;
    return 0;
}

static size_t below_send(struct transport *t, uint64_t stream, const struct iovec *iov, int n)
{
    struct below *b = of(t);
    size_t took = 0;
    (void)stream;
    for (int i = 0; i < n; i++) {
        b->taken[b->pieces++] = iov[i];
        took += iov[i].iov_len;
    }
    b->sent += took;
    return took;
}

static uint64_t below_released(struct transport *t, uint64_t stream)
{
    (void)stream;
    return of(t)->released;
}

static void nothing(struct transport *t, uint64_t stream)
{
    (void)t, (void)stream;
}

static void below_close(struct transport *t, uint64_t stream)
{
    (void)stream;
    of(t)->closed = true;
}

static void below_abort(struct transport *t, uint64_t stream)
{
    (void)stream;
    of(t)->aborted = true;
}

static void below_free(struct transport *t)
{
    free(t);
}

static const struct transport_ops below_ops = {.poll = below_poll,
                                               .send = below_send,
                                               .released = below_released,
                                               .pause = nothing,
                                               .resume = nothing,
                                               .close = below_close,
                                               .abort = below_abort,
                                               .rx_release = nothing,
                                               .free = below_free};

/* ---- the owner ------------------------------------------------------------------------------------ */

struct owner {
    struct transport *t;
    struct below *below;
    void *stream; /* the wrapper's name for it */
    uint64_t id;
    unsigned writable, closed;
    size_t taken;
    bool pauses;
};

static void *on_accepted(void *owner, uint64_t stream, int tag, const char *peer, const char *local)
{
    struct owner *o = owner;
    (void)tag, (void)peer, (void)local;
    o->id = stream;
    return o;
}

static size_t on_data(void *owner, void *user, struct span bytes, uint64_t epoch)
{
    struct owner *o = owner;
    (void)user, (void)epoch;
    o->taken += bytes.len;
    if (o->pauses)
        o->t->ops->pause(o->t, o->id);
    return bytes.len;
}

static void on_writable(void *owner, void *user)
{
    (void)user;
    ((struct owner *)owner)->writable++;
}

static void on_closed(void *owner, void *user, int error)
{
    (void)user, (void)error;
    ((struct owner *)owner)->closed++;
}

static const char *const stomp[] = {"v12.stomp", NULL};
static const struct ws_speech speech[] = {{.protocols = stomp}};

/* An open stream, and what was sent for it looked at by nobody any more. */
static void open_stream(struct owner *o)
{
    static const char request[] =
        "GET /ws HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    const struct transport_ws_options options = {.agent = "front 0",
                                                 .speech = speech,
                                                 .speeches = 1,
                                                 .message_max = 16 * MIB,
                                                 .handshakes_max = 1,
                                                 .handshake_ms = 1000};
    *o = (struct owner){.below = calloc(1, sizeof *o->below)};
    o->t = transport_ws_new(&options, (struct transport_user){.owner = o,
                                                              .accepted = on_accepted,
                                                              .data = on_data,
                                                              .writable = on_writable,
                                                              .closed = on_closed});
    o->below->base = (struct transport){.ops = &below_ops, .up = transport_ws_user(o->t)};
    transport_ws_wrap(o->t, &o->below->base);
    const struct transport_user *up = &o->below->base.up;
    o->stream = up->accepted(up->owner, 7, 0, "peer", "local");
    cr_assert_eq(up->data(up->owner, o->stream, span_str(request), 1), sizeof request - 1);
    o->below->released = o->below->sent;
    o->t->ops->poll(o->t, 1000000);
    o->below->pieces = 0;
}

/* The happy case: what is taken is the owner's memory itself, and released piece by piece. */
Test(transport_ws_below, the_payload_is_never_copied)
{
    struct owner o;
    char bytes[] = "some and more";
    open_stream(&o);
    cr_assert_eq(o.t->ops->send(o.t, o.id, (struct iovec[]){{bytes, 5}, {bytes + 5, 8}}, 2), 13);
    cr_assert_eq(o.below->pieces, 3);
    cr_assert_eq(o.below->taken[0].iov_len, 2);
    cr_assert(memcmp(o.below->taken[0].iov_base, "\x82\x0d", 2) == 0);
    cr_assert_eq(o.below->taken[1].iov_base, bytes);
    cr_assert_eq(o.below->taken[2].iov_base, bytes + 5);
    cr_assert_eq(o.t->ops->released(o.t, o.id), 0);
    o.below->released = o.below->sent - 13 + 7; /* a piece, and half of the other */
    o.t->ops->poll(o.t, 2000000);
    cr_assert_eq(o.t->ops->released(o.t, o.id), 5);
    cr_assert_eq(o.writable, 1);
    o.below->released = o.below->sent;
    o.t->ops->poll(o.t, 3000000);
    cr_assert_eq(o.t->ops->released(o.t, o.id), 13);
    cr_assert_eq(o.writable, 2);
    o.t->ops->poll(o.t, 4000000);
    cr_assert_eq(o.writable, 2);
    o.t->ops->free(o.t);
}

/* The owner's memory, and the headers in ours, stay as long as the transport below looks at them. */
static void outlives(void (*end)(struct owner *o))
{
    struct owner o;
    char *bytes = strdup("lent");
    open_stream(&o);
    cr_assert_eq(o.t->ops->send(o.t, o.id, &(struct iovec){bytes, 4}, 1), 4);
    end(&o);
    for (unsigned i = 0; i < 10; i++)
        o.t->ops->poll(o.t, 2000000 + i * 1000000);
    cr_assert_eq(o.t->ops->released(o.t, o.id), 0, "what is looked at was given back");
    cr_assert(memcmp(o.below->taken[0].iov_base, "\x82\x04", 2) == 0);
    cr_assert_eq(o.t->ops->send(o.t, o.id, &(struct iovec){bytes, 4}, 1), 0);
    o.t->ops->resume(o.t, o.id);
    o.below->released = UINT64_MAX;
    o.t->ops->poll(o.t, 20000000);
    cr_assert_eq(o.t->ops->released(o.t, o.id), UINT64_MAX);
    free(bytes);
    o.t->ops->free(o.t);
}

static void by_abort(struct owner *o)
{
    o->t->ops->abort(o->t, o->id);
    cr_assert(o->below->aborted);
}

static void by_loss(struct owner *o)
{
    const struct transport_user *up = &o->below->base.up;
    up->closed(up->owner, o->stream, 5);
    cr_assert_eq(o->closed, 1);
}

static void by_the_peer(struct owner *o)
{
    const struct transport_user *up = &o->below->base.up;
    up->data(up->owner, o->stream, span_of("\x88\x80\1\2\3\4", 6), 2);
    cr_assert(o->below->closed);
    cr_assert_eq(o->closed, 1);
    up->closed(up->owner, o->stream, 0);
    cr_assert_eq(o->closed, 1);
}

Test(transport_ws_below, what_is_lent_outlives_its_stream)
{
    outlives(by_abort);
    outlives(by_loss);
    outlives(by_the_peer);
}

/* The owner pauses and then closes, when the peer's close frame has already been taken from the transport
 * below: nothing comes from there any more. */
Test(transport_ws_below, a_farewell_behind_what_is_paused_is_found_at_the_close)
{
    enum { MORE = 100, LEN = RX_READ_MAX + MORE };
    struct owner o;
    uint8_t *bytes = calloc(1, 14 + LEN + 6);
    open_stream(&o);
    const struct transport_user *up = &o.below->base.up;
    put_be64(put_u8(put_u8(bytes, 0x82), 0xff), LEN);
    memcpy(bytes + 14 + LEN, "\x88\x80\0\0\0\0", 6);
    o.pauses = true;
    cr_assert_eq(up->data(up->owner, o.stream, span_of(bytes, 14 + LEN + 6), 2), 14 + LEN + 6);
    cr_assert_eq(o.taken, RX_READ_MAX);
    o.t->ops->poll(o.t, 2000000);
    cr_assert(!o.closed && !o.below->closed);
    o.below->released = UINT64_MAX;
    o.t->ops->close(o.t, o.id);
    o.t->ops->poll(o.t, 3000000);
    cr_assert_eq(o.closed, 1);
    cr_assert(o.below->closed);
    cr_assert_eq(o.taken, RX_READ_MAX);
    up->closed(up->owner, o.stream, 0);
    cr_assert_eq(o.closed, 1);
    o.t->ops->free(o.t);
    free(bytes);
}
