/*
 * A simulated wire with devices on it, in virtual time, from one seed.
 *
 * What it does to frames, each by chance within the wire's faults: delays them (those of one device keep
 * their order), delays one so long that later ones overtake it, loses, duplicates, truncates, and flips bits
 * of IP packets (never of ARP, which has no sum: there Ethernet's own must do; the flips are such that a sum
 * of 16 bits sees them). A damaged frame arrives like any other, its sums unchecked. Short frames are padded
 * to 60 bytes with noise. A link of finite speed and queue loses what is too much. The wire, or one device's
 * cable, is cut and mended by calls; what is on its way then is lost.
 *
 * What devices do to their owners: tx() finds the ring full, because it is, or by chance; nothing leaves
 * before flush(); frames leave late, and payload is read only then (memory taken back too early shows as
 * damage); tx_done grows only then. rx() gives less than there is; frames begin at odd addresses; each is in
 * a buffer of its own, as long as it is, so that a sanitizer sees a read beyond it; a buffer given back is
 * overwritten at once, and giving back what isn't lent trips a CHECK. Owners who keep too many buffers, or
 * come too seldom, miss frames.
 */
#pragma once

#include "tcp/device.h"

struct sim_wire;

/* Chances are parts of a million. */
struct sim_faults {
    uint64_t delay_min_ns, delay_max_ns;
    uint64_t late_ns;       /* more delay, at most, for those overtaken */
    uint64_t bits_per_s;    /* to each device; 0: no limit */
    uint32_t queue_max;     /* frames on their way to one device; 0: no limit */
    uint32_t overtaken_ppm; /* delayed by up to late_ns more, while later ones are not */
    uint32_t lost_ppm, duplicated_ppm, damaged_ppm, truncated_ppm;
    uint32_t full_ppm;    /* tx() refuses though there is room */
    uint64_t leave_ns;    /* from flush() until a frame leaves, at most */
    uint32_t rx_some_ppm; /* rx() gives fewer frames than there are */
};

struct sim_wire_stats {
    uint64_t sent, delivered; /* frames */
    uint64_t lost, duplicated, damaged, truncated, overtaken, refused;
    uint64_t queue_full, unplugged, missed, nobody; /* lost too, for these reasons */
};

struct device_sim_options {
    uint8_t mac[6];
    uint16_t mtu_max;     /* default 1500 */
    uint16_t offers;      /* enum tx_flags */
    uint16_t pieces_max;  /* default TX_PIECES_MAX */
    uint32_t tso_max;     /* with TX_TSO; default 65,000 */
    uint32_t tx_ring;     /* frames; default 256 */
    uint32_t rx_ring;     /* frames arrived that rx() has not given; default 256 */
    uint32_t buffers_max; /* frames lent to the owner; more are missed; default: no limit */
    bool checks_sums;     /* received frames carry FRAME_*_SUM_* */
    bool hears_all;       /* gets every frame, whoever it is for */
};

struct sim_wire *sim_wire_new(uint64_t seed);
/* After its devices are closed. */
void sim_wire_free(struct sim_wire *wire);
/* May be changed at any time; at first there are none, and no delay. */
struct sim_faults *sim_wire_faults(struct sim_wire *wire);
/* Time goes on: frames leave and arrive. */
void sim_wire_advance(struct sim_wire *wire, uint64_t now_ns);
/* When the next frame leaves or arrives; UINT64_MAX: never. */
uint64_t sim_wire_deadline(const struct sim_wire *wire);
void sim_wire_cut(struct sim_wire *wire, bool cut);
/* Of all frames that have arrived, where and when. */
uint64_t sim_wire_trace(const struct sim_wire *wire);
const struct sim_wire_stats *sim_wire_stats(const struct sim_wire *wire);
/* on_frame sees each frame as it leaves, before anything befalls it. */
void sim_wire_watch(struct sim_wire *wire,
                    void (*on_frame)(void *owner, uint64_t now_ns, const uint8_t *frame, uint32_t len),
                    void *owner);

struct device *device_sim_new(struct sim_wire *wire, const struct device_sim_options *options);
/* Pulls this device's plug, or puts it in again. */
void device_sim_unplug(struct device *device, bool out);
/* Buffers that rx() has given and free() has not got back. */
unsigned device_sim_lent(const struct device *device);
/* Frames that have arrived and wait for rx(). */
unsigned device_sim_waiting(const struct device *device);

/* The sum of RFC 1071, not yet complemented, over bytes, begun with `sum`. */
uint32_t sim_sum(uint32_t sum, const uint8_t *at, size_t len);
/* What the field holds for it. */
uint16_t sim_sum_field(uint32_t sum);
/* Sum of an IP packet's pseudo-header (RFC 9293 section 3.1), l4_len counted. */
uint32_t sim_sum_pseudo(const uint8_t *l3, uint8_t protocol, uint32_t l4_len);
