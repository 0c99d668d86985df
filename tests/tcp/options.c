#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "words.h"

enum unit { COUNT, MILLISECONDS, MICROSECONDS };

#define ROW(key, field, unit)                                                                                \
    {                                                                                                        \
        key, offsetof(struct tcp_options, field), unit                                                       \
    }

/* Times in seconds. */
static const struct option_row {
    const char *key;
    size_t at;
    enum unit unit;
} rows[] = {
    ROW("connections_max", connections_max, COUNT), ROW("half_open_max", half_open_max, COUNT),
    ROW("time_wait_max", time_wait_max, COUNT),     ROW("rto_min", rto_min_us, MICROSECONDS),
    ROW("time_wait", time_wait_ms, MILLISECONDS),   ROW("keepalive", keepalive_ms, MILLISECONDS),
    ROW("give_up", give_up_ms, MILLISECONDS),       ROW("rx_window_max", rx_window_max, COUNT),
};

static bool tcp_option(struct play *p, const char *key, const char *value)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].key, key) != 0)
            continue;
        double factor = rows[i].unit == MILLISECONDS ? 1e3 : rows[i].unit == MICROSECONDS ? 1e6 : 1;
        uint32_t v = strcmp(value, "none") == 0 ? UINT32_MAX : (uint32_t)(strtod(value, NULL) * factor + 0.5);
        memcpy((char *)&p->options.tcp + rows[i].at, &v, sizeof v);
        return true;
    }
    return false;
}

static uint16_t offers(const char *value)
{
    uint16_t flags = 0;
    if (strstr(value, "sum"))
        flags |= TX_IP_SUM | TX_TCP_SUM;
    if (strstr(value, "tso"))
        flags |= TX_TSO;
    return flags;
}

static bool other_option(struct play *p, const char *key, const char *value)
{
    struct tcp_options *tcp = &p->options.tcp;
    uint32_t number = (uint32_t)strtoul(value, NULL, 0);
    if (strcmp(key, "congestion") == 0)
        tcp->congestion = strcmp(value, "cubic") == 0 ? "cubic" : "newreno";
    else if (strcmp(key, "nagle") == 0)
        tcp->nagle = number;
    else if (strcmp(key, "v6") == 0)
        p->hosts.v6 = number;
    else if (strcmp(key, "mtu") == 0)
        p->device_options.mtu_max = (uint16_t)number;
    else if (strcmp(key, "offers") == 0)
        p->device_options.offers = offers(value);
    else if (strcmp(key, "checks_sums") == 0)
        p->device_options.checks_sums = number;
    else if (strcmp(key, "tx_ring") == 0)
        p->device_options.tx_ring = number;
    else if (strcmp(key, "pieces_max") == 0)
        p->device_options.pieces_max = (uint16_t)number;
    else if (strcmp(key, "buffers_max") == 0)
        p->device_options.buffers_max = number;
    else if (strcmp(key, "peer_isn") == 0)
        p->peer_isn = number;
    else if (strcmp(key, "tolerance") == 0)
        p->tolerance_ns = (uint64_t)(strtod(value, NULL) * 1e9);
    else
        return false;
    return true;
}

void option_run(struct play *p, const char *text)
{
    char copy[TEXT], *at = copy, *one;
    snprintf(copy, sizeof copy, "%s", text);
    if (p->started)
        play_fail(p, "options come first");
    while ((one = strsep(&at, " "))) {
        char *value = strchr(one, '=');
        if (!*one)
            continue;
        if (!value)
            play_fail(p, "option KEY=VALUE");
        *value++ = 0;
        if (!tcp_option(p, one, value) && !other_option(p, one, value))
            play_fail(p, "no such option: %s", one);
    }
}
