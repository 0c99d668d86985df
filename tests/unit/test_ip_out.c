#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/prng.h"
#include "base/span.h"
#include "fake_device.h"

static struct fake_bytes b;
static uint8_t bytes[IP_HEAD_ROOM + 60], payload[66000];
static const struct ip_address any;

/* The peer's Ethernet address is known, and nothing sent yet. */
static void meet(struct fake_host *host, const struct ip_address *peer)
{
    struct ip_path path;
    struct tx_frame frame = {.head = bytes + IP_HEAD_ROOM, .head_len = 20};
    char text[IP_TEXT];
    cr_assert(ip_find_path(host->ip, &any, peer, &path));
    ip_send(host->ip, &path, &frame, IP_PROTOCOL_TCP, 16);
    if (ip_address_is_v4(peer))
        fake_arp(&b, fake_mac, 2, ip_address_text(peer, text), "192.0.2.1");
    else
        fake_nd(&b, peer, &host6, 136, 0x60, peer, 2);
    if (host->options.vlan)
        fake_receive(&host->port, b.at, b.len, FRAME_VLAN_STRIPPED, host->options.vlan);
    else
        fake_receive(&host->port, b.at, b.len, 0, 0);
    ip_poll(host->ip, host->now);
    fake_forget(&host->port);
}

static struct fake_host *met(uint16_t offers, uint16_t vlan)
{
    struct fake_host *host = fake_new();
    host->port.device.offers = offers;
    host->port.device.tso_max = offers & TX_TSO ? 65000 : 0;
    host->options.vlan = vlan;
    fake_quiet(host);
    meet(host, &peer4);
    meet(host, &peer6);
    return host;
}

/* A segment of `len` bytes in some pieces. Returns its header. */
static struct tx_frame segment(struct iovec piece[TX_PIECES_MAX], struct prng *prng, uint32_t len)
{
    memset(bytes, 0xa5, IP_HEAD_ROOM);
    for (unsigned i = 0; i < 32; i++)
        bytes[IP_HEAD_ROOM + i] = (uint8_t)prng_next(prng);
    put_be16(bytes + IP_HEAD_ROOM + 16, 0);
    struct tx_frame frame = {.head = bytes + IP_HEAD_ROOM, .head_len = 32, .piece = piece, .payload = len};
    for (uint32_t at = 0; at < len; frame.pieces++) {
        uint32_t n = frame.pieces == TX_PIECES_MAX - 1 ? len - at : (uint32_t)prng_below(prng, len - at + 1);
        piece[frame.pieces] = (struct iovec){payload + at, n};
        at += n;
    }
    return frame;
}

static void fill(struct prng *prng)
{
    prng_seed(prng, 4);
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (uint8_t)prng_next(prng);
}

Test(ip_out, packets_are_whole_whatever_the_device_offers)
{
    static const uint16_t offers[] = {0, TX_IP_SUM, TX_TCP_SUM, TX_IP_SUM | TX_TCP_SUM};
    struct prng prng;
    fill(&prng);
    for (int i = 0; i < 4; i++) {
        struct fake_host *host = met(offers[i], 0);
        for (uint32_t len = 0; len < 1400; len += 1 + len / 5) {
            for (int v6 = 0; v6 < 2; v6++) {
                struct iovec piece[TX_PIECES_MAX];
                struct ip_path path;
                cr_assert(ip_find_path(host->ip, &any, v6 ? &peer6 : &peer4, &path));
                struct tx_frame frame = segment(piece, &prng, len);
                cr_assert_eq(ip_send(host->ip, &path, &frame, IP_PROTOCOL_TCP, 16), IP_SENT);
                const struct fake_frame *f = &host->port.out[host->port.outs - 1];
                cr_assert(fake_sums_good(f), "offers %d, %u bytes, IPv%c", offers[i], len, v6 ? '6' : '4');
                cr_assert_eq(f->len, (v6 ? 54 : 34) + 32 + len);
                cr_assert_arr_eq(f->bytes, peer_mac, 6);
                cr_assert_arr_eq(f->bytes + 6, fake_mac, 6);
                cr_assert_arr_eq(f->bytes + f->len - len, payload, len);
                cr_assert_eq(f->flags, (offers[i] & (v6 ? TX_TCP_SUM : 7)) | (v6 ? TX_IPV6 : 0));
                cr_assert(f->l3_at == 14 && f->l4_at == (v6 ? 54 : 34));
                cr_assert_eq(f->bytes[14 + (v6 ? IP6_HOPS : IP4_TTL)], 64);
                cr_assert_arr_eq(f->bytes + 14 + (v6 ? 8 : 12), v6 ? host6.bytes : host4.bytes + 12,
                                 v6 ? 16 : 4);
                cr_assert_arr_eq(f->bytes + 14 + (v6 ? 24 : 16), v6 ? peer6.bytes : peer4.bytes + 12,
                                 v6 ? 16 : 4);
                if (!v6)
                    cr_assert_eq(get_be16(f->bytes + 14 + 6), 0x4000, "don't fragment");
                fake_forget(&host->port);
            }
        }
        fake_free(host);
    }
}

Test(ip_out, a_device_that_cuts_up_gets_a_sum_without_the_length)
{
    struct prng prng;
    fill(&prng);
    struct fake_host *host = met(TX_IP_SUM | TX_TCP_SUM | TX_TSO, 0);
    for (int v6 = 0; v6 < 2; v6++) {
        struct iovec piece[TX_PIECES_MAX];
        struct ip_path path;
        cr_assert(ip_find_path(host->ip, &any, v6 ? &peer6 : &peer4, &path));
        struct tx_frame frame = segment(piece, &prng, 60000);
        frame.flags = TX_TSO;
        frame.mss = 1400;
        cr_assert_eq(ip_send(host->ip, &path, &frame, IP_PROTOCOL_TCP, 16), IP_SENT);
        const struct fake_frame *f = &host->port.out[v6];
        cr_assert(fake_sums_good(f));
        cr_assert_eq(f->flags, TX_TSO | TX_TCP_SUM | (v6 ? TX_IPV6 : TX_IP_SUM));
        cr_assert_eq(f->mss, 1400);
    }
    fake_free(host);
}

Test(ip_out, other_protocols_are_summed_here)
{
    struct prng prng;
    fill(&prng);
    struct fake_host *host = met(TX_IP_SUM | TX_TCP_SUM, 0);
    struct iovec piece[TX_PIECES_MAX];
    struct ip_path path;
    cr_assert(ip_find_path(host->ip, &any, &peer4, &path));
    struct tx_frame frame = segment(piece, &prng, 99);
    put_be16(bytes + IP_HEAD_ROOM + 6, 0);
    ip_send(host->ip, &path, &frame, PROTOCOL_UDP, 6);
    cr_assert_eq(host->port.out[0].flags, TX_IP_SUM);
    cr_assert(fake_sums_good(&host->port.out[0]));
    fake_free(host);
}

Test(ip_out, a_vlan_has_its_tag)
{
    struct prng prng;
    fill(&prng);
    struct fake_host *host = met(0, 0x123);
    for (int v6 = 0; v6 < 2; v6++) {
        struct iovec piece[TX_PIECES_MAX];
        struct ip_path path;
        cr_assert(ip_find_path(host->ip, &any, v6 ? &peer6 : &peer4, &path));
        struct tx_frame frame = segment(piece, &prng, 10);
        cr_assert_eq(ip_send(host->ip, &path, &frame, IP_PROTOCOL_TCP, 16), IP_SENT);
        struct fake_frame *f = &host->port.out[v6];
        cr_assert_eq(get_be32(f->bytes + 12), 0x81000123);
        cr_assert(f->l3_at == 18 && f->l4_at == (v6 ? 58 : 38));
        memmove(f->bytes + 12, f->bytes + 16, f->len - 16);
        f->len -= 4;
        cr_assert(fake_sums_good(f));
    }
    /* And so has ARP. */
    struct ip_address other = fake_address("192.0.2.20");
    struct ip_path path;
    struct tx_frame frame = {.head = bytes + IP_HEAD_ROOM, .head_len = 20};
    cr_assert(ip_find_path(host->ip, &any, &other, &path));
    cr_assert_eq(ip_send(host->ip, &path, &frame, IP_PROTOCOL_TCP, 16), IP_WAITS);
    cr_assert_eq(get_be32(host->port.out[2].bytes + 12), 0x81000123);
    cr_assert_eq(get_be16(host->port.out[2].bytes + 16), ETHER_TYPE_ARP);
    fake_free(host);
}

Test(ip_out, identifications_go_on)
{
    struct prng prng;
    fill(&prng);
    struct fake_host *host = met(0, 0);
    struct iovec piece[TX_PIECES_MAX];
    struct ip_path path;
    cr_assert(ip_find_path(host->ip, &any, &peer4, &path));
    for (int i = 0; i < 3; i++) {
        struct tx_frame frame = segment(piece, &prng, 0);
        ip_send(host->ip, &path, &frame, IP_PROTOCOL_TCP, 16);
    }
    uint16_t first = get_be16(host->port.out[0].bytes + 18);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(get_be16(host->port.out[i].bytes + 18), (uint16_t)(first + i));
    fake_free(host);
}

Test(ip_out, a_full_device_takes_nothing)
{
    struct prng prng;
    fill(&prng);
    struct fake_host *host = met(0, 0);
    struct iovec piece[TX_PIECES_MAX];
    struct ip_path path;
    cr_assert(ip_find_path(host->ip, &any, &peer4, &path));
    uint64_t frames = ip_stats(host->ip)->frames_out;
    host->port.room = 0;
    struct tx_frame frame = segment(piece, &prng, 5);
    cr_assert_eq(ip_send(host->ip, &path, &frame, IP_PROTOCOL_TCP, 16), IP_FULL);
    cr_assert_eq(ip_stats(host->ip)->frames_out, frames);
    host->port.room = 1;
    frame = segment(piece, &prng, 5);
    cr_assert_eq(ip_send(host->ip, &path, &frame, IP_PROTOCOL_TCP, 16), IP_SENT);
    cr_assert_eq(ip_stats(host->ip)->frames_out, frames + 1);
    fake_free(host);
}

Test(ip_out, only_small_frames_wait)
{
    struct prng prng;
    fill(&prng);
    struct fake_host *host = fake_new();
    fake_quiet(host);
    struct iovec piece[TX_PIECES_MAX];
    struct ip_path path;
    cr_assert(ip_find_path(host->ip, &any, &peer4, &path));
    for (uint32_t len = 1000; len; len = len == 1000 ? 100 : 0) {
        struct tx_frame frame = segment(piece, &prng, len);
        cr_assert_eq(ip_send(host->ip, &path, &frame, IP_PROTOCOL_TCP, 16), IP_WAITS);
    }
    cr_assert_eq(ip_stats(host->ip)->dropped_no_neighbour, 1);
    fake_forget(&host->port);
    fake_arp(&b, fake_mac, 2, "192.0.2.9", "192.0.2.1");
    fake_input(host, b.at, b.len);
    cr_assert_eq(host->port.outs, 1);
    cr_assert(host->port.out[0].len == 34 + 32 + 100 && fake_sums_good(&host->port.out[0]));
    fake_free(host);
}

Test(ip_out, who_is_not_on_the_wire_is_reached_through_the_gateway)
{
    static const char *const peers[] = {"198.51.100.7", "2001:db8:1::7"};
    struct fake_host *host = fake_new();
    fake_quiet(host);
    for (int i = 0; i < 2; i++) {
        struct ip_address peer = fake_address(peers[i]);
        struct ip_path path;
        cr_assert(ip_find_path(host->ip, &any, &peer, &path));
        struct tx_frame frame = {.head = bytes + IP_HEAD_ROOM, .head_len = 20};
        cr_assert_eq(ip_send(host->ip, &path, &frame, IP_PROTOCOL_TCP, 16), IP_WAITS);
        const uint8_t *asked = host->port.out[i].bytes + (i ? 14 + 40 + 8 + 12 : 14 + 24);
        cr_assert_arr_eq(asked, host->options.gateway[i].bytes + 12, 4);
    }
    fake_free(host);
}

static bool has_path(struct fake_host *host, const char *local, const char *peer)
{
    struct ip_path path = {0};
    struct ip_address l = local ? fake_address(local) : any, p = fake_address(peer);
    bool found = ip_find_path(host->ip, &l, &p, &path);
    cr_assert(!found || (path.mtu == 1500 && path.v6 == !ip_address_is_v4(&p) && path.ttl == 64));
    return found;
}

Test(ip_out, there_is_no_way_to_where_nobody_is)
{
    static const char *const nowhere[] = {"0.0.0.0",     "127.0.0.1", "224.0.0.1", "255.255.255.255",
                                          "192.0.2.255", "192.0.2.1", "::",        "::1",
                                          "2001:db8::1", "ff02::1"};
    struct fake_host *host = fake_new();
    fake_start(host);
    for (size_t i = 0; i < sizeof nowhere / sizeof *nowhere; i++)
        cr_assert_not(has_path(host, NULL, nowhere[i]), "%s", nowhere[i]);
    cr_assert(has_path(host, "192.0.2.1", "192.0.2.9"));
    cr_assert(has_path(host, "2001:db8::1", "2001:db8::9"));
    cr_assert(has_path(host, NULL, "fe80::9"));
    cr_assert_not(has_path(host, "192.0.2.2", "192.0.2.9"), "not ours");
    cr_assert_not(has_path(host, "192.0.2.1", "2001:db8::9"));
    cr_assert_not(has_path(host, "2001:db8::1", "192.0.2.9"));
    fake_free(host);
    host = fake_new();
    memset(host->options.gateway, 0, sizeof host->options.gateway);
    fake_start(host);
    cr_assert_not(has_path(host, NULL, "198.51.100.7"));
    cr_assert_not(has_path(host, NULL, "2001:db8:1::7"));
    fake_free(host);
    host = fake_new();
    host->options.addresses = 1;
    fake_start(host);
    cr_assert_not(has_path(host, NULL, "2001:db8::9"), "no address of its family");
    fake_free(host);
}

Test(ip_out, the_address_on_the_peers_network_speaks_to_it)
{
    struct fake_host *host = fake_new();
    host->options.addresses = 4;
    cr_assert(ip_prefix_parse("fe80::1/64", &host->options.address[1]));
    cr_assert(ip_prefix_parse("10.0.0.1/9", &host->options.address[2]));
    cr_assert(ip_prefix_parse("2001:db8::1/64", &host->options.address[3]));
    fake_start(host);
    static const char *const want[][2] = {{"192.0.2.77", "192.0.2.1"},     {"10.127.0.2", "10.0.0.1"},
                                          {"10.128.0.2", "192.0.2.1"},     {"8.8.8.8", "192.0.2.1"},
                                          {"2001:db8::77", "2001:db8::1"}, {"fe80::77", "fe80::1"},
                                          {"2001:db8:1::7", "2001:db8::1"}};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        struct ip_address peer = fake_address(want[i][0]);
        struct ip_path path;
        char text[IP_TEXT];
        cr_assert(ip_find_path(host->ip, &any, &peer, &path));
        cr_assert_str_eq(ip_address_text(&path.local, text), want[i][1]);
    }
    fake_free(host);
}

/* A path outlives its neighbour: entries come and go, and no packet goes to another's Ethernet address. */
Test(ip_out, a_path_never_uses_an_entry_that_became_anothers)
{
    struct fake_host *host = met(0, 0);
    struct ip_path path;
    struct tx_frame frame = {.head = bytes + IP_HEAD_ROOM, .head_len = 20};
    cr_assert(ip_find_path(host->ip, &any, &peer4, &path));
    ip_poll(host->ip, host->now += 1000);
    cr_assert_eq(ip_send(host->ip, &path, &frame, IP_PROTOCOL_TCP, 16), IP_SENT);
    for (int i = 0; i < 40; i++)
        ip_poll(host->ip, host->now += UINT64_C(1000000000));
    cr_assert_eq(ip_stats(host->ip)->neighbours, 1, "it didn't answer, the other's is stale");
    static const char *const others[] = {"192.0.2.20", "192.0.2.21", "192.0.2.22"};
    for (int i = 0; i < 3; i++) {
        struct ip_address other = fake_address(others[i]);
        meet(host, &other);
    }
    frame = (struct tx_frame){.head = bytes + IP_HEAD_ROOM, .head_len = 20};
    cr_assert_eq(ip_send(host->ip, &path, &frame, IP_PROTOCOL_TCP, 16), IP_WAITS);
    fake_free(host);
}

Test(ip_out, the_mtu_is_the_lesser_one)
{
    struct fake_host *host = fake_new();
    host->options.mtu = 1400;
    fake_start(host);
    struct ip_path path;
    cr_assert(ip_find_path(host->ip, &any, &peer4, &path) && path.mtu == 1400);
    fake_free(host);
    host = fake_new();
    host->options.mtu = 9000;
    fake_start(host);
    cr_assert(ip_find_path(host->ip, &any, &peer4, &path) && path.mtu == 1500);
    fake_free(host);
}
