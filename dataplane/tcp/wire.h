/*
 * What stands where in Ethernet, ARP, IP, ICMP and neighbour discovery, as offsets in bytes: headers lie at
 * any address, and get_be/put_be (base/span.h) read and write them there. And the Internet checksum (RFC
 * 1071).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>

#include "tcp/ip.h"

enum {
    ETHER_DESTINATION = 0,
    ETHER_SOURCE = 6,
    ETHER_TYPE = 12,
    ETHER_HEAD = 14,
    ETHER_MAC = 6,
    ETHER_TYPE_IP4 = 0x0800,
    ETHER_TYPE_ARP = 0x0806,
    ETHER_TYPE_VLAN = 0x8100,
    ETHER_TYPE_IP6 = 0x86dd,
    VLAN_TAG = 4, /* bytes: its type, then priority and identifier */
    VLAN_ID = 0x0fff,
};

/* ARP for IPv4 over Ethernet, RFC 826. */
enum {
    ARP_HARDWARE = 0,
    ARP_PROTOCOL = 2,
    ARP_SIZES = 4,
    ARP_OPERATION = 6,
    ARP_SENDER_MAC = 8,
    ARP_SENDER = 14,
    ARP_TARGET_MAC = 18,
    ARP_TARGET = 24,
    ARP_HEAD = 28,
    ARP_REQUEST = 1,
    ARP_REPLY = 2,
};

/* RFC 791. */
enum {
    IP4_VERSION = 0, /* and the header's length in words of four bytes */
    IP4_TOS = 1,
    IP4_LENGTH = 2,
    IP4_ID = 4,
    IP4_FRAGMENT = 6,
    IP4_TTL = 8,
    IP4_PROTOCOL = 9,
    IP4_SUM = 10,
    IP4_SOURCE = 12,
    IP4_DESTINATION = 16,
    IP4_HEAD = 20,
    IP4_DONT_FRAGMENT = 0x4000,
    IP4_FRAGMENT_MASK = 0x3fff, /* more fragments, offset */
    IP4_OPTION_END = 0,
    IP4_OPTION_NONE = 1,
    IP4_OPTION_LOOSE_ROUTE = 131,
    IP4_OPTION_STRICT_ROUTE = 137,
};

/* RFC 8200. */
enum {
    IP6_VERSION = 0, /* 4 bits; 8 of traffic class, 20 of flow label */
    IP6_LENGTH = 4,
    IP6_NEXT = 6,
    IP6_HOPS = 7,
    IP6_SOURCE = 8,
    IP6_DESTINATION = 24,
    IP6_HEAD = 40,
    IP6_MTU_MIN = 1280,
    IP6_HOP_BY_HOP = 0, /* extension headers */
    IP6_ROUTING = 43,
    IP6_FRAGMENT = 44,
    IP6_NONE = 59,
    IP6_DESTINATION_OPTIONS = 60,
};

enum {
    PROTOCOL_ICMP = 1,
    PROTOCOL_UDP = 17,
    PROTOCOL_ICMP6 = 58,
    TCP_SOURCE_PORT = 0, /* what of TCP an ICMP error quotes */
    TCP_DESTINATION_PORT = 2,
    TCP_SEQ = 4,
    TCP_QUOTED = 8,
    TCP_HEAD = 20, /* without options */
    ECN_MASK = 3,
    ECN_CE = 3,
};

/* RFC 792, 4443, 4861. */
enum {
    ICMP_TYPE = 0,
    ICMP_CODE = 1,
    ICMP_SUM = 2,
    ICMP_MTU = 4, /* of both versions; IPv4's is in the last two of these four bytes */
    ICMP_HEAD = 8,
    ICMP_ECHO_REPLY = 0,
    ICMP_UNREACHABLE = 3,
    ICMP_ECHO = 8,
    ICMP_TIME_EXCEEDED = 11,
    ICMP_PARAMETER = 12,
    ICMP_CODE_PROTOCOL = 2,
    ICMP_CODE_PORT = 3,
    ICMP_CODE_TOO_BIG = 4,
    ICMP6_UNREACHABLE = 1,
    ICMP6_TOO_BIG = 2,
    ICMP6_TIME_EXCEEDED = 3,
    ICMP6_PARAMETER = 4,
    ICMP6_CODE_PORT = 4,
    ICMP6_CODE_NEXT_HEADER = 1,
    ICMP6_ECHO = 128,
    ICMP6_ECHO_REPLY = 129,
    ND_SOLICITATION = 135,
    ND_ADVERTISEMENT = 136,
    ND_FLAGS = 4,
    ND_SOLICITED = 0x40,
    ND_OVERRIDE = 0x20,
    ND_TARGET = 8,
    ND_HEAD = 24,
    ND_OPTION = 8, /* bytes of an option with an Ethernet address */
    ND_OPTION_SOURCE_MAC = 1,
    ND_OPTION_TARGET_MAC = 2,
    ND_HOPS = 255, /* a lower hop limit has come through a router, RFC 4861 section 7.1 */
};

/* A sum of 16-bit words in the machine's order, not folded: so it can be added to, and a folded sum is stored
 * as it is. */
uint64_t sum_bytes(const void *at, size_t len);
/* Of pieces one behind the other, where any may be of odd length. begin: of what comes before them. */
uint64_t sum_pieces(const struct iovec *piece, unsigned pieces, uint64_t begin);

static inline uint32_t sum_word(const void *at)
{
    uint32_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* The 16 bits that stand for it, not complemented. */
static inline uint16_t sum_fold(uint64_t sum)
{
    sum = (sum >> 32) + (uint32_t)sum;
    sum = (sum >> 32) + (uint32_t)sum;
    sum = (sum >> 16) + (sum & 0xffff);
    sum = (sum >> 16) + (sum & 0xffff);
    return (uint16_t)sum;
}

/* Stores a sum, complemented, in a header. */
static inline void sum_put(uint8_t *at, uint64_t sum)
{
    uint16_t folded = (uint16_t)~sum_fold(sum);
    memcpy(at, &folded, sizeof folded);
}

/* Whether bytes that contain their own checksum are whole. */
static inline bool sum_good(uint64_t sum)
{
    return sum_fold(sum) == 0xffff;
}

/* The header of an IPv4 packet without options. */
static inline uint64_t sum_ip4(const uint8_t *head)
{
    uint64_t sum = 0;
    for (int i = 0; i < IP4_HEAD; i += 4)
        sum += sum_word(head + i);
    return sum;
}

/* The pseudo-header of RFC 9293 section 3.1 and RFC 8200 section 8.1; both addresses of one family. */
static inline uint64_t sum_pseudo(const struct ip_address *a, const struct ip_address *b, bool v6,
                                  uint8_t protocol, uint32_t len)
{
    uint64_t sum = (uint64_t)__builtin_bswap32(protocol) + __builtin_bswap32(len);
    for (int i = v6 ? 0 : 12; i < 16; i += 4)
        sum += (uint64_t)sum_word(a->bytes + i) + sum_word(b->bytes + i);
    return sum;
}
