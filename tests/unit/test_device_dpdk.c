/* A port of DPDK as a device: two ports of shared memory (net_memif) that are each other's peer, in one
 * process. */
#include <criterion/criterion.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tcp/device_dpdk.h"

enum { FRAMES = 20000 };

static char error[512];

struct pair {
    struct dpdk_port *port[2];
    struct device *from, *to;
};

static void start(const char *devices)
{
    char arguments[512], prefix[64];
    snprintf(prefix, sizeof prefix, "gannet-test-%d", (int)getpid());
    snprintf(arguments, sizeof arguments, "--no-huge --no-pci --no-shconf --no-telemetry -m 192 %s", devices);
    cr_assert(dpdk_start(arguments, prefix, 1, error, sizeof error), "%s", error);
}

static struct dpdk_port *open_port(const char *name, uint16_t mtu)
{
    const struct dpdk_port_options options = {.name = name, .queues = 1, .mtu = mtu, .buffers = 4096};
    struct dpdk_port *port = dpdk_port_open(&options, error, sizeof error);
    cr_assert(port, "%s", error);
    return port;
}

/* The link comes up when both have said hello over a socket. */
static void await_link(struct device *d)
{
    struct device_stats stats = {0};
    for (unsigned i = 0; i < 5000 && !stats.link_up; i++) {
        d->ops->stats(d, &stats);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    cr_assert(stats.link_up);
}

/* They are left to the end of the process: two ends of a memif that are closed in one process meet in the
 * driver's own thread. */
static struct pair memif_pair(uint16_t mtu)
{
    static struct pair p; /* so that they are no leak */
    char devices[400], path[64];
    snprintf(path, sizeof path, "/tmp/gannet-memif-%d", (int)getpid());
    snprintf(devices, sizeof devices,
             "--vdev=net_memif0,role=server,id=0,socket=%s,socket-abstract=no "
             "--vdev='net_memif1,role=client,id=0,socket=%s,socket-abstract=no,bsize=2048'",
             path, path);
    start(devices);
    p = (struct pair){.port = {open_port("net_memif0", mtu), open_port("net_memif1", mtu)}};
    p.from = dpdk_port_device(p.port[1], 0);
    p.to = dpdk_port_device(p.port[0], 0);
    await_link(p.from);
    await_link(p.to);
    unlink(path);
    return p;
}

/* A frame's payload is told by its number: so many pieces of such lengths. */
static struct tx_frame numbered(unsigned n, uint8_t *bytes, struct iovec *piece)
{
    static uint8_t head[14 + 54];
    struct tx_frame frame = {.head = head, .head_len = 20 + n % 48, .piece = piece};
    memset(head, (int)n, sizeof head);
    for (unsigned i = 0; i < n % 6; i++) {
        piece[i] = (struct iovec){bytes + 300u * i, n * (i + 1) % 280 + 1};
        memset(piece[i].iov_base, (int)(n + i), piece[i].iov_len);
        frame.payload += (uint32_t)piece[i].iov_len;
        frame.pieces++;
    }
    return frame;
}

static void expect(unsigned n, const struct frame *got)
{
    uint8_t bytes[1800], whole[2048];
    struct iovec piece[6];
    struct tx_frame frame = numbered(n, bytes, piece);
    unsigned len = frame.head_len;
    memcpy(whole, frame.head, len);
    for (unsigned i = 0; i < frame.pieces; i++) {
        memcpy(whole + len, piece[i].iov_base, piece[i].iov_len);
        len += (unsigned)piece[i].iov_len;
    }
    cr_assert_eq(got->len, len, "frame %u: %u bytes, not %u", n, got->len, len);
    cr_assert(memcmp(got->at, whole, len) == 0, "frame %u", n);
    cr_assert(got->at - got->room >= FRAME_HEADROOM);
}

static unsigned receive(struct device *d, unsigned next)
{
    struct frame frame[DEVICE_BURST];
    unsigned n = d->ops->rx(d, frame, DEVICE_BURST);
    for (unsigned i = 0; i < n; i++) {
        expect(next + i, &frame[i]);
        d->ops->free(d, frame[i].buffer);
    }
    return n;
}

Test(device_dpdk, frames_arrive_as_they_were_and_are_counted_through)
{
    struct pair p = memif_pair(1500);
    struct iovec piece[6];
    uint8_t bytes[1800];
    unsigned sent = 0, got = 0, idle = 0;
    uint64_t with_payload = 0;
    cr_assert(p.from->mtu_max == 1500 && p.from->pieces_max == TX_PIECES_MAX && p.from->offers == 0);
    for (; got < FRAMES && idle < 100000; idle++) {
        struct tx_frame frame = numbered(sent, bytes, piece);
        if (sent < FRAMES && p.from->ops->tx(p.from, &frame)) {
            with_payload += frame.payload > 0;
            sent++;
        }
        /* memif copies as it sends: what is flushed is through, so that these bytes may change. */
        p.from->ops->flush(p.from);
        cr_assert(p.from->tx_given == with_payload);
        unsigned n = receive(p.to, got);
        got += n;
        idle = n ? 0 : idle;
    }
    cr_assert_eq(got, FRAMES);
    cr_assert(p.from->tx_given == with_payload && p.from->tx_done == with_payload);
    struct device_stats stats;
    p.from->ops->stats(p.from, &stats);
    cr_assert_eq(stats.tx_frames, FRAMES);
}

Test(device_dpdk, a_full_port_takes_nothing_and_goes_on_later)
{
    struct pair p = memif_pair(1500);
    static uint8_t payload[1400], head[20];
    struct iovec piece = {payload, sizeof payload};
    struct tx_frame frame = {
        .head = head, .head_len = sizeof head, .pieces = 1, .payload = sizeof payload, .piece = &piece};
    unsigned sent = 0, got = 0;
    while (sent < 100000 && p.from->ops->tx(p.from, &frame))
        sent++;
    cr_assert(sent > 100 && sent < 10000);
    cr_assert_eq(p.from->tx_given, sent);
    cr_assert(p.from->tx_done < sent, "what waits is lent still");
    for (unsigned idle = 0; got < sent && idle < 100000; idle++) {
        struct frame frames[DEVICE_BURST];
        unsigned n = p.to->ops->rx(p.to, frames, DEVICE_BURST);
        for (unsigned i = 0; i < n; i++)
            p.to->ops->free(p.to, frames[i].buffer);
        got += n;
        p.from->ops->flush(p.from);
    }
    cr_assert_eq(got, sent);
    cr_assert_eq(p.from->tx_done, sent);
}

/* A ring within the process gets the mbufs themselves: nothing may be lent to it. */
Test(device_dpdk, a_port_that_keeps_memory_gets_copies)
{
    start("--vdev=net_ring0");
    struct dpdk_port *port = open_port("net_ring0", 1500);
    struct device *d = dpdk_port_device(port, 0);
    uint8_t head[20] = {0}, payload[1000];
    struct iovec piece = {payload, sizeof payload};
    struct tx_frame frame = {
        .head = head, .head_len = sizeof head, .pieces = 1, .payload = sizeof payload, .piece = &piece};
    struct frame got;
    memset(payload, 7, sizeof payload);
    cr_assert(d->ops->tx(d, &frame));
    cr_assert(d->tx_given == 1 && d->tx_done == 1);
    memset(payload, 8, sizeof payload);
    d->ops->flush(d);
    cr_assert_eq(d->ops->rx(d, &got, 1), 1);
    cr_assert(got.len == 1020 && got.at[20] == 7 && got.at[1019] == 7);
    d->ops->free(d, got.buffer);
    dpdk_port_close(port);
}

Test(device_dpdk, the_caller_stays_free)
{
    cpu_set_t before, after;
    sched_getaffinity(0, sizeof before, &before);
    start("--vdev=net_null0");
    sched_getaffinity(0, sizeof after, &after);
    cr_assert(CPU_EQUAL(&before, &after));
    const struct dpdk_port_options wrong = {.name = "net_none0", .queues = 1, .mtu = 1500, .buffers = 4096};
    cr_assert_null(dpdk_port_open(&wrong, error, sizeof error));
    cr_assert_str_eq(error, "dpdk.port: DPDK has no port net_none0; it has net_null0");
}
