#include "feed_device.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct feed_device *self(struct device *d)
{
    return (struct feed_device *)d;
}

static unsigned rx(struct device *d, struct frame *frames, unsigned n)
{
    struct feed_device *f = self(d);
    unsigned i = 0;
    for (; i < n && f->taken < f->come; i++)
        frames[i] = f->coming[f->taken++];
    return i;
}

static void give_back(struct device *d, void *buffer)
{
    self(d)->freed++;
    free(buffer);
}

static bool tx(struct device *d, const struct tx_frame *frame)
{
    struct feed_device *f = self(d);
    if (f->full)
        return false;
    memcpy(f->last, frame->head, frame->head_len);
    f->last_len = frame->head_len;
    for (unsigned i = 0; i < frame->pieces; i++) {
        memcpy(f->last + f->last_len, frame->piece[i].iov_base, frame->piece[i].iov_len);
        f->last_len += (unsigned)frame->piece[i].iov_len;
    }
    f->sent++;
    d->tx_given += frame->payload > 0;
    return true;
}

static void flush(struct device *d)
{
    self(d)->flushed++;
    d->tx_done = d->tx_given;
}

static void stats(struct device *d, struct device_stats *s)
{
    *s = (struct device_stats){.rx_frames = self(d)->taken, .link_up = true};
}

static void close_it(struct device *d)
{
    self(d)->closed = true;
}

static const struct device_ops ops = {
    .rx = rx, .free = give_back, .tx = tx, .flush = flush, .stats = stats, .close = close_it};

void feed_device_init(struct feed_device *fake)
{
    memset(fake, 0, sizeof *fake);
    fake->device =
        (struct device){.ops = &ops, .mac = {2, 0, 0, 0, 0, 1}, .mtu_max = 1500, .pieces_max = TX_PIECES_MAX};
}

void feed_device_put(struct feed_device *fake, const void *bytes, unsigned len)
{
    uint8_t *buffer = malloc(FRAME_HEADROOM + len);
    cr_assert(buffer && fake->come < FAKE_FRAMES);
    memcpy(buffer + FRAME_HEADROOM, bytes, len);
    fake->coming[fake->come++] =
        (struct frame){.at = buffer + FRAME_HEADROOM, .len = len, .room = buffer, .buffer = buffer};
}

void feed_device_drop(struct feed_device *fake)
{
    while (fake->taken < fake->come)
        free(fake->coming[fake->taken++].buffer);
}
