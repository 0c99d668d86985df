/* Neighbour discovery, RFC 4861. Routers are not listened to: the gateway is configured. */
#include <string.h>

#include "tcp/ip_inside.h"

static const struct ip_address all_nodes = {{0xff, 2, [15] = 1}};
static const uint8_t all_nodes_mac[ETHER_MAC] = {0x33, 0x33, 0, 0, 0, 1};

/* RFC 4291 section 2.7.1. */
static struct ip_address group_of(const struct ip_address *address)
{
    struct ip_address group = {{0xff, 2, [11] = 1, [12] = 0xff}};
    memcpy(group.bytes + 13, address->bytes + 13, 3);
    return group;
}

bool nd_is_our_group(const struct ip *ip, const struct ip_address *address)
{
    for (unsigned i = 0; i < ip->addresses; i++) {
        struct ip_address group = group_of(&ip->address[i].address);
        if (!ip_address_is_v4(&ip->address[i].address) && memcmp(&group, address, sizeof group) == 0)
            return true;
    }
    return false;
}

/* A solicitation or advertisement with our Ethernet address as its option. */
static void send(struct ip *ip, const uint8_t *mac, const struct ip_address *from,
                 const struct ip_address *to, uint8_t type, uint8_t flags, const struct ip_address *target)
{
    uint8_t bytes[IP_HEAD_ROOM + ND_HEAD + ND_OPTION] = {0};
    uint8_t *nd = bytes + IP_HEAD_ROOM;
    nd[ICMP_TYPE] = type;
    nd[ND_FLAGS] = flags;
    memcpy(nd + ND_TARGET, target->bytes, 16);
    nd[ND_HEAD] = type == ND_SOLICITATION ? ND_OPTION_SOURCE_MAC : ND_OPTION_TARGET_MAC;
    nd[ND_HEAD + 1] = 1;
    memcpy(nd + ND_HEAD + 2, ip->device->mac, ETHER_MAC);
    ip_transmit_icmp(ip, mac, from, to, ND_HOPS, nd, ND_HEAD + ND_OPTION);
}

void nd_ask(struct ip *ip, const struct neighbour *neighbour, const struct ip_address *from)
{
    const struct ip_address *target = &neighbour->address;
    struct ip_address group = group_of(target);
    uint8_t group_mac[ETHER_MAC] = {0x33, 0x33, 0xff};
    memcpy(group_mac + 3, target->bytes + 13, 3);
    if (neighbour->state == NEIGHBOUR_ASKED)
        send(ip, group_mac, from, &group, ND_SOLICITATION, 0, target);
    else
        send(ip, neighbour->mac, from, target, ND_SOLICITATION, 0, target);
}

void nd_announce(struct ip *ip, const struct ip_address *address)
{
    send(ip, all_nodes_mac, address, &all_nodes, ND_ADVERTISEMENT, ND_OVERRIDE, address);
}

/* Finds the option with an Ethernet address. False: options don't add up, or the address is of many.
 * *mac: NULL when there is none. */
static bool find_mac(const struct frame *frame, uint8_t kind, const uint8_t **mac)
{
    const uint8_t *at = frame->at + ND_HEAD;
    uint32_t len = frame->len - ND_HEAD;
    *mac = NULL;
    while (len) {
        uint32_t size = len >= ND_OPTION ? at[1] * 8u : 0;
        if (size == 0 || size > len)
            return false;
        if (at[0] == kind)
            *mac = at + 2;
        at += size;
        len -= size;
    }
    return !*mac || !(**mac & 1);
}

/* Section 7.2.3, 7.2.4. */
static bool on_solicitation(struct ip *ip, const struct arrival *arrival, const struct ip_address *target)
{
    static const struct ip_address nobody;
    const struct ip_address *peer = &arrival->packet.peer;
    bool from_nobody = memcmp(peer, &nobody, sizeof nobody) == 0;
    const uint8_t *mac;
    if (!find_mac(&arrival->frame, ND_OPTION_SOURCE_MAC, &mac))
        return false;
    /* Section 7.1.1: who has no address yet asks the group, and doesn't say where he is. */
    if (from_nobody && (mac || arrival->to_us))
        return false;
    if (!ip_is_ours(ip, target) || ip_address_is_v4(target))
        return true;
    if (mac)
        ip_heard(ip, peer, mac, false, true);
    if (from_nobody)
        nd_announce(ip, target);
    else
        send(ip, mac ? mac : arrival->mac, target, peer, ND_ADVERTISEMENT, ND_SOLICITED | ND_OVERRIDE,
             target);
    return true;
}

/* Section 7.2.5. */
static void hear(struct ip *ip, const struct ip_address *target, const uint8_t *mac, uint8_t flags)
{
    struct neighbour *known = neighbour_find(&ip->neighbours, target);
    if (!known)
        return;
    bool solicited = flags & ND_SOLICITED;
    if (known->state == NEIGHBOUR_ASKED) {
        if (mac)
            ip_heard(ip, target, mac, solicited, false);
        return;
    }
    bool same = !mac || memcmp(mac, known->mac, ETHER_MAC) == 0;
    if (same && solicited)
        neighbour_heard(&ip->neighbours, known, known->mac, true, ip->now_ns);
    else if (!same && (flags & ND_OVERRIDE))
        ip_heard(ip, target, mac, solicited, false);
    else if (!same && known->state == NEIGHBOUR_REACHABLE)
        neighbour_doubt(&ip->neighbours, known, ip->now_ns);
}

static bool on_advertisement(struct ip *ip, const struct arrival *arrival, const struct ip_address *target)
{
    const uint8_t *nd = arrival->frame.at, *mac;
    if (!find_mac(&arrival->frame, ND_OPTION_TARGET_MAC, &mac))
        return false;
    /* Section 7.1.2: what is said to all answers nobody. */
    if (!arrival->to_us && (nd[ND_FLAGS] & ND_SOLICITED))
        return false;
    if (!ip_is_ours(ip, target))
        hear(ip, target, mac, nd[ND_FLAGS]);
    else if (memcmp(mac ? mac : arrival->mac, ip->device->mac, ETHER_MAC) != 0)
        ip_conflict(ip, target, mac ? mac : arrival->mac);
    return true;
}

enum fate nd_input(struct ip *ip, struct arrival *arrival)
{
    const struct frame *frame = &arrival->frame;
    const uint8_t *nd = frame->at;
    bool good =
        arrival->hops == ND_HOPS && frame->len >= ND_HEAD && nd[ICMP_CODE] == 0 && nd[ND_TARGET] != 0xff;
    if (good) {
        struct ip_address target;
        memcpy(target.bytes, nd + ND_TARGET, 16);
        ip_count(&ip->stats.nd_in);
        good = !ip_address_is_v4(&target) &&
               (nd[ICMP_TYPE] == ND_SOLICITATION ? on_solicitation(ip, arrival, &target)
                                                 : on_advertisement(ip, arrival, &target));
    }
    if (!good) {
        ip_count(&ip->stats.dropped_malformed);
        return FATE_FREE;
    }
    /* Copies of what the kernel may wait for, too. */
    return nd[ICMP_TYPE] == ND_ADVERTISEMENT || !arrival->to_us ? FATE_KERNEL : FATE_FREE;
}
