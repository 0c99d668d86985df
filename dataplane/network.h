/*
 * What carries connections: which listeners are the kernel's and which are our own TCP's, and for the latter
 * the port of DPDK, a device and a stack for each front.
 *
 *   queue of the port (device_dpdk) → [frames to their front (device_steer)] → [a file (device_pcap)] → stack
 *
 * Made and ended on the main thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"

struct network;
struct stack;
struct tcp_stats;

/* What carries a listener, and its address without the word that says so. */
enum net_transport network_of(const struct config *config, const char *item, const char **address);
/* Whether any listener is carried so, with these layers (listener_kinds.h); with any. */
bool network_wants(const struct config *config, enum net_transport transport, unsigned layers);
bool network_uses(const struct config *config, enum net_transport transport);
/* What options say of each other. Returns false with one sentence in error. */
bool network_check(const struct config *config, char *error, size_t error_size);

struct network_options {
    const struct config *config;
    unsigned fronts;
    uint32_t connections_max;
    uint64_t seed;
    const uint8_t *secret; /* 32 bytes nobody knows */
    uint64_t (*wall_ns)(void);
};

/* Starts DPDK. Returns NULL with one sentence in error. */
struct network *network_start(const struct network_options *options, char *error, size_t error_size);
struct stack *network_stack(const struct network *network, unsigned front);
/* What its TCP counts: for any thread, value by value. */
const struct tcp_stats *network_tcp_stats(const struct network *network, unsigned front);
/* Bytes of the buffers for received frames of one front. */
uint64_t network_buffer_bytes(const struct config *config);
/* No front is polled any more, no transport is left. */
void network_end(struct network *network);
