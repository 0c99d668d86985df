#include <criterion/criterion.h>

#include "base/span.h"
#include "fake_device.h"

static const uint8_t all[6] = {255, 255, 255, 255, 255, 255}, other_mac[6] = {2, 0, 0, 0, 0, 0x77};
static const uint64_t second = 1000000000;
static struct fake_bytes b;

static bool is_arp(const struct fake_frame *f, const uint8_t *to, uint16_t op, const char *sender,
                   const char *target)
{
    struct ip_address s = fake_address(sender), t = fake_address(target);
    const uint8_t *a = f->bytes + 14;
    return f->len == 42 && memcmp(f->bytes, to, 6) == 0 && memcmp(f->bytes + 6, fake_mac, 6) == 0 &&
           get_be16(f->bytes + 12) == ETHER_TYPE_ARP && get_be32(a) == 0x00010800 &&
           get_be16(a + 4) == 0x0604 && get_be16(a + 6) == op && memcmp(a + 8, fake_mac, 6) == 0 &&
           memcmp(a + 14, s.bytes + 12, 4) == 0 && memcmp(a + 24, t.bytes + 12, 4) == 0;
}

static uint64_t known(struct fake_host *host)
{
    ip_poll(host->ip, host->now);
    return ip_stats(host->ip)->neighbours;
}

Test(arp, addresses_are_announced_twice_at_the_start)
{
    struct fake_host *host = fake_new();
    fake_start(host);
    for (int i = 0; i < 2; i++) {
        cr_assert_leq(ip_deadline(host->ip), host->now);
        ip_poll(host->ip, host->now);
        cr_assert_eq(host->port.outs, 2);
        cr_assert(is_arp(&host->port.out[0], all, 1, "192.0.2.1", "192.0.2.1"));
        fake_forget(&host->port);
        ip_poll(host->ip, host->now + second - 1);
        cr_assert_eq(host->port.outs, 0);
        host->now += second;
    }
    ip_poll(host->ip, host->now + second);
    cr_assert_eq(host->port.outs, 0);
    cr_assert_eq(ip_deadline(host->ip), UINT64_MAX);
    fake_free(host);
}

Test(arp, who_asks_for_us_is_answered_and_remembered)
{
    struct fake_host *host = fake_new_quiet();
    fake_arp(&b, all, 1, "192.0.2.9", "192.0.2.1");
    fake_input(host, b.at, b.len);
    cr_assert_eq(host->port.outs, 1);
    cr_assert(is_arp(&host->port.out[0], peer_mac, 2, "192.0.2.1", "192.0.2.9"));
    cr_assert_eq(known(host), 1);
    cr_assert_eq(fake_send_small(host, &peer4), IP_SENT);
    cr_assert_arr_eq(host->port.out[host->port.outs - 1].bytes, peer_mac, 6);
    fake_free(host);
}

Test(arp, who_asks_for_others_is_neither)
{
    struct fake_host *host = fake_new_quiet();
    fake_arp(&b, all, 1, "192.0.2.9", "192.0.2.5");
    fake_input(host, b.at, b.len);
    cr_assert_eq(host->port.outs, 0);
    cr_assert_eq(known(host), 0);
    cr_assert_eq(ip_stats(host->ip)->arp_in, 1);
    fake_free(host);
}

Test(arp, answers_that_nobody_asked_for_teach_nothing_new)
{
    struct fake_host *host = fake_new_quiet();
    fake_arp(&b, fake_mac, 2, "192.0.2.9", "192.0.2.1");
    fake_input(host, b.at, b.len);
    fake_arp(&b, all, 1, "192.0.2.9", "192.0.2.9");
    fake_input(host, b.at, b.len);
    cr_assert_eq(known(host), 0);
    fake_free(host);
}

Test(arp, nobody_is_remembered_who_cannot_be_a_neighbour)
{
    static const char *const senders[] = {"0.0.0.0",   "255.255.255.255", "192.0.2.255",
                                          "127.0.0.1", "224.0.0.1",       "198.51.100.1"};
    struct fake_host *host = fake_new_quiet();
    for (size_t i = 0; i < sizeof senders / sizeof *senders; i++) {
        fake_arp(&b, all, 1, senders[i], "192.0.2.1");
        fake_input(host, b.at, b.len);
        cr_assert_eq(known(host), 0, "%s", senders[i]);
    }
    cr_assert(is_arp(&host->port.out[0], peer_mac, 2, "192.0.2.1", "0.0.0.0"), "a probe is answered");
    fake_free(host);
}

Test(arp, an_unknown_neighbour_is_asked_for_and_the_frame_waits)
{
    struct fake_host *host = fake_new_quiet();
    cr_assert_eq(fake_send_small(host, &peer4), IP_WAITS);
    cr_assert_eq(fake_send_small(host, &peer4), IP_WAITS);
    cr_assert_eq(host->port.outs, 1);
    cr_assert(is_arp(&host->port.out[0], all, 1, "192.0.2.1", "192.0.2.9"));
    fake_arp(&b, fake_mac, 2, "192.0.2.9", "192.0.2.1");
    fake_input(host, b.at, b.len);
    cr_assert_eq(host->port.outs, 3);
    for (int i = 1; i < 3; i++) {
        cr_assert_arr_eq(host->port.out[i].bytes, peer_mac, 6);
        cr_assert_eq(host->port.out[i].len, 54);
        cr_assert(fake_sums_good(&host->port.out[i]));
    }
    cr_assert_eq(fake_send_small(host, &peer4), IP_SENT);
    cr_assert_eq(host->port.outs, 4, "who has just answered isn't asked again");
    fake_free(host);
}

Test(arp, no_answer_to_three_questions_and_what_waited_is_counted)
{
    struct fake_host *host = fake_new_quiet();
    fake_send_small(host, &peer4);
    for (int i = 0; i < 5; i++)
        ip_poll(host->ip, host->now += second);
    cr_assert_eq(host->port.outs, 3);
    cr_assert_eq(ip_stats(host->ip)->dropped_no_neighbour, 1);
    cr_assert_eq(ip_stats(host->ip)->neighbours, 0);
    cr_assert_eq(fake_send_small(host, &peer4), IP_WAITS);
    cr_assert_eq(host->port.outs, 4, "it is asked anew");
    fake_free(host);
}

Test(arp, a_known_neighbour_is_asked_directly_when_it_was_long_ago)
{
    struct fake_host *host = fake_new_quiet();
    fake_send_small(host, &peer4);
    fake_arp(&b, fake_mac, 2, "192.0.2.9", "192.0.2.1");
    fake_input(host, b.at, b.len);
    ip_poll(host->ip, host->now += second);
    cr_assert_eq(fake_send_small(host, &peer4), IP_SENT);
    fake_forget(&host->port);
    ip_poll(host->ip, host->now += 30 * second);
    cr_assert_eq(host->port.outs, 1);
    cr_assert(is_arp(&host->port.out[0], peer_mac, 1, "192.0.2.1", "192.0.2.9"));
    cr_assert_eq(fake_send_small(host, &peer4), IP_SENT, "it goes on meanwhile");
    fake_free(host);
}

Test(arp, a_neighbour_that_moves_is_followed)
{
    struct fake_host *host = fake_new_quiet();
    fake_send_small(host, &peer4);
    fake_arp(&b, fake_mac, 2, "192.0.2.9", "192.0.2.1");
    fake_input(host, b.at, b.len);
    fake_arp(&b, all, 1, "192.0.2.9", "192.0.2.9");
    memcpy(b.at + 6, other_mac, 6);
    memcpy(b.at + 14 + ARP_SENDER_MAC, other_mac, 6);
    fake_input(host, b.at, b.len);
    fake_forget(&host->port);
    cr_assert_eq(fake_send_small(host, &peer4), IP_SENT);
    cr_assert(is_arp(&host->port.out[0], other_mac, 1, "192.0.2.1", "192.0.2.9"),
              "it is asked whether it is true");
    cr_assert_arr_eq(host->port.out[1].bytes, other_mac, 6);
    fake_free(host);
}

Test(arp, a_conflict_is_counted_and_answered_once_in_ten_seconds)
{
    struct fake_host *host = fake_new_quiet();
    fake_arp(&b, all, 2, "192.0.2.1", "192.0.2.9");
    for (int i = 0; i < 5; i++)
        fake_input(host, b.at, b.len);
    cr_assert_eq(ip_stats(host->ip)->conflicts, 5);
    cr_assert_eq(host->port.outs, 1);
    cr_assert(is_arp(&host->port.out[0], all, 1, "192.0.2.1", "192.0.2.1"));
    host->now += 10 * second;
    fake_input(host, b.at, b.len);
    cr_assert_eq(host->port.outs, 2);
    /* Our own announcement, come back, is none. */
    memcpy(b.at + 14 + ARP_SENDER_MAC, fake_mac, 6);
    fake_input(host, b.at, b.len);
    cr_assert_eq(ip_stats(host->ip)->conflicts, 6);
    fake_free(host);
}

Test(arp, what_is_not_arp_for_ethernet_and_ipv4_is_dropped)
{
    static const unsigned at[] = {1, 2, 4, 5};
    struct fake_host *host = fake_new_quiet();
    for (size_t i = 0; i < 4; i++) {
        fake_arp(&b, all, 1, "192.0.2.9", "192.0.2.1");
        b.at[14 + at[i]] ^= 1;
        fake_input(host, b.at, b.len);
    }
    fake_arp(&b, all, 1, "192.0.2.9", "192.0.2.1");
    for (uint32_t len = 14; len < 42; len++)
        fake_input(host, b.at, len);
    b.at[14 + ARP_SENDER_MAC] |= 1;
    fake_input(host, b.at, b.len);
    cr_assert_eq(ip_stats(host->ip)->dropped_malformed, 4 + 28 + 1);
    cr_assert(host->port.outs == 0 && ip_stats(host->ip)->arp_in == 0);
    fake_free(host);
}
