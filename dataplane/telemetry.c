#include "telemetry.h"

#include <stddef.h>

#include "base/stats.h"
#include "broker.h"
#include "network_inside.h"
#include "tcp/device_dpdk.h"
#include "tcp/device_steer.h"
#include "tcp/dpdk_telemetry.h"
#include "tcp/stack.h"

struct row {
    const char *name;
    size_t offset, size;
};

#define ROW(type, field)                                                                                     \
    {                                                                                                        \
#field, offsetof(struct type, field), sizeof((struct type){0}.field)                                 \
    }

static const struct row tcp_rows[] = {
#define R(field) ROW(tcp_stats, field)
    R(segments_in),
    R(segments_out),
    R(bytes_in),
    R(bytes_out),
    R(retransmitted),
    R(rto),
    R(tlp),
    R(fast_recoveries),
    R(spurious),
    R(sum_errors),
    R(out_of_window),
    R(paws_drops),
    R(challenge_acks),
    R(resets_in),
    R(resets_out),
    R(opened_active),
    R(opened_passive),
    R(failed_opens),
    R(cookies_sent),
    R(cookies_good),
    R(cookies_bad),
    R(half_open_dropped),
    R(out_of_order),
    R(out_of_order_dropped),
    R(zero_windows),
    R(keepalives),
    R(duplicates),
    R(icmp_ignored),
    R(pmtu_lowered),
    R(buffers_copied),
    R(connections),
    R(half_open),
    R(time_wait),
#undef R
};

static const struct row ip_rows[] = {
#define R(field) ROW(ip_stats, field)
    R(frames_in),
    R(frames_out),
    R(bytes_in),
    R(bytes_out),
    R(dropped_malformed),
    R(dropped_sum),
    R(dropped_fragment),
    R(dropped_not_ours),
    R(dropped_no_neighbour),
    R(dropped_full),
    R(dropped_vlan),
    R(dropped_martian),
    R(dropped_options),
    R(to_kernel),
    R(from_kernel),
    R(arp_in),
    R(nd_in),
    R(icmp_in),
    R(icmp_errors_in),
    R(icmp_errors_out),
    R(echo_answered),
    R(icmp_limited),
    R(conflicts),
    R(neighbours),
    R(neighbours_evicted),
    R(neighbours_refused),
#undef R
};

static const struct row front_rows[] = {
#define R(field) ROW(front_stats, field)
    R(connections), R(accepted), R(bytes_in), R(bytes_out), R(parked),
#undef R
};

static const struct row steer_rows[] = {
#define R(field) ROW(steer_stats, field)
    R(handed_over),
    R(dropped_full),
    R(copied),
    R(dropped_copy),
#undef R
};

static const struct row port_rows[] = {
#define R(field) ROW(device_stats, field)
    R(rx_frames), R(rx_bytes), R(rx_missed), R(rx_errors), R(rx_no_buffer),
    R(tx_frames), R(tx_bytes), R(tx_errors), R(link_mbps), R(link_up),
#undef R
};

/* The owner writes while we read: each counter is whole, and that is all that is promised. */
static void put(struct telemetry_answer *answer, const struct row *rows, size_t count, const void *stats)
{
    for (size_t i = 0; i < count; i++) {
        const char *at = (const char *)stats + rows[i].offset;
        uint64_t value = rows[i].size == sizeof(uint64_t) ? stat_read((const uint64_t *)(const void *)at)
                         : rows[i].size == sizeof(uint32_t)
                             ? __atomic_load_n((const uint32_t *)(const void *)at, __ATOMIC_RELAXED)
                             : __atomic_load_n((const uint8_t *)at, __ATOMIC_RELAXED);
        telemetry_put(answer, rows[i].name, value);
    }
}

#define PUT(answer, rows, stats) put(answer, rows, sizeof rows / sizeof *rows, stats)

static void fill_tcp(void *owner, unsigned i, struct telemetry_answer *answer)
{
    const struct network *network = owner;
    PUT(answer, tcp_rows, tcp_stats(stack_tcp(network->stack[i])));
}

static void fill_ip(void *owner, unsigned i, struct telemetry_answer *answer)
{
    const struct network *network = owner;
    PUT(answer, ip_rows, ip_stats(stack_ip(network->stack[i])));
}

static void fill_front(void *owner, unsigned i, struct telemetry_answer *answer)
{
    const struct broker *broker = owner;
    PUT(answer, front_rows, front_stats(broker->front[i]));
}

static void fill_steer(void *owner, unsigned i, struct telemetry_answer *answer)
{
    const struct network *network = owner;
    struct steer_stats stats;
    device_steer_stats(network->steered[i], &stats);
    PUT(answer, steer_rows, &stats);
}

static void fill_port(void *owner, unsigned i, struct telemetry_answer *answer)
{
    const struct network *network = owner;
    struct device_stats stats;
    struct device *device = dpdk_port_device(network->port, i);
    device->ops->stats(device, &stats);
    PUT(answer, port_rows, &stats);
}

void telemetry_start(const struct network *network, const struct broker *broker)
{
    void *of = (void *)(uintptr_t)network;
    telemetry_add("/gannet/fronts", "Connections. Parameters: a front, or none for all", broker->fronts,
                  fill_front, (void *)(uintptr_t)broker);
    telemetry_add("/gannet/tcp", "TCP. Parameters: a front, or none for all", network->fronts, fill_tcp, of);
    telemetry_add("/gannet/ip", "What is below TCP. Parameters: a front, or none for all", network->fronts,
                  fill_ip, of);
    telemetry_add("/gannet/port", "The port and its link. No parameters", 1, fill_port, of);
    if (network->steer)
        telemetry_add("/gannet/steer",
                      "Frames handed over between fronts. Parameters: a front, or none for all",
                      network->fronts, fill_steer, of);
}
