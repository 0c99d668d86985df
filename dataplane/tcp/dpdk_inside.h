/* What dpdk_port.c makes and device_dpdk.c uses: a pair of queues of a port. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tcp/device.h"

enum {
    TX_BUFFER = 32,     /* mbufs collected before the driver is called */
    TX_TRACKED = 4096,  /* frames with payload that may be on their way at once; a power of two */
    COPIED_BYTES = 256, /* pieces up to this are copied rather than lent */
    TSO_BYTES = 64000,  /* payload of a frame to be cut: fits the 16 bits of IP's length with any header */
};

struct rte_mbuf;
struct rte_mempool;

struct device_dpdk {
    struct device device;
    uint16_t port, queue;
    bool lends;              /* payload is attached, not copied */
    struct rte_mempool *rx;  /* NULL: only sends */
    struct rte_mempool *tx;  /* headers and copied payload */
    struct rte_mempool *ext; /* without room of their own: for attaching */
    uint16_t tx_waiting;
    struct rte_mbuf *tx_buffer[TX_BUFFER];
    struct tx_tracked *tracked; /* TX_TRACKED frames with payload */
    uint64_t rx_scattered;      /* received in pieces that don't fit one buffer, dropped */
};

extern const struct device_ops device_dpdk_ops;
/* Makes q->tracked, which free() frees. */
void device_dpdk_track(struct device_dpdk *q);
