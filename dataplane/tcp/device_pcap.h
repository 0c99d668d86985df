/*
 * A wrapper that writes every frame to a file that tcpdump and Wireshark read (libpcap's format, times in
 * nanoseconds), those received and those sent, as they pass. For looking for faults: the file is written on
 * the front's thread, buffered, and the disk's waits are the front's. What is received already checked or to
 * be cut by the device (FRAME_*, TX_TSO) stands there as it passed: uncut, with sums that are not filled in.
 */
#pragma once

#include "tcp/device.h"

/* inner is closed with it. wall_ns: nanoseconds since 1970. Returns NULL with one sentence in error: the file
 * can't be written; inner is then the caller's still. */
struct device *device_pcap_new(struct device *inner, const char *path, uint64_t (*wall_ns)(void), char *error,
                               size_t error_size);
