/*
 * tx: a frame waits in its device's ring → flush: it has a time to leave → leaves: payload is read, the wire
 * draws its fate → arrives: in the rx ring of whom it is for → rx: lent to the owner → free.
 */
#include "tcp/device_sim.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/map.h"
#include "base/prng.h"
#include "base/slots.h"
#include "base/span.h"
#include "base/timer.h"
#include "tcp/sim_offload.h"

enum { ETHERNET = 14, FRAME_MIN = 60, DEVICES_MAX = 16 };

/* A frame on its way: its bytes are the wire's. */
struct flight {
    struct timer timer;
    struct sim_device *to;
    uint32_t len;
    uint8_t bytes[];
};

/* In a tx ring: the head is copied, the pieces are the owner's. */
struct leaving {
    struct leaving *next;
    uint64_t at_ns;
    struct tx_frame frame;
    struct iovec piece[TX_PIECES_MAX];
    uint8_t head[];
};

/* Arrived, and lent. */
struct arrived {
    struct arrived *next;
    uint8_t *room, *at;
    uint32_t len;
    size_t size; /* of room */
};

struct sim_device {
    struct device device;
    struct device_sim_options options;
    struct sim_wire *wire;
    struct leaving *first, **end; /* oldest first */
    struct leaving *unflushed;    /* the first that flush() has not seen */
    uint32_t in_ring;
    uint64_t last_leave_ns, last_due_ns, link_free_ns;
    uint32_t on_way; /* frames to this device */
    struct arrived *waiting, **waiting_end;
    unsigned waiting_count, lent_count;
    struct slots lent;
    bool out;
    struct device_stats stats;
};

struct sim_wire {
    struct prng prng;
    struct sim_faults faults;
    struct sim_wire_stats stats;
    struct sim_device *device[DEVICES_MAX];
    unsigned devices;
    struct timers flights;
    uint64_t now_ns, trace;
    bool cut;
    void (*on_frame)(void *owner, uint64_t now_ns, const uint8_t *frame, uint32_t len);
    void *watcher;
};

static void *allocate(size_t size)
{
    void *p = calloc(1, size);
    CHECK(p);
    return p;
}

/* ---- on the wire --------------------------------------------------------------------------------------- */

/* When a frame that leaves now arrives. */
static uint64_t draw_due(struct sim_wire *w, struct sim_device *from, struct sim_device *to, uint32_t len)
{
    const struct sim_faults *f = &w->faults;
    uint64_t due = w->now_ns + f->delay_min_ns;
    if (f->delay_max_ns > f->delay_min_ns)
        due += prng_below(&w->prng, f->delay_max_ns - f->delay_min_ns);
    if (f->bits_per_s) {
        uint64_t start = due > to->link_free_ns ? due : to->link_free_ns;
        due = to->link_free_ns = start + (uint64_t)len * 8 * 1000000000u / f->bits_per_s;
    }
    if (prng_chance(&w->prng, f->overtaken_ppm)) {
        w->stats.overtaken++;
        return due + prng_below(&w->prng, f->late_ns + 1);
    }
    if (due <= from->last_due_ns)
        due = from->last_due_ns + 1;
    from->last_due_ns = due;
    return due;
}

/* One to three bits of one 16-bit word of an IP packet: no sum of 16 bits misses that. */
static void damage(struct sim_wire *w, uint8_t *bytes, uint32_t len)
{
    uint16_t type = get_be16(bytes + 12);
    if ((type != 0x0800 && type != 0x86dd) || len < FRAME_MIN)
        return;
    uint32_t word = (uint32_t)prng_below(&w->prng, (len - ETHERNET) / 2) * 2 + ETHERNET;
    for (uint64_t n = 1 + prng_below(&w->prng, 3), bit = prng_below(&w->prng, 16); n; n--, bit += 5)
        bytes[word + (bit % 16) / 8] ^= (uint8_t)(1u << bit % 8);
    w->stats.damaged++;
}

static void launch(struct sim_wire *w, struct sim_device *from, struct sim_device *to, const uint8_t *bytes,
                   uint32_t len)
{
    if (w->faults.queue_max && to->on_way >= w->faults.queue_max) {
        w->stats.queue_full++;
        return;
    }
    uint32_t padded = len < FRAME_MIN ? FRAME_MIN : len;
    struct flight *f = allocate(sizeof *f + padded);
    f->to = to;
    f->len = padded;
    put_span(f->bytes, span_of(bytes, len));
    for (uint32_t i = len; i < padded; i++)
        f->bytes[i] = (uint8_t)prng_next(&w->prng);
    if (prng_chance(&w->prng, w->faults.damaged_ppm))
        damage(w, f->bytes, padded);
    if (prng_chance(&w->prng, w->faults.truncated_ppm)) {
        f->len = ETHERNET + (uint32_t)prng_below(&w->prng, padded - ETHERNET);
        w->stats.truncated++;
    }
    to->on_way++;
    timer_set(&w->flights, &f->timer, draw_due(w, from, to, padded));
}

static bool is_for(const struct sim_device *to, const uint8_t *bytes)
{
    return to->options.hears_all || bytes[0] & 1 || memcmp(bytes, to->device.mac, 6) == 0;
}

struct departure {
    struct sim_wire *wire;
    struct sim_device *from;
};

/* A frame is on the wire: what becomes of it? */
static void depart(void *owner, uint8_t *bytes, uint32_t len)
{
    struct departure *d = owner;
    struct sim_wire *w = d->wire;
    w->stats.sent++;
    d->from->stats.tx_frames++;
    d->from->stats.tx_bytes += len;
    if (w->on_frame)
        w->on_frame(w->watcher, w->now_ns, bytes, len);
    if (w->cut || d->from->out) {
        w->stats.unplugged++;
        return;
    }
    if (prng_chance(&w->prng, w->faults.lost_ppm)) {
        w->stats.lost++;
        return;
    }
    bool anybody = false;
    for (unsigned i = 0; i < w->devices; i++) {
        struct sim_device *to = w->device[i];
        if (to == d->from || !is_for(to, bytes))
            continue;
        anybody = true;
        launch(w, d->from, to, bytes, len);
        if (prng_chance(&w->prng, w->faults.duplicated_ppm)) {
            w->stats.duplicated++;
            launch(w, d->from, to, bytes, len);
        }
    }
    w->stats.nobody += !anybody;
}

static void arrive(struct sim_wire *w, struct flight *f)
{
    struct sim_device *d = f->to;
    d->on_way--;
    if (w->cut || d->out) {
        w->stats.unplugged++;
    } else if (d->waiting_count >= d->options.rx_ring) {
        w->stats.missed++;
        d->stats.rx_missed++;
    } else if (d->lent_count + d->waiting_count >= d->options.buffers_max) {
        w->stats.missed++;
        d->stats.rx_no_buffer++;
    } else {
        struct arrived *a = allocate(sizeof *a);
        uint32_t odd = (uint32_t)prng_below(&w->prng, 8);
        a->len = f->len;
        a->size = FRAME_HEADROOM + odd + f->len;
        a->room = allocate(a->size);
        a->at = a->room + FRAME_HEADROOM + odd;
        put_span(a->at, span_of(f->bytes, f->len));
        *d->waiting_end = a;
        d->waiting_end = &a->next;
        d->waiting_count++;
        w->stats.delivered++;
        w->trace = hash_bytes(span_of(f->bytes, f->len), w->trace ^ hash_id(w->now_ns ^ d->device.mac[5]));
    }
    free(f);
}

/* ---- devices ------------------------------------------------------------------------------------------- */

/* The oldest of the ring leaves: only now is its payload read. */
static void leave(struct sim_wire *w, struct sim_device *d)
{
    struct leaving *l = d->first;
    struct departure departure = {w, d};
    uint32_t len = l->frame.head_len + l->frame.payload;
    uint8_t *bytes = allocate(len);
    uint8_t *p = put_span(bytes, span_of(l->head, l->frame.head_len));
    for (unsigned i = 0; i < l->frame.pieces; i++)
        p = put_span(p, span_of(l->piece[i].iov_base, l->piece[i].iov_len));
    d->first = l->next;
    if (!d->first)
        d->end = &d->first;
    d->in_ring--;
    sim_offload(&l->frame, bytes, len, depart, &departure);
    d->device.tx_done += l->frame.payload > 0;
    free(bytes);
    free(l);
}

static bool sim_tx(struct device *device, const struct tx_frame *frame)
{
    struct sim_device *d = (struct sim_device *)device;
    CHECK(frame->head_len >= ETHERNET && frame->pieces <= d->device.pieces_max);
    CHECK((frame->flags & ~TX_IPV6 & ~d->options.offers) == 0);
    uint32_t len = frame->head_len - ETHERNET + frame->payload;
    uint32_t vlan = get_be16(frame->head + 12) == 0x8100 ? 4 : 0;
    if (frame->flags & TX_TSO)
        CHECK(frame->payload <= d->device.tso_max &&
              frame->head_len - ETHERNET - vlan + frame->mss <= d->device.mtu_max);
    else
        CHECK(len - vlan <= d->device.mtu_max);
    if (d->in_ring >= d->options.tx_ring || prng_chance(&d->wire->prng, d->wire->faults.full_ppm)) {
        d->wire->stats.refused++;
        return false;
    }
    struct leaving *l = allocate(sizeof *l + frame->head_len);
    l->frame = *frame;
    put_span(l->head, span_of(frame->head, frame->head_len));
    uint64_t payload = 0;
    for (unsigned i = 0; i < frame->pieces; i++) {
        l->piece[i] = frame->piece[i];
        payload += l->piece[i].iov_len;
    }
    CHECK(payload == frame->payload);
    *d->end = l;
    d->end = &l->next;
    if (!d->unflushed)
        d->unflushed = l;
    d->in_ring++;
    d->device.tx_given += frame->payload > 0;
    return true;
}

static void sim_flush(struct device *device)
{
    struct sim_device *d = (struct sim_device *)device;
    struct sim_wire *w = d->wire;
    for (struct leaving *l = d->unflushed; l; l = l->next) {
        uint64_t at = w->now_ns + prng_below(&w->prng, w->faults.leave_ns + 1);
        l->at_ns = d->last_leave_ns = at > d->last_leave_ns ? at : d->last_leave_ns;
    }
    d->unflushed = NULL;
}

static unsigned sim_rx(struct device *device, struct frame *frames, unsigned n)
{
    struct sim_device *d = (struct sim_device *)device;
    struct sim_wire *w = d->wire;
    unsigned got = 0;
    CHECK(n <= DEVICE_BURST);
    if (prng_chance(&w->prng, w->faults.rx_some_ppm))
        n = (unsigned)prng_below(&w->prng, n + 1);
    for (; got < n && d->waiting; got++) {
        struct arrived *a = d->waiting;
        d->waiting = a->next;
        if (!d->waiting)
            d->waiting_end = &d->waiting;
        d->waiting_count--;
        d->lent_count++;
        d->stats.rx_frames++;
        d->stats.rx_bytes += a->len;
        uint16_t flags = d->options.checks_sums ? sim_look_at_sums(a->at, a->len) : 0;
        frames[got] = (struct frame){.at = a->at, .len = a->len, .flags = flags, .room = a->room};
        frames[got].buffer = (void *)(uintptr_t)(slots_add(&d->lent, a) << 1);
    }
    return got;
}

static void arrived_free(struct arrived *a)
{
    memset(a->room, 0xdd, a->size);
    free(a->room);
    free(a);
}

static void sim_free(struct device *device, void *buffer)
{
    struct sim_device *d = (struct sim_device *)device;
    struct arrived *a = slots_get(&d->lent, (uintptr_t)buffer >> 1);
    CHECK(a);
    slots_remove(&d->lent, (uintptr_t)buffer >> 1);
    d->lent_count--;
    arrived_free(a);
}

static void sim_stats(struct device *device, struct device_stats *stats)
{
    struct sim_device *d = (struct sim_device *)device;
    *stats = d->stats;
    stats->link_up = !d->out && !d->wire->cut;
    stats->link_mbps = (uint32_t)(d->wire->faults.bits_per_s / 1000000);
}

static void forget_flights(struct sim_wire *w, const struct sim_device *to)
{
    for (size_t i = 0; i < w->flights.count;) {
        struct flight *f = container_of(w->flights.heap[i], struct flight, timer);
        if (f->to == to || !to) {
            timer_cancel(&w->flights, &f->timer);
            free(f);
            i = 0;
        } else {
            i++;
        }
    }
}

static void sim_close(struct device *device)
{
    struct sim_device *d = (struct sim_device *)device;
    struct sim_wire *w = d->wire;
    forget_flights(w, d);
    for (struct leaving *l = d->first, *next; l; l = next) {
        next = l->next;
        free(l);
    }
    for (struct arrived *a = d->waiting, *next; a; a = next) {
        next = a->next;
        arrived_free(a);
    }
    for (uint32_t i = 0; i < d->lent.count; i++)
        if (d->lent.slot[i].thing)
            arrived_free(d->lent.slot[i].thing);
    slots_free(&d->lent);
    unsigned at = 0;
    while (w->device[at] != d)
        at++;
    memmove(w->device + at, w->device + at + 1, (--w->devices - at) * sizeof w->device[0]);
    free(d);
}

static const struct device_ops ops = {sim_rx, sim_free, sim_tx, sim_flush, sim_stats, sim_close};

struct device *device_sim_new(struct sim_wire *wire, const struct device_sim_options *options)
{
    struct sim_device *d = allocate(sizeof *d);
    struct device_sim_options *o = &d->options;
    CHECK(wire->devices < DEVICES_MAX);
    *o = *options;
    o->tx_ring = o->tx_ring ? o->tx_ring : 256;
    o->rx_ring = o->rx_ring ? o->rx_ring : 256;
    o->buffers_max = o->buffers_max ? o->buffers_max : UINT32_MAX;
    d->device = (struct device){.ops = &ops, .offers = o->offers};
    memcpy(d->device.mac, o->mac, 6);
    d->device.mtu_max = o->mtu_max ? o->mtu_max : 1500;
    d->device.rx_share = o->buffers_max == UINT32_MAX ? 0 : o->buffers_max / 4;
    d->device.pieces_max = o->pieces_max ? o->pieces_max : TX_PIECES_MAX;
    CHECK(d->device.pieces_max <= TX_PIECES_MAX);
    if (o->offers & TX_TSO)
        d->device.tso_max = o->tso_max ? o->tso_max : 65000;
    d->wire = wire;
    d->end = &d->first;
    d->waiting_end = &d->waiting;
    wire->device[wire->devices++] = d;
    return &d->device;
}

void device_sim_unplug(struct device *device, bool out)
{
    ((struct sim_device *)device)->out = out;
}

unsigned device_sim_lent(const struct device *device)
{
    return ((const struct sim_device *)device)->lent_count;
}

unsigned device_sim_waiting(const struct device *device)
{
    return ((const struct sim_device *)device)->waiting_count;
}

/* ---- the wire ------------------------------------------------------------------------------------------ */

struct sim_wire *sim_wire_new(uint64_t seed)
{
    struct sim_wire *w = allocate(sizeof *w);
    prng_seed(&w->prng, seed);
    w->trace = seed;
    return w;
}

void sim_wire_free(struct sim_wire *wire)
{
    CHECK(wire->devices == 0);
    timers_free(&wire->flights);
    free(wire);
}

struct sim_faults *sim_wire_faults(struct sim_wire *wire)
{
    return &wire->faults;
}

static struct sim_device *next_leaver(const struct sim_wire *w)
{
    struct sim_device *best = NULL;
    for (unsigned i = 0; i < w->devices; i++) {
        struct sim_device *d = w->device[i];
        if (d->first && d->first != d->unflushed && (!best || d->first->at_ns < best->first->at_ns))
            best = d;
    }
    return best;
}

void sim_wire_advance(struct sim_wire *w, uint64_t now_ns)
{
    for (uint64_t at; (at = sim_wire_deadline(w)) <= now_ns;) {
        w->now_ns = at > w->now_ns ? at : w->now_ns;
        struct sim_device *d = next_leaver(w);
        if (d && d->first->at_ns <= w->now_ns) {
            leave(w, d);
        } else {
            struct timer *due = timer_due(&w->flights, w->now_ns);
            arrive(w, container_of(due, struct flight, timer));
        }
    }
    w->now_ns = now_ns > w->now_ns ? now_ns : w->now_ns;
}

uint64_t sim_wire_deadline(const struct sim_wire *wire)
{
    const struct sim_device *d = next_leaver(wire);
    uint64_t next = timers_next(&wire->flights);
    return d && d->first->at_ns < next ? d->first->at_ns : next;
}

void sim_wire_cut(struct sim_wire *wire, bool cut)
{
    wire->cut = cut;
}

uint64_t sim_wire_trace(const struct sim_wire *wire)
{
    return wire->trace;
}

const struct sim_wire_stats *sim_wire_stats(const struct sim_wire *wire)
{
    return &wire->stats;
}

void sim_wire_watch(struct sim_wire *wire,
                    void (*on_frame)(void *owner, uint64_t now_ns, const uint8_t *frame, uint32_t len),
                    void *owner)
{
    wire->on_frame = on_frame;
    wire->watcher = owner;
}
