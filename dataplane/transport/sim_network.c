#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "transport/sim_inside.h"

struct sim_stream *sim_find(const struct sim_network *network, uint64_t id)
{
    return id >= 1 && id <= network->streams ? network->stream[id - 1] : NULL;
}

uint64_t sim_due(struct sim_network *network)
{
    const struct sim_network_options *options = &network->options;
    return network->now_ns + options->delay_min_ns +
           prng_below(&network->prng, options->delay_max_ns - options->delay_min_ns + 1);
}

/* ---- the network ----------------------------------------------------------------------------------- */

struct sim_network_options sim_network_defaults(uint64_t seed)
{
    return (struct sim_network_options){
        .seed = seed,
        .delay_min_ns = 10000,
        .delay_max_ns = 2000000,
        .window_min = 64,
        .window_max = 16384,
        .piece_max = 4096,
        .idle_ppm = 200000,
        .linger_ns = 3000000000,
    };
}

struct sim_network *sim_network_new(const struct sim_network_options *options)
{
    struct sim_network *network = calloc(1, sizeof *network);
    CHECK(network);
    network->options = *options;
    prng_seed(&network->prng, options->seed);
    return network;
}

static void drop(struct sim_network *network, struct sim_stream *s)
{
    sim_pipe_free(&s->in);
    sim_pipe_free(&s->out);
    network->stream[s->id - 1] = NULL;
    free(s);
    while (network->first < network->streams && !network->stream[network->first])
        network->first++;
}

void sim_drop_if_gone(struct sim_network *network, struct sim_stream *s)
{
    if (s->forgotten && s->side == SIDE_GONE)
        drop(network, s);
}

void sim_network_free(struct sim_network *network)
{
    CHECK(!network->transports);
    for (size_t i = network->first; i < network->streams; i++)
        if (network->stream[i])
            drop(network, network->stream[i]);
    free(network->stream);
    free(network);
}

static void advance(struct sim_stream *s, uint64_t now_ns)
{
    sim_pipe_advance(&s->in, now_ns);
    sim_pipe_advance(&s->out, now_ns);
    if (s->forgotten)
        sim_pipe_read(&s->out, NULL, SIZE_MAX);
    if (s->client_reset_at_ns <= now_ns && !s->vanished && s->state == SIM_OPEN)
        s->state = SIM_RESET;
}

void sim_advance(struct sim_network *network, uint64_t now_ns)
{
    network->now_ns = now_ns;
    for (size_t i = network->first; i < network->streams; i++)
        if (network->stream[i])
            advance(network->stream[i], now_ns);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t stream_deadline(const struct sim_stream *s)
{
    uint64_t at = least(sim_pipe_due(&s->in), sim_pipe_due(&s->out));
    if (s->side == SIDE_COMING)
        at = least(at, s->accept_at_ns);
    if (s->side == SIDE_CLOSING)
        at = least(at, s->deadline_ns);
    if (s->side != SIDE_GONE)
        at = least(at, s->reset_at_ns);
    return s->state == SIM_OPEN ? least(at, s->client_reset_at_ns) : at;
}

uint64_t sim_deadline(const struct sim_network *network)
{
    uint64_t at = UINT64_MAX;
    for (size_t i = network->first; i < network->streams; i++)
        if (network->stream[i])
            at = least(at, stream_deadline(network->stream[i]));
    return at;
}

/* ---- a client's side ------------------------------------------------------------------------------- */

static struct sim *listening(const struct sim_network *network, const char *address, unsigned skip, int *tag)
{
    for (struct sim *t = network->transports; t; t = t->next)
        for (unsigned i = 0; i < t->addresses; i++)
            if (strcmp(t->address[i], address) == 0 && skip-- == 0) {
                *tag = t->tag[i];
                return t;
            }
    return NULL;
}

/* One of the fronts that listen there. */
static struct sim *choose(struct sim_network *network, const char *address, int *tag)
{
    unsigned n = 0;
    while (listening(network, address, n, tag))
        n++;
    return n ? listening(network, address, (unsigned)prng_below(&network->prng, n), tag) : NULL;
}

static struct sim_stream *add(struct sim_network *network)
{
    if (network->streams == network->room) {
        network->room = network->room ? 2 * network->room : 64;
        network->stream = realloc(network->stream, network->room * sizeof *network->stream);
        CHECK(network->stream);
    }
    struct sim_stream *s = calloc(1, sizeof *s);
    CHECK(s);
    network->stream[network->streams++] = s;
    s->id = network->streams;
    return s;
}

static size_t window(struct sim_network *network)
{
    const struct sim_network_options *options = &network->options;
    return options->window_min + prng_below(&network->prng, options->window_max - options->window_min + 1);
}

uint64_t sim_connect(struct sim_network *network, const char *address)
{
    struct sim_stream *s = add(network);
    sim_pipe_init(&s->in, window(network));
    sim_pipe_init(&s->out, window(network));
    s->reset_at_ns = s->client_reset_at_ns = UINT64_MAX;
    s->accept_at_ns = sim_due(network);
    s->lends = prng_below(&network->prng, 2);
    s->owner = choose(network, address, &s->tag);
    s->side = s->owner ? SIDE_COMING : SIDE_GONE;
    s->state = s->owner ? SIM_OPEN : SIM_REFUSED;
    return s->id;
}

enum sim_state sim_state(const struct sim_network *network, uint64_t id)
{
    const struct sim_stream *s = sim_find(network, id);
    if (!s)
        return SIM_RESET;
    if (s->state == SIM_OPEN && s->out.at_end && s->out.waiting == 0 && !s->deaf)
        return SIM_ENDED;
    return s->state;
}

size_t sim_write(struct sim_network *network, uint64_t id, struct span bytes)
{
    struct sim_stream *s = sim_find(network, id);
    if (!s || s->state != SIM_OPEN || s->vanished)
        return 0;
    size_t n = sim_pipe_room(&s->in);
    if (n > bytes.len)
        n = bytes.len;
    /* Several segments, so that the pieces arrive at times of their own. */
    for (size_t at = 0; at < n;) {
        size_t part = 1 + prng_below(&network->prng, n - at);
        sim_pipe_write(&s->in, span_of(bytes.at + at, part), sim_due(network), false);
        at += part;
    }
    return n;
}

size_t sim_read(struct sim_network *network, uint64_t id, void *to, size_t room)
{
    struct sim_stream *s = sim_find(network, id);
    if (!s || s->state != SIM_OPEN || s->deaf || s->vanished)
        return 0;
    return sim_pipe_read(&s->out, to, room);
}

void sim_close(struct sim_network *network, uint64_t id)
{
    struct sim_stream *s = sim_find(network, id);
    if (s && s->state == SIM_OPEN && !s->vanished)
        sim_pipe_end(&s->in, sim_due(network));
}

void sim_reset(struct sim_network *network, uint64_t id)
{
    struct sim_stream *s = sim_find(network, id);
    if (!s || s->state != SIM_OPEN || s->vanished)
        return;
    s->state = SIM_RESET;
    sim_pipe_lose(&s->in);
    s->reset_at_ns = sim_due(network);
}

void sim_vanish(struct sim_network *network, uint64_t id)
{
    struct sim_stream *s = sim_find(network, id);
    if (!s || s->state != SIM_OPEN)
        return;
    s->vanished = s->in.cut = s->out.cut = true;
    sim_pipe_lose(&s->in);
}

void sim_deafen(struct sim_network *network, uint64_t id, bool deaf)
{
    struct sim_stream *s = sim_find(network, id);
    if (s)
        s->deaf = deaf;
}

void sim_forget(struct sim_network *network, uint64_t id)
{
    struct sim_stream *s = sim_find(network, id);
    if (!s)
        return;
    if (!s->in.ended)
        sim_reset(network, id);
    s->forgotten = true;
    sim_drop_if_gone(network, s);
}
