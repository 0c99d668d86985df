#include "network.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/limits.h"
#include "base/log.h"
#include "listener_kinds.h"
#include "network_inside.h"
#include "tcp/device_dpdk.h"
#include "tcp/device_pcap.h"
#include "tcp/device_steer.h"
#include "tcp/stack.h"
#include "tcp/tcp.h"
#include "transport/address.h"
#include "transport/transport.h"
#include "value.h"

__attribute__((format(printf, 3, 4))) static bool refuse(char *error, size_t size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(error, size, format, args);
    va_end(args);
    return false;
}

/* ---- which listener is whose ----------------------------------------------------------------------- */

enum net_transport network_of(const struct config *config, const char *item, const char **address)
{
    int transport = config->net_transport;
    *address = value_plain_address(item, &transport);
    return (enum net_transport)transport;
}

static bool any_of(const struct config *config, const struct listener_kind *kind,
                   enum net_transport transport)
{
    const struct text_list *list = listener_addresses(config, kind);
    const char *address;
    for (unsigned i = 0; i < list->count; i++)
        if (network_of(config, list->item[i], &address) == transport)
            return true;
    return false;
}

bool network_wants(const struct config *config, enum net_transport transport, unsigned layers)
{
    for (unsigned k = 0; k < LISTENER_KINDS; k++)
        if (listener_kinds[k].layers == layers && any_of(config, &listener_kinds[k], transport))
            return true;
    return false;
}

bool network_uses(const struct config *config, enum net_transport transport)
{
    for (unsigned k = 0; k < LISTENER_KINDS; k++)
        if (any_of(config, &listener_kinds[k], transport))
            return true;
    return false;
}

/* ---- what options say of each other ------------------------------------------------------------------ */

/* The values were parsed when they were set. */
static unsigned addresses_of(const struct config *config, struct ip_prefix *prefixes)
{
    for (unsigned i = 0; i < config->dpdk_address.count; i++)
        CHECK(ip_prefix_parse(config->dpdk_address.item[i], &prefixes[i]));
    return config->dpdk_address.count;
}

static bool same_network(const struct ip_prefix *prefix, const struct ip_address *address)
{
    bool v4 = ip_address_is_v4(&prefix->address);
    if (v4 != ip_address_is_v4(address))
        return false;
    unsigned bits = prefix->bits + (v4 ? 96u : 0u), whole = bits / 8;
    if (memcmp(prefix->address.bytes, address->bytes, whole) != 0)
        return false;
    unsigned rest = (0xff00u >> bits % 8) & 0xff;
    return bits % 8 == 0 || ((prefix->address.bytes[whole] ^ address->bytes[whole]) & rest) == 0;
}

static bool check_gateways(const struct config *config, char *error, size_t error_size)
{
    struct ip_prefix ours[IP_ADDRESSES_MAX];
    unsigned count = addresses_of(config, ours), families[2] = {0};
    for (unsigned g = 0; g < config->dpdk_gateway.count; g++) {
        const char *text = config->dpdk_gateway.item[g];
        struct ip_address gateway;
        bool inside = false;
        CHECK(ip_address_parse(text, &gateway));
        for (unsigned i = 0; i < count; i++) {
            if (memcmp(&ours[i].address, &gateway, sizeof gateway) == 0)
                return refuse(error, error_size,
                              "dpdk.gateway: %s is in dpdk.address: it is the broker itself", text);
            inside |= same_network(&ours[i], &gateway);
        }
        if (!inside)
            return refuse(error, error_size,
                          "dpdk.gateway: %s is in none of the networks of dpdk.address: nothing leads to it",
                          text);
        if (families[ip_address_is_v4(&gateway)]++)
            return refuse(error, error_size, "dpdk.gateway: %s is the second for %s: one is all", text,
                          ip_address_is_v4(&gateway) ? "IPv4" : "IPv6");
    }
    return true;
}

/* Nobody sends from, or is asked for, such an address. */
static bool unusable(const struct ip_address *address)
{
    const uint8_t *b = address->bytes;
    static const uint8_t zero[16];
    if (ip_address_is_v4(address))
        return b[12] == 0 || b[12] == 127 || b[12] >= 224;
    return b[0] == 0xff || memcmp(b, zero, 15) == 0;
}

static bool check_addresses(const struct config *config, char *error, size_t error_size)
{
    struct ip_prefix ours[IP_ADDRESSES_MAX];
    unsigned count = addresses_of(config, ours);
    if (count == 0)
        return refuse(
            error, error_size,
            "dpdk.address is empty and a listener is DPDK's: give the port an address of its own, such as "
            "10.0.0.2/24");
    for (unsigned i = 0; i < count; i++)
        if (unusable(&ours[i].address))
            return refuse(error, error_size, "dpdk.address: %s is no address of a host",
                          config->dpdk_address.item[i]);
    return true;
}

/* What address_parse has found, as ip.h has it. Returns false for an address that means all. */
static bool one_address(const struct address *from, struct ip_address *to)
{
    char text[ADDRESS_TEXT], *host = text;
    address_text(from, text);
    *strrchr(text, ':') = '\0';
    if (*host == '[') {
        host++;
        *strrchr(host, ']') = '\0';
    }
    CHECK(ip_address_parse(host, to));
    return strcmp(host, "0.0.0.0") != 0 && strcmp(host, "::") != 0;
}

static bool check_listener(const struct config *config, const char *key, const char *item, char *error,
                           size_t error_size)
{
    struct ip_prefix ours[IP_ADDRESSES_MAX];
    struct ip_address ip;
    struct address address;
    const char *text;
    if (network_of(config, item, &text) != NET_DPDK)
        return true;
    CHECK(address_parse(&address, text, error, error_size));
    if (!one_address(&address, &ip))
        return true;
    unsigned count = addresses_of(config, ours);
    for (unsigned i = 0; i < count; i++)
        if (memcmp(&ours[i].address, &ip, sizeof ip) == 0)
            return true;
    return refuse(error, error_size,
                  "%s: %s is DPDK's and is none of dpdk.address: listen on one of them or on 0.0.0.0, "
                  "or write sockets:%s",
                  key, item, text);
}

static bool check_listeners(const struct config *config, const char *key, const struct text_list *list,
                            char *error, size_t error_size)
{
    for (unsigned i = 0; i < list->count; i++)
        if (!check_listener(config, key, list->item[i], error, error_size))
            return false;
    return true;
}

bool network_check(const struct config *config, char *error, size_t error_size)
{
    if (!network_uses(config, NET_DPDK))
        return true;
    if (!check_addresses(config, error, error_size) || !check_gateways(config, error, error_size))
        return false;
    for (unsigned k = 0; k < LISTENER_KINDS; k++)
        if (!check_listeners(config, listener_kinds[k].key, listener_addresses(config, &listener_kinds[k]),
                             error, error_size))
            return false;
    for (unsigned i = 0; i < config->dpdk_address.count; i++)
        if (strchr(config->dpdk_address.item[i], ':') && config->dpdk_mtu < 1280)
            return refuse(error, error_size, "dpdk.mtu: IPv6 (%s) needs 1280 or more, not %llu",
                          config->dpdk_address.item[i], (unsigned long long)config->dpdk_mtu);
    return true;
}

/* ---- stacks ------------------------------------------------------------------------------------------ */

static struct tcp_options tcp_options(const struct network_options *o, unsigned front)
{
    static const char *const congestions[] = {"cubic", "newreno"};
    const struct config *config = o->config;
    struct tcp_options options = {
        .seed = o->seed ^ front,
        /* More than the front takes: it says so, and closes; TCP would only not answer. */
        .connections_max = o->connections_max + (uint32_t)config->tcp_half_open_max,
        .half_open_max = (uint32_t)config->tcp_half_open_max,
        .time_wait_max = (uint32_t)config->tcp_time_wait_max,
        .rto_min_us = (uint32_t)(config->tcp_rto_min * 1000),
        .time_wait_ms = (uint32_t)config->tcp_time_wait,
        .keepalive_ms = config->tcp_keepalive ? (uint32_t)config->tcp_keepalive : UINT32_MAX,
        .give_up_ms = (uint32_t)config->tcp_give_up,
        .rx_window_max = (uint32_t)config->tcp_rx_window_max,
        .congestion = congestions[config->tcp_congestion],
        .nagle = config->tcp_nagle,
    };
    memcpy(options.secret, o->secret, sizeof options.secret);
    return options;
}

static void make_stack(struct network *n, const struct network_options *o, unsigned front)
{
    const struct config *config = o->config;
    struct stack_options options = {.tcp = tcp_options(o, front),
                                    .ip = {.device = n->device[front],
                                           .mtu = (uint16_t)config->dpdk_mtu,
                                           .vlan = (uint16_t)config->dpdk_vlan,
                                           .seed = o->seed ^ ~(uint64_t)front}};
    options.ip.addresses = addresses_of(config, options.ip.address);
    options.ip.kernel = n->kernel ? dpdk_port_device(n->kernel, front) : NULL;
    for (unsigned i = 0; i < config->dpdk_gateway.count; i++) {
        struct ip_address gateway;
        CHECK(ip_address_parse(config->dpdk_gateway.item[i], &gateway));
        options.ip.gateway[!ip_address_is_v4(&gateway)] = gateway;
    }
    n->stack[front] = stack_new(&options);
}

/* ---- devices ----------------------------------------------------------------------------------------- */

/* The same for a data directory each time, and another for each: what a killed broker left of DPDK's memory
 * is found, and two brokers don't meet. */
static void file_prefix(const char *data_dir, char *prefix, size_t size)
{
    char *whole = realpath(data_dir, NULL);
    const char *path = whole ? whole : data_dir;
    snprintf(prefix, size, "gannet-%08x", crc32c(0, path, strlen(path)));
    free(whole);
}

static bool open_ports(struct network *n, const struct network_options *o, char *error, size_t error_size)
{
    const struct config *config = o->config;
    char prefix[32];
    file_prefix(config->data_dir, prefix, sizeof prefix);
    if (!dpdk_start(config->dpdk_eal, prefix, o->fronts, error, error_size))
        return false;
    const struct dpdk_port_options options = {.name = config->dpdk_port,
                                              .queues = o->fronts,
                                              .mtu = (uint16_t)config->dpdk_mtu,
                                              .buffers = (uint32_t)config->dpdk_buffers};
    n->port = dpdk_port_open(&options, error, error_size);
    if (!n->port)
        return false;
    if (*config->dpdk_kernel)
        n->kernel = dpdk_port_open_kernel(config->dpdk_kernel, n->port, error, error_size);
    return n->kernel || !*config->dpdk_kernel;
}

static void steer(struct network *n, const struct network_options *o)
{
    bool hashes = dpdk_port_hashes(n->port);
    unsigned queues = dpdk_port_rx_queues(n->port);
    n->steer = steer_new(n->fronts, hashes ? 0 : STEER_FLOWS, o->seed);
    for (unsigned i = 0; i < n->fronts; i++)
        n->device[i] = n->steered[i] = device_steer_new(n->steer, i, n->device[i], i < queues);
    if (!hashes)
        log_line(LOG_INFO, "dpdk",
                 "%s does not spread connections over %u queues: the fronts hand frames over",
                 dpdk_port_name(n->port), queues);
}

static bool record(struct network *n, const struct network_options *o, char *error, size_t error_size)
{
    char path[4096];
    for (unsigned i = 0; i < n->fronts; i++) {
        snprintf(path, sizeof path, "%s", o->config->dpdk_pcap);
        if (i > 0)
            snprintf(path, sizeof path, "%s.%u", o->config->dpdk_pcap, i);
        struct device *recorded = device_pcap_new(n->device[i], path, o->wall_ns, error, error_size);
        if (!recorded)
            return false;
        n->device[i] = recorded;
    }
    return true;
}

static void say(const struct network *n, const struct network_options *o)
{
    const struct device *d = n->device[0];
    log_line(LOG_INFO, "dpdk",
             "%s (%s), %02x:%02x:%02x:%02x:%02x:%02x, MTU %u, queues for %u; telemetry in %s",
             dpdk_port_name(n->port), dpdk_port_driver(n->port), d->mac[0], d->mac[1], d->mac[2], d->mac[3],
             d->mac[4], d->mac[5], (unsigned)o->config->dpdk_mtu, n->fronts, dpdk_runtime_directory());
}

struct network *network_start(const struct network_options *options, char *error, size_t error_size)
{
    struct network *n = calloc(1, sizeof *n);
    CHECK(n);
    n->fronts = options->fronts;
    if (!open_ports(n, options, error, error_size))
        return NULL; /* the process ends */
    for (unsigned i = 0; i < n->fronts; i++)
        n->device[i] = dpdk_port_device(n->port, i);
    if (n->fronts > 1)
        steer(n, options);
    if (*options->config->dpdk_pcap && !record(n, options, error, error_size))
        return NULL;
    for (unsigned i = 0; i < n->fronts; i++)
        make_stack(n, options, i);
    say(n, options);
    return n;
}

struct stack *network_stack(const struct network *network, unsigned front)
{
    return network->stack[front];
}

uint64_t network_buffer_bytes(const struct config *config)
{
    return network_uses(config, NET_DPDK) ? config->dpdk_buffers * (config->dpdk_mtu + 1023 + 384) : 0;
}

void network_end(struct network *network)
{
    for (unsigned i = 0; i < network->fronts; i++) {
        stack_free(network->stack[i]);
        network->device[i]->ops->close(network->device[i]);
    }
    if (network->steer)
        steer_free(network->steer);
    if (network->kernel)
        dpdk_port_close(network->kernel);
    dpdk_port_close(network->port);
    free(network);
}

const struct tcp_stats *network_tcp_stats(const struct network *network, unsigned front)
{
    return tcp_stats(stack_tcp(network->stack[front]));
}
