/*
 * ICMP errors in and out. One that comes quotes the beginning of a packet that we are said to have sent: the
 * user is told whose it was, and believes it only when the quoted sequence number is one of his (RFC 5927).
 */
#include <string.h>

#include "tcp/ip_inside.h"

/* What is said in one: RFC 1812 section 4.3.2.3, RFC 4443 section 2.4 (c). */
enum { ERROR4_MAX = 576, ERROR6_MAX = IP6_MTU_MIN };

/* Reads the quoted header. *head_len: its length. False: it isn't of a TCP segment, or was cut short. */
static bool read_quoted4(const uint8_t *at, uint32_t len, struct ip_error *error, uint32_t *head_len)
{
    if (len < IP4_HEAD || at[IP4_VERSION] >> 4 != 4)
        return false;
    *head_len = (at[IP4_VERSION] & 15) * 4u;
    error->local = error->peer = (struct ip_address){{[10] = 0xff, [11] = 0xff}};
    memcpy(error->local.bytes + 12, at + IP4_SOURCE, 4);
    memcpy(error->peer.bytes + 12, at + IP4_DESTINATION, 4);
    /* Only a first fragment has the ports; we send none that may be cut up. */
    return *head_len >= IP4_HEAD && at[IP4_PROTOCOL] == IP_PROTOCOL_TCP &&
           (get_be16(at + IP4_FRAGMENT) & IP4_FRAGMENT_MASK) == 0;
}

static bool read_quoted6(const uint8_t *at, uint32_t len, struct ip_error *error, uint32_t *head_len)
{
    if (len < IP6_HEAD || at[IP6_VERSION] >> 4 != 6)
        return false;
    *head_len = IP6_HEAD;
    memcpy(error->local.bytes, at + IP6_SOURCE, 16);
    memcpy(error->peer.bytes, at + IP6_DESTINATION, 16);
    /* We send no extension headers; and an IPv4 address in disguise was never on the wire. */
    return at[IP6_NEXT] == IP_PROTOCOL_TCP && !ip_address_is_v4(&error->local) &&
           !ip_address_is_v4(&error->peer);
}

static void judge4(const uint8_t *icmp, struct ip_error *error)
{
    error->kind = IP_ERROR_UNREACHABLE;
    if (icmp[ICMP_TYPE] != ICMP_UNREACHABLE)
        return;
    if (icmp[ICMP_CODE] == ICMP_CODE_PROTOCOL || icmp[ICMP_CODE] == ICMP_CODE_PORT)
        error->kind = IP_ERROR_REFUSED;
    if (icmp[ICMP_CODE] == ICMP_CODE_TOO_BIG) {
        error->kind = IP_ERROR_TOO_BIG;
        error->mtu = get_be16(icmp + ICMP_MTU + 2);
    }
}

static void judge6(const uint8_t *icmp, struct ip_error *error)
{
    uint8_t type = icmp[ICMP_TYPE], code = icmp[ICMP_CODE];
    error->kind = IP_ERROR_UNREACHABLE;
    if ((type == ICMP6_UNREACHABLE && code == ICMP6_CODE_PORT) ||
        (type == ICMP6_PARAMETER && code == ICMP6_CODE_NEXT_HEADER))
        error->kind = IP_ERROR_REFUSED;
    if (type == ICMP6_TOO_BIG) {
        uint32_t mtu = get_be32(icmp + ICMP_MTU);
        error->kind = IP_ERROR_TOO_BIG;
        /* No less than every link carries: RFC 8201 section 4. */
        mtu = mtu < IP6_MTU_MIN ? IP6_MTU_MIN : mtu;
        error->mtu = (uint16_t)(mtu < UINT16_MAX ? mtu : UINT16_MAX);
    }
}

void icmp_error_input(struct ip *ip, const struct arrival *arrival)
{
    const uint8_t *icmp = arrival->frame.at, *quoted = icmp + ICMP_HEAD;
    uint32_t len = arrival->frame.len - ICMP_HEAD, head_len;
    struct ip_error error = {0};
    ip_count(&ip->stats.icmp_errors_in);
    if (!arrival->to_us || !arrival->link_unicast)
        return;
    if (!(arrival->v6 ? read_quoted6 : read_quoted4)(quoted, len, &error, &head_len))
        return;
    if (len < head_len + TCP_QUOTED || !ip_is_ours(ip, &error.local))
        return;
    (arrival->v6 ? judge6 : judge4)(icmp, &error);
    error.local_port = get_be16(quoted + head_len + TCP_SOURCE_PORT);
    error.peer_port = get_be16(quoted + head_len + TCP_DESTINATION_PORT);
    error.seq = get_be32(quoted + head_len + TCP_SEQ);
    ip->user.error(ip->user.owner, &error);
}

/* Type, code, and for ICMPv6 where in the packet the trouble is. */
static void put_refusal(uint8_t *icmp, const struct arrival *arrival)
{
    bool port = arrival->protocol == PROTOCOL_UDP;
    memset(icmp, 0, ICMP_HEAD);
    if (!arrival->v6) {
        icmp[ICMP_TYPE] = ICMP_UNREACHABLE;
        icmp[ICMP_CODE] = port ? ICMP_CODE_PORT : ICMP_CODE_PROTOCOL;
    } else if (port) {
        icmp[ICMP_TYPE] = ICMP6_UNREACHABLE;
        icmp[ICMP_CODE] = ICMP6_CODE_PORT;
    } else {
        icmp[ICMP_TYPE] = ICMP6_PARAMETER;
        icmp[ICMP_CODE] = ICMP6_CODE_NEXT_HEADER;
        put_be32(icmp + ICMP_MTU, (uint32_t)(arrival->next_at - arrival->l3));
    }
}

void icmp_refuse(struct ip *ip, const struct arrival *arrival)
{
    uint8_t bytes[IP_HEAD_ROOM + ERROR6_MAX], *icmp = bytes + IP_HEAD_ROOM;
    const struct ip_packet *packet = &arrival->packet;
    /* Never about an error (RFC 1122 section 3.2.2), nor about what was sent to many. */
    bool silent = arrival->protocol == PROTOCOL_ICMP || arrival->protocol == PROTOCOL_ICMP6 ||
                  (arrival->v6 && arrival->protocol == IP6_NONE);
    if (silent || !arrival->to_us || !arrival->link_unicast)
        return;
    if (!ip_rate_allows(&ip->errors, ip->now_ns, ERROR_NS, ERRORS_BURST)) {
        ip_count(&ip->stats.icmp_limited);
        return;
    }
    uint32_t most = (arrival->v6 ? ERROR6_MAX - IP6_HEAD : ERROR4_MAX - IP4_HEAD) - ICMP_HEAD;
    uint32_t len = (uint32_t)(arrival->frame.at + arrival->frame.len - arrival->l3);
    len = len < most ? len : most;
    put_refusal(icmp, arrival);
    memcpy(icmp + ICMP_HEAD, arrival->l3, len);
    ip_transmit_icmp(ip, arrival->mac, &packet->local, &packet->peer, 64, icmp, ICMP_HEAD + len);
    ip_count(&ip->stats.icmp_errors_out);
}
