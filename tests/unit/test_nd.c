#include <criterion/criterion.h>

#include "base/span.h"
#include "fake_device.h"

static const uint64_t second = 1000000000;
static const uint8_t other_mac[6] = {2, 0, 0, 0, 0, 0x77};
static struct fake_bytes b;

/* A whole neighbour discovery message of ours with our Ethernet address as its option. */
static bool is_nd(const struct fake_frame *f, const uint8_t *mac, uint8_t type, uint8_t flags,
                  const struct ip_address *from, const struct ip_address *to, const struct ip_address *target)
{
    const uint8_t *h = f->bytes + 14, *nd = h + 40;
    return f->len == 14 + 40 + 32 && memcmp(f->bytes, mac, 6) == 0 && fake_sums_good(f) && h[6] == 58 &&
           h[7] == 255 && memcmp(h + 8, from->bytes, 16) == 0 && memcmp(h + 24, to->bytes, 16) == 0 &&
           nd[0] == type && nd[1] == 0 && nd[4] == flags && memcmp(nd + 8, target->bytes, 16) == 0 &&
           nd[24] == (type == ND_SOLICITATION ? 1 : 2) && nd[25] == 1 && memcmp(nd + 26, fake_mac, 6) == 0;
}

static void input(struct fake_host *host)
{
    fake_input(host, b.at, b.len);
}

/* The last frame sent goes to this Ethernet address. */
static bool last_to(struct fake_host *host, const uint8_t *mac)
{
    return memcmp(host->port.out[host->port.outs - 1].bytes, mac, 6) == 0;
}

Test(nd, addresses_are_announced_at_the_start)
{
    struct fake_host *host = fake_new();
    struct ip_address everybody = fake_address("ff02::1");
    static const uint8_t mac[6] = {0x33, 0x33, 0, 0, 0, 1};
    fake_start(host);
    ip_poll(host->ip, host->now);
    cr_assert(is_nd(&host->port.out[1], mac, ND_ADVERTISEMENT, 0x20, &host6, &everybody, &host6));
    fake_free(host);
}

Test(nd, who_asks_the_group_or_us_is_answered_and_remembered)
{
    struct fake_host *host = fake_new_quiet();
    struct ip_address group = fake_group(&host6);
    fake_nd(&b, &peer6, &group, ND_SOLICITATION, 0, &host6, 1);
    input(host);
    fake_nd(&b, &peer6, &host6, ND_SOLICITATION, 0, &host6, 0);
    input(host);
    cr_assert_eq(host->port.outs, 2);
    for (int i = 0; i < 2; i++)
        cr_assert(is_nd(&host->port.out[i], peer_mac, ND_ADVERTISEMENT, 0x60, &host6, &peer6, &host6));
    cr_assert_eq(ip_stats(host->ip)->neighbours, 1);
    cr_assert_eq(fake_send_small(host, &peer6), IP_SENT);
    fake_free(host);
}

Test(nd, who_has_no_address_yet_is_answered_to_all)
{
    struct fake_host *host = fake_new_quiet();
    struct ip_address group = fake_group(&host6), nobody = {0}, everybody = fake_address("ff02::1");
    static const uint8_t mac[6] = {0x33, 0x33, 0, 0, 0, 1};
    fake_nd(&b, &nobody, &group, ND_SOLICITATION, 0, &host6, 0);
    input(host);
    cr_assert_eq(host->port.outs, 1);
    cr_assert(is_nd(&host->port.out[0], mac, ND_ADVERTISEMENT, 0x20, &host6, &everybody, &host6));
    /* RFC 4861 section 7.1.1 forbids him these two. */
    fake_nd(&b, &nobody, &group, ND_SOLICITATION, 0, &host6, 1);
    input(host);
    fake_nd(&b, &nobody, &host6, ND_SOLICITATION, 0, &host6, 0);
    input(host);
    cr_assert_eq(host->port.outs, 1);
    cr_assert_eq(ip_stats(host->ip)->dropped_malformed, 2);
    cr_assert_eq(ip_stats(host->ip)->neighbours, 0);
    fake_free(host);
}

Test(nd, nothing_that_came_through_a_router_is_believed)
{
    struct fake_host *host = fake_new_quiet();
    fake_nd(&b, &peer6, &host6, ND_SOLICITATION, 0, &host6, 1);
    b.at[14 + IP6_HOPS] = 254;
    input(host);
    cr_assert_eq(host->port.outs, 0);
    fake_send_small(host, &peer6);
    fake_nd(&b, &peer6, &host6, ND_ADVERTISEMENT, 0x60, &peer6, 2);
    b.at[14 + IP6_HOPS] = 254;
    input(host);
    cr_assert_eq(fake_send_small(host, &peer6), IP_WAITS);
    cr_assert_eq(ip_stats(host->ip)->dropped_malformed, 2);
    fake_free(host);
}

/* What is wrong with a message, and is not with the one before. */
static void expect_dropped(struct fake_host *host, unsigned at, uint8_t value, uint32_t len)
{
    uint8_t nd[32];
    uint64_t before = ip_stats(host->ip)->dropped_malformed;
    fake_nd(&b, &peer6, &host6, ND_SOLICITATION, 0, &host6, 1);
    memcpy(nd, b.at + 54, 32);
    nd[at] = value;
    fake_icmp_sum(nd, len, &peer6, &host6);
    fake_ip6(&b, &peer6, &host6, 58, 255, nd, len);
    input(host);
    cr_assert_eq(ip_stats(host->ip)->dropped_malformed, before + 1, "byte %u, %u long", at, len);
    cr_assert_eq(host->port.outs, 0);
}

Test(nd, malformed_messages_are_dropped)
{
    struct fake_host *host = fake_new_quiet();
    expect_dropped(host, ICMP_CODE, 1, 32);
    expect_dropped(host, ND_TARGET, 0xff, 32);
    expect_dropped(host, 25, 0, 32);
    expect_dropped(host, 25, 2, 32);
    expect_dropped(host, 26, 1, 32);
    for (uint32_t len = 8; len < 24; len++)
        expect_dropped(host, 0, ND_SOLICITATION, len);
    for (uint32_t len = 25; len < 32; len++)
        expect_dropped(host, 0, ND_SOLICITATION, len);
    /* An IPv4 address in disguise. */
    fake_nd(&b, &peer6, &host6, ND_SOLICITATION, 0, &host4, 1);
    input(host);
    cr_assert_eq(host->port.outs, 0);
    fake_nd(&b, &peer6, &host6, ND_SOLICITATION, 0, &host6, 1);
    b.at[14 + 40 + 2] ^= 1;
    input(host);
    cr_assert_eq(ip_stats(host->ip)->dropped_sum, 1);
    cr_assert_eq(host->port.outs, 0);
    fake_free(host);
}

Test(nd, an_unknown_neighbour_is_asked_for_in_its_group)
{
    struct fake_host *host = fake_new_quiet();
    struct ip_address group = fake_group(&peer6);
    static const uint8_t mac[6] = {0x33, 0x33, 0xff, 0, 0, 9};
    cr_assert_eq(fake_send_small(host, &peer6), IP_WAITS);
    cr_assert(is_nd(&host->port.out[0], mac, ND_SOLICITATION, 0, &host6, &group, &peer6));
    fake_nd(&b, &peer6, &host6, ND_ADVERTISEMENT, 0x60, &peer6, 2);
    input(host);
    cr_assert_eq(host->port.outs, 2);
    cr_assert(last_to(host, peer_mac));
    cr_assert(fake_sums_good(&host->port.out[1]));
    ip_poll(host->ip, host->now += second);
    cr_assert_eq(fake_send_small(host, &peer6), IP_SENT);
    fake_forget(&host->port);
    ip_poll(host->ip, host->now += 30 * second);
    cr_assert(is_nd(&host->port.out[0], peer_mac, ND_SOLICITATION, 0, &host6, &peer6, &peer6));
    fake_free(host);
}

Test(nd, an_answer_without_an_address_is_none)
{
    struct fake_host *host = fake_new_quiet();
    fake_send_small(host, &peer6);
    fake_nd(&b, &peer6, &host6, ND_ADVERTISEMENT, 0x60, &peer6, 0);
    input(host);
    cr_assert_eq(fake_send_small(host, &peer6), IP_WAITS);
    fake_nd(&b, &peer6, &host6, ND_ADVERTISEMENT, 0x60, &peer6, 1);
    input(host);
    cr_assert_eq(fake_send_small(host, &peer6), IP_WAITS, "that is the option of a solicitation");
    fake_free(host);
}

Test(nd, answers_that_nobody_asked_for_teach_nothing_new)
{
    struct fake_host *host = fake_new_quiet();
    fake_nd(&b, &peer6, &host6, ND_ADVERTISEMENT, 0x60, &peer6, 2);
    input(host);
    cr_assert_eq(ip_stats(host->ip)->neighbours, 0);
    fake_free(host);
}

static void advertise(struct fake_host *host, uint8_t flags, const uint8_t *mac, const char *to)
{
    struct ip_address group = fake_address(to);
    uint8_t nd[32];
    fake_nd(&b, &peer6, &group, ND_ADVERTISEMENT, flags, &peer6, 2);
    memcpy(nd, b.at + 54, 32);
    memcpy(nd + 26, mac, 6);
    fake_icmp_sum(nd, 32, &peer6, &group);
    fake_ip6(&b, &peer6, &group, 58, 255, nd, 32);
    input(host);
    fake_forget(&host->port);
}

/* RFC 4861 section 7.2.5. */
Test(nd, another_address_is_taken_only_with_override)
{
    struct fake_host *host = fake_new_quiet();
    fake_send_small(host, &peer6);
    advertise(host, 0x60, peer_mac, "2001:db8::1");
    advertise(host, 0x00, other_mac, "2001:db8::1");
    cr_assert_eq(fake_send_small(host, &peer6), IP_SENT);
    cr_assert(last_to(host, peer_mac));
    cr_assert_eq(host->port.outs, 2, "but it is doubted, and asked");
    advertise(host, 0x60, other_mac, "2001:db8::1");
    cr_assert_eq(fake_send_small(host, &peer6), IP_SENT);
    cr_assert(last_to(host, other_mac) && host->port.outs == 1);
    advertise(host, 0x20, peer_mac, "ff02::1");
    cr_assert_eq(fake_send_small(host, &peer6), IP_SENT);
    cr_assert(last_to(host, peer_mac) && host->port.outs == 2);
    uint64_t bad = ip_stats(host->ip)->dropped_malformed;
    advertise(host, 0x60, other_mac, "ff02::1");
    cr_assert_eq(ip_stats(host->ip)->dropped_malformed, bad + 1, "to all, and yet an answer");
    fake_free(host);
}

Test(nd, a_conflict_is_counted)
{
    struct fake_host *host = fake_new_quiet();
    struct ip_address everybody = fake_address("ff02::1");
    fake_nd(&b, &peer6, &everybody, ND_ADVERTISEMENT, 0x20, &host6, 2);
    input(host);
    input(host);
    cr_assert_eq(ip_stats(host->ip)->conflicts, 2);
    cr_assert_eq(host->port.outs, 1);
    fake_free(host);
}

Test(nd, routers_are_not_listened_to)
{
    struct fake_host *host = fake_new_quiet();
    struct ip_address router = fake_address("fe80::1"), everybody = fake_address("ff02::1");
    uint8_t ra[16] = {134};
    fake_icmp_sum(ra, 16, &router, &everybody);
    fake_ip6(&b, &router, &everybody, 58, 255, ra, 16);
    input(host);
    cr_assert(host->port.outs == 0 && ip_stats(host->ip)->neighbours == 0 && ip_stats(host->ip)->nd_in == 0);
    fake_free(host);
}
