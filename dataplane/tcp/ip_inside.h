/*
 * What the files below TCP share; nobody else includes it.
 *
 * A frame in: ip.c (poll) → ip_in.c (Ethernet) → arp.c, ip4_in.c or ip6_in.c (its header) → ip_dispatch →
 * the user, icmp.c, nd.c. Out: ip_out.c. What is for nobody here: ip_kernel.c.
 */
#pragma once

#include "base/prng.h"
#include "base/span.h"
#include "base/stats.h"
#include "tcp/ip.h"
#include "tcp/neighbour.h"
#include "tcp/wire.h"

enum {
    LINK_MAX = ETHER_HEAD + VLAN_TAG,
    ECHOES_BURST = 1000, /* echoes answered at once; then one a millisecond */
    ERRORS_BURST = 10, /* ICMP errors sent at once; then one in ten milliseconds, RFC 4443 section 2.4 (f) */
    ANNOUNCEMENTS = 2, /* at the start, a second apart: RFC 5227 section 2.3 */
};

#define ECHO_NS     UINT64_C(1000000)
#define ERROR_NS    UINT64_C(10000000)
#define CONFLICT_NS UINT64_C(10000000000) /* between two words about it, RFC 5227 section 2.4 (c) */

/* How much may be done in a time: one each `every`, and a burst of them at once. */
struct ip_rate {
    uint64_t next_ns;
};

static inline bool ip_rate_allows(struct ip_rate *rate, uint64_t now_ns, uint64_t every_ns, uint64_t burst)
{
    if (rate->next_ns > now_ns + (burst - 1) * every_ns)
        return false;
    rate->next_ns = (rate->next_ns > now_ns ? rate->next_ns : now_ns) + every_ns;
    return true;
}

struct ip {
    struct device *device, *kernel;
    /* The end of an Ethernet header: our address, the VLAN tag, the type; of IPv4 and IPv6. */
    uint8_t link[2][LINK_MAX - ETHER_MAC];
    uint8_t link_len; /* bytes of it */
    uint16_t mtu;
    uint16_t offers; /* enum tx_flags */
    uint64_t now_ns;
    struct ip_stats stats;
    struct ip_user user;
    struct ip_prefix address[IP_ADDRESSES_MAX];
    unsigned addresses;
    struct ip_address gateway[2];
    uint16_t vlan;
    unsigned announced; /* times */
    uint64_t announce_ns;
    struct ip_rate echoes, errors, conflicts;
    bool kernel_given; /* frames that a flush sends on */
    struct prng prng;
    struct neighbours neighbours;
};

/* A frame that is being looked at. */
struct arrival {
    struct frame frame; /* what is left of it: at is moved behind the headers that have been read */
    struct frame whole; /* as it came */
    struct ip_packet packet;
    const uint8_t *mac;     /* whose it is on this wire */
    const uint8_t *l3;      /* the IP header */
    const uint8_t *next_at; /* the byte that named the header frame.at is at */
    bool link_unicast;      /* to our Ethernet address, not to many */
    bool v6;
    bool to_us; /* to an address of ours, not to many */
    uint8_t protocol, hops;
};

/* What becomes of a frame. */
enum fate {
    FATE_FREE,   /* its buffer goes back */
    FATE_KEPT,   /* the user has it */
    FATE_KERNEL, /* the kernel may have a copy, if there is one; then its buffer goes back */
};

static inline void ip_count(uint64_t *counter)
{
    stat_add(counter, 1);
}

/* ip_in.c */
void ip_input(struct ip *ip, struct frame *frame);
/* Behind the IP headers: hands the packet to who is named by arrival->protocol. */
enum fate ip_dispatch(struct ip *ip, struct arrival *arrival);
/* For nobody here. counter: what it is counted as when there is no kernel. */
enum fate ip_unclaimed(struct ip *ip, uint64_t *counter);

/* ip4_in.c, ip6_in.c: frame.at is at the IP header. */
enum fate ip4_input(struct ip *ip, struct arrival *arrival);
enum fate ip6_input(struct ip *ip, struct arrival *arrival);

/* ip_kernel.c */
void ip_to_kernel(struct ip *ip, const struct frame *frame);
unsigned ip_from_kernel(struct ip *ip);

/* ip_route.c */
bool ip_on_link(const struct ip *ip, const struct ip_address *address);
/* An address that one host can have, of either family. */
bool ip_is_host(const struct ip *ip, const struct ip_address *address);
/* An IPv4 broadcast address of one of our networks, or of all. */
bool ip_is_broadcast(const struct ip *ip, const struct ip_address *address);
/* An address of ours that can speak to peer; NULL: none. */
const struct ip_address *ip_source_for(const struct ip *ip, const struct ip_address *peer);
/* Whom on the wire a packet for peer is sent to; NULL: nobody. */
const struct ip_address *ip_next_hop(const struct ip *ip, const struct ip_address *peer);

/* ip_out.c */
/* Writes an Ethernet header that ends at `end`; returns its first byte. type: ETHER_TYPE_*. */
uint8_t *ip_link_before(const struct ip *ip, uint8_t *end, const uint8_t *mac, uint16_t type);
/* Whether a frame is one that the device carries. */
bool ip_fits(const struct device *device, const uint8_t *at, size_t len);
/* Sends a whole frame; false, and counted, if the device has no room. */
bool ip_transmit(struct ip *ip, const struct tx_frame *frame);
/* The same for bytes of anybody's, which may be more than the device carries. */
bool ip_transmit_bytes(struct ip *ip, uint8_t *at, size_t len);
/* Sends an ICMP message, of which the sum isn't there yet, to whom has that Ethernet address; the headers are
 * written before it. */
void ip_transmit_icmp(struct ip *ip, const uint8_t *mac, const struct ip_address *from,
                      const struct ip_address *to, uint8_t hops, uint8_t *icmp, size_t len);
/* ip.c */
/* Asks who has the neighbour's address: everybody, or itself where it is known. */
void ip_ask(struct ip *ip, struct neighbour *neighbour);
/* Somebody on the wire says that he has the address at mac. */
void ip_heard(struct ip *ip, const struct ip_address *address, const uint8_t *mac, bool confirmed,
              bool create);
/* Somebody else says that he has an address of ours. */
void ip_conflict(struct ip *ip, const struct ip_address *address, const uint8_t *mac);

/* arp.c: frame.at is behind the Ethernet header. */
enum fate arp_input(struct ip *ip, struct arrival *arrival);
void arp_ask(struct ip *ip, const struct neighbour *neighbour, const struct ip_address *from);
void arp_announce(struct ip *ip, const struct ip_address *address);

/* nd.c: the sum has been checked. */
enum fate nd_input(struct ip *ip, struct arrival *arrival);
void nd_ask(struct ip *ip, const struct neighbour *neighbour, const struct ip_address *from);
void nd_announce(struct ip *ip, const struct ip_address *address);
/* Whether it is the group that an address of ours is asked for in, RFC 4291 section 2.7.1. */
bool nd_is_our_group(const struct ip *ip, const struct ip_address *address);

/* icmp.c: frame.at is behind the IP headers. */
enum fate icmp_input(struct ip *ip, struct arrival *arrival);
enum fate icmp6_input(struct ip *ip, struct arrival *arrival);
/* icmp_error.c */
/* An error that we are told of; frame.at is at the ICMP header. */
void icmp_error_input(struct ip *ip, const struct arrival *arrival);
/* Says that nobody here takes it: an unknown protocol, a closed port. */
void icmp_refuse(struct ip *ip, const struct arrival *arrival);
