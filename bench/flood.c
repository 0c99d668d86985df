#include "flood.h"
#include "buffer.h"
#include "echo.h"

#include "base/prng.h"
#include "tcp/device.h"

#include <arpa/inet.h>
#include <err.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BURST_MAX 32

struct syn {
    uint8_t to[6], from[6];
    uint16_t type;
    struct iphdr ip;
    struct tcphdr tcp;
} __attribute__((packed));

struct flood {
    struct device *device;
    struct syn syn;
    struct prng prng;
    uint64_t per_second, start_ns, sent;
};

/* RFC 1071 */
static uint16_t sum(uint32_t begin, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    for (size_t i = 0; i + 1 < n; i += 2)
        begin += (uint32_t)(p[i] << 8 | p[i + 1]);
    while (begin >> 16)
        begin = (begin & 0xffff) + (begin >> 16);
    return htons((uint16_t)~begin);
}

struct flood *flood_new(struct device *device, const char *to, const char *mac, uint64_t per_second)
{
    struct flood *f = zalloc(1, sizeof *f);
    struct syn *s = &f->syn;
    f->device = device;
    f->per_second = per_second;
    prng_seed(&f->prng, 1);
    if (sscanf(mac, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &s->to[0], &s->to[1], &s->to[2], &s->to[3], &s->to[4],
               &s->to[5]) != 6)
        errx(2, "--flood-mac %s: not an Ethernet address", mac);
    memcpy(s->from, device->mac, sizeof s->from);
    s->type = htons(0x0800);
    s->ip = (struct iphdr){.version = 4,
                           .ihl = 5,
                           .tot_len = htons(sizeof s->ip + sizeof s->tcp),
                           .ttl = 64,
                           .protocol = IPPROTO_TCP};
    uint32_t daddr;
    if (inet_pton(AF_INET, to, &daddr) != 1)
        errx(2, "--to %s: not an IPv4 address", to);
    s->ip.daddr = daddr;
    s->tcp = (struct tcphdr){.syn = 1, .doff = 5, .window = htons(65535)};
    s->tcp.dest = htons((uint16_t)strtoul(SINK_PORT, NULL, 10));
    return f;
}

static bool send_one(struct flood *f)
{
    struct syn s = f->syn;
    uint64_t chance = prng_next(&f->prng);
    s.ip.saddr = htonl(0xc6120000u | (uint32_t)(chance & 0x1ffff));
    s.tcp.source = htons((uint16_t)(1024 + (chance >> 20) % 64000));
    s.tcp.seq = (uint32_t)(chance >> 32);
    s.ip.check = sum(0, &s.ip, sizeof s.ip);
    uint16_t addresses = sum(IPPROTO_TCP + sizeof s.tcp, &s.ip.saddr, 8);
    s.tcp.check = sum((uint16_t)~ntohs(addresses), &s.tcp, sizeof s.tcp);
    const struct tx_frame frame = {.head = (uint8_t *)&s, .head_len = sizeof s};
    return f->device->ops->tx(f->device, &frame);
}

void flood_turn(struct flood *f, uint64_t now)
{
    if (!f->start_ns)
        f->start_ns = now;
    uint64_t due = (uint64_t)((double)(now - f->start_ns) * (double)f->per_second / 1e9);
    for (unsigned n = 0; f->sent < due && n < BURST_MAX && send_one(f); n++)
        f->sent++;
}

uint64_t flood_sent(const struct flood *f)
{
    return f->sent;
}
