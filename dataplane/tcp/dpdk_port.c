/*
 * Opening a port: find it → what can it do → queues, offloads, MTU → buffers → queues set up → started.
 */
#include <rte_dev.h>
#include <rte_ethdev.h>
#include <rte_ip.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/log.h"
#include "tcp/device_dpdk.h"
#include "tcp/dpdk_inside.h"

enum {
    DESCRIPTORS = 1024,
    POOL_CACHE = 256,    /* buffers a thread keeps for itself */
    FRAME_OVERHEAD = 26, /* Ethernet header, two VLAN tags, checksum */
    KERNEL_BUFFERS = 2048,
    RSS_KEY_BYTES_MAX = 64,
};

struct dpdk_port {
    uint16_t id, mtu, told_mtu; /* what the driver is told may be less */
    char name[RTE_ETH_NAME_MAX_LEN];
    struct rte_eth_dev_info info;
    unsigned rx_queues, tx_queues;
    bool hashes, lends;
    struct rte_eth_conf conf;
    struct device_dpdk *pair[FRONTS_MAX];
};

/* Drivers in software. */
static const struct driver {
    const char *name;
    bool lends;    /* it reads what is sent with the CPU, before rte_eth_tx_burst returns */
    bool offloads; /* what it offers is worth something: not just our own work done later */
    bool jumbo;    /* it says that it takes frames of Ethernet's length only, and takes longer ones */
} drivers[] = {
    {"net_tap", .lends = true},
    {"net_af_packet", .lends = true},
    {"net_memif", .lends = true, .jumbo = true},
    {"net_vhost", .lends = true},
    {"net_pcap", .lends = true},
    {"net_null", .lends = true},
    {"net_ring"},
};

static const struct driver *software(const char *name)
{
    for (unsigned i = 0; i < sizeof drivers / sizeof *drivers; i++)
        if (strcmp(drivers[i].name, name) == 0)
            return &drivers[i];
    return NULL;
}

struct failure {
    char *error;
    size_t size;
};

__attribute__((format(printf, 2, 3))) static bool refuse(const struct failure *f, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(f->error, f->size, format, args);
    va_end(args);
    return false;
}

/* ---- finding it ------------------------------------------------------------------------------------ */

/* "net_tap0, net_memif0" */
static void port_names(char *text, size_t size)
{
    uint16_t id;
    size_t at = 0;
    char name[RTE_ETH_NAME_MAX_LEN];
    *text = '\0';
    RTE_ETH_FOREACH_DEV(id)
    {
        if (at < size && rte_eth_dev_get_name_by_port(id, name) == 0)
            at += (size_t)snprintf(text + at, size - at, "%s%s", at ? ", " : "", name);
    }
}

static bool find(struct dpdk_port *port, const char *name, const struct failure *f)
{
    char names[512];
    port->id = (uint16_t)rte_eth_find_next_owned_by(0, RTE_ETH_DEV_NO_OWNER);
    if (port->id >= RTE_MAX_ETHPORTS)
        return refuse(f,
                      "DPDK has no port: bind a network card to vfio-pci with dpdk-devbind.py (deploy/doctor "
                      "shows what is there), or make a virtual one in dpdk.eal, such as "
                      "--vdev=net_tap0,iface=gannet0");
    if (*name && rte_eth_dev_get_port_by_name(name, &port->id) != 0) {
        port_names(names, sizeof names);
        return refuse(f, "dpdk.port: DPDK has no port %s; it has %s", name, names);
    }
    rte_eth_dev_get_name_by_port(port->id, port->name);
    if (rte_eth_dev_info_get(port->id, &port->info) != 0)
        return refuse(f, "%s: the driver says nothing about the port", port->name);
    return true;
}

/* Of a virtual device in dpdk.eal. */
static const char *arguments_of(const struct dpdk_port *port)
{
    const struct rte_devargs *args = rte_dev_devargs(port->info.device);
    return args && args->args ? args->args : "";
}

/* memif without copies and virtio_user hand memory to the other side, which can only be DPDK's own. */
static bool hands_memory_over(const struct dpdk_port *port)
{
    return strstr(arguments_of(port), "zero-copy=yes");
}

/* ---- what it is to do ------------------------------------------------------------------------------ */

static bool choose_queues(struct dpdk_port *port, unsigned wanted, const struct failure *f)
{
    const struct rte_eth_dev_info *info = &port->info;
    if (info->max_tx_queues < wanted)
        return refuse(f, "%s has %u transmit queues and there are %u fronts: name at most %u in cores.front",
                      port->name, info->max_tx_queues, wanted, info->max_tx_queues);
    port->tx_queues = wanted;
    port->rx_queues = info->max_rx_queues < wanted ? info->max_rx_queues : wanted;
    return true;
}

/* Cards take the room for a frame in whole KiB; a frame of the MTU has to fit one. */
static unsigned buffer_bytes(unsigned mtu)
{
    return (mtu + FRAME_OVERHEAD + 1023u) & ~1023u;
}

/* A memif's client decides how long a buffer is, for both ways (bsize). Frames in several of them overrun the
 * ring when it is full, in DPDK 22.11 (eth_memif_tx counts one free slot too many). */
static unsigned jumbo_max(const struct dpdk_port *port)
{
    const char *arguments = arguments_of(port), *bsize = strstr(arguments, "bsize=");
    if (strstr(arguments, "role=server"))
        return UINT16_MAX;
    unsigned long bytes = bsize ? strtoul(bsize + strlen("bsize="), NULL, 10) : 2048;
    return bytes > FRAME_OVERHEAD ? (unsigned)(bytes - FRAME_OVERHEAD) : 0;
}

static bool choose_mtu(struct dpdk_port *port, uint16_t mtu, const struct failure *f)
{
    const struct rte_eth_dev_info *info = &port->info;
    const struct driver *driver = software(info->driver_name);
    unsigned most = info->max_mtu ? info->max_mtu : UINT16_MAX;
    unsigned frame = RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN; /* as rte_eth_dev_configure counts it */
    if (info->max_rx_pktlen > frame && info->max_rx_pktlen - frame < most)
        most = info->max_rx_pktlen - frame;
    port->mtu = port->told_mtu = mtu;
    if (driver && driver->jumbo && mtu > most) {
        port->told_mtu = (uint16_t)most;
        most = jumbo_max(port);
        if (mtu > most)
            return refuse(f,
                          "dpdk.mtu: frames of %u bytes do not fit the buffers of %s: add bsize=%u to its "
                          "arguments in dpdk.eal",
                          mtu, port->name, buffer_bytes(mtu));
    }
    if (mtu >= info->min_mtu && mtu <= most)
        return true;
    return refuse(f, "dpdk.mtu: %s (%s) takes %u to %u, not %u", port->name, info->driver_name, info->min_mtu,
                  most, mtu);
}

static void choose_offloads(struct dpdk_port *port)
{
    const struct driver *driver = software(port->info.driver_name);
    uint64_t rx = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM;
    uint64_t tx = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_TSO;
    if (driver && !driver->offloads)
        rx = tx = 0;
    tx |= RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
    port->conf.rxmode.offloads = rx & port->info.rx_offload_capa;
    port->conf.txmode.offloads = tx & port->info.tx_offload_capa;
    port->lends = driver && driver->lends && !hands_memory_over(port) &&
                  (port->conf.txmode.offloads & RTE_ETH_TX_OFFLOAD_MULTI_SEGS);
}

/* Both ways of a connection hash alike with this key (Woo and Park, 2012), so that one that we begin comes
 * back where it was begun if its ports are chosen for it. */
static void choose_hash(struct dpdk_port *port)
{
    static uint8_t key[RSS_KEY_BYTES_MAX];
    uint64_t wanted = RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP, can = port->info.flow_type_rss_offloads;
    if (port->rx_queues < 2 || !(can & RTE_ETH_RSS_TCP) || software(port->info.driver_name))
        return;
    for (unsigned i = 0; i < sizeof key; i++)
        key[i] = i % 2 ? 0x5a : 0x6d;
    port->conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    port->conf.rx_adv_conf.rss_conf.rss_hf = wanted & can;
    if (port->info.hash_key_size && port->info.hash_key_size <= sizeof key) {
        port->conf.rx_adv_conf.rss_conf.rss_key = key;
        port->conf.rx_adv_conf.rss_conf.rss_key_len = port->info.hash_key_size;
    }
    port->hashes = port->rx_queues == port->tx_queues;
}

static int configure(struct dpdk_port *port)
{
    return rte_eth_dev_configure(port->id, (uint16_t)port->rx_queues, (uint16_t)port->tx_queues, &port->conf);
}

/* Cards whose key or whose hash can't be set get what they can; then frames are handed over in software. */
static bool configure_or_less(struct dpdk_port *port, const struct failure *f)
{
    port->conf.rxmode.mtu = port->told_mtu;
    int failed = configure(port);
    if (failed && port->conf.rx_adv_conf.rss_conf.rss_key) {
        port->conf.rx_adv_conf.rss_conf.rss_key = NULL;
        port->conf.rx_adv_conf.rss_conf.rss_key_len = 0;
        failed = configure(port);
    }
    if (failed && port->conf.rxmode.mq_mode) {
        port->conf.rxmode.mq_mode = RTE_ETH_MQ_RX_NONE;
        port->hashes = false;
        failed = configure(port);
    }
    if (failed)
        return refuse(f, "%s (%s) refuses %u receive and %u transmit queues with an MTU of %u: %s",
                      port->name, port->info.driver_name, port->rx_queues, port->tx_queues, port->mtu,
                      rte_strerror(-failed));
    uint16_t now = 0;
    rte_eth_dev_get_mtu(port->id, &now);
    failed = now == port->told_mtu ? 0 : rte_eth_dev_set_mtu(port->id, port->told_mtu);
    if (failed && failed != -ENOTSUP)
        return refuse(f, "dpdk.mtu: %s (%s) refuses %u: %s", port->name, port->info.driver_name, port->mtu,
                      rte_strerror(-failed));
    return true;
}

/* ---- queues ---------------------------------------------------------------------------------------- */

static uint16_t frame_room(const struct dpdk_port *port)
{
    unsigned room = buffer_bytes(port->mtu);
    if (room < 2048)
        room = 2048;
    if (room < port->info.min_rx_bufsize && port->info.min_rx_bufsize < UINT16_MAX - RTE_PKTMBUF_HEADROOM)
        room = port->info.min_rx_bufsize;
    return (uint16_t)(room + RTE_PKTMBUF_HEADROOM);
}

static struct rte_mempool *pool(const struct dpdk_port *port, const char *what, unsigned i, uint32_t count,
                                uint16_t room, const struct failure *f)
{
    char name[RTE_MEMPOOL_NAMESIZE];
    snprintf(name, sizeof name, "gannet_%s_%u_%u", what, port->id, i);
    struct rte_mempool *made =
        rte_pktmbuf_pool_create(name, count, POOL_CACHE, 0, room, rte_eth_dev_socket_id(port->id));
    if (!made)
        refuse(
            f,
            "DPDK has no memory for %u buffers of %u bytes (%s): give it more (-m in dpdk.eal, or more huge "
            "pages: dpdk-hugepages.py), or lower dpdk.buffers",
            count, room, rte_strerror(rte_errno));
    return made;
}

static bool make_pools(struct dpdk_port *port, struct device_dpdk *q, uint32_t buffers,
                       const struct failure *f)
{
    const uint16_t room = frame_room(port);
    if (q->queue < port->rx_queues && !(q->rx = pool(port, "rx", q->queue, buffers, room, f)))
        return false;
    /* Copied payload needs as many buffers as the card keeps; headers alone are small. */
    q->tx = pool(port, "tx", q->queue, 2 * DESCRIPTORS + 2 * POOL_CACHE,
                 port->lends ? RTE_PKTMBUF_HEADROOM + 3 * COPIED_BYTES : room, f);
    if (q->tx && port->lends)
        q->ext = pool(port, "ext", q->queue, 4 * DESCRIPTORS, 0, f);
    return q->tx && (q->ext || !port->lends);
}

static void describe(struct dpdk_port *port, struct device_dpdk *q)
{
    static const struct {
        uint64_t offload;
        uint16_t offers;
    } offers[] = {{RTE_ETH_TX_OFFLOAD_IPV4_CKSUM, TX_IP_SUM},
                  {RTE_ETH_TX_OFFLOAD_TCP_CKSUM, TX_TCP_SUM},
                  {RTE_ETH_TX_OFFLOAD_TCP_TSO, TX_TSO}};
    struct device *d = &q->device;
    uint64_t offloads = port->conf.txmode.offloads;
    struct rte_ether_addr mac = {0};
    rte_eth_macaddr_get(port->id, &mac);
    memcpy(d->mac, mac.addr_bytes, sizeof d->mac);
    /* The port's address is that of the kernel's end of the tap: this end is another host. */
    d->mac[5] ^= strcmp(port->info.driver_name, "net_tap") == 0;
    d->ops = &device_dpdk_ops;
    d->mtu_max = port->mtu;
    d->pieces_max = TX_PIECES_MAX;
    for (unsigned i = 0; i < sizeof offers / sizeof *offers; i++)
        if (offloads & offers[i].offload)
            d->offers |= offers[i].offers;
    /* To be cut, a frame is as many mbufs as the card takes. */
    unsigned segments = port->info.tx_desc_lim.nb_seg_max ? port->info.tx_desc_lim.nb_seg_max : UINT16_MAX;
    uint64_t bytes = (uint64_t)(segments - 1) * (frame_room(port) - RTE_PKTMBUF_HEADROOM);
    if (!(offloads & RTE_ETH_TX_OFFLOAD_MULTI_SEGS) || bytes < 2u * port->mtu || !(d->offers & TX_TCP_SUM))
        d->offers &= (uint16_t)~TX_TSO;
    if (d->offers & TX_TSO)
        d->tso_max = bytes < TSO_BYTES ? (uint32_t)bytes : TSO_BYTES;
}

static struct device_dpdk *new_pair(struct dpdk_port *port, unsigned i)
{
    struct device_dpdk *q = calloc(1, sizeof *q);
    CHECK(q);
    q->port = port->id;
    q->queue = (uint16_t)i;
    q->lends = port->lends;
    device_dpdk_track(q);
    return q;
}

static bool set_up_pair(struct dpdk_port *port, unsigned i, uint32_t buffers, const struct failure *f)
{
    uint16_t rx = DESCRIPTORS, tx = DESCRIPTORS;
    struct device_dpdk *q = port->pair[i] = new_pair(port, i);
    q->device.rx_share = buffers / 4;
    if (!make_pools(port, q, buffers, f))
        return false;
    rte_eth_dev_adjust_nb_rx_tx_desc(port->id, &rx, &tx);
    struct rte_eth_rxconf rx_conf = port->info.default_rxconf;
    struct rte_eth_txconf tx_conf = port->info.default_txconf;
    rx_conf.offloads = port->conf.rxmode.offloads;
    tx_conf.offloads = port->conf.txmode.offloads;
    int node = rte_eth_dev_socket_id(port->id);
    int failed = q->rx ? rte_eth_rx_queue_setup(port->id, q->queue, rx, (unsigned)node, &rx_conf, q->rx) : 0;
    if (!failed)
        failed = rte_eth_tx_queue_setup(port->id, q->queue, tx, (unsigned)node, &tx_conf);
    if (failed)
        return refuse(f, "%s (%s): queue %u cannot be set up: %s", port->name, port->info.driver_name, i,
                      rte_strerror(-failed));
    return true;
}

static bool set_up(struct dpdk_port *port, uint32_t buffers, const struct failure *f)
{
    for (unsigned i = 0; i < port->tx_queues; i++)
        if (!set_up_pair(port, i, buffers, f))
            return false;
    int failed = rte_eth_dev_start(port->id);
    if (failed)
        return refuse(f, "%s (%s) does not start: %s", port->name, port->info.driver_name,
                      rte_strerror(-failed));
    /* IPv6 asks for neighbours by multicast. Drivers without a filter for it have nothing to switch on. */
    (void)rte_eth_allmulticast_enable(port->id);
    for (unsigned i = 0; i < port->tx_queues; i++)
        describe(port, port->pair[i]);
    return true;
}

/* ---- the port -------------------------------------------------------------------------------------- */

struct dpdk_port *dpdk_port_open(const struct dpdk_port_options *options, char *error, size_t error_size)
{
    const struct failure f = {error, error_size};
    struct dpdk_port *port = calloc(1, sizeof *port);
    CHECK(port && options->queues >= 1 && options->queues <= FRONTS_MAX);
    if (!find(port, options->name, &f) || !choose_queues(port, options->queues, &f) ||
        !choose_mtu(port, options->mtu, &f)) {
        free(port);
        return NULL;
    }
    choose_offloads(port);
    choose_hash(port);
    if (!configure_or_less(port, &f) || !set_up(port, options->buffers, &f)) {
        dpdk_port_close(port);
        return NULL;
    }
    return port;
}

struct dpdk_port *dpdk_port_open_kernel(const char *interface, const struct dpdk_port *beside, char *error,
                                        size_t error_size)
{
    char arguments[128];
    const uint8_t *mac = beside->pair[0]->device.mac;
    snprintf(arguments, sizeof arguments, "iface=%s,mac=%02x:%02x:%02x:%02x:%02x:%02x", interface, mac[0],
             mac[1], mac[2], mac[3], mac[4], mac[5]);
    if (rte_eal_hotplug_add("vdev", "net_tap_kernel", arguments) != 0) {
        snprintf(
            error, error_size,
            "dpdk.kernel: the interface %s cannot be made: it takes root (CAP_NET_ADMIN) and /dev/net/tun",
            interface);
        return NULL;
    }
    const struct dpdk_port_options options = {
        .name = "net_tap_kernel", .queues = beside->tx_queues, .mtu = beside->mtu, .buffers = KERNEL_BUFFERS};
    return dpdk_port_open(&options, error, error_size);
}

static void free_pair(struct device_dpdk *q)
{
    rte_pktmbuf_free_bulk(q->tx_buffer, q->tx_waiting);
    rte_mempool_free(q->rx);
    rte_mempool_free(q->tx);
    rte_mempool_free(q->ext);
    free(q->tracked);
    free(q);
}

void dpdk_port_close(struct dpdk_port *port)
{
    rte_eth_dev_stop(port->id);
    rte_eth_dev_close(port->id);
    for (unsigned i = 0; i < port->tx_queues; i++)
        if (port->pair[i])
            free_pair(port->pair[i]);
    free(port);
}

const char *dpdk_port_name(const struct dpdk_port *port)
{
    return port->name;
}

const char *dpdk_port_driver(const struct dpdk_port *port)
{
    return port->info.driver_name;
}

unsigned dpdk_port_rx_queues(const struct dpdk_port *port)
{
    return port->rx_queues;
}

bool dpdk_port_hashes(const struct dpdk_port *port)
{
    return port->hashes;
}

struct device *dpdk_port_device(struct dpdk_port *port, unsigned i)
{
    return &port->pair[i]->device;
}
