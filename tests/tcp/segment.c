#include "segment.h"

#include <string.h>

#include "base/span.h"
#include "tcp/device_sim.h"

enum { ETHERNET = 14, IPV4 = 0x0800, IPV6 = 0x86dd, ARP = 0x0806, ICMPV6 = 58 };

/* Ethernet and IP in front of l4_len bytes, from the peer to us. Returns where they begin. */
static uint8_t *put_ip(const struct hosts *h, uint8_t *frame, uint8_t protocol, uint32_t l4_len,
                       bool congested)
{
    uint8_t *p = put_span(put_span(frame, span_of(h->our_mac, 6)), span_of(h->peer_mac, 6));
    p = put_be16(p, h->v6 ? IPV6 : IPV4);
    if (h->v6) {
        put_be32(p, 6u << 28 | (congested ? 3u << 20 : 0));
        put_be16(p + 4, (uint16_t)l4_len);
        p[6] = protocol;
        p[7] = protocol == ICMPV6 ? 255 : 64;
        return put_span(put_span(p + 8, span_of(h->peers, 16)), span_of(h->ours, 16));
    }
    memset(p, 0, 20);
    p[0] = 0x45;
    p[1] = congested ? 3 : 0;
    put_be16(p + 2, (uint16_t)(20 + l4_len));
    p[6] = 0x40;
    p[8] = 64;
    p[9] = protocol;
    put_span(put_span(p + 12, span_of(h->peers + 12, 4)), span_of(h->ours + 12, 4));
    put_be16(p + 10, sim_sum_field(sim_sum(0, p, 20)));
    return p + 20;
}

uint32_t segment_build(const struct hosts *h, const struct segment *s, const uint8_t *payload, uint8_t *frame)
{
    uint32_t head = 20u + s->options_len, l4_len = head + s->len;
    uint8_t *l4 = put_ip(h, frame, 6, l4_len, s->congested);
    memset(l4, 0, 20);
    put_be16(put_be16(l4, s->from_port), s->to_port);
    put_be32(put_be32(l4 + 4, s->seq), s->ack);
    l4[12] = (uint8_t)((s->data_offset ? (uint32_t)s->data_offset : head / 4) << 4);
    l4[13] = s->flags;
    put_be16(l4 + 14, s->win);
    put_be16(l4 + 18, s->urg);
    put_span(put_span(l4 + 20, span_of(s->options, s->options_len)), span_of(payload, s->len));
    uint32_t sum = sim_sum_pseudo(frame + ETHERNET, 6, l4_len);
    put_be16(l4 + 16, (uint16_t)(sim_sum_field(sim_sum(sum, l4, l4_len)) ^ (s->bad_sum ? 0x0100 : 0)));
    return (uint32_t)(l4 - frame) + l4_len;
}

/* ---- reading ------------------------------------------------------------------------------------------- */

static void read_sacks(struct segment *s, const uint8_t *at, unsigned n)
{
    s->has |= HAS_SACK;
    for (unsigned i = 0; i < n && i < SACKS_MAX; i++, s->sacks++)
        s->sack[i] = (struct sack){get_be32(at + 8 * i), get_be32(at + 8 * i + 4)};
}

static const char *read_options(struct segment *s)
{
    const uint8_t *p = s->options, *end = p + s->options_len;
    while (p < end && *p != 0) {
        if (*p == 1) {
            p++;
            continue;
        }
        if (end - p < 2 || p[1] < 2 || p[1] > end - p)
            return "malformed options";
        if (p[0] == 2 && p[1] == 4) {
            s->has |= HAS_MSS;
            s->mss = get_be16(p + 2);
        } else if (p[0] == 3 && p[1] == 3) {
            s->has |= HAS_WSCALE;
            s->wscale = p[2];
        } else if (p[0] == 4 && p[1] == 2) {
            s->has |= HAS_SACK_OK;
        } else if (p[0] == 5 && p[1] % 8 == 2 && p[1] > 2) {
            read_sacks(s, p + 2, p[1] / 8);
        } else if (p[0] == 8 && p[1] == 10) {
            s->has |= HAS_TS;
            s->ts_val = get_be32(p + 2);
            s->ts_ecr = get_be32(p + 6);
        } else {
            s->has |= HAS_OTHER;
        }
        p += p[1];
    }
    return NULL;
}

static const char *read_ipv4(const struct hosts *h, const uint8_t *l3, uint32_t room, uint32_t *head,
                             uint32_t *total)
{
    *head = (l3[0] & 15) * 4u;
    *total = get_be16(l3 + 2);
    if (l3[0] != 0x45 || *total > room || *total < 40)
        return "IPv4 header: version or length";
    if (sim_sum_field(sim_sum(0, l3, 20)) != 0)
        return "IPv4 header: sum";
    if (memcmp(l3 + 12, h->ours + 12, 4) != 0 || memcmp(l3 + 16, h->peers + 12, 4) != 0)
        return "IPv4 header: addresses";
    if (get_be16(l3 + 6) != 0x4000)
        return "IPv4 header: a fragment, or DF is not set";
    return l3[8] == 64 ? NULL : "IPv4 header: TTL";
}

static const char *read_ipv6(const struct hosts *h, const uint8_t *l3, uint32_t room, uint32_t *head,
                             uint32_t *total)
{
    *head = 40;
    *total = 40u + get_be16(l3 + 4);
    if (l3[0] >> 4 != 6 || *total > room || *total < 60)
        return "IPv6 header: version or length";
    if (memcmp(l3 + 8, h->ours, 16) != 0 || memcmp(l3 + 24, h->peers, 16) != 0)
        return "IPv6 header: addresses";
    return l3[7] == 64 ? NULL : "IPv6 header: hop limit";
}

const char *segment_read(const struct hosts *h, const uint8_t *frame, uint32_t len, struct segment *s,
                         const uint8_t **payload)
{
    const uint8_t *l3 = frame + ETHERNET;
    uint32_t head, total;
    memset(s, 0, sizeof *s);
    const char *wrong = h->v6 ? read_ipv6(h, l3, len - ETHERNET, &head, &total)
                              : read_ipv4(h, l3, len - ETHERNET, &head, &total);
    if (wrong)
        return wrong;
    const uint8_t *l4 = l3 + head;
    uint32_t l4_len = total - head, doff = (l4[12] >> 4) * 4u;
    if (doff < 20 || doff > l4_len)
        return "TCP header: data offset";
    if (sim_sum_field(sim_sum(sim_sum_pseudo(l3, 6, l4_len), l4, l4_len)) != 0)
        return "TCP header: sum";
    s->from_port = get_be16(l4);
    s->to_port = get_be16(l4 + 2);
    s->seq = get_be32(l4 + 4);
    s->ack = get_be32(l4 + 8);
    s->flags = l4[13];
    s->win = get_be16(l4 + 14);
    s->urg = get_be16(l4 + 18);
    s->len = l4_len - doff;
    s->options_len = (uint8_t)(doff - 20);
    memcpy(s->options, l4 + 20, s->options_len);
    *payload = l4 + doff;
    return read_options(s);
}

/* ---- ICMP ---------------------------------------------------------------------------------------------- */

static const struct icmp_row {
    const char *kind, *code;
    uint8_t type4, code4, type6, code6;
} icmp_rows[] = {
    {"unreachable", "net", 3, 0, 1, 0},
    {"unreachable", "host", 3, 1, 1, 3},
    {"unreachable", "protocol", 3, 2, 4, 1},
    {"unreachable", "port", 3, 3, 1, 4},
    {"unreachable", "admin", 3, 13, 1, 1},
    {"too_big", "", 3, 4, 2, 0},
    {"expired", "", 11, 0, 3, 0},
    {"quench", "", 4, 0, 0, 0},
};

/* The packet that the error is about: ours, of which the first bytes come back. */
static uint32_t quote(const struct hosts *h, const struct segment *about, uint8_t *to)
{
    struct hosts back = *h;
    uint8_t frame[128];
    memcpy(back.ours, h->peers, 16);
    memcpy(back.peers, h->ours, 16);
    uint32_t head = h->v6 ? 40 : 20;
    segment_build(&back, about, NULL, frame);
    put_span(to, span_of(frame + ETHERNET, head + 8));
    return head + 8;
}

uint32_t icmp_build(const struct hosts *h, const char *kind, const char *code, uint16_t mtu,
                    const struct segment *about, uint8_t *frame)
{
    const struct icmp_row *row = NULL;
    for (size_t i = 0; i < sizeof icmp_rows / sizeof icmp_rows[0] && !row; i++)
        if (strcmp(icmp_rows[i].kind, kind) == 0 && strcmp(icmp_rows[i].code, code) == 0)
            row = &icmp_rows[i];
    if (!row)
        return 0;
    uint8_t body[128] = {h->v6 ? row->type6 : row->type4, h->v6 ? row->code6 : row->code4};
    uint32_t len = 8 + quote(h, about, body + 8);
    if (mtu)
        put_be32(body + 4, mtu);
    uint8_t *l4 = put_ip(h, frame, h->v6 ? ICMPV6 : 1, len, false);
    uint32_t sum = h->v6 ? sim_sum_pseudo(frame + ETHERNET, ICMPV6, len) : 0;
    put_be16(body + 2, sim_sum_field(sim_sum(sum, body, len)));
    put_span(l4, span_of(body, len));
    return (uint32_t)(l4 - frame) + len;
}

/* ---- neighbours ---------------------------------------------------------------------------------------- */

static uint32_t arp_answer(const struct hosts *h, const uint8_t *arp, uint8_t *answer)
{
    /* Only who-has for somebody else than who asks. */
    if (get_be16(arp + 6) != 1 || memcmp(arp + 14, arp + 24, 4) == 0)
        return 0;
    uint8_t *p = put_span(put_span(answer, span_of(arp + 8, 6)), span_of(h->peer_mac, 6));
    p = put_span(put_be16(p, ARP), span_of(arp, 6));
    p = put_span(put_be16(p, 2), span_of(h->peer_mac, 6));
    p = put_span(put_span(p, span_of(arp + 24, 4)), span_of(arp + 8, 10));
    return (uint32_t)(p - answer);
}

static uint32_t nd_answer(const struct hosts *h, const uint8_t *frame, uint8_t *answer)
{
    const uint8_t *l3 = frame + ETHERNET, *l4 = l3 + 40;
    static const uint8_t nobody[16];
    if (l3[6] != ICMPV6 || l4[0] != 135 || memcmp(l3 + 8, nobody, 16) == 0)
        return 0;
    uint8_t body[32] = {136, 0, 0, 0, 0x60};
    struct hosts as = *h;
    memcpy(as.peers, l4 + 8, 16);
    as.v6 = true;
    put_span(body + 8, span_of(l4 + 8, 16));
    body[24] = 2;
    body[25] = 1;
    put_span(body + 26, span_of(h->peer_mac, 6));
    uint8_t *p = put_ip(&as, answer, ICMPV6, sizeof body, false);
    uint32_t sum = sim_sum_pseudo(answer + ETHERNET, ICMPV6, sizeof body);
    put_be16(body + 2, sim_sum_field(sim_sum(sum, body, sizeof body)));
    p = put_span(p, span_of(body, sizeof body));
    return (uint32_t)(p - answer);
}

uint32_t neighbour_answer(const struct hosts *h, const uint8_t *frame, uint32_t len, uint8_t *answer)
{
    uint16_t type = get_be16(frame + 12);
    if (type == ARP && len >= ETHERNET + 28)
        return arp_answer(h, frame + ETHERNET, answer);
    if (type == IPV6 && len >= ETHERNET + 40 + 24)
        return nd_answer(h, frame, answer);
    return 0;
}
