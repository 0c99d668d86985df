/* What DPDK's telemetry shows of the broker: /gannet/fronts, /gannet/tcp, /gannet/ip, /gannet/port,
 * /gannet/steer. */
#pragma once

struct broker;
struct network;

/* Before the fronts run. Both must last until telemetry_stop (tcp/dpdk_telemetry.h). */
void telemetry_start(const struct network *network, const struct broker *broker);
