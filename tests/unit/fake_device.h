/*
 * A device that is fed frames by a test and keeps what it is given to send, put together to whole frames; and
 * an ip above it whose user writes down what he is told.
 *
 * Each received frame has a buffer of its own of the exact size, so that sanitizers see a read past its end,
 * and each must come back exactly once.
 */
#pragma once

#include "tcp/device.h"
#include "tcp/ip.h"
#include "tcp/wire.h"

enum { FAKE_FRAMES = 2048, FAKE_BYTES = 70000 };

struct fake_frame {
    uint8_t *bytes;
    uint32_t len;
    uint16_t flags, vlan, l3_at, l4_at, mss;
};

struct fake_device {
    struct device device;
    struct fake_frame in[FAKE_FRAMES], out[FAKE_FRAMES];
    unsigned in_first, in_end; /* not yet received */
    unsigned outs;             /* sent */
    unsigned lent, flushes;
    unsigned room; /* frames that tx takes before it is full */
};

struct fake_host {
    struct fake_device port, kernel;
    struct ip_options options;
    struct ip *ip;
    uint64_t now;
    /* What the user was told, and what he says to segments. */
    enum ip_taken answer;
    unsigned segments, refused, errors;
    struct ip_packet packet;
    struct ip_error error;
    uint8_t segment[FAKE_BYTES];
    uint32_t segment_len;
    void *kept;
};

extern const uint8_t fake_mac[6], peer_mac[6];
/* 192.0.2.1, 192.0.2.9, 2001:db8::1, 2001:db8::9 */
extern const struct ip_address host4, peer4, host6, peer6;

/* A host 192.0.2.1/24 and 2001:db8::1/64 with gateways .254 and ::fe; change options before fake_start. */
struct fake_host *fake_new(void);
void fake_start(struct fake_host *host);
/* Past the announcements, with what they sent forgotten. */
void fake_quiet(struct fake_host *host);
struct fake_host *fake_new_quiet(void);
/* A segment of 20 bytes, all zero. */
enum ip_sent fake_send_small(struct fake_host *host, const struct ip_address *peer);
/* CHECKs that all buffers have come back. */
void fake_free(struct fake_host *host);
void fake_receive(struct fake_device *d, const uint8_t *bytes, uint32_t len, uint16_t flags, uint16_t vlan);
/* Receives it on the port and polls until all is looked at. */
void fake_input(struct fake_host *host, const uint8_t *bytes, uint32_t len);
void fake_forget(struct fake_device *d);
struct ip_address fake_address(const char *text);

/* A frame under construction: its bytes and how many. */
struct fake_bytes {
    uint8_t at[FAKE_BYTES];
    uint32_t len;
};

/* From peer_mac. type: ETHER_TYPE_*. */
void fake_ether(struct fake_bytes *b, const uint8_t *to, uint16_t type);
/* l4: bytes behind the header; its sum is good. */
void fake_ip4(struct fake_bytes *b, const struct ip_address *from, const struct ip_address *to,
              uint8_t protocol, const void *l4, uint32_t len);
void fake_ip6(struct fake_bytes *b, const struct ip_address *from, const struct ip_address *to,
              uint8_t protocol, uint8_t hops, const void *l4, uint32_t len);
/* A TCP segment from port 1000 to 5672 with a good sum; returns its length. */
uint32_t fake_tcp(uint8_t *at, const struct ip_address *from, const struct ip_address *to, uint32_t payload);
/* Puts a good sum into an ICMP (from NULL) or ICMPv6 message. */
void fake_icmp_sum(uint8_t *icmp, uint32_t len, const struct ip_address *from, const struct ip_address *to);
/* Both headers and the segment: peer4 or peer6 to us. */
void fake_segment(struct fake_bytes *b, bool v6, uint32_t payload);
/* ARP from peer_mac. */
void fake_arp(struct fake_bytes *b, const uint8_t *to, uint16_t operation, const char *sender,
              const char *target);
/* A solicitation (option 1) or advertisement (option 2) from peer_mac; option 0: none. */
void fake_nd(struct fake_bytes *b, const struct ip_address *from, const struct ip_address *to, uint8_t type,
             uint8_t flags, const struct ip_address *target, uint8_t option);
/* An address's solicited-node group. */
struct ip_address fake_group(const struct ip_address *address);

/* How sums and lengths of a sent frame without VLAN tag hold; what the device was to fill in is left out. */
bool fake_sums_good(const struct fake_frame *f);
