/*
 * A wrapper that is a bad wire, in both directions, from a seed: it loses frames, delivers them twice, delays
 * them, and delays some so long that later ones overtake them. For tests and measurements with a real peer
 * behind the inner device; where both ends are ours, device_sim does more.
 *
 * Frames are copied, so what is sent counts as through at once, and sums are no device's work.
 */
#pragma once

#include "tcp/device.h"

/* Each way. Chances are parts of a million. */
struct device_faults_options {
    uint64_t seed;
    uint64_t delay_ns;      /* of every frame */
    uint64_t late_ns;       /* more, at most, for those overtaken */
    uint32_t overtaken_ppm; /* delayed by up to late_ns more, while later ones are not */
    uint32_t lost_ppm, duplicated_ppm;
    uint32_t queue_max; /* frames on their way in one direction; default 4096, more are lost */
};

struct device_faults_stats {
    uint64_t passed, lost, duplicated, overtaken, queue_full;
};

/* inner is closed with it. */
struct device *device_faults_new(struct device *inner, const struct device_faults_options *options);
/* Time goes on: frames that are due leave and arrive. Before each turn of the owner's. */
void device_faults_advance(struct device *device, uint64_t now_ns);
/* When the next frame leaves or arrives; UINT64_MAX: never. */
uint64_t device_faults_deadline(const struct device *device);
const struct device_faults_stats *device_faults_stats(const struct device *device);
