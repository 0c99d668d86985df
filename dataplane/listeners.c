#include "listeners.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "codec/codecs.h"
#include "gannetd.h"
#include "listener_kinds.h"
#include "tls.h"
#include "transport/socket.h"
#include "transport/transport_tcp.h"
#include "transport/transport_tls.h"
#include "transport/transport_uring.h"
#include "transport/transport_ws.h"
#include "web.h"

enum {
    ADDRESS_MS = 2000, /* a broker just killed lets go of its address within */
    LISTENERS_PATH_BYTES = 4400,
    HANDSHAKES_MAX = 1024, /* of TLS, and of WebSocket, under way at once on a front */
};

/* ---- are they free? ----------------------------------------------------------------------------------- */

/* A broker that was killed is waited for: io_uring closes a process's listeners a moment after its end. */
static bool address_free(const struct gannetd *g, const char *address)
{
    uint64_t until_ns = g->clock_ns() + ADDRESS_MS * 1000000ull;
    while (socket_in_use(address)) {
        if (g->clock_ns() > until_ns)
            return false;
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    return true;
}

static bool all_free(const struct gannetd *g, const struct text_list *addresses, char *error,
                     size_t error_size)
{
    const char *address;
    for (unsigned i = 0; i < addresses->count; i++)
        if (network_of(g->config, addresses->item[i], &address) == NET_SOCKETS && !address_free(g, address)) {
            snprintf(error, error_size, "cannot listen on %s: another program does (see ss -ltnp)", address);
            return false;
        }
    return true;
}

bool listeners_free(const struct gannetd *g, char *error, size_t error_size)
{
    for (unsigned k = 0; k < LISTENER_KINDS; k++)
        if (!all_free(g, listener_addresses(g->config, &listener_kinds[k]), error, error_size))
            return false;
    return true;
}

/* ---- transports -----------------------------------------------------------------------------------------
 */

static const char *agent_of(unsigned front)
{
    static char agents[FRONTS_MAX][24];
    snprintf(agents[front], sizeof agents[front], "front %u", front);
    return agents[front];
}

static struct transport *new_plain(const struct gannetd *g, unsigned front, enum net_transport kind,
                                   struct transport_user up, char *error, size_t error_size)
{
    if (kind == NET_DPDK)
        return transport_tcp_new(network_stack(g->network, front), up);
    const struct transport_uring_options options = {
        .agent = agent_of(front), .shared = g->placement.fronts > 1, .streams_max = g->connections_max};
    return transport_uring_new(&options, up, error, error_size);
}

/* TLS has a transport of its own below it. */
static struct transport *new_tls(struct gannetd *g, unsigned front, enum net_transport kind, unsigned layers,
                                 struct transport_user up, char *error, size_t error_size)
{
    const struct front_tls_counters count = front_tls_counters(g->broker->front[front]);
    const struct transport_tls_options options = {.context = tls_service_context(g->tls, front),
                                                  .agent = agent_of(front),
                                                  .count = {count.whole, count.resumed, count.failed},
                                                  .handshakes_max = HANDSHAKES_MAX,
                                                  .handshake_ms = (uint32_t)g->config->handshake_timeout};
    struct transport *tls = transport_tls_new(&options, up);
    struct transport *below = new_plain(g, front, kind, transport_tls_user(tls), error, error_size);
    if (!below)
        return NULL; /* the process ends */
    transport_tls_wrap(tls, below);
    g->tls_transport[kind][layers][front] = tls;
    return tls;
}

static struct transport *new_stream(struct gannetd *g, unsigned front, enum net_transport kind,
                                    unsigned layers, struct transport_user up, char *error, size_t error_size)
{
    return layers & LAYER_TLS ? new_tls(g, front, kind, layers, up, error, error_size)
                              : new_plain(g, front, kind, up, error, error_size);
}

/* WebSocket has a transport of its own below it, plain or TLS. */
static struct transport *new_web(struct gannetd *g, unsigned front, enum net_transport kind, unsigned layers,
                                 struct transport_user up, char *error, size_t error_size)
{
    const struct transport_ws_options options = {.agent = agent_of(front),
                                                 .speech = web_speeches(),
                                                 .speeches = CODECS,
                                                 .origins = web_origins(g->config),
                                                 .message_max = web_message_max(g->config),
                                                 .handshakes_max = HANDSHAKES_MAX,
                                                 .handshake_ms = (uint32_t)g->config->handshake_timeout};
    struct transport *ws = transport_ws_new(&options, up);
    struct transport *below = new_stream(g, front, kind, layers, transport_ws_user(ws), error, error_size);
    if (!below)
        return NULL; /* the process ends */
    transport_ws_wrap(ws, below);
    return ws;
}

static bool attach(struct gannetd *g, unsigned i, enum net_transport kind, unsigned layers, char *error,
                   size_t error_size)
{
    struct front *front = g->broker->front[i];
    bool own = i == 0 && kind == NET_SOCKETS && !layers;
    if (!network_wants(g->config, kind, layers) && !own)
        return true;
    struct transport_user up = front_transport_user(front);
    struct transport *transport = layers & LAYER_WEB ? new_web(g, i, kind, layers, up, error, error_size)
                                                     : new_stream(g, i, kind, layers, up, error, error_size);
    if (!transport)
        return false;
    front_attach(front, transport);
    g->transport[kind][layers][i] = transport;
    return true;
}

bool listeners_attach(struct gannetd *g, char *error, size_t error_size)
{
    for (unsigned i = 0; i < g->placement.fronts; i++)
        for (unsigned kind = 0; kind < NET_TRANSPORTS; kind++)
            for (unsigned layers = 0; layers < LAYERS; layers++)
                if (!attach(g, i, kind, layers, error, error_size))
                    return false;
    return true;
}

void listeners_offer_tls(const struct gannetd *g)
{
    for (unsigned i = 0; i < g->placement.fronts; i++)
        for (unsigned kind = 0; kind < NET_TRANSPORTS; kind++)
            for (unsigned layers = 0; layers < LAYERS; layers++)
                if (g->tls_transport[kind][layers][i])
                    transport_tls_offer(g->tls_transport[kind][layers][i],
                                        tls_context_share(tls_service_context(g->tls, i)));
}

/* ---- listening ------------------------------------------------------------------------------------------
 */

/* As the first front has it; the others share it. */
static void is_open(struct gannetd *g, const struct listener_kind *kind, const char *address, int len,
                    uint16_t port)
{
    CHECK(g->listening_count < LISTENING_MAX);
    struct listening *l = &g->listening[g->listening_count++];
    l->name = kind->name;
    l->layers = kind->layers;
    snprintf(l->address, sizeof l->address, "%.*s:%u", len, address, port);
    log_line(LOG_INFO, "main", "%s listens on %s", l->name, l->address);
}

void listeners_write(const struct gannetd *g, FILE *out)
{
    fputs("ok\nprotocol\taddress\tport#\ttls?\n", out);
    for (unsigned i = 0; i < g->listening_count; i++) {
        const struct listening *l = &g->listening[i];
        const char *colon = strrchr(l->address, ':');
        bool bracketed = l->address[0] == '[';
        fprintf(out, "%s\t%.*s\t%s\t%s\n", l->name, (int)(colon - l->address) - 2 * bracketed,
                l->address + bracketed, colon + 1, l->layers & LAYER_TLS ? "true" : "false");
    }
}

/* port: of the address, as the first front got it; the others share it. */
static bool listen_on(struct gannetd *g, struct transport *transport, unsigned front,
                      const struct listener_kind *kind, const char *address, uint16_t *port, char *error,
                      size_t error_size)
{
    char same[ADDRESS_TEXT];
    const char *colon = strrchr(address, ':');
    if (front > 0)
        snprintf(same, sizeof same, "%.*s:%u", (int)(colon - address), address, *port);
    if (transport->ops->listen(transport, front > 0 ? same : address, kind->codec, port, error, error_size) <
        0)
        return false;
    if (front == 0)
        is_open(g, kind, address, (int)(colon - address), *port);
    return true;
}

static bool listen_all(struct gannetd *g, const struct listener_kind *kind, char *error, size_t error_size)
{
    const struct text_list *addresses = listener_addresses(g->config, kind);
    for (unsigned a = 0; a < addresses->count; a++) {
        uint16_t port = 0;
        const char *address;
        enum net_transport net = network_of(g->config, addresses->item[a], &address);
        for (unsigned i = 0; i < g->placement.fronts; i++)
            if (!listen_on(g, g->transport[net][kind->layers][i], i, kind, address, &port, error, error_size))
                return false;
    }
    return true;
}

static void own_path(const struct gannetd *g, char *path, size_t size)
{
    snprintf(path, size, "unix:%s/amqp.sock", g->config->data_dir);
}

static bool listen_own(const struct gannetd *g, char *error, size_t error_size)
{
    struct transport *transport = g->transport[NET_SOCKETS][0][0];
    char path[LISTENERS_PATH_BYTES];
    uint16_t port;
    own_path(g, path, sizeof path);
    return transport->ops->listen(transport, path, CODEC_AMQP | FRONT_TRUSTED, &port, error, error_size) == 0;
}

void listeners_forget(const struct gannetd *g)
{
    char path[LISTENERS_PATH_BYTES];
    own_path(g, path, sizeof path);
    unlink(path + strlen("unix:"));
}

bool listeners_open(struct gannetd *g, char *error, size_t error_size)
{
    if (!listen_own(g, error, error_size))
        return false;
    for (unsigned k = 0; k < LISTENER_KINDS; k++)
        if (!listen_all(g, &listener_kinds[k], error, error_size))
            return false;
    return true;
}
