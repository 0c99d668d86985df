/* A frame's Ethernet header, and who gets what is in the packet. */
#include <string.h>

#include "tcp/ip_inside.h"

static void take_off(struct frame *frame, uint32_t bytes)
{
    frame->at += bytes;
    frame->len -= bytes;
}

enum fate ip_unclaimed(struct ip *ip, uint64_t *counter)
{
    if (ip->kernel)
        return FATE_KERNEL;
    ip_count(counter);
    return FATE_FREE;
}

static enum fate to_user(struct ip *ip, struct arrival *arrival)
{
    struct frame *frame = &arrival->frame;
    /* A segment to many is nobody's, RFC 9293 section 3.9.2.3. */
    if (!arrival->to_us || !arrival->link_unicast)
        return ip_unclaimed(ip, &ip->stats.dropped_not_ours);
    if (frame->len < TCP_HEAD) {
        ip_count(&ip->stats.dropped_malformed);
        return FATE_FREE;
    }
    const struct ip_packet *packet = &arrival->packet;
    bool good = frame->flags & FRAME_L4_SUM_GOOD;
    if (!good && !(frame->flags & FRAME_L4_SUM_BAD))
        good = sum_good(sum_bytes(frame->at, frame->len) +
                        sum_pseudo(&packet->local, &packet->peer, arrival->v6, IP_PROTOCOL_TCP, frame->len));
    if (!good) {
        ip_count(&ip->stats.dropped_sum);
        return FATE_FREE;
    }
    switch (ip->user.segment(ip->user.owner, packet, frame)) {
    case IP_KEPT:
        return FATE_KEPT;
    case IP_NOBODY:
        if (ip->kernel)
            return FATE_KERNEL;
        ip->user.refuse(ip->user.owner, packet, frame);
        return FATE_FREE;
    case IP_DONE:
        break;
    }
    return FATE_FREE;
}

enum fate ip_dispatch(struct ip *ip, struct arrival *arrival)
{
    if (arrival->protocol == IP_PROTOCOL_TCP)
        return to_user(ip, arrival);
    if (arrival->protocol == PROTOCOL_ICMP && !arrival->v6)
        return icmp_input(ip, arrival);
    if (arrival->protocol == PROTOCOL_ICMP6 && arrival->v6)
        return icmp6_input(ip, arrival);
    if (!ip->kernel)
        icmp_refuse(ip, arrival);
    return ip_unclaimed(ip, &ip->stats.dropped_not_ours);
}

/* Takes the VLAN tag off, if there is one. Returns the frame's VLAN, 0 for none; -1: it is too short. */
static int vlan_of(struct frame *frame, uint16_t *type)
{
    *type = get_be16(frame->at + ETHER_TYPE);
    take_off(frame, ETHER_HEAD);
    if (frame->flags & FRAME_VLAN_STRIPPED)
        return frame->vlan & VLAN_ID;
    if (*type != ETHER_TYPE_VLAN)
        return 0;
    if (frame->len < VLAN_TAG)
        return -1;
    int vlan = get_be16(frame->at) & VLAN_ID;
    *type = get_be16(frame->at + 2);
    take_off(frame, VLAN_TAG);
    return vlan;
}

static enum fate by_type(struct ip *ip, struct arrival *arrival, uint16_t type)
{
    switch (type) {
    case ETHER_TYPE_IP4:
        return ip4_input(ip, arrival);
    case ETHER_TYPE_IP6:
        return ip6_input(ip, arrival);
    case ETHER_TYPE_ARP:
        return arp_input(ip, arrival);
    default:
        return ip_unclaimed(ip, &ip->stats.dropped_not_ours);
    }
}

static enum fate ethernet_input(struct ip *ip, struct arrival *arrival)
{
    struct frame *frame = &arrival->frame;
    const uint8_t *head = frame->at;
    /* Nobody sends from an address of many. */
    if (frame->len < ETHER_HEAD || head[ETHER_SOURCE] & 1) {
        ip_count(&ip->stats.dropped_malformed);
        return FATE_FREE;
    }
    arrival->mac = head + ETHER_SOURCE;
    arrival->link_unicast = !(head[ETHER_DESTINATION] & 1);
    /* A switch that doesn't know yet where somebody is sends his frames to everybody. */
    if (arrival->link_unicast && memcmp(head + ETHER_DESTINATION, ip->device->mac, ETHER_MAC) != 0) {
        ip_count(&ip->stats.dropped_not_ours);
        return FATE_FREE;
    }
    uint16_t type;
    int vlan = vlan_of(frame, &type);
    if (vlan != ip->vlan) {
        ip_count(vlan < 0 ? &ip->stats.dropped_malformed : &ip->stats.dropped_vlan);
        return FATE_FREE;
    }
    return by_type(ip, arrival, type);
}

void ip_input(struct ip *ip, struct frame *frame)
{
    struct arrival arrival = {.frame = *frame, .whole = *frame};
    ip_count(&ip->stats.frames_in);
    stat_add(&ip->stats.bytes_in, frame->len);
    enum fate fate = ethernet_input(ip, &arrival);
    if (fate == FATE_KEPT)
        return;
    if (fate == FATE_KERNEL && ip->kernel)
        ip_to_kernel(ip, &arrival.whole);
    ip->device->ops->free(ip->device, frame->buffer);
}
