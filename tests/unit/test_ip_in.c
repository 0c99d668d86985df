#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/prng.h"
#include "base/span.h"
#include "fake_device.h"

static struct fake_bytes b;
static const uint8_t all[6] = {255, 255, 255, 255, 255, 255};

static void input(struct fake_host *host)
{
    fake_input(host, b.at, b.len);
}

/* The IPv4 header's sum again, after a change. */
static void resum(void)
{
    uint8_t *h = b.at + 14;
    put_be16(h + 10, 0);
    sum_put(h + 10, sum_bytes(h, (h[0] & 15) * 4u));
}

/* What the frame in b is counted as, and nobody is told of it. */
static void expect(struct fake_host *host, const uint64_t *counter, const char *what)
{
    uint64_t before = *counter;
    input(host);
    cr_assert_eq(*counter, before + 1, "%s", what);
    cr_assert(host->segments == 0 && host->port.outs == 0, "%s", what);
}

Test(ip_in, segments_come_to_the_user)
{
    for (int v6 = 0; v6 < 2; v6++) {
        struct fake_host *host = fake_new_quiet();
        for (uint32_t payload = 0; payload < 1400; payload += 111) {
            fake_segment(&b, v6, payload);
            input(host);
            cr_assert_eq(host->segment_len, 20 + payload);
            cr_assert_arr_eq(host->segment, b.at + (v6 ? 54 : 34), 20 + payload);
        }
        cr_assert_eq(host->segments, 13);
        cr_assert_arr_eq(host->packet.local.bytes, v6 ? host6.bytes : host4.bytes, 16);
        cr_assert_arr_eq(host->packet.peer.bytes, v6 ? peer6.bytes : peer4.bytes, 16);
        cr_assert_not(host->packet.congested);
        fake_free(host);
    }
}

Test(ip_in, congestion_is_seen)
{
    struct fake_host *host = fake_new_quiet();
    fake_segment(&b, false, 0);
    b.at[14 + IP4_TOS] = 2;
    resum();
    input(host);
    cr_assert_not(host->packet.congested);
    b.at[14 + IP4_TOS] = 3;
    resum();
    input(host);
    cr_assert(host->packet.congested);
    fake_segment(&b, true, 0);
    input(host);
    cr_assert_not(host->packet.congested);
    b.at[14 + 1] = 0x30;
    input(host);
    cr_assert(host->packet.congested);
    fake_free(host);
}

Test(ip_in, padding_is_trimmed)
{
    for (int v6 = 0; v6 < 2; v6++) {
        struct fake_host *host = fake_new_quiet();
        fake_segment(&b, v6, 3);
        memset(b.at + b.len, 0xee, 10);
        b.len += 10;
        input(host);
        cr_assert_eq(host->segment_len, 23);
        fake_free(host);
    }
}

Test(ip_in, a_kept_buffer_is_the_users)
{
    struct fake_host *host = fake_new_quiet();
    host->answer = IP_KEPT;
    fake_segment(&b, false, 0);
    input(host);
    cr_assert_eq(host->port.lent, 1);
    host->port.device.ops->free(&host->port.device, host->kept);
    fake_free(host);
}

Test(ip_in, what_nobody_wants_is_refused)
{
    struct fake_host *host = fake_new_quiet();
    host->answer = IP_NOBODY;
    fake_segment(&b, false, 0);
    input(host);
    fake_segment(&b, true, 0);
    input(host);
    cr_assert_eq(host->refused, 2);
    fake_free(host);
}

Test(ip_in, a_frame_cut_short_anywhere_is_dropped)
{
    for (int v6 = 0; v6 < 2; v6++) {
        struct fake_host *host = fake_new_quiet();
        fake_segment(&b, v6, 5);
        for (uint32_t len = 0, whole = b.len; len < whole; len++) {
            b.len = len;
            expect(host, &ip_stats(host->ip)->dropped_malformed, "cut");
        }
        fake_free(host);
    }
}

Test(ip_in, ipv4_headers_must_hold)
{
    struct fake_host *host = fake_new_quiet();
    const struct ip_stats *stats = ip_stats(host->ip);
    static const struct {
        unsigned at;
        uint8_t value;
    } wrong[] = {{0, 0x55}, {0, 0x44}, {0, 0x40}, {2, 1}, {3, 19}, {0, 0x4f}, {3, 39}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        fake_segment(&b, false, 0);
        b.at[14 + wrong[i].at] = wrong[i].value;
        if (wrong[i].at != 0)
            resum();
        expect(host, &stats->dropped_malformed, "header");
    }
    for (unsigned bit = 32; bit < 160; bit++) {
        fake_segment(&b, false, 0);
        b.at[14 + bit / 8] ^= (uint8_t)(1 << bit % 8);
        expect(host, &stats->dropped_sum, "sum");
    }
    fake_free(host);
}

Test(ip_in, sums_of_segments_must_hold)
{
    for (int v6 = 0; v6 < 2; v6++) {
        struct fake_host *host = fake_new_quiet();
        for (unsigned at = 0; at < 27; at++) {
            fake_segment(&b, v6, 7);
            b.at[(v6 ? 54 : 34) + at] ^= 0x40;
            expect(host, &ip_stats(host->ip)->dropped_sum, "segment");
        }
        fake_free(host);
    }
}

Test(ip_in, a_device_that_checks_sums_is_believed)
{
    struct fake_host *host = fake_new_quiet();
    fake_segment(&b, false, 0);
    b.at[14 + 10] ^= 1;
    fake_receive(&host->port, b.at, b.len, FRAME_IP_SUM_GOOD, 0);
    ip_poll(host->ip, host->now);
    cr_assert_eq(host->segments, 1);
    b.at[34 + 4] ^= 1;
    fake_receive(&host->port, b.at, b.len, FRAME_IP_SUM_GOOD | FRAME_L4_SUM_GOOD, 0);
    ip_poll(host->ip, host->now);
    cr_assert_eq(host->segments, 2);
    fake_segment(&b, false, 0);
    fake_receive(&host->port, b.at, b.len, FRAME_IP_SUM_BAD, 0);
    fake_receive(&host->port, b.at, b.len, FRAME_L4_SUM_BAD, 0);
    ip_poll(host->ip, host->now);
    cr_assert_eq(ip_stats(host->ip)->dropped_sum, 2);
    cr_assert_eq(host->segments, 2);
    fake_free(host);
}

/* The segment behind an IPv4 header with these options. */
static void with_options(const char *options, uint32_t len)
{
    fake_segment(&b, false, 0);
    uint8_t *h = b.at + 14;
    memmove(h + 20 + len, h + 20, 20);
    memcpy(h + 20, options, len);
    h[0] = (uint8_t)(0x40 | (20 + len) / 4);
    put_be16(h + 2, (uint16_t)(40 + len));
    b.len += len;
    resum();
}

Test(ip_in, ipv4_options_are_passed_over_but_not_source_routes)
{
    struct fake_host *host = fake_new_quiet();
    const struct ip_stats *stats = ip_stats(host->ip);
    static const char *const bad[] = {"\203\007\004abcd\001",
                                      "\211\007\004abcd\001",
                                      "\001\001\001\203\004\004\000\000",
                                      "\007\000\000\000\001\001\001\001",
                                      "\007\001\000\000\001\001\001\001",
                                      "\007\011\000\000abcd",
                                      "\001\001\001\001\001\001\001\007"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        with_options(bad[i], 8);
        expect(host, &stats->dropped_options, "option");
    }
    static const char *const good[] = {"\001\001\001\001\001\001\001\001", "\007\007\004abcd\001",
                                       "\000\203\007\004abcd", "\024\004\000\000\000\000\000\000"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        with_options(good[i], 8);
        input(host);
        cr_assert_eq(host->segments, i + 1, "%zu", i);
    }
    fake_free(host);
}

Test(ip_in, fragments_are_dropped)
{
    struct fake_host *host = fake_new_quiet();
    static const uint16_t fields[] = {0x2000, 0x0001, 0x1000, 0x2001};
    for (size_t i = 0; i < 4; i++) {
        fake_segment(&b, false, 0);
        put_be16(b.at + 14 + 6, fields[i]);
        resum();
        expect(host, &ip_stats(host->ip)->dropped_fragment, "fragment");
    }
    put_be16(b.at + 14 + 6, 0x4000);
    resum();
    input(host);
    cr_assert_eq(host->segments, 1);
    fake_free(host);
}

Test(ip_in, impossible_sources_are_dropped)
{
    static const char *const sources[] = {
        "0.0.0.0",   "0.1.2.3",     "127.0.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
        "192.0.2.1", "192.0.2.255", "::",        "::1",       "ff02::1",   "2001:db8::1"};
    struct fake_host *host = fake_new_quiet();
    uint8_t tcp[20];
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        struct ip_address from = fake_address(sources[i]);
        const struct ip_address *to = ip_address_is_v4(&from) ? &host4 : &host6;
        uint32_t len = fake_tcp(tcp, &from, to, 0);
        if (ip_address_is_v4(&from))
            fake_ip4(&b, &from, to, 6, tcp, len);
        else
            fake_ip6(&b, &from, to, 6, 64, tcp, len);
        expect(host, &ip_stats(host->ip)->dropped_martian, sources[i]);
    }
    /* IPv4 addresses in disguise. */
    uint32_t len = fake_tcp(tcp, &peer4, &host6, 0);
    fake_ip6(&b, &peer4, &host6, 6, 64, tcp, len);
    expect(host, &ip_stats(host->ip)->dropped_martian, "mapped");
    fake_ip6(&b, &peer6, &host4, 6, 64, tcp, len);
    expect(host, &ip_stats(host->ip)->dropped_martian, "mapped");
    fake_free(host);
}

Test(ip_in, what_is_for_others_or_for_many_is_not_ours)
{
    static const char *const to[] = {"192.0.2.2",   "192.0.2.255", "255.255.255.255", "224.0.0.1",
                                     "2001:db8::2", "ff02::1",     "ff02::2",         "ff02::1:ff00:1"};
    struct fake_host *host = fake_new_quiet();
    const uint64_t *counter = &ip_stats(host->ip)->dropped_not_ours;
    uint8_t tcp[20];
    for (size_t i = 0; i < sizeof to / sizeof *to; i++) {
        struct ip_address a = fake_address(to[i]);
        bool v4 = ip_address_is_v4(&a);
        uint32_t len = fake_tcp(tcp, v4 ? &peer4 : &peer6, &a, 0);
        if (v4)
            fake_ip4(&b, &peer4, &a, 6, tcp, len);
        else
            fake_ip6(&b, &peer6, &a, 6, 64, tcp, len);
        expect(host, counter, to[i]);
    }
    fake_segment(&b, false, 0);
    memcpy(b.at, all, 6);
    expect(host, counter, "in a broadcast frame");
    fake_segment(&b, true, 0);
    put_be16(b.at, 0x3333);
    expect(host, counter, "in a multicast frame");
    fake_segment(&b, false, 0);
    b.at[5] ^= 1;
    expect(host, counter, "to another Ethernet address");
    fake_segment(&b, false, 0);
    put_be16(b.at + 12, 0x88cc);
    expect(host, counter, "another protocol");
    fake_segment(&b, false, 0);
    b.at[6] |= 1;
    expect(host, &ip_stats(host->ip)->dropped_malformed, "from many");
    fake_free(host);
}

/* Puts a tag into the frame in b. */
static void tag(uint16_t tci)
{
    memmove(b.at + 16, b.at + 12, b.len - 12);
    put_be16(put_be16(b.at + 12, 0x8100), tci);
    b.len += 4;
}

Test(ip_in, only_our_vlan_is_heard)
{
    struct fake_host *host = fake_new();
    host->options.vlan = 7;
    fake_quiet(host);
    const uint64_t *counter = &ip_stats(host->ip)->dropped_vlan;
    fake_segment(&b, false, 0);
    expect(host, counter, "untagged");
    tag(8);
    expect(host, counter, "another");
    for (int v6 = 0; v6 < 2; v6++) {
        fake_segment(&b, v6, 0);
        tag(0x6007);
        input(host);
        fake_segment(&b, v6, 0);
        fake_receive(&host->port, b.at, b.len, FRAME_VLAN_STRIPPED, 0x6007);
        ip_poll(host->ip, host->now);
        cr_assert_eq(host->segments, 2 * (v6 + 1u));
    }
    fake_receive(&host->port, b.at, b.len, FRAME_VLAN_STRIPPED, 8);
    ip_poll(host->ip, host->now);
    cr_assert_eq(*counter, 3);
    tag(7);
    tag(7);
    b.len = 17;
    host->segments = 0;
    expect(host, &ip_stats(host->ip)->dropped_malformed, "half a tag");
    fake_free(host);
}

Test(ip_in, without_a_vlan_only_priority_tags_are_taken_off)
{
    struct fake_host *host = fake_new_quiet();
    fake_segment(&b, false, 0);
    tag(7);
    expect(host, &ip_stats(host->ip)->dropped_vlan, "of a VLAN");
    fake_segment(&b, false, 0);
    tag(0x6000);
    input(host);
    cr_assert_eq(host->segments, 1);
    fake_free(host);
}

/* The segment behind these extension headers; the first is of kind `first`, the last names TCP. */
static void with_extensions(uint8_t first, const uint8_t *bytes, uint32_t len)
{
    fake_segment(&b, true, 0);
    memmove(b.at + 54 + len, b.at + 54, 20);
    memcpy(b.at + 54, bytes, len);
    b.at[14 + 6] = first;
    put_be16(b.at + 14 + 4, (uint16_t)(20 + len));
    b.len += len;
}

Test(ip_in, extension_headers_are_passed_over)
{
    static const uint8_t chain[] = {60, 0, 1, 4, 0, 0, 0, 0, 43, 1, 0,  0, 0, 0, 0, 0,
                                    5,  6, 9, 9, 9, 9, 9, 9, 6,  0, 99, 0, 0, 0, 0, 0};
    struct fake_host *host = fake_new_quiet();
    with_extensions(0, chain, sizeof chain);
    input(host);
    cr_assert_eq(host->segments, 1);
    cr_assert_eq(host->segment_len, 20);
    for (uint32_t len = 54, whole = b.len; len < whole; len++)
        fake_input(host, b.at, len);
    cr_assert_eq(host->segments, 1);
    fake_free(host);
}

Test(ip_in, extension_headers_have_rules)
{
    struct fake_host *host = fake_new_quiet();
    const struct ip_stats *stats = ip_stats(host->ip);
    static const uint8_t routed[] = {6, 0, 0, 1, 0, 0, 0, 0}, fragment[] = {6, 0, 0, 1, 0, 0, 0, 1};
    static const uint8_t beyond[] = {6, 4, 1, 4, 0, 0, 0, 0},
                         second[] = {0, 0, 1, 4, 0, 0, 0, 0, 6, 0, 1, 4, 0, 0, 0, 0};
    static const uint8_t longer[] = {6, 0, 1, 5, 0, 0, 0, 0}, half[] = {6, 0, 1, 3, 0, 0, 0, 1};
    with_extensions(43, routed, 8);
    expect(host, &stats->dropped_options, "segments left");
    with_extensions(44, fragment, 8);
    expect(host, &stats->dropped_fragment, "fragment");
    with_extensions(60, beyond, 8);
    expect(host, &stats->dropped_malformed, "beyond the end");
    with_extensions(60, second, 16);
    expect(host, &stats->dropped_malformed, "hop by hop, but second");
    with_extensions(60, longer, 8);
    expect(host, &stats->dropped_malformed, "an option beyond its header");
    with_extensions(60, half, 8);
    expect(host, &stats->dropped_malformed, "an option without a length");
    for (unsigned top = 0; top < 4; top++) {
        uint8_t unknown[8] = {6, 0, (uint8_t)(top << 6 | 0x1e), 4};
        with_extensions(0, unknown, 8);
        if (top)
            expect(host, &stats->dropped_options, "must be known");
    }
    uint8_t nine[72];
    for (int i = 0; i < 9; i++)
        memcpy(nine + 8 * i, (uint8_t[]){60, 0, 1, 4, 0, 0, 0, 0}, 8);
    nine[64] = 6;
    with_extensions(60, nine, 72);
    expect(host, &stats->dropped_options, "nine of them");
    nine[56] = 6;
    with_extensions(60, nine, 64);
    input(host);
    cr_assert_eq(host->segments, 1);
    fake_free(host);
}

/* A turn looks at one burst, and says how much it found. */
Test(ip_in, a_turn_is_bounded)
{
    struct fake_host *host = fake_new_quiet();
    fake_segment(&b, false, 0);
    for (int i = 0; i < 100; i++)
        fake_receive(&host->port, b.at, b.len, 0, 0);
    cr_assert_eq(ip_poll(host->ip, host->now), DEVICE_BURST);
    cr_assert_eq(host->segments, DEVICE_BURST);
    for (int i = 0; i < 3; i++)
        ip_poll(host->ip, host->now);
    cr_assert_eq(host->segments, 100);
    cr_assert_eq(ip_poll(host->ip, host->now), 0);
    cr_assert_eq(ip_stats(host->ip)->frames_in, 100);
    cr_assert_eq(ip_stats(host->ip)->bytes_in, 100 * b.len);
    fake_free(host);
}
