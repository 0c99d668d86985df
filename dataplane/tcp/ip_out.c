/*
 * Packets out. The happy path: the path names a neighbour that is reachable → IP header before the
 * transport's → Ethernet header before that → the device.
 */
#include <string.h>

#include "base/check.h"
#include "tcp/ip_inside.h"

uint8_t *ip_link_before(const struct ip *ip, uint8_t *end, const uint8_t *mac, uint16_t type)
{
    uint8_t *at = end - ip->link_len - ETHER_MAC;
    memcpy(at, mac, ETHER_MAC);
    memcpy(at + ETHER_MAC, ip->link[0], ip->link_len);
    put_be16(end - 2, type);
    return at;
}

/* As above, in as few instructions as it takes. */
static inline uint8_t *link_before(const struct ip *ip, uint8_t *end, const uint8_t *mac, bool v6)
{
    const uint8_t *rest = ip->link[v6];
    uint8_t *at;
    if (ip->link_len == ETHER_HEAD - ETHER_MAC) {
        at = end - ETHER_HEAD;
        memcpy(at + ETHER_MAC, rest, ETHER_HEAD - ETHER_MAC);
    } else {
        at = end - LINK_MAX;
        memcpy(at + ETHER_MAC, rest, LINK_MAX - ETHER_MAC);
    }
    memcpy(at, mac, ETHER_MAC);
    return at;
}

/* len: of all behind the header. Of a frame that the device cuts up the length is the device's matter, so it
 * may be more than the field holds. */
static inline uint8_t *ip4_before(uint8_t *l4, const struct ip_address *from, const struct ip_address *to,
                                  uint8_t protocol, uint8_t hops, uint16_t id, uint32_t len)
{
    uint8_t *at = l4 - IP4_HEAD;
    put_be32(at, 0x45000000u | ((len + IP4_HEAD) & UINT16_MAX));
    put_be32(at + IP4_ID, (uint32_t)id << 16 | IP4_DONT_FRAGMENT);
    put_be32(at + IP4_TTL, (uint32_t)hops << 24 | (uint32_t)protocol << 16);
    memcpy(at + IP4_SOURCE, from->bytes + 12, 4);
    memcpy(at + IP4_DESTINATION, to->bytes + 12, 4);
    return at;
}

static inline uint8_t *ip6_before(uint8_t *l4, const struct ip_address *from, const struct ip_address *to,
                                  uint8_t protocol, uint8_t hops, uint32_t len)
{
    uint8_t *at = l4 - IP6_HEAD;
    put_be32(at, 0x60000000u);
    put_be32(at + IP6_LENGTH, len << 16 | (uint32_t)protocol << 8 | hops);
    memcpy(at + IP6_SOURCE, from->bytes, 16);
    memcpy(at + IP6_DESTINATION, to->bytes, 16);
    return at;
}

/* The transport's sum: the pseudo-header's for the device to go on from, or all of it. */
static inline uint16_t sum_l4(const struct ip *ip, const struct ip_path *path, const struct tx_frame *frame,
                              uint8_t protocol, uint8_t *field)
{
    uint32_t len = frame->flags & TX_TSO ? 0 : frame->head_len + frame->payload;
    uint64_t sum = sum_pseudo(&path->local, &path->peer, path->v6, protocol, len);
    if (protocol == IP_PROTOCOL_TCP && (ip->offers & TX_TCP_SUM)) {
        uint16_t folded = sum_fold(sum);
        memcpy(field, &folded, sizeof folded);
        return TX_TCP_SUM;
    }
    sum += sum_bytes(frame->head, frame->head_len);
    sum_put(field, sum_pieces(frame->piece, frame->pieces, sum));
    return 0;
}

/* Writes everything before the transport header, which is of even length. */
static inline void finish(const struct ip *ip, struct ip_path *path, struct tx_frame *frame, uint8_t protocol,
                          uint16_t sum_at, const uint8_t *mac)
{
    uint8_t *l4 = frame->head, *l3;
    uint32_t len = frame->head_len + frame->payload;
    frame->flags |= sum_l4(ip, path, frame, protocol, l4 + sum_at);
    if (path->v6) {
        l3 = ip6_before(l4, &path->local, &path->peer, protocol, path->ttl, len);
        frame->flags |= TX_IPV6;
    } else {
        l3 = ip4_before(l4, &path->local, &path->peer, protocol, path->ttl, path->id++, len);
        if (ip->offers & TX_IP_SUM)
            frame->flags |= TX_IP_SUM;
        else
            sum_put(l3 + IP4_SUM, sum_ip4(l3));
    }
    frame->head = link_before(ip, l3, mac, path->v6);
    frame->head_len += (uint16_t)(l4 - frame->head);
    frame->l3_at = (uint16_t)(l3 - frame->head);
    frame->l4_at = (uint16_t)(l4 - frame->head);
}

/* The neighbour that leads to the peer, when the path's isn't the plain case. */
static struct neighbour *reach(struct ip *ip, struct ip_path *path)
{
    const struct ip_address *hop = ip_next_hop(ip, &path->peer);
    CHECK(hop);
    struct neighbour *neighbour = neighbour_find(&ip->neighbours, hop);
    if (!neighbour)
        neighbour = neighbour_make(&ip->neighbours, hop, true, ip->now_ns);
    path->neighbour = (uint32_t)(neighbour - ip->neighbours.entry);
    path->generation = neighbour->generation;
    if (neighbour_use(&ip->neighbours, neighbour, ip->now_ns))
        ip_ask(ip, neighbour);
    return neighbour;
}

static inline void count_out(struct ip *ip, const struct tx_frame *frame)
{
    ip_count(&ip->stats.frames_out);
    stat_add(&ip->stats.bytes_out, frame->head_len + (int64_t)frame->payload);
}

enum ip_sent ip_send(struct ip *ip, struct ip_path *path, struct tx_frame *frame, uint8_t protocol,
                     uint16_t sum_at)
{
    struct neighbour *neighbour = &ip->neighbours.entry[path->neighbour];
    if (__builtin_expect(neighbour->generation == path->generation && neighbour->state == NEIGHBOUR_REACHABLE,
                         1))
        neighbour->used_ns = ip->now_ns;
    else
        neighbour = reach(ip, path);
    finish(ip, path, frame, protocol, sum_at, neighbour->mac);
    if (__builtin_expect(neighbour->state == NEIGHBOUR_ASKED, 0)) {
        if (!neighbour_wait(&ip->neighbours, neighbour, frame))
            ip_count(&ip->stats.dropped_no_neighbour);
        return IP_WAITS;
    }
    if (!ip->device->ops->tx(ip->device, frame))
        return IP_FULL;
    count_out(ip, frame);
    return IP_SENT;
}

bool ip_transmit(struct ip *ip, const struct tx_frame *frame)
{
    if (!ip->device->ops->tx(ip->device, frame)) {
        ip_count(&ip->stats.dropped_full);
        return false;
    }
    count_out(ip, frame);
    return true;
}

bool ip_fits(const struct device *device, const uint8_t *at, size_t len)
{
    size_t head = len >= LINK_MAX && get_be16(at + ETHER_TYPE) == ETHER_TYPE_VLAN ? LINK_MAX : ETHER_HEAD;
    return len >= head && len <= head + device->mtu_max && len <= UINT16_MAX;
}

bool ip_transmit_bytes(struct ip *ip, uint8_t *at, size_t len)
{
    if (!ip_fits(ip->device, at, len)) {
        ip_count(&ip->stats.dropped_malformed);
        return false;
    }
    return ip_transmit(ip, &(struct tx_frame){.head = at, .head_len = (uint16_t)len});
}

void ip_transmit_icmp(struct ip *ip, const uint8_t *mac, const struct ip_address *from,
                      const struct ip_address *to, uint8_t hops, uint8_t *icmp, size_t len)
{
    bool v6 = !ip_address_is_v4(from);
    uint8_t protocol = v6 ? PROTOCOL_ICMP6 : PROTOCOL_ICMP, *l3;
    uint8_t mac_copy[ETHER_MAC]; /* it may lie where the header is written */
    memcpy(mac_copy, mac, sizeof mac_copy);
    if (len + (v6 ? IP6_HEAD : IP4_HEAD) > ip->mtu)
        return;
    memset(icmp + ICMP_SUM, 0, 2);
    uint64_t sum = sum_bytes(icmp, len);
    sum_put(icmp + ICMP_SUM, v6 ? sum + sum_pseudo(from, to, v6, protocol, (uint32_t)len) : sum);
    if (v6) {
        l3 = ip6_before(icmp, from, to, protocol, hops, (uint32_t)len);
    } else {
        l3 = ip4_before(icmp, from, to, protocol, hops, 0, (uint32_t)len);
        sum_put(l3 + IP4_SUM, sum_ip4(l3));
    }
    uint8_t *at = link_before(ip, l3, mac_copy, v6);
    ip_transmit_bytes(ip, at, (size_t)(icmp - at) + len);
}
