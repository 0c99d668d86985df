/*
 * What is below TCP, for one front and on its thread: Ethernet, ARP (RFC 826), IPv4 (RFC 791, 1122), ICMP
 * (RFC 792), IPv6 (RFC 8200), neighbour discovery (RFC 4861) and ICMPv6 (RFC 4443). One device, static
 * addresses.
 *
 * An address is always 16 bytes; an IPv4 one is written as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tcp/device.h"

enum {
    IP_ADDRESSES_MAX = 8,
    IP_HEAD_ROOM =
        64, /* writable bytes that ip_send wants before a frame's transport header: Ethernet, VLAN, IPv6 */
    IP_PROTOCOL_TCP = 6,
    IP_TEXT = 48, /* an address as text and its NUL */
};

struct ip_address {
    uint8_t bytes[16];
};

/* An address of this host, and how many of its bits (of 32 for IPv4) are the network's. */
struct ip_prefix {
    struct ip_address address;
    uint8_t bits;
};

/* A transport segment that has come for one of our addresses. frame->at is its first byte (TCP header),
 * frame->len its length; the sum has been checked. */
struct ip_packet {
    struct ip_address local, peer;
    bool congested; /* ECN CE, RFC 3168: for counting */
};

/* What became of a segment handed to ip_user.segment. */
enum ip_taken {
    IP_DONE,   /* looked at: the caller frees the buffer */
    IP_KEPT,   /* the buffer is the user's now */
    IP_NOBODY, /* no connection or listener: to the kernel if there is an exception path, else ip_user.refuse
                */
};

/* An ICMP error about a segment that we are said to have sent; not believed before tcp has looked at seq. */
struct ip_error {
    struct ip_address local, peer;
    uint16_t local_port, peer_port;
    uint32_t seq;                                                           /* of the segment quoted */
    enum { IP_ERROR_UNREACHABLE, IP_ERROR_REFUSED, IP_ERROR_TOO_BIG } kind; /* REFUSED: port or protocol */
    uint16_t mtu; /* TOO_BIG: what fits; 0 where an old router doesn't say */
};

struct ip_user {
    void *owner;
    enum ip_taken (*segment)(void *owner, const struct ip_packet *packet, struct frame *frame);
    /* Answers with a reset (RFC 9293 section 3.10.7.1). The caller frees the buffer. */
    void (*refuse)(void *owner, const struct ip_packet *packet, const struct frame *frame);
    void (*error)(void *owner, const struct ip_error *error);
};

struct ip_options {
    struct device *device;
    struct device *kernel; /* exception path: where frames for nobody here go, and come from; NULL: none */
    struct ip_prefix address[IP_ADDRESSES_MAX];
    unsigned addresses;
    struct ip_address gateway[2]; /* IPv4, IPv6; all zero: none */
    uint16_t mtu;                 /* at most the device's */
    uint16_t vlan;                /* 1 to 4094, 0 for none */
    uint64_t seed;
};

/* Counters, since the start. */
struct ip_stats {
    uint64_t frames_in, frames_out, bytes_in, bytes_out;
    uint64_t dropped_malformed, dropped_sum, dropped_fragment, dropped_not_ours, dropped_no_neighbour,
        dropped_full;
    uint64_t dropped_vlan;    /* of another VLAN than ours */
    uint64_t dropped_martian; /* from an address that nobody can send from */
    uint64_t dropped_options; /* source routes, and options that must be known */
    uint64_t to_kernel, from_kernel;
    uint64_t arp_in, nd_in, icmp_in, icmp_errors_in, icmp_errors_out, echo_answered;
    uint64_t icmp_limited; /* echoes and errors not sent, because there were too many */
    uint64_t conflicts;    /* somebody else says that he has an address of ours */
    uint64_t neighbours;   /* in the table now */
    uint64_t neighbours_evicted, neighbours_refused;
};

/* The way to a peer, made once for a connection. What is in it is ip's own but for local, peer and mtu. */
struct ip_path {
    struct ip_address local, peer;
    uint16_t mtu; /* of the interface: bytes of an IP packet */
    bool v6;
    uint8_t ttl; /* 64 */
    uint32_t neighbour, generation;
    uint16_t id; /* IPv4 identification of the next packet */
};

enum ip_sent {
    IP_SENT,
    IP_WAITS, /* the neighbour is being resolved: a copy of a small frame is kept and goes out then; of
                 others, and when too many wait, nothing is kept */
    IP_FULL,  /* the device has no room: nothing is taken */
};

struct ip;

struct ip *ip_new(const struct ip_options *options, struct ip_user user);
void ip_free(struct ip *ip);
/* One turn: frames from the device (and the kernel) are looked at, at most one burst; neighbours age. Returns
 * the work found. Does not flush. */
unsigned ip_poll(struct ip *ip, uint64_t now_ns);
/* When something is due by itself (a neighbour to be asked again); UINT64_MAX for never. */
uint64_t ip_deadline(const struct ip *ip);
/* What ip_send took goes out. */
void ip_flush(struct ip *ip);

/* The way from local (all zero: one of ours that suits) to peer. False: no address of ours is of its family,
 * or no gateway. */
bool ip_find_path(struct ip *ip, const struct ip_address *local, const struct ip_address *peer,
                  struct ip_path *path);
/* Whether it is an address of this host. */
bool ip_is_ours(const struct ip *ip, const struct ip_address *address);
/* Sends a segment. frame->head points to the transport header, head_len is its length, IP_HEAD_ROOM bytes
 * before it are writable; pieces and payload are set; of the flags only TX_TSO (then mss too). sum_at: where
 * in the transport header its checksum is, the field holds 0. ip fills in the rest, the sums by software
 * where the device doesn't. head is unchanged in its length for the caller only if it copies the struct:
 * after IP_FULL it must be built anew. */
enum ip_sent ip_send(struct ip *ip, struct ip_path *path, struct tx_frame *frame, uint8_t protocol,
                     uint16_t sum_at);
struct device *ip_device(struct ip *ip);
const struct ip_stats *ip_stats(const struct ip *ip);

/* "192.0.2.1" or "2001:db8::1". False: it is neither. */
bool ip_address_parse(const char *text, struct ip_address *address);
/* "192.0.2.1/24". */
bool ip_prefix_parse(const char *text, struct ip_prefix *prefix);
/* text: IP_TEXT bytes. Returns text. */
char *ip_address_text(const struct ip_address *address, char *text);
bool ip_address_is_v4(const struct ip_address *address);
