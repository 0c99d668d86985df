/*
 * Several fronts on one port: each front's device is wrapped by one of these, and frames come to the front
 * whose connection they belong to, whatever queue the port put them in.
 *
 * What comes from a queue of the port:
 *   TCP → with STEER_FLOWS the front that the addresses and ports hash to; else the port's RSS has chosen
 *   answers that every front waits for (ARP replies and announcements, ND advertisements, ICMP errors)
 *       → a copy to each front
 *   all else (ARP requests, echo requests, other protocols) → front 0, so that there is one answer
 *
 * From each front to each other there is a single-producer single-consumer ring of frames; one that is full
 * drops. A frame that is handed over is given back by the front that got it, through its own inner device:
 * free() of the inner devices must be callable for the buffers of any of them and from any of the fronts'
 * threads, as it is with the queues of one DPDK port.
 */
#pragma once

#include "tcp/device.h"

enum steer_flags { STEER_FLOWS = 1 };

/* Of one front, written by its thread. */
struct steer_stats {
    uint64_t handed_over, dropped_full, copied, dropped_copy;
};

/* What n fronts share. seed: of the hash. */
struct steer;

struct steer *steer_new(unsigned fronts, unsigned flags, uint64_t seed);
/* When all its devices are closed and their threads ended. */
void steer_free(struct steer *steer);
/* The front's device. inner is closed with it. has_queue: whether inner receives at all (a port with fewer
 * queues than fronts). */
struct device *device_steer_new(struct steer *steer, unsigned front, struct device *inner, bool has_queue);
/* Of a device made by device_steer_new; any thread. */
void device_steer_stats(const struct device *device, struct steer_stats *stats);
/* Which front a frame goes to; STEER_ALL: to each. Given a front's own number, that for frames that may stay
 * where they came. */
enum { STEER_ALL = -1 };
int steer_owner(const struct steer *steer, const struct frame *frame, unsigned here);
