#include "tcp/sim_offload.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/span.h"
#include "tcp/device_sim.h"

enum { ETHERNET = 14, TCP_SEQ = 4, TCP_FLAGS = 13, TCP_SUM = 16, FIN_PSH = 9, CWR = 0x80 };

uint32_t sim_sum(uint32_t sum, const uint8_t *at, size_t len)
{
    uint64_t wide = sum;
    for (size_t i = 0; i + 1 < len; i += 2)
        wide += get_be16(at + i);
    if (len & 1)
        wide += (uint32_t)at[len - 1] << 8;
    while (wide >> 16)
        wide = (wide & 0xffff) + (wide >> 16);
    return (uint32_t)wide;
}

uint16_t sim_sum_field(uint32_t sum)
{
    return (uint16_t)~sim_sum(sum, NULL, 0);
}

uint32_t sim_sum_pseudo(const uint8_t *l3, uint8_t protocol, uint32_t l4_len)
{
    uint32_t sum = protocol + (l4_len >> 16) + (l4_len & 0xffff);
    return l3[0] >> 4 == 6 ? sim_sum(sum, l3 + 8, 32) : sim_sum(sum, l3 + 12, 8);
}

static void fill_sums(const struct tx_frame *f, uint8_t *bytes, uint32_t len)
{
    uint8_t *l3 = bytes + f->l3_at, *l4 = bytes + f->l4_at;
    if (f->flags & (TX_IP_SUM | TX_TSO) && !(f->flags & TX_IPV6)) {
        put_be16(l3 + 10, 0);
        put_be16(l3 + 10, sim_sum_field(sim_sum(0, l3, (l3[0] & 15) * 4u)));
    }
    if (f->flags & (TX_TCP_SUM | TX_TSO)) {
        uint32_t pseudo = sim_sum_pseudo(l3, 6, len - f->l4_at);
        uint32_t expected = f->flags & TX_TSO ? sim_sum_pseudo(l3, 6, 0) : pseudo;
        /* What the owner left in the field is what a card would go on from; 0 and 0xffff are one number. */
        uint32_t left = get_be16(l4 + TCP_SUM);
        CHECK(left % 0xffff == expected % 0xffff);
        put_be16(l4 + TCP_SUM, 0);
        put_be16(l4 + TCP_SUM, sim_sum_field(sim_sum(pseudo, l4, len - f->l4_at)));
    }
}

/* The lengths of the IP header, and its identification, of the n-th segment. */
static void number_segment(const struct tx_frame *f, uint8_t *l3, uint32_t l3_len, uint16_t n)
{
    if (f->flags & TX_IPV6) {
        put_be16(l3 + 4, (uint16_t)(l3_len - 40));
        return;
    }
    put_be16(l3 + 2, (uint16_t)l3_len);
    put_be16(l3 + 4, (uint16_t)(get_be16(l3 + 4) + n));
}

static void cut(const struct tx_frame *f, uint8_t *bytes,
                void (*emit)(void *owner, uint8_t *frame, uint32_t len), void *owner)
{
    uint16_t n = 0;
    CHECK(f->mss > 0 && f->payload > 0);
    for (uint32_t from = 0; from < f->payload; from += f->mss, n++) {
        uint32_t some = f->payload - from < f->mss ? f->payload - from : f->mss;
        uint32_t len = f->head_len + some;
        uint8_t *one = malloc(len);
        CHECK(one);
        put_span(put_span(one, span_of(bytes, f->head_len)), span_of(bytes + f->head_len + from, some));
        uint8_t *l4 = one + f->l4_at;
        number_segment(f, one + f->l3_at, len - f->l3_at, n);
        put_be32(l4 + TCP_SEQ, get_be32(l4 + TCP_SEQ) + from);
        if (from + some < f->payload)
            l4[TCP_FLAGS] &= (uint8_t)~FIN_PSH;
        if (from > 0)
            l4[TCP_FLAGS] &= (uint8_t)~CWR;
        fill_sums(f, one, len);
        emit(owner, one, len);
        free(one);
    }
}

void sim_offload(const struct tx_frame *f, uint8_t *bytes, uint32_t len,
                 void (*emit)(void *owner, uint8_t *frame, uint32_t len), void *owner)
{
    if (f->flags & TX_TSO && f->payload > f->mss) {
        cut(f, bytes, emit, owner);
        return;
    }
    if (f->flags & TX_TSO)
        number_segment(f, bytes + f->l3_at, len - f->l3_at, 0);
    if (f->flags)
        fill_sums(f, bytes, len);
    emit(owner, bytes, len);
}

static uint16_t look_at_l4(const uint8_t *l3, uint8_t protocol, uint32_t head, uint32_t total)
{
    uint32_t l4_len = total - head;
    if (protocol != 6 || total < head + 20)
        return 0;
    uint32_t sum = sim_sum(sim_sum_pseudo(l3, protocol, l4_len), l3 + head, l4_len);
    return sim_sum_field(sum) == 0 ? FRAME_L4_SUM_GOOD : FRAME_L4_SUM_BAD;
}

uint16_t sim_look_at_sums(const uint8_t *frame, uint32_t len)
{
    const uint8_t *l3 = frame + ETHERNET;
    if (len < ETHERNET + 20)
        return 0;
    uint16_t type = get_be16(frame + 12);
    uint32_t room = len - ETHERNET;
    if (type == 0x86dd && room >= 40 && l3[0] >> 4 == 6)
        return room < 40u + get_be16(l3 + 4) ? 0 : look_at_l4(l3, l3[6], 40, 40u + get_be16(l3 + 4));
    uint32_t head = (l3[0] & 15) * 4u, total = get_be16(l3 + 2);
    if (type != 0x0800 || l3[0] >> 4 != 4 || head < 20 || total < head || total > room)
        return 0;
    if (sim_sum_field(sim_sum(0, l3, head)) != 0)
        return FRAME_IP_SUM_BAD;
    bool fragment = get_be16(l3 + 6) & 0x3fff;
    return FRAME_IP_SUM_GOOD | (fragment ? 0 : look_at_l4(l3, l3[9], head, total));
}
