#include "broker.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/prng.h"
#include "base/tally.h"

static struct ring *new_ring(struct broker *broker, enum agent_kind from, unsigned from_index,
                             enum agent_kind to, unsigned to_index)
{
    struct ring *ring = ring_new();
    broker->rings[broker->ring_count++] =
        (struct broker_ring){ring, {from, (uint8_t)from_index}, {to, (uint8_t)to_index}};
    return ring;
}

struct wiring {
    struct ring *to_router[FRONTS_MAX][ROUTERS_MAX], *to_front[ROUTERS_MAX][FRONTS_MAX];
    struct ring *between[ROUTERS_MAX][ROUTERS_MAX];
    struct ring *to_journal[ROUTERS_MAX], *from_journal[ROUTERS_MAX];
    struct ring *to_login[FRONTS_MAX], *from_login[FRONTS_MAX];
};

static struct wiring *make_rings(struct broker *broker)
{
    struct wiring *w = calloc(1, sizeof *w);
    CHECK(w);
    for (unsigned r = 0; r < broker->routers; r++) {
        for (unsigned f = 0; f < broker->fronts; f++) {
            w->to_router[f][r] = new_ring(broker, AGENT_FRONT, f, AGENT_ROUTER, r);
            w->to_front[r][f] = new_ring(broker, AGENT_ROUTER, r, AGENT_FRONT, f);
        }
        for (unsigned i = 0; i < broker->routers; i++)
            w->between[r][i] = i == r ? NULL : new_ring(broker, AGENT_ROUTER, r, AGENT_ROUTER, i);
        w->to_journal[r] = new_ring(broker, AGENT_ROUTER, r, AGENT_JOURNAL, r);
        w->from_journal[r] = new_ring(broker, AGENT_JOURNAL, r, AGENT_ROUTER, r);
    }
    for (unsigned f = 0; f < broker->fronts; f++) {
        w->to_login[f] = new_ring(broker, AGENT_FRONT, f, AGENT_LOGIN, 0);
        w->from_login[f] = new_ring(broker, AGENT_LOGIN, 0, AGENT_FRONT, f);
    }
    return w;
}

static struct router *make_router(struct broker *broker, const struct broker_options *options,
                                  const struct wiring *w, unsigned index, uint64_t id, uint64_t start)
{
    struct router_options o = {
        .index = index,
        .routers = broker->routers,
        .fronts = broker->fronts,
        .to_journal = w->to_journal[index],
        .from_journal = w->from_journal[index],
        .first = options->first,
        .tallies = broker->tallies,
        .memory_budget = options->memory_budget / broker->routers,
        .memory_high = options->memory_high,
        .memory_low = options->memory_low,
        .broker = id,
        .start = start,
        .checkpoint_bytes = options->checkpoint_bytes,
        .producer_silence_ns = options->producer_silence_ns,
        .epoch_ns = options->epoch_ns,
    };
    for (unsigned f = 0; f < broker->fronts; f++) {
        o.from_front[f] = w->to_router[f][index];
        o.to_front[f] = w->to_front[index][f];
    }
    for (unsigned i = 0; i < broker->routers; i++) {
        o.from_router[i] = w->between[i][index];
        o.to_router[i] = w->between[index][i];
    }
    return router_new(&o);
}

static struct front *make_front(struct broker *broker, const struct broker_options *options,
                                const struct wiring *w, unsigned index, uint64_t seed)
{
    struct front_options o = {
        .index = index,
        .routers = broker->routers,
        .tallies = broker->tallies,
        .host = options->host,
        .certificate_login = options->certificate_login,
        .connections_max = options->connections_max,
        .buffer_bytes = options->memory_budget / 4 / broker->fronts,
        .seed = seed,
        .epoch_ns = options->epoch_ns,
        .clock_ns = options->clock_ns,
        .to_login = w->to_login[index],
        .from_login = w->from_login[index],
    };
    for (unsigned r = 0; r < broker->routers; r++) {
        o.to_router[r] = w->to_router[index][r];
        o.from_router[r] = w->to_front[r][index];
    }
    return front_new(&o);
}

/* Router 0 first: the others' bindings refer to its exchanges. */
static bool recover(struct broker *broker, const struct broker_options *options, const struct wiring *w,
                    char *error, size_t error_size)
{
    for (unsigned r = 0; r < broker->routers; r++) {
        struct journal_end end = {0};
        struct journal_options o = {.router = r,
                                    .disk_free_limit = options->disk_free_limit,
                                    .disk_free_margin = options->disk_free_margin};
        if (router_recover(broker->router[r], broker->router[0], options->storage[r], &end, error,
                           error_size) < 0)
            return false;
        broker->journal[r] = journal_new(options->storage[r], &o, w->to_journal[r], w->from_journal[r], &end);
    }
    for (unsigned r = 0; r < broker->routers; r++)
        router_start(broker->router[r]);
    return true;
}

struct broker *broker_new(const struct broker_options *options, char *error, size_t error_size)
{
    struct broker *broker = calloc(1, sizeof *broker);
    struct prng prng;
    CHECK(broker && options->routers && options->fronts);
    prng_seed(&prng, options->seed);
    broker->fronts = options->fronts;
    broker->routers = options->routers;
    struct wiring *w = make_rings(broker);
    broker->tallies = tallies_new();
    uint64_t id = prng_next(&prng) | 1;
    for (unsigned r = 0; r < broker->routers; r++)
        broker->router[r] = make_router(broker, options, w, r, id, prng_next(&prng) | 1);
    for (unsigned f = 0; f < broker->fronts; f++)
        broker->front[f] = make_front(broker, options, w, f, prng_next(&prng));
    broker->logins = logins_new(w->to_login, w->from_login, broker->fronts);
    bool ok = recover(broker, options, w, error, error_size);
    free(w);
    if (ok)
        return broker;
    broker_free(broker);
    return NULL;
}

void broker_free(struct broker *broker)
{
    /* First the transports, to which log pages are lent. */
    for (unsigned f = 0; f < broker->fronts; f++)
        front_unplug(broker->front[f]);
    for (unsigned r = 0; r < broker->routers; r++)
        if (broker->journal[r])
            journal_free(broker->journal[r]);
    for (unsigned r = 0; r < broker->routers; r++)
        router_free(broker->router[r]);
    for (unsigned f = 0; f < broker->fronts; f++)
        front_free(broker->front[f]);
    logins_free(broker->logins);
    tallies_free(broker->tallies);
    for (unsigned i = 0; i < broker->ring_count; i++)
        ring_free(broker->rings[i].ring);
    free(broker);
}

bool broker_ready(const struct broker *broker)
{
    for (unsigned r = 0; r < broker->routers; r++)
        if (!router_ready(broker->router[r]))
            return false;
    return true;
}

unsigned broker_poll(struct broker *broker, uint64_t now_ns)
{
    unsigned work = 0;
    for (unsigned f = 0; f < broker->fronts; f++)
        work += front_poll(broker->front[f], now_ns);
    for (unsigned r = 0; r < broker->routers; r++)
        work += router_poll(broker->router[r], now_ns);
    for (unsigned r = 0; r < broker->routers; r++)
        work += journal_poll(broker->journal[r], now_ns);
    return work + logins_poll(broker->logins);
}

uint64_t broker_deadline(const struct broker *broker)
{
    uint64_t first = UINT64_MAX;
    for (unsigned f = 0; f < broker->fronts; f++)
        first = front_deadline(broker->front[f]) < first ? front_deadline(broker->front[f]) : first;
    for (unsigned r = 0; r < broker->routers; r++)
        first = router_deadline(broker->router[r]) < first ? router_deadline(broker->router[r]) : first;
    return first;
}
