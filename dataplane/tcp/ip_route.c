/* Whose an address is, and which way leads to it. */
#include <string.h>

#include "tcp/ip_inside.h"

static bool is_zero(const struct ip_address *address)
{
    static const struct ip_address zero;
    return memcmp(address, &zero, sizeof zero) == 0;
}

static bool is_equal(const struct ip_address *a, const struct ip_address *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

static uint32_t v4_of(const struct ip_address *address)
{
    return get_be32(address->bytes + 12);
}

static bool is_link_local6(const struct ip_address *address)
{
    return address->bytes[0] == 0xfe && (address->bytes[1] & 0xc0) == 0x80;
}

bool ip_is_ours(const struct ip *ip, const struct ip_address *address)
{
    for (unsigned i = 0; i < ip->addresses; i++)
        if (is_equal(&ip->address[i].address, address))
            return true;
    return false;
}

static bool is_in(const struct ip_prefix *prefix, const struct ip_address *address)
{
    unsigned bits = prefix->bits + (ip_address_is_v4(&prefix->address) ? 96u : 0u);
    unsigned bytes = bits / 8, rest = bits % 8;
    return memcmp(prefix->address.bytes, address->bytes, bytes) == 0 &&
           (rest == 0 || (prefix->address.bytes[bytes] ^ address->bytes[bytes]) >> (8 - rest) == 0);
}

bool ip_on_link(const struct ip *ip, const struct ip_address *address)
{
    bool v4 = ip_address_is_v4(address);
    for (unsigned i = 0; i < ip->addresses; i++)
        if (v4 == ip_address_is_v4(&ip->address[i].address) && is_in(&ip->address[i], address))
            return true;
    return is_link_local6(address);
}

bool ip_is_broadcast(const struct ip *ip, const struct ip_address *address)
{
    if (!ip_address_is_v4(address))
        return false;
    if (v4_of(address) == UINT32_MAX)
        return true;
    for (unsigned i = 0; i < ip->addresses; i++) {
        const struct ip_prefix *prefix = &ip->address[i];
        /* Networks of one and two hosts have none, RFC 3021. */
        if (!ip_address_is_v4(&prefix->address) || prefix->bits > 30 || !is_in(prefix, address))
            continue;
        uint32_t hosts = UINT32_MAX >> prefix->bits;
        if ((v4_of(address) & hosts) == hosts)
            return true;
    }
    return false;
}

bool ip_is_host(const struct ip *ip, const struct ip_address *address)
{
    if (ip_address_is_v4(address)) {
        /* RFC 1122 section 3.2.1.3: this network, loopback, and from 224.0.0.0 on no single host. */
        uint8_t first = address->bytes[12];
        return first != 0 && first != 127 && first < 224 && !ip_is_broadcast(ip, address);
    }
    static const struct ip_address loopback = {{[15] = 1}};
    return address->bytes[0] != 0xff && !is_zero(address) && !is_equal(address, &loopback);
}

const struct ip_address *ip_source_for(const struct ip *ip, const struct ip_address *peer)
{
    bool v4 = ip_address_is_v4(peer);
    const struct ip_address *any = NULL;
    for (unsigned i = 0; i < ip->addresses; i++) {
        const struct ip_prefix *prefix = &ip->address[i];
        if (ip_address_is_v4(&prefix->address) != v4)
            continue;
        if (is_in(prefix, peer))
            return &prefix->address;
        /* An address that is good on this wire only is the last choice. */
        if (!any || is_link_local6(any))
            any = &prefix->address;
    }
    return any;
}

const struct ip_address *ip_next_hop(const struct ip *ip, const struct ip_address *peer)
{
    if (ip_on_link(ip, peer))
        return peer;
    const struct ip_address *gateway = &ip->gateway[ip_address_is_v4(peer) ? 0 : 1];
    return is_zero(gateway) ? NULL : gateway;
}

bool ip_find_path(struct ip *ip, const struct ip_address *local, const struct ip_address *peer,
                  struct ip_path *path)
{
    const struct ip_address *from = is_zero(local) ? ip_source_for(ip, peer) : local;
    if (!from || !ip_is_ours(ip, from) || ip_address_is_v4(from) != ip_address_is_v4(peer))
        return false;
    if (!ip_is_host(ip, peer) || ip_is_ours(ip, peer) || !ip_next_hop(ip, peer))
        return false;
    *path = (struct ip_path){
        .local = *from,
        .peer = *peer,
        .mtu = ip->mtu,
        .v6 = !ip_address_is_v4(peer),
        .ttl = 64,
        .id = (uint16_t)prng_next(&ip->prng),
    };
    return true;
}
