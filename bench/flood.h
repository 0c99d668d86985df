/* SYNs that nobody means, past our own TCP straight into the device: from addresses of 198.18.0.0/15 (RFC
 * 2544), to the sink's port. The server must have a way back to these, its gateway, or it does not even
 * answer. */
#ifndef BENCH_FLOOD_H
#define BENCH_FLOOD_H

#include <stdint.h>

struct device;
struct flood;

/* The caller frees it. Exits when an address is none. */
struct flood *flood_new(struct device *device, const char *to, const char *mac, uint64_t per_second);
/* Sends what is due by now. */
void flood_turn(struct flood *flood, uint64_t now);
uint64_t flood_sent(const struct flood *flood);

#endif
