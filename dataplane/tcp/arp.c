/* ARP, RFC 826; conflicts and announcements, RFC 5227. */
#include <string.h>

#include "tcp/ip_inside.h"

enum { ARP_FIXED = 0x0604, ARP_ETHERNET = 1 }; /* sizes of the addresses, kind of the link */

static const uint8_t everybody[ETHER_MAC] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static struct ip_address address_at(const uint8_t *at)
{
    struct ip_address address = {{[10] = 0xff, [11] = 0xff}};
    memcpy(address.bytes + 12, at, 4);
    return address;
}

static void send(struct ip *ip, const uint8_t *to, uint16_t operation, const uint8_t *sender,
                 const uint8_t *target_mac, const uint8_t *target)
{
    uint8_t bytes[LINK_MAX + ARP_HEAD];
    uint8_t *arp = bytes + LINK_MAX;
    put_be16(arp + ARP_HARDWARE, ARP_ETHERNET);
    put_be16(arp + ARP_PROTOCOL, ETHER_TYPE_IP4);
    put_be16(arp + ARP_SIZES, ARP_FIXED);
    put_be16(arp + ARP_OPERATION, operation);
    memcpy(arp + ARP_SENDER_MAC, ip->device->mac, ETHER_MAC);
    memcpy(arp + ARP_SENDER, sender, 4);
    memcpy(arp + ARP_TARGET_MAC, target_mac, ETHER_MAC);
    memcpy(arp + ARP_TARGET, target, 4);
    uint8_t *at = ip_link_before(ip, arp, to, ETHER_TYPE_ARP);
    ip_transmit_bytes(ip, at, (size_t)(arp - at) + ARP_HEAD);
}

void arp_ask(struct ip *ip, const struct neighbour *neighbour, const struct ip_address *from)
{
    static const uint8_t unknown[ETHER_MAC];
    bool known = neighbour->state != NEIGHBOUR_ASKED;
    send(ip, known ? neighbour->mac : everybody, ARP_REQUEST, from->bytes + 12, unknown,
         neighbour->address.bytes + 12);
}

void arp_announce(struct ip *ip, const struct ip_address *address)
{
    static const uint8_t unknown[ETHER_MAC];
    send(ip, everybody, ARP_REQUEST, address->bytes + 12, unknown, address->bytes + 12);
}

static bool is_well_formed(const struct frame *frame)
{
    const uint8_t *arp = frame->at;
    return frame->len >= ARP_HEAD && get_be16(arp + ARP_HARDWARE) == ARP_ETHERNET &&
           get_be16(arp + ARP_PROTOCOL) == ETHER_TYPE_IP4 && get_be16(arp + ARP_SIZES) == ARP_FIXED &&
           !(arp[ARP_SENDER_MAC] & 1);
}

/* RFC 826: what is known of the sender is brought up to date, whatever the packet is; somebody new is
 * remembered when he wants to speak to us. An answer that nobody asked for teaches nothing new. */
static void learn(struct ip *ip, const uint8_t *arp, const struct ip_address *sender, bool to_us)
{
    bool reply = get_be16(arp + ARP_OPERATION) == ARP_REPLY;
    ip_heard(ip, sender, arp + ARP_SENDER_MAC, to_us && reply, to_us && !reply);
}

enum fate arp_input(struct ip *ip, struct arrival *arrival)
{
    const uint8_t *arp = arrival->frame.at;
    if (!is_well_formed(&arrival->frame)) {
        ip_count(&ip->stats.dropped_malformed);
        return FATE_FREE;
    }
    ip_count(&ip->stats.arp_in);
    uint16_t operation = get_be16(arp + ARP_OPERATION);
    struct ip_address sender = address_at(arp + ARP_SENDER), target = address_at(arp + ARP_TARGET);
    enum fate fate = operation == ARP_REPLY || !arrival->link_unicast ? FATE_KERNEL : FATE_FREE;
    /* Our own, come back. */
    if (memcmp(arp + ARP_SENDER_MAC, ip->device->mac, ETHER_MAC) == 0)
        return fate;
    if (ip_is_ours(ip, &sender)) {
        ip_conflict(ip, &sender, arp + ARP_SENDER_MAC);
        return fate;
    }
    bool to_us = ip_is_ours(ip, &target);
    learn(ip, arp, &sender, to_us);
    /* Also one who has no address yet and asks whether he may have ours (RFC 5227 section 2.1.1). */
    if (operation == ARP_REQUEST && to_us)
        send(ip, arp + ARP_SENDER_MAC, ARP_REPLY, arp + ARP_TARGET, arp + ARP_SENDER_MAC, arp + ARP_SENDER);
    return fate;
}
