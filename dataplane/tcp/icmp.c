/* ICMP, RFC 792, and ICMPv6, RFC 4443: echoes are answered, errors and neighbour discovery handed on. */
#include "tcp/ip_inside.h"

static enum fate drop(uint64_t *counter)
{
    ip_count(counter);
    return FATE_FREE;
}

/* The answer is written over the question, and goes back to whom it came from on the wire. */
static enum fate answer_echo(struct ip *ip, struct arrival *arrival, uint8_t type)
{
    const struct ip_packet *packet = &arrival->packet;
    uint8_t *icmp = arrival->frame.at;
    /* Never one that was sent to many, RFC 1122 section 3.2.2.6. */
    if (!arrival->to_us || !arrival->link_unicast)
        return drop(&ip->stats.dropped_not_ours);
    if (!ip_rate_allows(&ip->echoes, ip->now_ns, ECHO_NS, ECHOES_BURST))
        return drop(&ip->stats.icmp_limited);
    icmp[ICMP_TYPE] = type;
    ip_transmit_icmp(ip, arrival->mac, &packet->local, &packet->peer, 64, icmp, arrival->frame.len);
    ip_count(&ip->stats.echo_answered);
    return FATE_FREE;
}

enum fate icmp_input(struct ip *ip, struct arrival *arrival)
{
    const struct frame *frame = &arrival->frame;
    if (frame->len < ICMP_HEAD)
        return drop(&ip->stats.dropped_malformed);
    if (!sum_good(sum_bytes(frame->at, frame->len)))
        return drop(&ip->stats.dropped_sum);
    ip_count(&ip->stats.icmp_in);
    switch (frame->at[ICMP_TYPE]) {
    case ICMP_ECHO:
        return frame->at[ICMP_CODE] == 0 ? answer_echo(ip, arrival, ICMP_ECHO_REPLY)
                                         : drop(&ip->stats.dropped_malformed);
    case ICMP_UNREACHABLE:
    case ICMP_TIME_EXCEEDED:
    case ICMP_PARAMETER:
        icmp_error_input(ip, arrival);
        return FATE_KERNEL;
    default:
        return FATE_KERNEL;
    }
}

enum fate icmp6_input(struct ip *ip, struct arrival *arrival)
{
    const struct frame *frame = &arrival->frame;
    const struct ip_packet *packet = &arrival->packet;
    if (frame->len < ICMP_HEAD)
        return drop(&ip->stats.dropped_malformed);
    if (!sum_good(sum_bytes(frame->at, frame->len) +
                  sum_pseudo(&packet->local, &packet->peer, true, PROTOCOL_ICMP6, frame->len)))
        return drop(&ip->stats.dropped_sum);
    ip_count(&ip->stats.icmp_in);
    uint8_t type = frame->at[ICMP_TYPE];
    if (type == ND_SOLICITATION || (type == ND_ADVERTISEMENT && ip_is_host(ip, &packet->peer)))
        return nd_input(ip, arrival);
    /* Only a solicitation can come from somebody who has no address. */
    if (!ip_is_host(ip, &packet->peer))
        return drop(&ip->stats.dropped_martian);
    switch (type) {
    case ICMP6_ECHO:
        return frame->at[ICMP_CODE] == 0 ? answer_echo(ip, arrival, ICMP6_ECHO_REPLY)
                                         : drop(&ip->stats.dropped_malformed);
    case ICMP6_UNREACHABLE:
    case ICMP6_TOO_BIG:
    case ICMP6_TIME_EXCEEDED:
    case ICMP6_PARAMETER:
        icmp_error_input(ip, arrival);
        return FATE_KERNEL;
    default:
        return FATE_KERNEL;
    }
}
