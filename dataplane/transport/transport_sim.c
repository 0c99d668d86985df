#include "transport/transport_sim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "transport/sim_inside.h"

static struct sim *of(struct transport *base)
{
    return (struct sim *)base;
}

/* The front forgets the stream. reset: what is on its way to the client is lost, else it still gets there,
 * and the end behind it. */
static void detach(struct sim *t, struct sim_stream *s, bool reset)
{
    rx_forget(&t->rx, &s->rest);
    if (reset) {
        sim_pipe_lose(&s->out);
    } else {
        sim_pipe_own(&s->out);
        sim_pipe_end(&s->out, sim_due(t->network));
    }
    s->side = SIDE_GONE;
    s->owner = NULL;
    s->reset_at_ns = UINT64_MAX;
    if (reset && s->state == SIM_OPEN && !s->vanished)
        s->client_reset_at_ns = sim_due(t->network);
    sim_drop_if_gone(t->network, s);
}

static void finish(struct sim *t, struct sim_stream *s, int error, bool reset)
{
    void *user = s->user;
    detach(t, s, reset);
    t->base.up.closed(t->base.up.owner, user, error);
}

static void welcome(struct sim *t, struct sim_stream *s)
{
    char peer[ADDRESS_TEXT];
    snprintf(peer, sizeof peer, "127.0.0.1:%llu", (unsigned long long)s->id);
    s->side = SIDE_OPEN;
    uint64_t id = s->id;
    void *user = t->base.up.accepted(t->base.up.owner, id, s->tag, peer, t->address[0]);
    s = sim_find(t->network, id);
    if (!s || s->side == SIDE_GONE)
        return;
    s->user = user;
    if (!user)
        detach(t, s, true);
}

/* Hands up the rest with a piece of what has arrived. Returns the work found. */
static unsigned hand_up(struct sim *t, struct sim_stream *s)
{
    struct sim_network *network = t->network;
    size_t room;
    if (s->rest.len > RX_REST_MAX && !s->replay)
        return 0;
    uint8_t *at = rx_begin(&t->rx, &s->rest, &room);
    if (!at)
        return 0;
    size_t piece = 1 + prng_below(&network->prng, network->options.piece_max);
    size_t n = s->replay && s->rest.len ? 0 : sim_pipe_read(&s->in, at, piece < room ? piece : room);
    s->replay = false;
    struct span bytes = rx_received(&t->rx, &s->rest, n);
    uint64_t id = s->id;
    size_t used = t->base.up.data(t->base.up.owner, s->user, bytes, rx_epoch(&t->rx));
    CHECK(used <= bytes.len);
    s = sim_find(network, id);
    if (s && s->side == SIDE_OPEN)
        rx_keep(&t->rx, &s->rest, bytes.len - used);
    return 1;
}

static unsigned serve_open(struct sim *t, struct sim_stream *s)
{
    if (s->blocked && sim_pipe_room(&s->out)) {
        s->blocked = false;
        t->base.up.writable(t->base.up.owner, s->user);
        return 1;
    }
    if (s->paused)
        return 0;
    if (s->in.waiting || s->replay)
        return hand_up(t, s);
    if (!s->in.at_end)
        return 0;
    finish(t, s, 0, false);
    return 1;
}

static unsigned serve_closing(struct sim *t, struct sim_stream *s)
{
    sim_pipe_read(&s->in, NULL, SIZE_MAX);
    bool out = s->out.on_way == 0;
    if (!(out && s->in.at_end) && s->deadline_ns > t->network->now_ns)
        return 0;
    bool late = !(out && s->in.at_end);
    finish(t, s, late ? ETIMEDOUT : 0, late);
    return 1;
}

static unsigned serve(struct sim *t, struct sim_stream *s)
{
    uint64_t now_ns = t->network->now_ns;
    if (s->side == SIDE_COMING) {
        if (s->accept_at_ns > now_ns)
            return 0;
        welcome(t, s);
        return 1;
    }
    if (s->reset_at_ns <= now_ns) {
        finish(t, s, ECONNRESET, true);
        return 1;
    }
    return s->side == SIDE_CLOSING ? serve_closing(t, s) : serve_open(t, s);
}

static unsigned sim_poll(struct transport *base, uint64_t now_ns)
{
    struct sim *t = of(base);
    struct sim_network *network = t->network;
    unsigned work = 0;
    sim_advance(network, now_ns);
    size_t n = network->streams - network->first, first = network->first;
    size_t from = n ? prng_below(&network->prng, n) : 0;
    for (size_t i = 0; i < n; i++) {
        struct sim_stream *s = network->stream[first + (from + i) % n];
        if (s && s->owner == t && !prng_chance(&network->prng, network->options.idle_ppm))
            work += serve(t, s);
    }
    return work;
}

static int sim_listen(struct transport *base, const char *address, int tag, uint16_t *port, char *error,
                      size_t error_size)
{
    struct sim *t = of(base);
    if (t->addresses == ADDRESSES_MAX || strlen(address) >= ADDRESS_TEXT) {
        snprintf(error, error_size, "the simulated network takes %d addresses of %d bytes", ADDRESSES_MAX,
                 ADDRESS_TEXT);
        return -1;
    }
    snprintf(t->address[t->addresses], ADDRESS_TEXT, "%s", address);
    t->tag[t->addresses++] = tag;
    *port = 0;
    return 0;
}

static void sim_stop_listening(struct transport *base)
{
    of(base)->addresses = 0;
}

/* At most what the window takes, sometimes less. */
static size_t takes(struct sim_network *network, const struct sim_stream *s)
{
    size_t room = sim_pipe_room(&s->out);
    return room && prng_chance(&network->prng, 200000) ? 1 + prng_below(&network->prng, room) : room;
}

static size_t sim_send(struct transport *base, uint64_t id, const struct iovec *iov, int n)
{
    struct sim_network *network = of(base)->network;
    struct sim_stream *s = sim_find(network, id);
    size_t taken = 0;
    if (!s || s->side != SIDE_OPEN)
        return 0;
    size_t left = takes(network, s);
    for (int i = 0; i < n; i++) {
        size_t part = iov[i].iov_len < left ? iov[i].iov_len : left;
        if (part)
            sim_pipe_write(&s->out, span_of(iov[i].iov_base, part), sim_due(network), s->lends);
        taken += part;
        left -= part;
        if (part < iov[i].iov_len) {
            s->blocked = true;
            break;
        }
    }
    s->sent += taken;
    return taken;
}

static uint64_t sim_released(struct transport *base, uint64_t id)
{
    const struct sim_stream *s = sim_find(of(base)->network, id);
    if (!s || s->side == SIDE_GONE)
        return UINT64_MAX;
    return s->lends ? s->sent - s->out.on_way : s->sent;
}

static void sim_pause(struct transport *base, uint64_t id)
{
    struct sim_stream *s = sim_find(of(base)->network, id);
    if (s)
        s->paused = true;
}

static void sim_resume(struct transport *base, uint64_t id)
{
    struct sim_stream *s = sim_find(of(base)->network, id);
    if (!s || s->side != SIDE_OPEN)
        return;
    s->paused = false;
    s->replay = s->rest.len > 0;
}

static void sim_transport_close(struct transport *base, uint64_t id)
{
    struct sim *t = of(base);
    struct sim_stream *s = sim_find(t->network, id);
    if (!s || s->side != SIDE_OPEN)
        return;
    rx_forget(&t->rx, &s->rest);
    s->side = SIDE_CLOSING;
    s->deadline_ns = t->network->now_ns + t->network->options.linger_ns;
    sim_pipe_end(&s->out, sim_due(t->network));
}

static void sim_abort(struct transport *base, uint64_t id)
{
    struct sim *t = of(base);
    struct sim_stream *s = sim_find(t->network, id);
    if (s && s->side != SIDE_GONE)
        detach(t, s, true);
}

static void sim_rx_release(struct transport *base, uint64_t epoch)
{
    rx_release(&of(base)->rx, epoch);
}

static int sim_wait_fd(struct transport *base)
{
    (void)base;
    return -1;
}

static void sim_free(struct transport *base)
{
    struct sim *t = of(base);
    struct sim_network *network = t->network;
    for (size_t i = network->first; i < network->streams; i++)
        if (network->stream[i] && network->stream[i]->owner == t)
            detach(t, network->stream[i], true);
    struct sim **link = &network->transports;
    while (*link != t)
        link = &(*link)->next;
    *link = t->next;
    rx_free(&t->rx);
    free(t);
}

static const struct transport_ops sim_ops = {
    .listen = sim_listen,
    .stop_listening = sim_stop_listening,
    .poll = sim_poll,
    .send = sim_send,
    .released = sim_released,
    .pause = sim_pause,
    .resume = sim_resume,
    .close = sim_transport_close,
    .abort = sim_abort,
    .rx_release = sim_rx_release,
    .wait_fd = sim_wait_fd,
    .free = sim_free,
};

struct transport *transport_sim_new(struct sim_network *network, struct transport_user up)
{
    struct sim *t = calloc(1, sizeof *t);
    CHECK(t);
    t->base = (struct transport){.ops = &sim_ops, .up = up};
    t->network = network;
    rx_init(&t->rx);
    t->next = network->transports;
    network->transports = t;
    return &t->base;
}
