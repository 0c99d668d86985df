/*
 * The start: data directory → placement → DPDK, if a listener is its → recovery (broker_new) → every exchange
 * known everywhere → transports listen → workers run → ready.
 */
#include "gannetd.h"

#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "base/log.h"
#include "bill.h"
#include "control.h"
#include "data_dir.h"
#include "disk.h"
#include "journal/storage.h"
#include "journal/storage_uring.h"
#include "listeners.h"
#include "machine.h"
#include "tcp/device_dpdk.h"
#include "tcp/dpdk_telemetry.h"
#include "telemetry.h"
#include "tls.h"
#include "users.h"
#include "web.h"

enum {
    DESCRIPTORS_OF_OWN = 256, /* journals, rings, listeners, the control socket */
    READY_MS = 10000,         /* the agents exchange a few messages: more is a bug */
    STOP_CLIENTS_MS =
        6000,             /* a clean end waits so long for clients to close: a little longer than codecs do */
    STOP_STEP_MS = 60000, /* and so long for the disk */
};

/* ---- start ------------------------------------------------------------------------------------------ */

static void bound_connections(struct gannetd *g)
{
    uint64_t descriptors = machine_raise_descriptors();
    g->connections_max = (uint32_t)g->config->connections_max;
    if (descriptors >= g->connections_max + (uint64_t)DESCRIPTORS_OF_OWN)
        return;
    g->connections_max = descriptors > 2 * DESCRIPTORS_OF_OWN ? (uint32_t)descriptors - DESCRIPTORS_OF_OWN
                                                              : DESCRIPTORS_OF_OWN;
    log_line(LOG_WARNING, "main",
             "connections_max is lowered to %u: the process may open %llu descriptors (ulimit -n)",
             g->connections_max, (unsigned long long)descriptors);
}

static bool make_tls(struct gannetd *g, char *error, size_t error_size)
{
    if (!listener_wants(g->config, LAYER_TLS))
        return true;
    g->tls = tls_service_new(g->config, g->placement.fronts, g->clock_ns(), error, error_size);
    tls_service_warn(g->tls, g->wall_ns());
    return g->tls;
}

static bool open_data(struct gannetd *g, char *error, size_t error_size)
{
    const struct config *config = g->config;
    g->lock = data_dir_open(config->data_dir, error, error_size);
    if (g->lock < 0)
        return false;
    if (!placement_make(&g->placement, config, machine_cpus(), machine_may_use,
                        data_dir_routers(config->data_dir), error, error_size))
        return false;
    for (unsigned i = 0; i < g->placement.routers; i++) {
        g->storage[i] = storage_uring_new(config->data_dir, i, error, error_size);
        if (!g->storage[i])
            return false;
    }
    return disk_check(config, g->placement.routers, error, error_size) &&
           web_check(config, error, error_size) && make_tls(g, error, error_size);
}

/* Before recovery too: it is more likely to fail. */
static bool start_network(struct gannetd *g, char *error, size_t error_size)
{
    if (!network_uses(g->config, NET_DPDK))
        return true;
    const struct network_options options = {.config = g->config,
                                            .fronts = g->placement.fronts,
                                            .connections_max = g->connections_max,
                                            .seed = g->seed,
                                            .secret = g->secret,
                                            .wall_ns = g->wall_ns};
    g->network = network_start(&options, error, error_size);
    return g->network;
}

static struct broker_options broker_options(const struct gannetd *g)
{
    const struct config *config = g->config;
    struct broker_options options = {
        .fronts = g->placement.fronts,
        .routers = g->placement.routers,
        .first = &g->first,
        .certificate_login = tls_login(config),
        .host = {.frame_max = (uint32_t)config->amqp_frame_max,
                 .channel_max = (uint16_t)config->amqp_channel_max,
                 .heartbeat_s = (uint16_t)((config->amqp_heartbeat + 999) / 1000),
                 .handshake_ms = (uint32_t)config->handshake_timeout,
                 .amqp_anonymous = config->amqp_anonymous,
                 .mqtt_anonymous = config->mqtt_anonymous,
                 .stomp_anonymous = config->stomp_anonymous,
                 .anonymous_user = config->default_user,
                 .nobody = password_decoy(),
                 .loopback_users = (const char *const *)config->loopback_users.item,
                 .loopback_user_count = config->loopback_users.count,
                 .login_pause_ms = (uint32_t)config->login_pause,
                 .mqtt_exchange = config->mqtt_exchange,
                 .mqtt_vhost = config->mqtt_vhost,
                 .mqtt_ports = (const char *const *)config->mqtt_ports.item,
                 .mqtt_port_count = config->mqtt_ports.count,
                 .max_message_size = (uint32_t)config->max_message_size,
                 .consumers_max = (uint32_t)config->consumers_max},
        .connections_max = g->connections_max,
        .memory_budget = config->memory_budget,
        .memory_high = (unsigned)config->memory_high_watermark,
        .memory_low = (unsigned)config->memory_low_watermark,
        .disk_free_limit = config->disk_free_limit,
        .disk_free_margin = config->disk_free_margin,
        .producer_silence_ns = config->producers_silence * 1000000,
        .epoch_ns = g->wall_ns() - g->clock_ns(),
        .clock_ns = g->clock_ns,
        .seed = g->seed,
    };
    memcpy(options.storage, g->storage, sizeof options.storage);
    return options;
}

static bool make_broker(struct gannetd *g, char *error, size_t error_size)
{
    const struct config *config = g->config;
    password_start();
    prng_seed(&g->salts, g->seed);
    if (!users_hash(g, span_str(config->default_pass), g->first_password)) {
        snprintf(error, error_size, "there is no memory to hash the first user's password");
        return false;
    }
    g->first = (struct access_first){.vhosts = (const char *const *)config->vhosts.item,
                                     .vhost_count = config->vhosts.count,
                                     .user = config->default_user,
                                     .password = g->first_password};
    if (!access_first_check(&g->first, error, error_size))
        return false;
    const struct broker_options options = broker_options(g);
    sd_notify(0, "STATUS=reading the journals back");
    g->broker = broker_new(&options, error, error_size);
    for (unsigned i = 0; g->broker && g->network && i < g->broker->fronts; i++)
        g->broker->tcp[i] = network_tcp_stats(g->network, i);
    return g->broker;
}

/* The table of exchanges goes from the registrar to everybody before anybody may publish. */
static bool make_ready(struct gannetd *g, char *error, size_t error_size)
{
    uint64_t until_ns = g->clock_ns() + READY_MS * 1000000ull;
    while (!broker_ready(g->broker)) {
        uint64_t now_ns = g->clock_ns();
        broker_poll(g->broker, now_ns);
        if (now_ns > until_ns) {
            snprintf(error, error_size,
                     "the agents did not get ready; this is a bug in Gannet, please report it");
            return false;
        }
    }
    return true;
}

static bool run_workers(struct gannetd *g, char *error, size_t error_size)
{
    const struct worker_options options = {.broker = g->broker,
                                           .storage = g->storage,
                                           .placement = &g->placement,
                                           .busy_poll = g->config->busy_poll,
                                           .enter = g->network ? dpdk_enter_thread : NULL,
                                           .clock_ns = g->clock_ns};
    g->workers = workers_new(&options);
    if (g->network)
        telemetry_start(g->network, g->broker);
    return workers_start(g->workers, error, error_size);
}

bool gannetd_start(struct gannetd *g, char *error, size_t error_size)
{
    bound_connections(g);
    if (!listeners_free(g, error, error_size) || !open_data(g, error, error_size) ||
        !start_network(g, error, error_size) || !make_broker(g, error, error_size) ||
        !listeners_attach(g, error, error_size) || !make_ready(g, error, error_size) ||
        !listeners_open(g, error, error_size) || !run_workers(g, error, error_size))
        return false;
    g->control = control_new(g, error, error_size);
    if (!g->control)
        return false;
    bill_print(g->config, &g->placement, g->broker->ring_count);
    sd_notifyf(0, "READY=1\nSTATUS=%u fronts, %u routers, %u threads", g->placement.fronts,
               g->placement.routers, g->placement.threads);
    return true;
}

/* ---- reload ----------------------------------------------------------------------------------------- */

/* Connections that are open go on as they are. */
static bool renew_tls(struct gannetd *g, const struct config *new)
{
    char error[1024];
    if (!g->tls)
        return true;
    struct tls_service *fresh = tls_service_new(new, g->placement.fronts, g->clock_ns(), error, sizeof error);
    if (!fresh) {
        log_line(LOG_ERROR, "main", "%s", error);
        return false;
    }
    tls_service_renew(g->tls, fresh);
    listeners_offer_tls(g);
    log_line(LOG_INFO, "main", "TLS: the certificates have been read again; they count for new connections");
    tls_service_warn(g->tls, g->wall_ns());
    return true;
}

static void apply(const struct gannetd *g, const struct config *new)
{
    unsigned next = 0;
    for (const char *key; (key = config_changed(g->config, new, next, &next));)
        log_line(LOG_WARNING, "main", "%s has changed; that counts from the next start on", key);
    log_set_level(new->log_level);
    log_line(LOG_INFO, "main", "the configuration has been read again");
}

void gannetd_reload(struct gannetd *g)
{
    struct config new;
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)(g->clock_ns() / 1000));
    if (command_line_config(g->line, &new, machine_memory()) && renew_tls(g, &new))
        apply(g, &new);
    else
        log_line(LOG_ERROR, "main", "the configuration has errors, the old one goes on");
    config_free(&new);
    sd_notify(0, "READY=1");
}

void gannetd_look(const struct gannetd *g)
{
    tls_service_warn(g->tls, g->wall_ns());
}

/* ---- end -------------------------------------------------------------------------------------------- */

/* Returns false when it took too long. */
static bool step(struct gannetd *g, enum worker_step step, unsigned most_ms, bool (*hurry)(void))
{
    uint64_t until_ns = g->clock_ns() + most_ms * 1000000ull;
    workers_ask(g->workers, step);
    while (!workers_reached(g->workers, step)) {
        if (g->clock_ns() > until_ns || hurry())
            return false;
        nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
    }
    return true;
}

bool gannetd_stop(struct gannetd *g, bool (*hurry)(void))
{
    sd_notify(0, "STOPPING=1");
    log_line(LOG_INFO, "main", "ending: clients are told");
    control_free(g->control);
    if (!step(g, STEP_FRONTS, STOP_CLIENTS_MS, hurry))
        log_line(LOG_WARNING, "main", "some clients did not close in time");
    listeners_forget(g);
    bool clean = step(g, STEP_ROUTERS, STOP_STEP_MS, hurry) && step(g, STEP_JOURNALS, STOP_STEP_MS, hurry);
    if (!clean)
        log_line(LOG_ERROR, "main", "the journals did not come to rest; what was not confirmed may be lost");
    workers_ask(g->workers, STEP_END);
    workers_free(g->workers);
    telemetry_stop();
    broker_free(g->broker);
    if (g->network)
        network_end(g->network);
    tls_service_free(g->tls);
    for (unsigned i = 0; i < g->placement.routers; i++)
        g->storage[i]->table->close(g->storage[i]);
    return clean;
}
