#include "device_fd.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"

enum {
    FRAME_MOST = 65536,      /* what the kernel may have: a super-frame, if somebody forgot to forbid them */
    SOCKET_BYTES = 16 << 20, /* a packet socket's buffer: what it loses was not meant to be lost */
};

struct device_fd {
    struct device device;
    int fd;
    struct device_stats stats;
};

static struct device_fd *self(struct device *d)
{
    return (struct device_fd *)d;
}

static unsigned fd_rx(struct device *d, struct frame *frames, unsigned n)
{
    struct device_fd *f = self(d);
    static uint8_t bytes[FRAME_MOST];
    unsigned got = 0;
    while (got < n) {
        ssize_t len = read(f->fd, bytes, sizeof bytes);
        if (len <= 0)
            break;
        /* Each as long as it is, so that a sanitizer sees who reads too far. */
        uint8_t *buffer = malloc(FRAME_HEADROOM + (size_t)len);
        CHECK(buffer);
        memcpy(buffer + FRAME_HEADROOM, bytes, (size_t)len);
        f->stats.rx_frames++;
        frames[got++] = (struct frame){
            .at = buffer + FRAME_HEADROOM, .len = (uint32_t)len, .room = buffer, .buffer = buffer};
    }
    return got;
}

static void fd_free(struct device *d, void *buffer)
{
    (void)d;
    free(buffer);
}

static bool fd_tx(struct device *d, const struct tx_frame *frame)
{
    struct device_fd *f = self(d);
    struct iovec iov[1 + TX_PIECES_MAX] = {{frame->head, frame->head_len}};
    if (frame->pieces)
        memcpy(iov + 1, frame->piece, frame->pieces * sizeof *iov);
    ssize_t sent = writev(f->fd, iov, 1 + frame->pieces);
    if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS))
        return false;
    /* An interface that is down loses frames, as a cable does that is out. */
    if (sent < 0)
        f->stats.tx_errors++;
    else
        f->stats.tx_frames++;
    if (frame->payload)
        d->tx_done = ++d->tx_given;
    return true;
}

static void fd_flush(struct device *d)
{
    (void)d;
}

static void fd_stats(struct device *d, struct device_stats *stats)
{
    *stats = self(d)->stats;
}

static void fd_close(struct device *d)
{
    close(self(d)->fd);
    free(d);
}

static const struct device_ops fd_ops = {
    .rx = fd_rx, .free = fd_free, .tx = fd_tx, .flush = fd_flush, .stats = fd_stats, .close = fd_close};

static int open_tap(const char *name)
{
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &request) != 0)
        err(1, "cannot make the tap %s", name);
    return fd;
}

static int open_packet(const char *name)
{
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_ALL)), one = 1,
        bytes = SOCKET_BYTES;
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)if_nametoindex(name)};
    if (fd < 0 || !address.sll_ifindex || bind(fd, (struct sockaddr *)&address, sizeof address) != 0)
        err(1, "cannot take the interface %s", name);
    if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) != 0)
        err(1, "cannot set up a packet socket on %s", name);
    return fd;
}

struct device *device_fd_open(const char *spec, const uint8_t mac[6], uint16_t mtu)
{
    struct device_fd *f = calloc(1, sizeof *f);
    CHECK(f);
    if (strncmp(spec, "tap:", 4) == 0)
        f->fd = open_tap(spec + 4);
    else if (strncmp(spec, "packet:", 7) == 0)
        f->fd = open_packet(spec + 7);
    else if (strncmp(spec, "fd:", 3) == 0)
        f->fd = (int)strtol(spec + 3, NULL, 10);
    else
        errx(1, "no such device: %s", spec);
    memcpy(f->device.mac, mac, 6);
    f->device.ops = &fd_ops;
    f->device.mtu_max = mtu;
    f->device.pieces_max = TX_PIECES_MAX;
    f->stats.link_up = true;
    return &f->device;
}

int device_fd_number(const struct device *device)
{
    return ((const struct device_fd *)device)->fd;
}
