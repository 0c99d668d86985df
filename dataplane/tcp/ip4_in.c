/* IPv4: the header of a packet that has come, RFC 791 and 1122 section 3.2.1. */
#include <string.h>

#include "tcp/ip_inside.h"

static enum fate drop(uint64_t *counter)
{
    ip_count(counter);
    return FATE_FREE;
}

static struct ip_address address_at(const uint8_t *at)
{
    struct ip_address address = {{[10] = 0xff, [11] = 0xff}};
    memcpy(address.bytes + 12, at, 4);
    return address;
}

/* Options are passed over, but who wants to prescribe the way is refused: RFC 7126 sections 4.3 and 4.4. */
static bool options_harmless(const uint8_t *at, uint32_t len)
{
    while (len && *at != IP4_OPTION_END) {
        uint32_t size = *at == IP4_OPTION_NONE ? 1 : len >= 2 ? at[1] : 0;
        if (*at == IP4_OPTION_LOOSE_ROUTE || *at == IP4_OPTION_STRICT_ROUTE)
            return false;
        if (size == 0 || size > len || (size == 1 && *at != IP4_OPTION_NONE))
            return false;
        at += size;
        len -= size;
    }
    return true;
}

/* Whether lengths and version hold; trims what Ethernet has padded. */
static bool is_well_formed(struct frame *frame, uint32_t *head_len)
{
    if (frame->len < IP4_HEAD || frame->at[IP4_VERSION] >> 4 != 4)
        return false;
    uint32_t len = get_be16(frame->at + IP4_LENGTH);
    *head_len = (frame->at[IP4_VERSION] & 15) * 4u;
    if (*head_len < IP4_HEAD || len < *head_len || len > frame->len)
        return false;
    frame->len = len;
    return true;
}

static bool is_sum_good(const struct frame *frame, uint32_t head_len)
{
    if (frame->flags & (FRAME_IP_SUM_GOOD | FRAME_IP_SUM_BAD))
        return frame->flags & FRAME_IP_SUM_GOOD;
    return sum_good(head_len == IP4_HEAD ? sum_ip4(frame->at) : sum_bytes(frame->at, head_len));
}

/* To one of our addresses, to many, or to somebody else? */
static bool is_for_us(struct ip *ip, struct arrival *arrival, bool *many)
{
    const struct ip_address *local = &arrival->packet.local;
    uint8_t first = local->bytes[12];
    arrival->to_us = ip_is_ours(ip, local);
    *many = !arrival->to_us && ((first >= 224 && first < 240) || ip_is_broadcast(ip, local));
    return arrival->to_us || *many;
}

enum fate ip4_input(struct ip *ip, struct arrival *arrival)
{
    struct frame *frame = &arrival->frame;
    uint32_t head_len;
    if (!is_well_formed(frame, &head_len))
        return drop(&ip->stats.dropped_malformed);
    const uint8_t *head = arrival->l3 = frame->at;
    if (!is_sum_good(frame, head_len))
        return drop(&ip->stats.dropped_sum);
    if (head_len > IP4_HEAD && !options_harmless(head + IP4_HEAD, head_len - IP4_HEAD))
        return drop(&ip->stats.dropped_options);
    struct ip_packet *packet = &arrival->packet;
    packet->local = address_at(head + IP4_DESTINATION);
    packet->peer = address_at(head + IP4_SOURCE);
    packet->congested = (head[IP4_TOS] & ECN_MASK) == ECN_CE;
    arrival->protocol = head[IP4_PROTOCOL];
    arrival->hops = head[IP4_TTL];
    arrival->next_at = head + IP4_PROTOCOL;
    bool many;
    if (!is_for_us(ip, arrival, &many))
        return drop(&ip->stats.dropped_not_ours);
    /* Who has no address yet (DHCP) speaks to the kernel, if to anybody. */
    if (many && ip->kernel)
        return FATE_KERNEL;
    if (!ip_is_host(ip, &packet->peer) || ip_is_ours(ip, &packet->peer))
        return drop(&ip->stats.dropped_martian);
    /* To one host, but to every Ethernet address: RFC 1122 section 3.3.6. */
    if (many || !arrival->link_unicast)
        return drop(&ip->stats.dropped_not_ours);
    if (get_be16(head + IP4_FRAGMENT) & IP4_FRAGMENT_MASK)
        return arrival->protocol == IP_PROTOCOL_TCP ? drop(&ip->stats.dropped_fragment)
                                                    : ip_unclaimed(ip, &ip->stats.dropped_fragment);
    frame->at += head_len;
    frame->len -= head_len;
    return ip_dispatch(ip, arrival);
}
