/*
 * Frames from a hostile wire, through ip_poll: nothing faults, every buffer comes back, nothing longer than
 * the device carries is sent, and what is handed up is an address of ours and lies in its frame.
 *
 * clang -fsanitize=fuzzer,address,undefined -DGANNET_TINY; corpus/ip holds one conversation per file: a byte
 * of options (kernel path, VLAN, device's sums, what the user answers; the highest bit: sums are put right,
 * so that more than noise gets through), then frames of "length (two bytes, little-endian), bytes". A length
 * with its highest bit set is of something else to do: time goes on, a segment is sent, the kernel sends.
 */
#include <stdlib.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/span.h"
#include "fake_device.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { KERNEL = 1, VLAN = 2, SUMS_GOOD = 4, OFFERS = 8, ANSWER = 0x30, MEND = 0x80 };

/* Puts the sums of the packet right, as far as it looks like one. */
static void mend_ip4(uint8_t *h, uint32_t len)
{
    uint32_t head = (h[0] & 15) * 4u, total = len >= 4 ? get_be16(h + 2) : 0;
    if (len < 20 || head < 20 || head > len || total > len || total < head)
        return;
    put_be16(h + 10, 0);
    sum_put(h + 10, sum_bytes(h, head));
    struct ip_address from = {{[10] = 0xff, 0xff}}, to = from;
    memcpy(from.bytes + 12, h + 12, 4);
    memcpy(to.bytes + 12, h + 16, 4);
    uint8_t *l4 = h + head;
    uint32_t rest = total - head;
    if (h[9] == 6 && rest >= 20) {
        put_be16(l4 + 16, 0);
        sum_put(l4 + 16, sum_bytes(l4, rest) + sum_pseudo(&from, &to, false, 6, rest));
    } else if (h[9] == 1 && rest >= 8) {
        put_be16(l4 + 2, 0);
        sum_put(l4 + 2, sum_bytes(l4, rest));
    }
}

static void mend_ip6(uint8_t *h, uint32_t len)
{
    if (len < 40)
        return;
    uint32_t rest = get_be16(h + 4), at = h[6] == 6 ? 16 : 2;
    if (rest > len - 40 || rest < 20 || (h[6] != 6 && h[6] != 58))
        return;
    struct ip_address from, to;
    memcpy(from.bytes, h + 8, 16);
    memcpy(to.bytes, h + 24, 16);
    put_be16(h + 40 + at, 0);
    sum_put(h + 40 + at, sum_bytes(h + 40, rest) + sum_pseudo(&from, &to, true, h[6], rest));
}

static void mend(uint8_t *bytes, uint32_t len)
{
    uint32_t head = len > 16 && get_be16(bytes + 12) == ETHER_TYPE_VLAN ? 18 : 14;
    if (len <= head)
        return;
    if (get_be16(bytes + head - 2) == ETHER_TYPE_IP4)
        mend_ip4(bytes + head, len - head);
    else if (get_be16(bytes + head - 2) == ETHER_TYPE_IP6)
        mend_ip6(bytes + head, len - head);
}

static void send_to(struct fake_host *host, uint8_t last, uint32_t len, bool v6)
{
    static uint8_t bytes[IP_HEAD_ROOM + 20];
    static uint8_t payload[1400];
    struct ip_address any = {0}, peer = v6 ? peer6 : peer4;
    struct ip_path path;
    peer.bytes[15] = last;
    if (!ip_find_path(host->ip, &any, &peer, &path))
        return;
    struct iovec piece = {payload, len % sizeof payload};
    memset(bytes + IP_HEAD_ROOM, 0, 20);
    struct tx_frame frame = {.head = bytes + IP_HEAD_ROOM,
                             .head_len = 20,
                             .pieces = 1,
                             .payload = (uint32_t)piece.iov_len,
                             .piece = &piece};
    ip_send(host->ip, &path, &frame, IP_PROTOCOL_TCP, 16);
}

static void do_else(struct fake_host *host, unsigned what, const uint8_t *bytes, uint32_t len)
{
    switch (what & 3) {
    case 0:
        ip_poll(host->ip, host->now += (uint64_t)1 << (20 + (what >> 2) % 20));
        break;
    case 1:
        send_to(host, (uint8_t)(what >> 2), what >> 10, what & 0x400);
        break;
    case 2:
        fake_receive(&host->kernel, bytes, len, 0, 0);
        ip_poll(host->ip, host->now);
        break;
    default:
        host->port.room = what & 4 ? 0 : FAKE_FRAMES;
    }
}

static void check_turn(struct fake_host *host)
{
    if (host->segments) {
        const struct ip_packet *packet = &host->packet;
        CHECK(ip_is_ours(host->ip, &packet->local) && !ip_is_ours(host->ip, &packet->peer));
        CHECK(ip_address_is_v4(&packet->local) == ip_address_is_v4(&packet->peer));
        CHECK(host->segment_len >= TCP_HEAD);
    }
    CHECK(host->errors == 0 || ip_is_ours(host->ip, &host->error.local));
    CHECK(ip_stats(host->ip)->neighbours <= NEIGHBOURS_MAX);
    if (host->kept)
        host->port.device.ops->free(&host->port.device, host->kept);
    host->kept = NULL;
    CHECK(host->port.lent == 0 && host->kernel.lent == 0);
    fake_forget(&host->port);
    fake_forget(&host->kernel);
}

static struct fake_host *start(uint8_t options)
{
    static const enum ip_taken answers[] = {IP_DONE, IP_KEPT, IP_NOBODY, IP_DONE};
    struct fake_host *host = fake_new();
    host->answer = answers[(options & ANSWER) >> 4];
    host->options.kernel = options & KERNEL ? &host->kernel.device : NULL;
    host->options.vlan = options & VLAN ? 7 : 0;
    host->port.device.offers = options & OFFERS ? TX_IP_SUM | TX_TCP_SUM : 0;
    fake_quiet(host);
    return host;
}

static void drain_kernel(struct fake_host *host)
{
    while (host->kernel.in_first < host->kernel.in_end)
        free(host->kernel.in[host->kernel.in_first++ % FAKE_FRAMES].bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    uint8_t options = data[0];
    struct fake_host *host = start(options);
    data++;
    size--;
    while (size >= 2) {
        unsigned what = data[0] | (unsigned)data[1] << 8;
        bool is_frame = !(what & 0x8000);
        uint32_t len = is_frame ? what : what & 0x0fff;
        data += 2;
        size -= 2;
        len = is_frame || (what & 3) == 2 ? (len < size ? len : (uint32_t)size) : 0;
        if (is_frame) {
            uint8_t *bytes = malloc(len + !len);
            put_span(bytes, span_of(data, len));
            if (options & MEND)
                mend(bytes, len);
            fake_receive(&host->port, bytes, len,
                         options & SUMS_GOOD ? FRAME_IP_SUM_GOOD | FRAME_L4_SUM_GOOD : 0, 0);
            ip_poll(host->ip, host->now);
            free(bytes);
        } else {
            do_else(host, what & 0x7fff, data, len);
        }
        check_turn(host);
        data += len;
        size -= len;
    }
    drain_kernel(host);
    fake_free(host);
    return 0;
}
