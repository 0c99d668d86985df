#include "site.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "history.h"
#include "journal/storage.h"
#include "router/password.h"
#include "watch.h"

struct site *site_new(const struct site_options *options, struct network *network, struct taps *taps)
{
    struct site *site = calloc(1, sizeof *site);
    CHECK(site);
    site->options = *options;
    site->network = network;
    site->taps = taps;
    prng_seed(&site->prng, options->seed);
    site->disks = options->one_disk ? 1 : options->routers;
    for (unsigned i = 0; i < site->disks; i++)
        site->disk[i] = sim_disk_new(prng_next(&site->prng));
    return site;
}

static void close_storages(struct site *site)
{
    for (unsigned r = 0; r < site->options.routers; r++) {
        if (site->storage[r])
            site->storage[r]->table->close(site->storage[r]);
        site->storage[r] = NULL;
    }
}

static void forget_broker(struct site *site)
{
    taps_cut(site->taps);
    if (site->broker)
        broker_free(site->broker);
    site->broker = NULL;
    close_storages(site);
    site->state = SITE_DOWN;
}

void site_free(struct site *site)
{
    forget_broker(site);
    for (unsigned i = 0; i < site->disks; i++)
        sim_disk_free(site->disk[i]);
    free(site);
}

/* ---- starting ------------------------------------------------------------------------------------- */

static struct broker_options options_of(struct site *site)
{
    static const char *const vhosts[] = {"/"};
    static char password[PASSWORD_TEXT_BYTES];
    static const struct access_first first = {vhosts, 1, "guest", password};
    const struct site_options *o = &site->options;
    bool slow = o->seed % 16 == 0; /* so that the login agent is asked now and then */
    password_make_quick(password, span_str("guest"), (const uint8_t[PASSWORD_QUICK_SALT_BYTES]){1, 2, 3, 4});
    struct broker_options options = {
        .fronts = site->fronts,
        .routers = o->routers,
        .first = &first,
        .host = {.frame_max = FRAME_BYTES_MAX,
                 .channel_max = CHANNELS_MAX,
                 .heartbeat_s = o->heartbeat_s,
                 .handshake_ms = 5000,
                 .max_message_size = 8 * INLINE_BODY_MAX,
                 .consumers_max = 4,
                 .mqtt_anonymous = true,
                 .anonymous_user = "guest",
                 .nobody = slow ? password_decoy() : "",
                 .mqtt_exchange = "amq.topic",
                 .mqtt_vhost = "/",
                 .stomp_anonymous = true},
        .connections_max = 64,
        .memory_budget = o->memory_budget,
        .checkpoint_bytes = o->checkpoint_bytes,
        .epoch_ns = SITE_EPOCH_S * UINT64_C(1000000000),
        .seed = prng_next(&site->prng),
    };
    memcpy(options.storage, site->storage, sizeof site->storage);
    return options;
}

static void attach(struct site *site)
{
    for (unsigned f = 0; f < site->fronts; f++) {
        site->transport[f] = taps_transport(site->taps, front_transport_user(site->broker->front[f]));
        front_attach(site->broker->front[f], site->transport[f]);
    }
}

void site_start(struct site *site)
{
    char error[1024] = "";
    CHECK(site->state == SITE_DOWN);
    site->fronts = 1 + (unsigned)prng_below(&site->prng, site->options.fronts);
    for (unsigned r = 0; r < site->options.routers; r++)
        site->storage[r] = watch_new(storage_sim_new(site->disk[r % site->disks], r), r);
    history_note("the broker starts with %u fronts, %u routers", site->fronts, site->options.routers);
    struct broker_options options = options_of(site);
    site->broker = broker_new(&options, error, sizeof error);
    if (!site->broker)
        history_fail("the broker doesn't start: %s", error);
    attach(site);
    site->state = SITE_STARTING;
    site->starts++;
    site_stall_none(site);
}

static void listen_if_ready(struct site *site)
{
    char error[256];
    uint16_t port;
    if (!broker_ready(site->broker))
        return;
    for (unsigned f = 0; f < site->fronts; f++) {
        struct transport *t = site->transport[f];
        CHECK(t->ops->listen(t, network_address(site->network), 0, &port, error, sizeof error) == 0);
    }
    site->state = SITE_UP;
    history_note("the broker listens");
}

/* ---- ending --------------------------------------------------------------------------------------- */

void site_kill(struct site *site, enum sim_crash crash)
{
    history_note("the broker is killed%s, %u blocks under way", crash == SIM_POWER ? ": power cut" : "",
                 site_writing(site));
    for (unsigned i = 0; i < site->disks; i++)
        sim_disk_crash(site->disk[i], crash);
    network_dies(site->network);
    forget_broker(site);
}

void site_stop(struct site *site)
{
    CHECK(site->state == SITE_UP);
    history_note("the broker is told to end");
    for (unsigned f = 0; f < site->fronts; f++)
        front_stop(site->broker->front[f], "the simulation ends it");
    site->state = SITE_STOPPING;
    site->stop_step = 0;
}

static bool fronts_stopped(const struct site *site)
{
    for (unsigned f = 0; f < site->fronts; f++)
        if (!front_stopped(site->broker->front[f]))
            return false;
    return true;
}

static bool routers_stopped(const struct site *site)
{
    for (unsigned r = 0; r < site->options.routers; r++)
        if (!router_stopped(site->broker->router[r]))
            return false;
    return true;
}

static bool journals_idle(const struct site *site)
{
    for (unsigned r = 0; r < site->options.routers; r++)
        if (!journal_idle(site->broker->journal[r]))
            return false;
    return true;
}

static void stop_further(struct site *site)
{
    if (site->stop_step == 0 && fronts_stopped(site)) {
        for (unsigned r = 0; r < site->options.routers; r++)
            router_stop(site->broker->router[r]);
        site->stop_step = 1;
    } else if (site->stop_step == 1 && routers_stopped(site)) {
        site->stop_step = 2;
    } else if (site->stop_step == 2 && journals_idle(site)) {
        history_note("the broker has ended");
        forget_broker(site);
    }
}

/* ---- turns ---------------------------------------------------------------------------------------- */

unsigned site_agents(const struct site *site)
{
    return site->fronts + 2 * site->options.routers;
}

void site_stall(struct site *site, unsigned agent, uint64_t until_step)
{
    CHECK(agent < site_agents(site));
    site->stalled_until[agent] = until_step;
}

void site_stall_none(struct site *site)
{
    memset(site->stalled_until, 0, sizeof site->stalled_until);
}

static unsigned poll_agent(struct site *site, unsigned agent, uint64_t now_ns)
{
    unsigned fronts = site->fronts, routers = site->options.routers;
    if (agent < fronts)
        return front_poll(site->broker->front[agent], now_ns);
    if (agent < fronts + routers)
        return router_poll(site->broker->router[agent - fronts], now_ns);
    return journal_poll(site->broker->journal[agent - fronts - routers], now_ns);
}

static bool rings_empty(const struct site *site)
{
    for (unsigned i = 0; i < site->broker->ring_count; i++)
        if (site->broker->rings[i].ring && ring_waiting(site->broker->rings[i].ring))
            return false;
    return true;
}

static void shuffle(struct site *site, unsigned *order, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        order[i] = i;
    for (unsigned i = n; i > 1; i--) {
        unsigned j = (unsigned)prng_below(&site->prng, i), t = order[i - 1];
        order[i - 1] = order[j];
        order[j] = t;
    }
}

bool site_poll(struct site *site, uint64_t step, uint64_t now_ns)
{
    unsigned order[SITE_AGENTS], work = 0;
    bool all = true;
    if (site->state == SITE_DOWN)
        return false;
    shuffle(site, order, site_agents(site));
    for (unsigned i = 0; i < site_agents(site); i++) {
        if (site->stalled_until[order[i]] > step)
            all = false;
        else
            work += poll_agent(site, order[i], now_ns);
        if (site_failed(site))
            site->options.failed(site->options.owner);
    }
    work += logins_poll(site->broker->logins);
    bool idle = all && !work && rings_empty(site) && journals_idle(site);
    if (site->state == SITE_STARTING)
        listen_if_ready(site);
    else if (site->state == SITE_STOPPING)
        stop_further(site);
    return idle;
}

uint64_t site_deadline(const struct site *site)
{
    return site->state == SITE_DOWN ? UINT64_MAX : broker_deadline(site->broker);
}

bool site_failed(const struct site *site)
{
    for (unsigned r = 0; site->broker && r < site->options.routers; r++)
        if (router_stats(site->broker->router[r])->failed)
            return true;
    return false;
}

unsigned site_writing(const struct site *site)
{
    unsigned blocks = 0;
    for (unsigned i = 0; i < site->disks; i++)
        blocks += sim_disk_writing(site->disk[i]);
    return blocks;
}

void site_faults(struct site *site, const struct sim_faults *faults)
{
    for (unsigned i = 0; i < site->disks; i++)
        *sim_disk_faults(site->disk[i]) = *faults;
}
