#include "port.h"
#include "buffer.h"
#include "clock.h"

#include "base/log.h"
#include "tcp/device_dpdk.h"
#include "tcp/stack.h"
#include "transport/transport_tcp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

struct port {
    struct dpdk_port *dpdk;
    struct stack *stack;
};

static uint64_t wall_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}

/* The broker's words for its options stand in what DPDK's part says: here they have ours. */
static void in_our_words(char *why, size_t why_size)
{
    static const char *const words[][2] = {{"dpdk.eal", "--eal"},
                                           {"dpdk.port", "--dpdk-port"},
                                           {"dpdk.mtu", "--mtu"},
                                           {"dpdk.buffers", "--buffers"},
                                           {"dpdk.address", "--address"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        char *at = strstr(why, words[i][0]), rest[512];
        if (!at)
            continue;
        snprintf(rest, sizeof rest, "%s%s", words[i][1], at + strlen(words[i][0]));
        snprintf(at, why_size - (size_t)(at - why), "%s", rest);
    }
}

static int parse_addresses(struct ip_options *ip, const char *text, char *why, size_t why_size)
{
    char list[512], *save = NULL;
    snprintf(list, sizeof list, "%s", text);
    for (char *one = strtok_r(list, ",", &save); one; one = strtok_r(NULL, ",", &save)) {
        if (ip->addresses < IP_ADDRESSES_MAX && ip_prefix_parse(one, &ip->address[ip->addresses])) {
            ip->addresses++;
            continue;
        }
        snprintf(why, why_size, "--address %s: wanted is an address with its network's bits: 10.0.0.1/24",
                 one);
        return -1;
    }
    if (ip->addresses)
        return 0;
    snprintf(why, why_size, "--transport dpdk: give the port an address: --address 10.0.0.1/24");
    return -1;
}

static void make_stack(struct port *port, struct stack_options *s, const struct port_options *o)
{
    s->ip.device = dpdk_port_device(port->dpdk, 0);
    s->ip.mtu = (uint16_t)o->mtu;
    s->tcp.connections_max = (uint32_t)o->connections;
    if (getrandom(s->tcp.secret, sizeof s->tcp.secret, 0) < 0 ||
        getrandom(&s->tcp.seed, sizeof s->tcp.seed, 0) < 0)
        s->tcp.seed = now_ns();
    s->ip.seed = ~s->tcp.seed;
    port->stack = stack_new(s);
}

struct port *port_open(const struct port_options *o, char *why, size_t why_size)
{
    struct stack_options s = {0};
    char prefix[32];
    const struct dpdk_port_options p = {
        .name = o->name, .queues = 1, .mtu = (uint16_t)o->mtu, .buffers = (uint32_t)o->buffers};
    if (parse_addresses(&s.ip, o->address, why, why_size))
        return NULL;
    if (o->gateway && !ip_address_parse(o->gateway, &s.ip.gateway[strchr(o->gateway, ':') != NULL])) {
        snprintf(why, why_size, "--gateway %s: not an address", o->gateway);
        return NULL;
    }
    struct port *port = zalloc(1, sizeof *port);
    snprintf(prefix, sizeof prefix, "gannet-bench-%d", (int)getpid());
    log_start(LOG_ERROR, wall_ns);
    if (dpdk_start(o->eal, prefix, 1, why, why_size))
        port->dpdk = dpdk_port_open(&p, why, why_size);
    if (!port->dpdk) {
        in_our_words(why, why_size);
        free(port);
        return NULL;
    }
    make_stack(port, &s, o);
    return port;
}

struct device *port_device(const struct port *port)
{
    return dpdk_port_device(port->dpdk, 0);
}

struct transport *port_transport(struct port *port, const struct transport_user *up)
{
    return transport_tcp_new(port->stack, *up);
}

void port_enter_thread(void)
{
    dpdk_enter_thread();
}

void port_close(struct port *port)
{
    stack_free(port->stack);
    dpdk_port_close(port->dpdk);
    free(port);
}
