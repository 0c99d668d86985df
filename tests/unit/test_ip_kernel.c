#include <criterion/criterion.h>

#include "base/span.h"
#include "fake_device.h"

static struct fake_bytes b;
static const uint8_t all[6] = {255, 255, 255, 255, 255, 255};

static void input(struct fake_host *host)
{
    fake_input(host, b.at, b.len);
}

/* Puts a tag into the frame in b. */
static void tag(uint16_t tci)
{
    memmove(b.at + 16, b.at + 12, b.len - 12);
    put_be16(put_be16(b.at + 12, 0x8100), tci);
    b.len += 4;
}

static struct fake_host *with_kernel(void)
{
    struct fake_host *host = fake_new();
    host->options.kernel = &host->kernel.device;
    fake_quiet(host);
    return host;
}

/* The kernel has got exactly what came. */
static void expect_kernel(struct fake_host *host, bool yes, const char *what)
{
    fake_forget(&host->kernel);
    unsigned flushes = host->kernel.flushes;
    input(host);
    cr_assert_eq(host->kernel.outs, yes, "%s", what);
    cr_assert_eq(host->kernel.flushes - flushes, yes, "%s", what);
    if (yes) {
        cr_assert_eq(host->kernel.out[0].len, b.len, "%s", what);
        cr_assert_arr_eq(host->kernel.out[0].bytes, b.at, b.len, "%s", what);
    }
}

Test(ip_kernel, the_kernel_gets_what_nobody_here_wants)
{
    struct fake_host *host = with_kernel();
    struct ip_address broadcast = fake_address("192.0.2.255"), nobody = fake_address("0.0.0.0"),
                      group = fake_address("ff02::fb"), everybody = fake_address("ff02::1");
    uint8_t icmp[16] = {0};
    fake_segment(&b, false, 9);
    expect_kernel(host, false, "a segment that is taken");
    host->answer = IP_NOBODY;
    expect_kernel(host, true, "one that is not");
    fake_segment(&b, true, 9);
    expect_kernel(host, true, "one that is not");
    cr_assert_eq(host->refused, 0);
    fake_ip4(&b, &peer4, &host4, 17, icmp, 16);
    expect_kernel(host, true, "UDP");
    memset(b.at + b.len, 0, 10);
    b.len += 10;
    expect_kernel(host, true, "with its padding");
    fake_ip4(&b, &nobody, &broadcast, 17, icmp, 16);
    memcpy(b.at, all, 6);
    expect_kernel(host, true, "a broadcast");
    fake_ip6(&b, &peer6, &group, 17, 64, icmp, 16);
    expect_kernel(host, true, "a group");
    fake_arp(&b, all, 1, "192.0.2.9", "192.0.2.5");
    expect_kernel(host, true, "ARP to all");
    fake_arp(&b, fake_mac, 2, "192.0.2.9", "192.0.2.1");
    expect_kernel(host, true, "an answer");
    fake_arp(&b, fake_mac, 1, "192.0.2.9", "192.0.2.1");
    expect_kernel(host, false, "a question to us alone");
    fake_nd(&b, &peer6, &host6, 136, 0x60, &peer6, 2);
    expect_kernel(host, true, "an answer");
    fake_nd(&b, &peer6, &everybody, 136, 0x20, &peer6, 2);
    expect_kernel(host, true, "an advertisement to all");
    fake_icmp_sum(icmp, 16, NULL, NULL);
    fake_ip4(&b, &peer4, &host4, 1, icmp, 16);
    expect_kernel(host, true, "an echo's answer");
    icmp[0] = 8;
    fake_icmp_sum(icmp, 16, NULL, NULL);
    fake_ip4(&b, &peer4, &host4, 1, icmp, 16);
    expect_kernel(host, false, "an echo");
    b.at[14 + 10] ^= 1;
    expect_kernel(host, false, "what is broken");
    fake_free(host);
}

Test(ip_kernel, the_kernel_sees_the_tag_that_the_device_took_off)
{
    struct fake_host *host = fake_new();
    host->options.kernel = &host->kernel.device;
    host->options.vlan = 7;
    host->answer = IP_NOBODY;
    fake_quiet(host);
    fake_segment(&b, false, 0);
    fake_receive(&host->port, b.at, b.len, FRAME_VLAN_STRIPPED, 0x2007);
    ip_poll(host->ip, host->now);
    tag(0x2007);
    cr_assert_eq(host->kernel.outs, 1);
    cr_assert_eq(host->kernel.out[0].len, b.len);
    cr_assert_arr_eq(host->kernel.out[0].bytes, b.at, b.len);
    fake_free(host);
}

Test(ip_kernel, what_the_kernel_sends_goes_out_as_it_is)
{
    struct fake_host *host = with_kernel();
    fake_segment(&b, false, 100);
    for (int i = 0; i < 40; i++)
        fake_receive(&host->kernel, b.at, b.len, 0, 0);
    cr_assert_eq(ip_poll(host->ip, host->now), DEVICE_BURST, "no more in one turn");
    cr_assert_eq(host->port.outs, DEVICE_BURST);
    ip_poll(host->ip, host->now);
    cr_assert_eq(host->port.outs, 40);
    cr_assert_eq(ip_stats(host->ip)->from_kernel, 40);
    cr_assert_arr_eq(host->port.out[39].bytes, b.at, b.len);
    /* Too long for the wire, too short for a frame, and no room. */
    fake_receive(&host->kernel, b.at, 1515, 0, 0);
    fake_receive(&host->kernel, b.at, 13, 0, 0);
    fake_receive(&host->kernel, b.at, 0, 0, 0);
    ip_poll(host->ip, host->now);
    cr_assert_eq(ip_stats(host->ip)->dropped_malformed, 3);
    host->port.room = 0;
    fake_receive(&host->kernel, b.at, b.len, 0, 0);
    ip_poll(host->ip, host->now);
    cr_assert_eq(ip_stats(host->ip)->dropped_full, 1);
    cr_assert_eq(host->port.outs, 40);
    fake_free(host);
}

Test(ip_kernel, a_full_kernel_loses_its_copy_only)
{
    struct fake_host *host = with_kernel();
    host->kernel.room = 0;
    host->answer = IP_NOBODY;
    fake_segment(&b, false, 0);
    input(host);
    cr_assert_eq(ip_stats(host->ip)->dropped_full, 1);
    cr_assert_eq(ip_stats(host->ip)->to_kernel, 0);
    /* And one that carries less than the port never sees what is longer. */
    host->kernel.room = 9;
    host->kernel.device.mtu_max = 1000;
    fake_segment(&b, false, 1000 - 40);
    input(host);
    fake_segment(&b, false, 1000 - 39);
    input(host);
    cr_assert_eq(host->kernel.outs, 1);
    cr_assert_eq(ip_stats(host->ip)->dropped_malformed, 1);
    fake_free(host);
}
