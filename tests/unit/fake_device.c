#include "fake_device.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/span.h"

const uint8_t fake_mac[6] = {2, 0, 0, 0, 0, 1}, peer_mac[6] = {2, 0, 0, 0, 0, 9};
const struct ip_address host4 = {{[10] = 0xff, 0xff, 192, 0, 2, 1}};
const struct ip_address peer4 = {{[10] = 0xff, 0xff, 192, 0, 2, 9}};
const struct ip_address host6 = {{0x20, 1, 0x0d, 0xb8, [15] = 1}};
const struct ip_address peer6 = {{0x20, 1, 0x0d, 0xb8, [15] = 9}};

static unsigned fake_rx(struct device *device, struct frame *frames, unsigned n)
{
    struct fake_device *d = (struct fake_device *)device;
    unsigned taken = 0;
    CHECK(n <= DEVICE_BURST);
    while (taken < n && d->in_first < d->in_end) {
        struct fake_frame *f = &d->in[d->in_first++ % FAKE_FRAMES];
        frames[taken++] = (struct frame){.at = f->bytes + FRAME_HEADROOM,
                                         .len = f->len,
                                         .vlan = f->vlan,
                                         .flags = f->flags,
                                         .room = f->bytes,
                                         .buffer = f->bytes};
        f->bytes = NULL;
        d->lent++;
    }
    return taken;
}

static void fake_give_back(struct device *device, void *buffer)
{
    struct fake_device *d = (struct fake_device *)device;
    CHECK(d->lent-- > 0);
    free(buffer);
}

static bool fake_tx(struct device *device, const struct tx_frame *frame)
{
    struct fake_device *d = (struct fake_device *)device;
    if (d->outs >= d->room)
        return false;
    uint32_t link = get_be16(frame->head + ETHER_TYPE) == ETHER_TYPE_VLAN ? 18 : 14;
    CHECK(frame->head_len >= link && (frame->flags & ~TX_IPV6 & ~device->offers) == 0);
    CHECK((frame->flags & TX_TSO) || frame->head_len + frame->payload <= device->mtu_max + link);
    CHECK(frame->pieces <= device->pieces_max);
    struct fake_frame *f = &d->out[d->outs++];
    *f = (struct fake_frame){.len = frame->head_len + frame->payload,
                             .flags = frame->flags,
                             .l3_at = frame->l3_at,
                             .l4_at = frame->l4_at,
                             .mss = frame->mss};
    f->bytes = malloc(f->len);
    uint8_t *end = put_span(f->bytes, span_of(frame->head, frame->head_len));
    for (unsigned i = 0; i < frame->pieces; i++)
        end = put_span(end, span_of(frame->piece[i].iov_base, frame->piece[i].iov_len));
    CHECK(end == f->bytes + f->len);
    return true;
}

static void fake_flush(struct device *device)
{
    ((struct fake_device *)device)->flushes++;
}

static const struct device_ops ops = {
    .rx = fake_rx, .free = fake_give_back, .tx = fake_tx, .flush = fake_flush};

static void init_device(struct fake_device *d)
{
    d->device = (struct device){.ops = &ops, .mtu_max = 1500, .pieces_max = TX_PIECES_MAX};
    memcpy(d->device.mac, fake_mac, 6);
    d->room = FAKE_FRAMES;
}

static enum ip_taken on_segment(void *owner, const struct ip_packet *packet, struct frame *frame)
{
    struct fake_host *host = owner;
    CHECK(frame->len <= FAKE_BYTES && frame->at >= frame->room);
    host->segments++;
    host->packet = *packet;
    host->segment_len = frame->len;
    memcpy(host->segment, frame->at, frame->len);
    if (host->answer == IP_KEPT)
        host->kept = frame->buffer;
    return host->answer;
}

static void on_refuse(void *owner, const struct ip_packet *packet, const struct frame *frame)
{
    struct fake_host *host = owner;
    CHECK(frame->len >= TCP_HEAD && memcmp(packet, &host->packet, sizeof *packet) == 0);
    host->refused++;
}

static void on_error(void *owner, const struct ip_error *error)
{
    struct fake_host *host = owner;
    host->errors++;
    host->error = *error;
}

struct ip_address fake_address(const char *text)
{
    struct ip_address address;
    CHECK(ip_address_parse(text, &address));
    return address;
}

struct fake_host *fake_new(void)
{
    struct fake_host *host = calloc(1, sizeof *host);
    init_device(&host->port);
    init_device(&host->kernel);
    host->options = (struct ip_options){
        .device = &host->port.device,
        .address = {{host4, 24}, {host6, 64}},
        .addresses = 2,
        .gateway = {fake_address("192.0.2.254"), fake_address("2001:db8::fe")},
        .seed = 1,
    };
    host->now = 1000;
    return host;
}

void fake_start(struct fake_host *host)
{
    host->ip = ip_new(
        &host->options,
        (struct ip_user){.owner = host, .segment = on_segment, .refuse = on_refuse, .error = on_error});
}

void fake_forget(struct fake_device *d)
{
    for (unsigned i = 0; i < d->outs; i++)
        free(d->out[i].bytes);
    d->outs = 0;
}

void fake_quiet(struct fake_host *host)
{
    fake_start(host);
    ip_poll(host->ip, host->now);
    ip_poll(host->ip, host->now += UINT64_C(1000000000));
    fake_forget(&host->port);
}

struct fake_host *fake_new_quiet(void)
{
    struct fake_host *host = fake_new();
    fake_quiet(host);
    return host;
}

enum ip_sent fake_send_small(struct fake_host *host, const struct ip_address *peer)
{
    static uint8_t bytes[IP_HEAD_ROOM + 20];
    struct ip_address any = {0};
    struct ip_path path;
    CHECK(ip_find_path(host->ip, &any, peer, &path));
    struct tx_frame frame = {.head = bytes + IP_HEAD_ROOM, .head_len = 20};
    memset(bytes, 0, sizeof bytes);
    return ip_send(host->ip, &path, &frame, IP_PROTOCOL_TCP, 16);
}

void fake_free(struct fake_host *host)
{
    CHECK(host->port.lent == 0 && host->kernel.lent == 0);
    CHECK(host->port.in_first == host->port.in_end);
    ip_free(host->ip);
    fake_forget(&host->port);
    fake_forget(&host->kernel);
    free(host);
}

void fake_receive(struct fake_device *d, const uint8_t *bytes, uint32_t len, uint16_t flags, uint16_t vlan)
{
    CHECK(d->in_end - d->in_first < FAKE_FRAMES);
    struct fake_frame *f = &d->in[d->in_end++ % FAKE_FRAMES];
    *f = (struct fake_frame){.bytes = malloc(FRAME_HEADROOM + len), .len = len, .flags = flags, .vlan = vlan};
    put_span(f->bytes + FRAME_HEADROOM, span_of(bytes, len));
}

void fake_input(struct fake_host *host, const uint8_t *bytes, uint32_t len)
{
    fake_receive(&host->port, bytes, len, 0, 0);
    while (host->port.in_first < host->port.in_end)
        ip_poll(host->ip, host->now);
}

void fake_ether(struct fake_bytes *b, const uint8_t *to, uint16_t type)
{
    memcpy(b->at, to, 6);
    memcpy(b->at + 6, peer_mac, 6);
    put_be16(b->at + 12, type);
    b->len = 14;
}

/* By bytes, as RFC 1071 draws it: shares nothing with what is tested. */
static uint32_t slow_sum(uint32_t sum, const uint8_t *at, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++) {
        sum += i & 1 ? at[i] : (uint32_t)at[i] << 8;
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

static uint32_t slow_pseudo(const struct ip_address *from, const struct ip_address *to, uint8_t protocol,
                            uint32_t len)
{
    unsigned skip = ip_address_is_v4(from) ? 12 : 0;
    uint8_t rest[8] = {0};
    put_be32(rest, len);
    rest[7] = protocol;
    uint32_t sum = slow_sum(0, from->bytes + skip, 16 - skip);
    return slow_sum(slow_sum(sum, to->bytes + skip, 16 - skip), rest, 8);
}

void fake_ip4(struct fake_bytes *b, const struct ip_address *from, const struct ip_address *to,
              uint8_t protocol, const void *l4, uint32_t len)
{
    fake_ether(b, fake_mac, ETHER_TYPE_IP4);
    uint8_t *h = b->at + 14;
    memset(h, 0, 20);
    h[0] = 0x45;
    put_be16(h + 2, (uint16_t)(20 + len));
    h[8] = 64;
    h[9] = protocol;
    memcpy(h + 12, from->bytes + 12, 4);
    memcpy(h + 16, to->bytes + 12, 4);
    put_be16(h + 10, (uint16_t)~slow_sum(0, h, 20));
    put_span(h + 20, span_of(l4, len));
    b->len = 34 + len;
}

void fake_ip6(struct fake_bytes *b, const struct ip_address *from, const struct ip_address *to,
              uint8_t protocol, uint8_t hops, const void *l4, uint32_t len)
{
    fake_ether(b, fake_mac, ETHER_TYPE_IP6);
    uint8_t *h = b->at + 14;
    put_be32(h, 0x60000000);
    put_be16(h + 4, (uint16_t)len);
    h[6] = protocol;
    h[7] = hops;
    memcpy(h + 8, from->bytes, 16);
    memcpy(h + 24, to->bytes, 16);
    put_span(h + 40, span_of(l4, len));
    b->len = 54 + len;
    if (to->bytes[0] == 0xff) {
        put_be16(b->at, 0x3333);
        memcpy(b->at + 2, to->bytes + 12, 4);
    }
}

uint32_t fake_tcp(uint8_t *at, const struct ip_address *from, const struct ip_address *to, uint32_t payload)
{
    memset(at, 0, 20);
    put_be16(at, 1000);
    put_be16(at + 2, 5672);
    put_be32(at + 4, 0x01020304);
    at[12] = 0x50;
    at[13] = 2;
    for (uint32_t i = 0; i < payload; i++)
        at[20 + i] = (uint8_t)(i * 7 + 1);
    uint32_t sum = slow_pseudo(from, to, 6, 20 + payload);
    put_be16(at + 16, (uint16_t)~slow_sum(sum, at, 20 + payload));
    return 20 + payload;
}

void fake_icmp_sum(uint8_t *icmp, uint32_t len, const struct ip_address *from, const struct ip_address *to)
{
    put_be16(icmp + 2, 0);
    uint32_t sum = from ? slow_pseudo(from, to, 58, len) : 0;
    put_be16(icmp + 2, (uint16_t)~slow_sum(sum, icmp, len));
}

void fake_segment(struct fake_bytes *b, bool v6, uint32_t payload)
{
    static uint8_t tcp[FAKE_BYTES];
    const struct ip_address *from = v6 ? &peer6 : &peer4, *to = v6 ? &host6 : &host4;
    uint32_t len = fake_tcp(tcp, from, to, payload);
    if (v6)
        fake_ip6(b, from, to, 6, 64, tcp, len);
    else
        fake_ip4(b, from, to, 6, tcp, len);
}

void fake_arp(struct fake_bytes *b, const uint8_t *to, uint16_t operation, const char *sender,
              const char *target)
{
    struct ip_address s = fake_address(sender), t = fake_address(target);
    fake_ether(b, to, ETHER_TYPE_ARP);
    uint8_t *a = b->at + 14;
    memset(a, 0, 28);
    put_be32(a, 0x00010800);
    put_be16(a + 4, 0x0604);
    put_be16(a + 6, operation);
    memcpy(a + 8, peer_mac, 6);
    memcpy(a + 14, s.bytes + 12, 4);
    memcpy(a + 24, t.bytes + 12, 4);
    b->len = 42;
}

void fake_nd(struct fake_bytes *b, const struct ip_address *from, const struct ip_address *to, uint8_t type,
             uint8_t flags, const struct ip_address *target, uint8_t option)
{
    uint8_t nd[32] = {type, [4] = flags, [24] = option, [25] = 1};
    memcpy(nd + 8, target->bytes, 16);
    memcpy(nd + 26, peer_mac, 6);
    uint32_t len = option ? 32 : 24;
    fake_icmp_sum(nd, len, from, to);
    fake_ip6(b, from, to, 58, 255, nd, len);
}

struct ip_address fake_group(const struct ip_address *address)
{
    struct ip_address group = fake_address("ff02::1:ff00:0");
    memcpy(group.bytes + 13, address->bytes + 13, 3);
    return group;
}

static bool sums_good4(const struct fake_frame *f)
{
    const uint8_t *h = f->bytes + 14;
    if (h[0] != 0x45 || get_be16(h + 2) != f->len - 14)
        return false;
    if ((f->flags & TX_IP_SUM) ? get_be16(h + 10) != 0 : slow_sum(0, h, 20) != 0xffff)
        return false;
    uint32_t len = f->len - 34;
    struct ip_address from = {{[10] = 0xff, 0xff}}, to = from;
    memcpy(from.bytes + 12, h + 12, 4);
    memcpy(to.bytes + 12, h + 16, 4);
    uint32_t sum = h[9] == 1 ? 0 : slow_pseudo(&from, &to, h[9], len);
    if (f->flags & TX_TCP_SUM)
        return get_be16(h + 20 + 16) == (f->flags & TX_TSO ? slow_pseudo(&from, &to, h[9], 0) : sum);
    return slow_sum(sum, h + 20, len) == 0xffff;
}

bool fake_sums_good(const struct fake_frame *f)
{
    if (get_be16(f->bytes + 12) == ETHER_TYPE_IP4)
        return sums_good4(f);
    const uint8_t *h = f->bytes + 14;
    uint32_t len = f->len - 54;
    struct ip_address from, to;
    if (get_be16(f->bytes + 12) != ETHER_TYPE_IP6 || h[0] >> 4 != 6 || get_be16(h + 4) != len)
        return false;
    memcpy(from.bytes, h + 8, 16);
    memcpy(to.bytes, h + 24, 16);
    uint32_t sum = slow_pseudo(&from, &to, h[6], f->flags & TX_TSO ? 0 : len);
    if (f->flags & TX_TCP_SUM)
        return get_be16(h + 40 + 16) == sum;
    return slow_sum(sum, h + 40, len) == 0xffff;
}
