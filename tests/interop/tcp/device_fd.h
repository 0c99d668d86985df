/* A device on a file descriptor of the kernel's that reads and writes whole frames: for tests, where a system
 * call a frame does no harm and nothing has to be set up. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "tcp/device.h"

/* "tap:NAME" makes a network interface (it goes with the process), "packet:NAME" takes one there is. Exits
 * with a sentence if it can't. */
struct device *device_fd_open(const char *spec, const uint8_t mac[6], uint16_t mtu);
/* For ppoll. */
int device_fd_number(const struct device *device);
