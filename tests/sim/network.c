#include "network.h"

#include <stdlib.h>

#include "base/check.h"
#include "lan.h"

/* One of the two. */
struct network {
    struct sim_network *streams;
    struct lan *lan;
};

static struct network *allocate(void)
{
    struct network *network = calloc(1, sizeof *network);
    CHECK(network);
    return network;
}

struct network *network_new(const struct sim_network_options *options)
{
    struct network *network = allocate();
    network->streams = sim_network_new(options);
    return network;
}

struct network *network_new_lan(uint64_t seed)
{
    struct network *network = allocate();
    network->lan = lan_new(seed);
    return network;
}

void network_free(struct network *network)
{
    if (network->lan)
        lan_free(network->lan);
    else
        sim_network_free(network->streams);
    free(network);
}

bool network_is_lan(const struct network *network)
{
    return network->lan != NULL;
}

/* The transports of the streams do it themselves. */
void network_advance(struct network *network, uint64_t now_ns)
{
    if (network->lan)
        lan_advance(network->lan, now_ns);
}

uint64_t network_deadline(const struct network *network)
{
    return network->lan ? lan_deadline(network->lan) : sim_deadline(network->streams);
}

bool network_quiet(const struct network *network)
{
    return network->lan ? lan_quiet(network->lan) : sim_deadline(network->streams) == UINT64_MAX;
}

bool network_is_silent(const struct network *network)
{
    return network->lan && lan_is_silent(network->lan);
}

void network_calm(struct network *network)
{
    if (network->lan)
        lan_calm(network->lan);
}

const char *network_address(const struct network *network)
{
    return network->lan ? LAN_LISTEN : "broker";
}

struct transport *network_transport(struct network *network, struct transport_user up)
{
    return network->lan ? lan_transport(network->lan, up) : transport_sim_new(network->streams, up);
}

void network_transport_free(struct network *network, struct transport *transport)
{
    if (network->lan)
        lan_transport_free(network->lan, transport);
    else
        transport->ops->free(transport);
}

uint64_t network_accepted(struct network *network, uint64_t stream, const char *peer)
{
    return network->lan ? lan_accepted(network->lan, peer) : stream;
}

bool network_knows(const struct network *network, uint64_t stream)
{
    return !network->lan || lan_knows(network->lan, stream);
}

void network_dies(struct network *network)
{
    if (network->lan)
        lan_dies(network->lan);
}

uint64_t network_connect(struct network *network, unsigned client)
{
    return network->lan ? lan_connect(network->lan, client) : sim_connect(network->streams, "broker");
}

enum sim_state network_state(const struct network *network, uint64_t id)
{
    return network->lan ? lan_state(network->lan, id) : sim_state(network->streams, id);
}

size_t network_write(struct network *network, uint64_t id, struct span bytes)
{
    return network->lan ? lan_write(network->lan, id, bytes) : sim_write(network->streams, id, bytes);
}

size_t network_read(struct network *network, uint64_t id, void *to, size_t room)
{
    return network->lan ? lan_read(network->lan, id, to, room) : sim_read(network->streams, id, to, room);
}

void network_close(struct network *network, uint64_t id)
{
    if (network->lan)
        lan_close(network->lan, id);
    else
        sim_close(network->streams, id);
}

void network_reset(struct network *network, uint64_t id)
{
    if (network->lan)
        lan_reset(network->lan, id);
    else
        sim_reset(network->streams, id);
}

void network_vanish(struct network *network, uint64_t id)
{
    if (network->lan)
        lan_vanish(network->lan, id);
    else
        sim_vanish(network->streams, id);
}

void network_deafen(struct network *network, uint64_t id, bool deaf)
{
    if (network->lan)
        lan_deafen(network->lan, id, deaf);
    else
        sim_deafen(network->streams, id, deaf);
}

void network_forget(struct network *network, uint64_t id)
{
    if (network->lan)
        lan_forget(network->lan, id);
    else
        sim_forget(network->streams, id);
}
