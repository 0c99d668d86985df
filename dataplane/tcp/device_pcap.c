#include "tcp/device_pcap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

enum {
    PCAP_MAGIC_NS = 0xa1b23c4d,
    SNAP_BYTES = 262144, /* the most of one frame, as tcpdump has it */
    LINK_ETHERNET = 1,
    BUFFER_BYTES = 1 << 20,
};

struct pcap_file_header {
    uint32_t magic;
    uint16_t major, minor;
    uint32_t zone, precision, snap, link;
};

struct pcap_frame_header {
    uint32_t s, ns, kept, whole;
};

struct device_pcap {
    struct device device;
    struct device *inner;
    FILE *file;
    uint64_t (*wall_ns)(void);
    bool unwritten; /* something is in the buffer */
};

static struct device_pcap *self(struct device *d)
{
    return (struct device_pcap *)d;
}

/* What may change in the inner one is shown outside. */
static void follow(struct device_pcap *p)
{
    p->device.tx_given = p->inner->tx_given;
    p->device.tx_done = p->inner->tx_done;
}

/* A disk that is full loses frames here, and nothing else. */
static void begin_frame(struct device_pcap *p, uint32_t bytes)
{
    uint64_t now_ns = p->wall_ns();
    const struct pcap_frame_header header = {.s = (uint32_t)(now_ns / 1000000000u),
                                             .ns = (uint32_t)(now_ns % 1000000000u),
                                             .kept = bytes,
                                             .whole = bytes};
    (void)!fwrite(&header, sizeof header, 1, p->file);
    p->unwritten = true;
}

static unsigned pcap_rx(struct device *d, struct frame *frames, unsigned n)
{
    struct device_pcap *p = self(d);
    unsigned got = p->inner->ops->rx(p->inner, frames, n);
    for (unsigned i = 0; i < got; i++) {
        begin_frame(p, frames[i].len);
        (void)!fwrite(frames[i].at, 1, frames[i].len, p->file);
    }
    /* Nothing comes: a good time, and whoever reads along sees the last of it. */
    if (got == 0 && p->unwritten) {
        fflush(p->file);
        p->unwritten = false;
    }
    follow(p);
    return got;
}

static void pcap_free(struct device *d, void *buffer)
{
    self(d)->inner->ops->free(self(d)->inner, buffer);
}

static bool pcap_tx(struct device *d, const struct tx_frame *frame)
{
    struct device_pcap *p = self(d);
    bool taken = p->inner->ops->tx(p->inner, frame);
    follow(p);
    if (!taken)
        return false;
    begin_frame(p, frame->head_len + frame->payload);
    (void)!fwrite(frame->head, 1, frame->head_len, p->file);
    for (unsigned i = 0; i < frame->pieces; i++)
        (void)!fwrite(frame->piece[i].iov_base, 1, frame->piece[i].iov_len, p->file);
    return true;
}

static void pcap_flush(struct device *d)
{
    struct device_pcap *p = self(d);
    p->inner->ops->flush(p->inner);
    follow(p);
}

static void pcap_stats(struct device *d, struct device_stats *stats)
{
    self(d)->inner->ops->stats(self(d)->inner, stats);
}

static void pcap_close(struct device *d)
{
    struct device_pcap *p = self(d);
    fclose(p->file);
    p->inner->ops->close(p->inner);
    free(p);
}

static const struct device_ops pcap_ops = {.rx = pcap_rx,
                                           .free = pcap_free,
                                           .tx = pcap_tx,
                                           .flush = pcap_flush,
                                           .stats = pcap_stats,
                                           .close = pcap_close};

struct device *device_pcap_new(struct device *inner, const char *path, uint64_t (*wall_ns)(void), char *error,
                               size_t error_size)
{
    static const struct pcap_file_header header = {
        .magic = PCAP_MAGIC_NS, .major = 2, .minor = 4, .snap = SNAP_BYTES, .link = LINK_ETHERNET};
    FILE *file = fopen(path, "we");
    if (!file) {
        snprintf(error, error_size, "cannot write frames to %s: %s", path, strerror(errno));
        return NULL;
    }
    struct device_pcap *p = calloc(1, sizeof *p);
    CHECK(p);
    setvbuf(file, NULL, _IOFBF, BUFFER_BYTES);
    (void)!fwrite(&header, sizeof header, 1, file);
    p->device = *inner;
    p->device.ops = &pcap_ops;
    p->inner = inner;
    p->file = file;
    p->wall_ns = wall_ns;
    p->unwritten = true;
    return &p->device;
}
