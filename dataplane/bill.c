#include "bill.h"

#include <stdio.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/ring.h"
#include "listener_kinds.h"
#include "network.h"
#include "router/password.h"
#include "router/router.h"

enum { TEXT_BYTES = 32 };

/* A stream's output, and about what OpenSSL takes for it in the middle of a record. */
#define TLS_CONNECTION_BYTES (OUTPUT_HIGH_BYTES / 4 + 64 * KIB)

/* A reader of frames, which is libwslay's for the most part, and the table of a stream's output. */
#define WEB_CONNECTION_BYTES (8 * KIB)

/* "2.5 GiB" */
static const char *text(uint64_t bytes, char out[TEXT_BYTES])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    unsigned unit = 0;
    for (; value >= 1024 && unit < 4; unit++)
        value /= 1024;
    snprintf(out, TEXT_BYTES, value < 10 && unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return out;
}

static uint64_t line(const char *what, uint64_t count, uint64_t each)
{
    char total[TEXT_BYTES], one[TEXT_BYTES];
    log_line(LOG_INFO, "memory", "%-44s %9s = %6llu x %s", what, text(count * each, total),
             (unsigned long long)count, text(each, one));
    return count * each;
}

void bill_print(const struct config *config, const struct placement *placement, unsigned ring_count)
{
    char total[TEXT_BYTES];
    uint64_t sum = 0, frame = config->amqp_frame_max;
    sum += line("messages, in log pages (memory.budget)", placement->routers,
                config->memory_budget / placement->routers);
    sum += line("producers known by x-producer-id", placement->routers, router_producer_bytes());
    sum += line("receive chunks", (uint64_t)placement->fronts * RX_CHUNKS, RX_CHUNK_BYTES);
    if (network_buffer_bytes(config))
        sum += line("DPDK's buffers for received frames", placement->fronts, network_buffer_bytes(config));
    sum += line("bodies in parts, open transactions", placement->fronts,
                config->memory_budget / 4 / placement->fronts);
    sum += line("rings between agents", ring_count, (uint64_t)RING_SLOTS * RING_ENTRY_BYTES);
    sum += line("passwords that are looked at, or made", 2, PASSWORD_BYTES);
    sum += line("frames begun by connections, not complete", config->connections_max, frame);
    sum += line("output waiting for connections", config->connections_max, OUTPUT_HIGH_BYTES);
    if (listener_wants(config, LAYER_TLS))
        sum += line("TLS: keys, and output that is encrypted", config->connections_max, TLS_CONNECTION_BYTES);
    if (listener_wants(config, LAYER_WEB))
        sum += line("WebSocket: frames begun, not complete", config->connections_max, WEB_CONNECTION_BYTES);
    log_line(LOG_INFO, "memory", "%-44s %9s if every connection does its worst at once", "total",
             text(sum, total));
}
