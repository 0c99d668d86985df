#include "tcp/device_steer.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/stats.h"

enum {
    WAY_FRAMES = 256,  /* between two fronts, one way; a power of two */
    COPIES = 128,      /* that one front has handed out at once */
    COPY_BYTES = 2048, /* headroom and frame: ARP, ND and ICMP errors are small */

    ETHERTYPE_IPV4 = 0x0800,
    ETHERTYPE_ARP = 0x0806,
    ETHERTYPE_VLAN = 0x8100,
    ETHERTYPE_IPV6 = 0x86dd,
    PROTOCOL_ICMP = 1,
    PROTOCOL_TCP = 6,
    PROTOCOL_ICMPV6 = 58,
    ARP_REPLY = 2,
};

/* From one front to another. Each end is written by one thread. */
struct way {
    _Alignas(64) uint32_t put; /* by the front it comes from */
    _Alignas(64) uint32_t taken;
    _Alignas(64) struct frame frame[WAY_FRAMES];
};

/* A frame that every front gets. */
struct copy {
    uint32_t busy; /* set by the front that made it, cleared by the one that got it */
    _Alignas(64) uint8_t bytes[COPY_BYTES];
};

struct steer {
    unsigned fronts, flags;
    uint64_t seed;
    struct way *ways;    /* from * fronts + to */
    struct copy *copies; /* COPIES of each front, side by side */
};

struct device_steer {
    struct device device;
    struct steer *steer;
    struct device *inner;
    unsigned front, turn, next_copy;
    bool has_queue;
    struct steer_stats stats;
};

/* ---- whose frame it is ----------------------------------------------------------------------------- */

static unsigned be16(const uint8_t *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

static uint64_t mix(uint64_t hash, const uint8_t *bytes, unsigned n)
{
    for (uint32_t word; n; n -= 4, bytes += 4) {
        memcpy(&word, bytes, 4);
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
    }
    return hash;
}

/* addresses: both, side by side, as they stand in the IP header; ports: likewise. */
static int of_flow(const struct steer *steer, const uint8_t *addresses, unsigned n, const uint8_t *ports,
                   unsigned here)
{
    if (!(steer->flags & STEER_FLOWS))
        return (int)here;
    uint64_t hash = mix(mix(steer->seed, addresses, n), ports, 4);
    return (int)((hash >> 32) * steer->fronts >> 32);
}

static int of_arp(const uint8_t *arp, unsigned len)
{
    if (len < 28)
        return 0;
    bool announces = memcmp(arp + 14, arp + 24, 4) == 0;
    return be16(arp + 6) == ARP_REPLY || announces ? STEER_ALL : 0;
}

static int of_ipv4(const struct steer *steer, const uint8_t *ip, unsigned len, unsigned here)
{
    unsigned header = (ip[0] & 15u) * 4;
    bool fragment = len >= 20 && (be16(ip + 6) & 0x3fff);
    if (len < 20 || header < 20 || len < header + 4 || fragment)
        return 0;
    if (ip[9] == PROTOCOL_TCP)
        return of_flow(steer, ip + 12, 8, ip + header, here);
    /* Unreachable, source quench, time exceeded, parameter problem. */
    unsigned type = ip[header];
    bool error = ip[9] == PROTOCOL_ICMP && (type == 3 || type == 4 || type == 11 || type == 12);
    return error ? STEER_ALL : 0;
}

static int of_ipv6(const struct steer *steer, const uint8_t *ip, unsigned len, unsigned here)
{
    if (len < 44)
        return 0;
    if (ip[6] == PROTOCOL_TCP)
        return of_flow(steer, ip + 8, 32, ip + 40, here);
    /* Errors are 1 to 4 (127 in theory); 136 is a neighbour's advertisement. */
    bool all = ip[6] == PROTOCOL_ICMPV6 && ((ip[40] >= 1 && ip[40] <= 4) || ip[40] == 136);
    return all ? STEER_ALL : 0;
}

int steer_owner(const struct steer *steer, const struct frame *frame, unsigned here)
{
    const uint8_t *at = frame->at;
    unsigned header = 14;
    if (frame->len < 18)
        return 0;
    if (be16(at + 12) == ETHERTYPE_VLAN)
        header = 18;
    switch (be16(at + header - 2)) {
    case ETHERTYPE_ARP:
        return of_arp(at + header, frame->len - header);
    case ETHERTYPE_IPV4:
        return of_ipv4(steer, at + header, frame->len - header, here);
    case ETHERTYPE_IPV6:
        return of_ipv6(steer, at + header, frame->len - header, here);
    default:
        return 0;
    }
}

/* ---- handing over ---------------------------------------------------------------------------------- */

static struct device_steer *self(struct device *d)
{
    return (struct device_steer *)d;
}

static struct way *way_of(const struct steer *steer, unsigned from, unsigned to)
{
    return &steer->ways[from * steer->fronts + to];
}

static bool hand_over(struct device_steer *s, unsigned to, const struct frame *frame)
{
    struct way *way = way_of(s->steer, s->front, to);
    if (way->put - __atomic_load_n(&way->taken, __ATOMIC_ACQUIRE) == WAY_FRAMES)
        return false;
    way->frame[way->put % WAY_FRAMES] = *frame;
    __atomic_store_n(&way->put, way->put + 1, __ATOMIC_RELEASE);
    return true;
}

static struct copy *find_copy(struct device_steer *s)
{
    for (unsigned i = 0; i < COPIES; i++) {
        struct copy *copy = &s->steer->copies[s->front * COPIES + s->next_copy++ % COPIES];
        if (!__atomic_load_n(&copy->busy, __ATOMIC_ACQUIRE))
            return copy;
    }
    return NULL;
}

static bool give_copy(struct device_steer *s, unsigned to, const struct frame *frame)
{
    struct copy *copy = frame->len <= COPY_BYTES - FRAME_HEADROOM ? find_copy(s) : NULL;
    if (!copy)
        return false;
    struct frame same = *frame;
    same.room = copy->bytes;
    same.at = copy->bytes + FRAME_HEADROOM;
    same.buffer = copy;
    memcpy(same.at, frame->at, frame->len);
    copy->busy = 1;
    if (hand_over(s, to, &same))
        return true;
    copy->busy = 0;
    return false;
}

static void give_copies(struct device_steer *s, const struct frame *frame)
{
    for (unsigned to = 0; to < s->steer->fronts; to++)
        if (to != s->front)
            stat_add(give_copy(s, to, frame) ? &s->stats.copied : &s->stats.dropped_copy, 1);
}

/* Returns whether the frame stays here. */
static bool stays(struct device_steer *s, const struct frame *frame)
{
    int owner = steer_owner(s->steer, frame, s->front);
    if (owner == STEER_ALL)
        give_copies(s, frame);
    if (owner == STEER_ALL || owner == (int)s->front)
        return true;
    if (hand_over(s, (unsigned)owner, frame)) {
        stat_add(&s->stats.handed_over, 1);
    } else {
        stat_add(&s->stats.dropped_full, 1);
        s->inner->ops->free(s->inner, frame->buffer);
    }
    return false;
}

/* ---- the device ------------------------------------------------------------------------------------ */

static void follow(struct device_steer *s)
{
    s->device.tx_given = s->inner->tx_given;
    s->device.tx_done = s->inner->tx_done;
}

static unsigned take_from(struct way *way, struct frame *frames, unsigned n)
{
    unsigned waiting = __atomic_load_n(&way->put, __ATOMIC_ACQUIRE) - way->taken;
    n = n < waiting ? n : waiting;
    for (unsigned i = 0; i < n; i++)
        frames[i] = way->frame[(way->taken + i) % WAY_FRAMES];
    __atomic_store_n(&way->taken, way->taken + n, __ATOMIC_RELEASE);
    return n;
}

/* What other fronts have handed over, each in turn the first. */
static unsigned take_handed_over(struct device_steer *s, struct frame *frames, unsigned n)
{
    unsigned fronts = s->steer->fronts, have = 0;
    for (unsigned i = 0; i < fronts && have < n; i++) {
        unsigned from = (s->turn + i) % fronts;
        if (from != s->front)
            have += take_from(way_of(s->steer, from, s->front), frames + have, n - have);
    }
    return have;
}

static unsigned take_queue(struct device_steer *s, struct frame *frames, unsigned n)
{
    unsigned got = s->inner->ops->rx(s->inner, frames, n), kept = 0;
    for (unsigned i = 0; i < got; i++)
        if (stays(s, &frames[i]))
            frames[kept++] = frames[i];
    return kept;
}

static unsigned steer_rx(struct device *d, struct frame *frames, unsigned n)
{
    struct device_steer *s = self(d);
    s->turn++;
    /* Half of the room at most, so that neither waits for the other; of one, now the one and now the other.
     */
    unsigned most = s->has_queue ? (n + (s->turn & 1)) / 2 : n;
    unsigned have = take_handed_over(s, frames, most);
    if (s->has_queue && have < n)
        have += take_queue(s, frames + have, n - have);
    follow(s);
    return have;
}

static void steer_give_back(struct device *d, void *buffer)
{
    struct device_steer *s = self(d);
    const struct steer *steer = s->steer;
    struct copy *copy = buffer;
    if (copy >= steer->copies && copy < steer->copies + (size_t)steer->fronts * COPIES)
        __atomic_store_n(&copy->busy, 0, __ATOMIC_RELEASE);
    else
        s->inner->ops->free(s->inner, buffer);
}

static bool steer_tx(struct device *d, const struct tx_frame *frame)
{
    struct device_steer *s = self(d);
    bool taken = s->inner->ops->tx(s->inner, frame);
    follow(s);
    return taken;
}

static void steer_flush(struct device *d)
{
    struct device_steer *s = self(d);
    s->inner->ops->flush(s->inner);
    follow(s);
}

static void steer_stats(struct device *d, struct device_stats *stats)
{
    self(d)->inner->ops->stats(self(d)->inner, stats);
}

static void steer_close(struct device *d)
{
    struct device_steer *s = self(d);
    struct frame frame;
    for (unsigned from = 0; from < s->steer->fronts; from++)
        while (from != s->front && take_from(way_of(s->steer, from, s->front), &frame, 1))
            steer_give_back(d, frame.buffer);
    s->inner->ops->close(s->inner);
    free(s);
}

static const struct device_ops steer_ops = {.rx = steer_rx,
                                            .free = steer_give_back,
                                            .tx = steer_tx,
                                            .flush = steer_flush,
                                            .stats = steer_stats,
                                            .close = steer_close};

static void *zeroed(size_t count, size_t size)
{
    void *p = aligned_alloc(64, count * size);
    CHECK(p);
    return memset(p, 0, count * size);
}

struct steer *steer_new(unsigned fronts, unsigned flags, uint64_t seed)
{
    struct steer *steer = zeroed(1, (sizeof *steer + 63) & ~(size_t)63);
    *steer = (struct steer){.fronts = fronts, .flags = flags, .seed = seed};
    steer->ways = zeroed((size_t)fronts * fronts, sizeof *steer->ways);
    steer->copies = zeroed((size_t)fronts * COPIES, sizeof *steer->copies);
    return steer;
}

void steer_free(struct steer *steer)
{
    free(steer->ways);
    free(steer->copies);
    free(steer);
}

struct device *device_steer_new(struct steer *steer, unsigned front, struct device *inner, bool has_queue)
{
    struct device_steer *s = calloc(1, sizeof *s);
    CHECK(s && front < steer->fronts);
    s->device = *inner;
    s->device.ops = &steer_ops;
    s->steer = steer;
    s->inner = inner;
    s->front = front;
    s->has_queue = has_queue;
    return &s->device;
}

void device_steer_stats(const struct device *device, struct steer_stats *stats)
{
    const struct steer_stats *own = &((const struct device_steer *)device)->stats;
    stats->handed_over = stat_read(&own->handed_over);
    stats->dropped_full = stat_read(&own->dropped_full);
    stats->copied = stat_read(&own->copied);
    stats->dropped_copy = stat_read(&own->dropped_copy);
}
