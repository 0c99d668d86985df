/* IPv6: the headers of a packet that has come, RFC 8200. */
#include <string.h>

#include "tcp/ip_inside.h"

/* Of one packet: more are nobody's honest traffic. */
enum { EXTENSIONS_MAX = 8 };

/* What a look at a header says: go on, or what the packet is dropped as. */
enum verdict { VERDICT_GO_ON, VERDICT_MALFORMED, VERDICT_OPTIONS, VERDICT_FRAGMENT };

static enum fate drop(uint64_t *counter)
{
    ip_count(counter);
    return FATE_FREE;
}

static bool is_mapped(const struct ip_address *address)
{
    return ip_address_is_v4(address);
}

/* Options that we don't know may be passed over only if their first two bits say so: section 4.2. */
static enum verdict look_at_options(const uint8_t *at, uint32_t len)
{
    while (len) {
        uint32_t size = *at == 0 ? 1 : len >= 2 ? at[1] + 2u : 0;
        if (size == 0 || size > len)
            return VERDICT_MALFORMED;
        if (*at >> 6)
            return VERDICT_OPTIONS;
        at += size;
        len -= size;
    }
    return VERDICT_GO_ON;
}

static enum verdict look_at_extension(uint8_t kind, const uint8_t *at, uint32_t len)
{
    switch (kind) {
    case IP6_HOP_BY_HOP:
    case IP6_DESTINATION_OPTIONS:
        return look_at_options(at + 2, len - 2);
    case IP6_ROUTING:
        /* Segments left: we forward nothing, RFC 5095 section 3. */
        return at[3] ? VERDICT_OPTIONS : VERDICT_GO_ON;
    default:
        return VERDICT_GO_ON;
    }
}

static bool is_extension(uint8_t kind)
{
    return kind == IP6_HOP_BY_HOP || kind == IP6_DESTINATION_OPTIONS || kind == IP6_ROUTING;
}

/* Takes extension headers off, until what is left is the transport's. */
static enum verdict skip_extensions(struct arrival *arrival)
{
    struct frame *frame = &arrival->frame;
    for (int i = 0; is_extension(arrival->protocol); i++) {
        uint32_t len = frame->len >= 8 ? (frame->at[1] + 1u) * 8 : UINT32_MAX;
        /* Hop by hop comes first or not at all: section 4.1. */
        if (len > frame->len || (arrival->protocol == IP6_HOP_BY_HOP && i))
            return VERDICT_MALFORMED;
        if (i == EXTENSIONS_MAX)
            return VERDICT_OPTIONS;
        enum verdict verdict = look_at_extension(arrival->protocol, frame->at, len);
        if (verdict != VERDICT_GO_ON)
            return verdict;
        arrival->protocol = frame->at[0];
        arrival->next_at = frame->at;
        frame->at += len;
        frame->len -= len;
    }
    return arrival->protocol == IP6_FRAGMENT ? VERDICT_FRAGMENT : VERDICT_GO_ON;
}

/* Whether lengths and version hold; trims what Ethernet has padded. */
static bool is_well_formed(struct frame *frame)
{
    if (frame->len < IP6_HEAD || frame->at[IP6_VERSION] >> 4 != 6)
        return false;
    uint32_t len = IP6_HEAD + (uint32_t)get_be16(frame->at + IP6_LENGTH);
    if (len > frame->len)
        return false;
    frame->len = len;
    return true;
}

/* An address of the other family, in this one's clothes, would pass for it: RFC 4942 section 2.2. Nobody
 * (all zero) asks whether an address is free; that is nd's. */
static bool is_martian(const struct ip *ip, const struct arrival *arrival)
{
    static const struct ip_address nobody;
    const struct ip_address *peer = &arrival->packet.peer;
    if (is_mapped(peer) || is_mapped(&arrival->packet.local))
        return true;
    if (memcmp(peer, &nobody, sizeof nobody) == 0)
        return arrival->frame.at[IP6_NEXT] != PROTOCOL_ICMP6;
    return !ip_is_host(ip, peer) || ip_is_ours(ip, peer);
}

static enum fate by_extensions(struct ip *ip, struct arrival *arrival)
{
    switch (skip_extensions(arrival)) {
    case VERDICT_MALFORMED:
        return drop(&ip->stats.dropped_malformed);
    case VERDICT_OPTIONS:
        return drop(&ip->stats.dropped_options);
    case VERDICT_FRAGMENT:
        return arrival->frame.len && arrival->frame.at[0] == IP_PROTOCOL_TCP
                   ? drop(&ip->stats.dropped_fragment)
                   : ip_unclaimed(ip, &ip->stats.dropped_fragment);
    case VERDICT_GO_ON:
        break;
    }
    return ip_dispatch(ip, arrival);
}

enum fate ip6_input(struct ip *ip, struct arrival *arrival)
{
    static const struct ip_address all_nodes = {{0xff, 2, [15] = 1}};
    struct frame *frame = &arrival->frame;
    if (!is_well_formed(frame))
        return drop(&ip->stats.dropped_malformed);
    const uint8_t *head = arrival->l3 = frame->at;
    struct ip_packet *packet = &arrival->packet;
    memcpy(packet->local.bytes, head + IP6_DESTINATION, 16);
    memcpy(packet->peer.bytes, head + IP6_SOURCE, 16);
    packet->congested = (head[1] >> 4 & ECN_MASK) == ECN_CE;
    arrival->v6 = true;
    arrival->hops = head[IP6_HOPS];
    arrival->protocol = head[IP6_NEXT];
    arrival->next_at = head + IP6_NEXT;
    if (is_martian(ip, arrival))
        return drop(&ip->stats.dropped_martian);
    bool many = packet->local.bytes[0] == 0xff;
    bool group = many && (nd_is_our_group(ip, &packet->local) ||
                          memcmp(&packet->local, &all_nodes, sizeof all_nodes) == 0);
    arrival->to_us = ip_is_ours(ip, &packet->local);
    if (many && !group)
        return ip_unclaimed(ip, &ip->stats.dropped_not_ours);
    if (!arrival->to_us && !group)
        return drop(&ip->stats.dropped_not_ours);
    if (arrival->to_us && !arrival->link_unicast)
        return drop(&ip->stats.dropped_not_ours);
    frame->at += IP6_HEAD;
    frame->len -= IP6_HEAD;
    return by_extensions(ip, arrival);
}
