#include "tcp/device_faults.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/check.h"
#include "base/prng.h"

enum { QUEUE_MAX_DEFAULT = 4096 };

/* A frame on its way, or lent to the owner. */
struct held {
    TAILQ_ENTRY(held) link;
    uint64_t due_ns;
    uint32_t len;
    uint16_t vlan, flags;
    uint8_t bytes[]; /* FRAME_HEADROOM, then the frame */
};

/* One direction: by due_ns. */
struct way {
    TAILQ_HEAD(held_list, held) list;
    uint32_t count;
};

struct device_faults {
    struct device device;
    struct device *inner;
    struct device_faults_options options;
    struct device_faults_stats stats;
    struct prng prng;
    uint64_t now_ns;
    struct way in, out;
};

static struct device_faults *self(struct device *d)
{
    return (struct device_faults *)d;
}

/* ---- what befalls a frame ------------------------------------------------------------------------------ */

static void insert(struct way *way, struct held *held)
{
    struct held *before = TAILQ_LAST(&way->list, held_list);
    while (before && before->due_ns > held->due_ns)
        before = TAILQ_PREV(before, held_list, link);
    if (before)
        TAILQ_INSERT_AFTER(&way->list, before, held, link);
    else
        TAILQ_INSERT_HEAD(&way->list, held, link);
    way->count++;
}

static void set_off(struct device_faults *f, struct way *way, struct held *held)
{
    if (way->count >= f->options.queue_max) {
        f->stats.queue_full++;
        free(held);
        return;
    }
    held->due_ns = f->now_ns + f->options.delay_ns;
    if (f->options.late_ns && prng_chance(&f->prng, f->options.overtaken_ppm)) {
        f->stats.overtaken++;
        held->due_ns += prng_below(&f->prng, f->options.late_ns) + 1;
    }
    insert(way, held);
}

static void hold(struct device_faults *f, struct way *way, struct held *held)
{
    if (prng_chance(&f->prng, f->options.lost_ppm)) {
        f->stats.lost++;
        free(held);
        return;
    }
    f->stats.passed++;
    if (prng_chance(&f->prng, f->options.duplicated_ppm)) {
        size_t bytes = sizeof *held + FRAME_HEADROOM + held->len;
        struct held *twin = malloc(bytes);
        CHECK(twin);
        memcpy(twin, held, bytes);
        f->stats.duplicated++;
        set_off(f, way, twin);
    }
    set_off(f, way, held);
}

static struct held *held_new(uint32_t len)
{
    struct held *held = malloc(sizeof *held + FRAME_HEADROOM + len);
    CHECK(held);
    held->len = len;
    held->vlan = held->flags = 0;
    return held;
}

static struct held *take_due(struct device_faults *f, struct way *way)
{
    struct held *held = TAILQ_FIRST(&way->list);
    if (!held || held->due_ns > f->now_ns)
        return NULL;
    TAILQ_REMOVE(&way->list, held, link);
    way->count--;
    return held;
}

/* ---- a device ------------------------------------------------------------------------------------------ */

static void take_in(struct device_faults *f)
{
    struct frame frame[DEVICE_BURST];
    unsigned got = f->inner->ops->rx(f->inner, frame, DEVICE_BURST);
    for (unsigned i = 0; i < got; i++) {
        struct held *held = held_new(frame[i].len);
        memcpy(held->bytes + FRAME_HEADROOM, frame[i].at, frame[i].len);
        held->vlan = frame[i].vlan;
        held->flags = frame[i].flags;
        f->inner->ops->free(f->inner, frame[i].buffer);
        hold(f, &f->in, held);
    }
}

static unsigned faults_rx(struct device *d, struct frame *frames, unsigned n)
{
    struct device_faults *f = self(d);
    unsigned got = 0;
    take_in(f);
    for (struct held *held; got < n && (held = take_due(f, &f->in)); got++)
        frames[got] = (struct frame){.at = held->bytes + FRAME_HEADROOM,
                                     .len = held->len,
                                     .vlan = held->vlan,
                                     .flags = held->flags,
                                     .room = held->bytes,
                                     .buffer = held};
    return got;
}

static void faults_free(struct device *d, void *buffer)
{
    (void)d;
    free(buffer);
}

static bool faults_tx(struct device *d, const struct tx_frame *frame)
{
    struct device_faults *f = self(d);
    struct held *held = held_new(frame->head_len + frame->payload);
    uint8_t *at = held->bytes + FRAME_HEADROOM;
    memcpy(at, frame->head, frame->head_len);
    at += frame->head_len;
    for (unsigned i = 0; i < frame->pieces; at += frame->piece[i++].iov_len)
        memcpy(at, frame->piece[i].iov_base, frame->piece[i].iov_len);
    hold(f, &f->out, held);
    if (frame->payload)
        d->tx_done = ++d->tx_given;
    return true;
}

static void send_due(struct device_faults *f)
{
    for (struct held *held; (held = take_due(f, &f->out)); free(held)) {
        const struct tx_frame frame = {.head = held->bytes + FRAME_HEADROOM, .head_len = (uint16_t)held->len};
        if (f->inner->ops->tx(f->inner, &frame))
            continue;
        /* The inner one is full: later, and in its order. */
        TAILQ_INSERT_HEAD(&f->out.list, held, link);
        f->out.count++;
        break;
    }
}

static void faults_flush(struct device *d)
{
    struct device_faults *f = self(d);
    send_due(f);
    f->inner->ops->flush(f->inner);
}

static void faults_stats(struct device *d, struct device_stats *stats)
{
    self(d)->inner->ops->stats(self(d)->inner, stats);
}

static void end_way(struct way *way)
{
    for (struct held *held; (held = TAILQ_FIRST(&way->list)); free(held))
        TAILQ_REMOVE(&way->list, held, link);
}

static void faults_close(struct device *d)
{
    struct device_faults *f = self(d);
    end_way(&f->in);
    end_way(&f->out);
    f->inner->ops->close(f->inner);
    free(f);
}

static const struct device_ops faults_ops = {.rx = faults_rx,
                                             .free = faults_free,
                                             .tx = faults_tx,
                                             .flush = faults_flush,
                                             .stats = faults_stats,
                                             .close = faults_close};

struct device *device_faults_new(struct device *inner, const struct device_faults_options *options)
{
    struct device_faults *f = calloc(1, sizeof *f);
    CHECK(f);
    f->device = *inner;
    f->device.ops = &faults_ops;
    f->device.offers = 0;
    f->device.tso_max = 0;
    f->device.pieces_max = TX_PIECES_MAX;
    f->device.tx_given = f->device.tx_done = 0;
    f->inner = inner;
    f->options = *options;
    if (!f->options.queue_max)
        f->options.queue_max = QUEUE_MAX_DEFAULT;
    prng_seed(&f->prng, options->seed);
    TAILQ_INIT(&f->in.list);
    TAILQ_INIT(&f->out.list);
    return &f->device;
}

void device_faults_advance(struct device *device, uint64_t now_ns)
{
    struct device_faults *f = self(device);
    f->now_ns = now_ns;
    send_due(f);
    f->inner->ops->flush(f->inner);
}

static uint64_t due(const struct way *way)
{
    const struct held *held = TAILQ_FIRST(&way->list);
    return held ? held->due_ns : UINT64_MAX;
}

uint64_t device_faults_deadline(const struct device *device)
{
    const struct device_faults *f = (const struct device_faults *)device;
    uint64_t in = due(&f->in), out = due(&f->out);
    return in < out ? in : out;
}

const struct device_faults_stats *device_faults_stats(const struct device *device)
{
    return &((const struct device_faults *)device)->stats;
}
