/*
 * A frame to send: tx → header copied into an mbuf → payload copied behind it, or attached in place → buffer
 * of 32 → flush → rte_eth_tx_burst → the driver frees the mbufs → shared info says "through" → tx_done.
 */
#include "tcp/device_dpdk.h"

#include <rte_ethdev.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/stats.h"
#include "tcp/dpdk_inside.h"

/* A frame whose payload is lent to the driver. The driver's thread (nearly always our own) says when it is
 * through. */
struct tx_tracked {
    struct rte_mbuf_ext_shared_info shared;
    uint8_t through;
};

static struct device_dpdk *self(struct device *d)
{
    return (struct device_dpdk *)d;
}

/* ---- receiving ------------------------------------------------------------------------------------- */

/* NONE is DPDK's name for a frame whose sum was never filled in, because it has not been on a wire: from a
 * neighbour on the same host, over virtio. Its bytes are vouched for. */
static uint16_t flags_of(uint64_t ol_flags)
{
    uint16_t flags = 0;
    uint64_t ip = ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK, l4 = ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;
    if (ip == RTE_MBUF_F_RX_IP_CKSUM_GOOD || ip == RTE_MBUF_F_RX_IP_CKSUM_NONE)
        flags |= FRAME_IP_SUM_GOOD;
    else if (ip == RTE_MBUF_F_RX_IP_CKSUM_BAD)
        flags |= FRAME_IP_SUM_BAD;
    if (l4 == RTE_MBUF_F_RX_L4_CKSUM_GOOD || l4 == RTE_MBUF_F_RX_L4_CKSUM_NONE)
        flags |= FRAME_L4_SUM_GOOD;
    else if (l4 == RTE_MBUF_F_RX_L4_CKSUM_BAD)
        flags |= FRAME_L4_SUM_BAD;
    if (ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED)
        flags |= FRAME_VLAN_STRIPPED;
    return flags;
}

static void to_frame(struct rte_mbuf *m, struct frame *frame)
{
    *frame = (struct frame){.at = rte_pktmbuf_mtod(m, uint8_t *),
                            .len = m->data_len,
                            .vlan = m->vlan_tci & 0xfff,
                            .flags = flags_of(m->ol_flags),
                            .room = m->buf_addr,
                            .buffer = m};
}

/* Buffers hold a whole frame of the MTU; some drivers chain them nevertheless. */
static bool in_one_piece(struct device_dpdk *q, struct rte_mbuf *m)
{
    if (m->nb_segs == 1 || rte_pktmbuf_linearize(m) == 0)
        return true;
    stat_add(&q->rx_scattered, 1);
    rte_pktmbuf_free(m);
    return false;
}

/* What the driver is through with, from the oldest on. */
static void count_through(struct device_dpdk *q)
{
    while (q->device.tx_done != q->device.tx_given &&
           __atomic_load_n(&q->tracked[q->device.tx_done % TX_TRACKED].through, __ATOMIC_ACQUIRE))
        q->device.tx_done++;
}

static unsigned dpdk_rx(struct device *d, struct frame *frames, unsigned n)
{
    struct device_dpdk *q = self(d);
    struct rte_mbuf *got[DEVICE_BURST];
    unsigned kept = 0;
    count_through(q);
    if (!q->rx)
        return 0;
    uint16_t count = rte_eth_rx_burst(q->port, q->queue, got, (uint16_t)n);
    for (uint16_t i = 0; i < count; i++) {
        if (i + 1 < count)
            rte_prefetch0(rte_pktmbuf_mtod(got[i + 1], void *));
        if (in_one_piece(q, got[i]))
            to_frame(got[i], &frames[kept++]);
    }
    return kept;
}

static void dpdk_free(struct device *d, void *buffer)
{
    (void)d;
    rte_pktmbuf_free(buffer);
}

/* ---- sending --------------------------------------------------------------------------------------- */

static void on_through(void *at, void *tracked)
{
    (void)at;
    __atomic_store_n(&((struct tx_tracked *)tracked)->through, 1, __ATOMIC_RELEASE);
}

static void push(struct device_dpdk *q)
{
    uint16_t sent = rte_eth_tx_burst(q->port, q->queue, q->tx_buffer, q->tx_waiting);
    q->tx_waiting = (uint16_t)(q->tx_waiting - sent);
    if (sent && q->tx_waiting)
        memmove(q->tx_buffer, q->tx_buffer + sent, q->tx_waiting * sizeof q->tx_buffer[0]);
    count_through(q);
}

/* A frame that is being put together. */
struct chain {
    struct device_dpdk *q;
    struct rte_mbuf *first, *last;
    struct tx_tracked *tracked;
    uint16_t lent; /* mbufs whose memory is lent */
};

static bool add(struct chain *chain, struct rte_mempool *pool)
{
    struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
    if (!m)
        return false;
    if (chain->first) {
        chain->last->next = m;
        chain->first->nb_segs++;
    } else {
        chain->first = m;
    }
    chain->last = m;
    return true;
}

/* Behind what is there, into as many mbufs as it takes. */
static bool copy(struct chain *chain, const uint8_t *from, size_t len)
{
    while (len) {
        bool writable = chain->last && !RTE_MBUF_HAS_EXTBUF(chain->last);
        size_t room = writable ? rte_pktmbuf_tailroom(chain->last) : 0;
        if (room == 0) {
            if (!add(chain, chain->q->tx))
                return false;
            room = rte_pktmbuf_tailroom(chain->last);
        }
        size_t n = len < room ? len : room;
        memcpy(rte_pktmbuf_mtod_offset(chain->last, uint8_t *, chain->last->data_len), from, n);
        chain->last->data_len = (uint16_t)(chain->last->data_len + n);
        chain->first->pkt_len += (uint32_t)n;
        from += n;
        len -= n;
    }
    return true;
}

static bool lend(struct chain *chain, const struct iovec *piece)
{
    if (!add(chain, chain->q->ext))
        return false;
    /* No driver that gets payload lent looks at its bus address. */
    rte_pktmbuf_attach_extbuf(chain->last, piece->iov_base, RTE_BAD_IOVA, (uint16_t)piece->iov_len,
                              &chain->tracked->shared);
    chain->last->data_len = (uint16_t)piece->iov_len;
    chain->first->pkt_len += (uint32_t)piece->iov_len;
    chain->lent++;
    return true;
}

static bool add_payload(struct chain *chain, const struct tx_frame *frame)
{
    for (unsigned i = 0; i < frame->pieces; i++) {
        const struct iovec *piece = &frame->piece[i];
        bool good = chain->q->lends && piece->iov_len > COPIED_BYTES
                        ? lend(chain, piece)
                        : copy(chain, piece->iov_base, piece->iov_len);
        if (!good)
            return false;
    }
    return true;
}

static void set_offloads(struct rte_mbuf *m, const struct tx_frame *frame)
{
    if (!(frame->flags & (TX_IP_SUM | TX_TCP_SUM | TX_TSO)))
        return;
    m->l2_len = frame->l3_at;
    m->l3_len = (uint16_t)(frame->l4_at - frame->l3_at);
    m->ol_flags |= frame->flags & TX_IPV6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4;
    if ((frame->flags & TX_IP_SUM) && !(frame->flags & TX_IPV6))
        m->ol_flags |= RTE_MBUF_F_TX_IP_CKSUM;
    if (frame->flags & (TX_TCP_SUM | TX_TSO))
        m->ol_flags |= RTE_MBUF_F_TX_TCP_CKSUM;
    if (frame->flags & TX_TSO) {
        m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
        m->l4_len = (uint16_t)(frame->head_len - frame->l4_at);
        m->tso_segsz = frame->mss;
    }
}

static void give_up(struct chain *chain)
{
    rte_mbuf_ext_refcnt_set(&chain->tracked->shared, chain->lent);
    rte_pktmbuf_free(chain->first);
}

/* The driver may free the mbufs from now on. */
static void take(struct device_dpdk *q, struct chain *chain, const struct tx_frame *frame)
{
    set_offloads(chain->first, frame);
    if (frame->payload) {
        rte_mbuf_ext_refcnt_set(&chain->tracked->shared, chain->lent);
        chain->tracked->through = chain->lent == 0;
        q->device.tx_given++;
    }
    q->tx_buffer[q->tx_waiting++] = chain->first;
    count_through(q);
}

static bool dpdk_tx(struct device *d, const struct tx_frame *frame)
{
    struct device_dpdk *q = self(d);
    if (q->tx_waiting == TX_BUFFER)
        push(q);
    if (q->tx_waiting == TX_BUFFER || d->tx_given - d->tx_done == TX_TRACKED)
        return false;
    struct chain chain = {.q = q, .tracked = &q->tracked[d->tx_given % TX_TRACKED]};
    if (!copy(&chain, frame->head, frame->head_len) || !add_payload(&chain, frame)) {
        give_up(&chain);
        return false;
    }
    take(q, &chain, frame);
    return true;
}

static void dpdk_flush(struct device *d)
{
    struct device_dpdk *q = self(d);
    if (q->tx_waiting)
        push(q);
    else
        count_through(q);
}

/* ---- the rest -------------------------------------------------------------------------------------- */

static void dpdk_stats(struct device *d, struct device_stats *stats)
{
    struct device_dpdk *q = self(d);
    struct rte_eth_stats eth = {0};
    struct rte_eth_link link = {0};
    rte_eth_stats_get(q->port, &eth);
    rte_eth_link_get_nowait(q->port, &link);
    bool known = link.link_speed != RTE_ETH_SPEED_NUM_UNKNOWN;
    *stats = (struct device_stats){.rx_frames = eth.ipackets,
                                   .rx_bytes = eth.ibytes,
                                   .rx_missed = eth.imissed,
                                   .rx_errors = eth.ierrors + stat_read(&q->rx_scattered),
                                   .rx_no_buffer = eth.rx_nombuf,
                                   .tx_frames = eth.opackets,
                                   .tx_bytes = eth.obytes,
                                   .tx_errors = eth.oerrors,
                                   .link_mbps = known ? link.link_speed : 0,
                                   .link_up = link.link_status == RTE_ETH_LINK_UP};
}

static void dpdk_close(struct device *d)
{
    (void)d; /* dpdk_port_close */
}

const struct device_ops device_dpdk_ops = {.rx = dpdk_rx,
                                           .free = dpdk_free,
                                           .tx = dpdk_tx,
                                           .flush = dpdk_flush,
                                           .stats = dpdk_stats,
                                           .close = dpdk_close};

void device_dpdk_track(struct device_dpdk *q)
{
    q->tracked = calloc(TX_TRACKED, sizeof *q->tracked);
    CHECK(q->tracked);
    for (unsigned i = 0; i < TX_TRACKED; i++) {
        q->tracked[i].shared.free_cb = on_through;
        q->tracked[i].shared.fcb_opaque = &q->tracked[i];
    }
}
