/*
 * Ports of DPDK as devices: a port is opened with a receive and a transmit queue for each front, and each
 * pair is a device (device.h). A port is made, and ended, on the main thread while nobody polls.
 *
 * Sending. Virtual ports whose driver reads the payload with the CPU while it sends (memif, tap, af_packet,
 * vhost ...) get it lent: mbufs with external buffers, in place. All others read by DMA or hand memory to
 * somebody else, which only works with memory that DPDK has mapped for them; log pages are not, so there the
 * payload is copied into mbufs, once, and counts as through at once.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tcp/device.h"

/* Starts DPDK (rte_eal_init), once in a process. arguments: dpdk.eal. threads: how many will poll. prefix:
 * --file-prefix, unless they have one; the same each time the same broker starts, so that what a killed one
 * left is taken over, and of no other. It is never ended but with the process: rte_eal_cleanup takes memory
 * from under DPDK's own threads. The caller's affinity and signals stay as they are. Returns false with one
 * sentence in error: the process can only end then. */
bool dpdk_start(const char *arguments, const char *prefix, unsigned threads, char *error, size_t error_size);
/* A thread that polls devices, before it does: it gets caches of buffers of its own. With cores of DPDK's
 * named in the arguments (-l, --lcores) no other process can attach then. */
void dpdk_enter_thread(void);
/* Where telemetry and dpdk-dumpcap find this process. */
const char *dpdk_runtime_directory(void);

struct dpdk_port;

struct dpdk_port_options {
    const char *name; /* as DPDK has it: "net_tap0", "0000:03:00.0"; "": the first */
    unsigned queues;  /* pairs wanted: one for each front */
    uint16_t mtu;
    uint32_t buffers; /* for received frames, of each queue */
};

/* Returns NULL with one sentence in error. Fewer receive queues than wanted are no error: see
 * dpdk_port_rx_queues. */
struct dpdk_port *dpdk_port_open(const struct dpdk_port_options *options, char *error, size_t error_size);
/* A network interface of the kernel (a tap) with this name and the port's MAC address: the exception path. */
struct dpdk_port *dpdk_port_open_kernel(const char *interface, const struct dpdk_port *beside, char *error,
                                        size_t error_size);
/* Closes its devices too. */
void dpdk_port_close(struct dpdk_port *port);
const char *dpdk_port_name(const struct dpdk_port *port);
const char *dpdk_port_driver(const struct dpdk_port *port);
/* Receive queues it has; the devices from this number on only send. */
unsigned dpdk_port_rx_queues(const struct dpdk_port *port);
/* Whether the port itself puts the frames of one connection into one queue. */
bool dpdk_port_hashes(const struct dpdk_port *port);
/* The device of pair i. Its close() does nothing: the port is closed as one. */
struct device *dpdk_port_device(struct dpdk_port *port, unsigned i);
