#include <criterion/criterion.h>

#include "base/span.h"
#include "fake_device.h"

static struct fake_bytes b;
static const uint8_t all[6] = {255, 255, 255, 255, 255, 255};

static void input(struct fake_host *host)
{
    fake_input(host, b.at, b.len);
}

static void echo(bool v6, uint32_t len, const struct ip_address *to)
{
    static uint8_t icmp[2000];
    memset(icmp, 0, sizeof icmp);
    for (uint32_t i = 4; i < len; i++)
        icmp[i] = (uint8_t)i;
    icmp[0] = v6 ? 128 : 8;
    fake_icmp_sum(icmp, len, v6 ? &peer6 : NULL, to);
    if (v6)
        fake_ip6(&b, &peer6, to, 58, 64, icmp, len);
    else
        fake_ip4(&b, &peer4, to, 1, icmp, len);
}

Test(icmp, echoes_are_answered_with_what_they_held)
{
    for (int v6 = 0; v6 < 2; v6++) {
        struct fake_host *host = fake_new_quiet();
        uint32_t head = v6 ? 54 : 34;
        for (uint32_t len = 8; len < 1400; len += 37) {
            echo(v6, len, v6 ? &host6 : &host4);
            input(host);
            cr_assert_eq(host->port.outs, 1);
            const struct fake_frame *f = &host->port.out[0];
            cr_assert(fake_sums_good(f));
            cr_assert_eq(f->len, head + len);
            cr_assert_arr_eq(f->bytes, peer_mac, 6);
            cr_assert_arr_eq(f->bytes + 6, fake_mac, 6);
            uint32_t source = 14 + (v6 ? 8 : 12), n = v6 ? 16 : 4;
            cr_assert_arr_eq(f->bytes + source, b.at + source + n, n);
            cr_assert_arr_eq(f->bytes + source + n, b.at + source, n);
            cr_assert_eq(f->bytes[head], v6 ? 129 : 0);
            cr_assert_arr_eq(f->bytes + head + 4, b.at + head + 4, len - 4);
            fake_forget(&host->port);
        }
        cr_assert_eq(ip_stats(host->ip)->echo_answered, 38);
        fake_free(host);
    }
}

Test(icmp, an_echo_with_options_is_answered_without)
{
    struct fake_host *host = fake_new_quiet();
    echo(false, 20, &host4);
    uint8_t *h = b.at + 14;
    memmove(h + 24, h + 20, 20);
    memset(h + 20, 1, 4);
    h[0] = 0x46;
    put_be16(h + 2, 44);
    put_be16(h + 10, 0);
    sum_put(h + 10, sum_bytes(h, 24));
    b.len += 4;
    input(host);
    cr_assert_eq(host->port.outs, 1);
    cr_assert_eq(host->port.out[0].len, 34 + 20);
    cr_assert(fake_sums_good(&host->port.out[0]));
    fake_free(host);
}

Test(icmp, echoes_to_many_are_not_answered)
{
    struct fake_host *host = fake_new_quiet();
    struct ip_address broadcast = fake_address("192.0.2.255"), everybody = fake_address("ff02::1");
    echo(false, 16, &broadcast);
    memcpy(b.at, all, 6);
    input(host);
    echo(false, 16, &host4);
    memcpy(b.at, all, 6);
    input(host);
    echo(true, 16, &everybody);
    input(host);
    cr_assert_eq(host->port.outs, 0);
    cr_assert_eq(ip_stats(host->ip)->dropped_not_ours, 3);
    fake_free(host);
}

Test(icmp, echoes_have_a_rate)
{
    struct fake_host *host = fake_new_quiet();
    echo(false, 16, &host4);
    for (int i = 0; i < 1500; i++)
        input(host);
    cr_assert_eq(host->port.outs, 1000);
    cr_assert_eq(ip_stats(host->ip)->icmp_limited, 500);
    host->now += 10000000;
    for (int i = 0; i < 100; i++)
        input(host);
    cr_assert_eq(host->port.outs, 1010);
    fake_free(host);
}

Test(icmp, sums_and_lengths_must_hold)
{
    for (int v6 = 0; v6 < 2; v6++) {
        struct fake_host *host = fake_new_quiet();
        for (unsigned at = 0; at < 16; at++) {
            echo(v6, 16, v6 ? &host6 : &host4);
            b.at[(v6 ? 54 : 34) + at] ^= 0x10;
            input(host);
        }
        cr_assert_eq(ip_stats(host->ip)->dropped_sum, 16);
        for (uint32_t len = 0; len < 8; len++) {
            echo(v6, len < 4 ? 4 : len, v6 ? &host6 : &host4);
            put_be16(b.at + 14 + (v6 ? 4 : 2), (uint16_t)(v6 ? len : len + 20));
            if (!v6) {
                put_be16(b.at + 14 + 10, 0);
                sum_put(b.at + 14 + 10, sum_bytes(b.at + 14, 20));
            }
            input(host);
        }
        cr_assert_eq(ip_stats(host->ip)->dropped_malformed, 8);
        cr_assert_eq(host->port.outs, 0);
        fake_free(host);
    }
}

/* An error about a segment from us at port 5672 to the peer's 1000, sequence number 77. */
static uint32_t quote(uint8_t *icmp, bool v6, uint8_t type, uint8_t code, uint32_t rest)
{
    memset(icmp, 0, 100);
    icmp[0] = type;
    icmp[1] = code;
    put_be32(icmp + 4, rest);
    uint8_t *q = icmp + 8, *tcp = q + (v6 ? 40 : 20);
    if (v6) {
        q[0] = 0x60;
        q[6] = 6;
        memcpy(q + 8, host6.bytes, 16);
        memcpy(q + 24, peer6.bytes, 16);
    } else {
        q[0] = 0x45;
        q[6] = 0x40;
        q[9] = 6;
        memcpy(q + 12, host4.bytes + 12, 4);
        memcpy(q + 16, peer4.bytes + 12, 4);
    }
    put_be16(tcp, 5672);
    put_be16(tcp + 2, 1000);
    put_be32(tcp + 4, 77);
    return (uint32_t)(tcp + 8 - icmp);
}

static void send_error(struct fake_host *host, bool v6, uint8_t *icmp, uint32_t len)
{
    fake_icmp_sum(icmp, len, v6 ? &peer6 : NULL, &host6);
    if (v6)
        fake_ip6(&b, &peer6, &host6, 58, 64, icmp, len);
    else
        fake_ip4(&b, &peer4, &host4, 1, icmp, len);
    input(host);
}

Test(icmp, errors_are_told_to_the_user)
{
    static const struct {
        bool v6;
        uint8_t type, code;
        uint32_t rest;
        int kind;
        uint16_t mtu;
    } errors[] = {
        {false, 3, 0, 0, IP_ERROR_UNREACHABLE, 0},     {false, 3, 1, 0, IP_ERROR_UNREACHABLE, 0},
        {false, 3, 2, 0, IP_ERROR_REFUSED, 0},         {false, 3, 3, 0, IP_ERROR_REFUSED, 0},
        {false, 3, 4, 1400, IP_ERROR_TOO_BIG, 1400},   {false, 3, 4, 0, IP_ERROR_TOO_BIG, 0},
        {false, 11, 0, 0, IP_ERROR_UNREACHABLE, 0},    {false, 12, 4, 0, IP_ERROR_UNREACHABLE, 0},
        {true, 1, 0, 0, IP_ERROR_UNREACHABLE, 0},      {true, 1, 4, 0, IP_ERROR_REFUSED, 0},
        {true, 2, 0, 1400, IP_ERROR_TOO_BIG, 1400},    {true, 2, 0, 100, IP_ERROR_TOO_BIG, 1280},
        {true, 2, 0, 100000, IP_ERROR_TOO_BIG, 65535}, {true, 3, 0, 0, IP_ERROR_UNREACHABLE, 0},
        {true, 4, 1, 0, IP_ERROR_REFUSED, 0},          {true, 4, 0, 0, IP_ERROR_UNREACHABLE, 0},
    };
    struct fake_host *host = fake_new_quiet();
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        uint8_t icmp[100];
        bool v6 = errors[i].v6;
        uint32_t len = quote(icmp, v6, errors[i].type, errors[i].code, errors[i].rest);
        send_error(host, v6, icmp, len);
        const struct ip_error *e = &host->error;
        cr_assert_eq(host->errors, i + 1);
        cr_assert_eq((int)e->kind, errors[i].kind, "%zu", i);
        cr_assert_eq(e->mtu, errors[i].mtu, "%zu", i);
        cr_assert(e->local_port == 5672 && e->peer_port == 1000 && e->seq == 77);
        cr_assert_arr_eq(e->local.bytes, v6 ? host6.bytes : host4.bytes, 16);
        cr_assert_arr_eq(e->peer.bytes, v6 ? peer6.bytes : peer4.bytes, 16);
    }
    cr_assert_eq(ip_stats(host->ip)->icmp_errors_in, sizeof errors / sizeof *errors);
    cr_assert_eq(host->port.outs, 0, "never an answer to an error");
    fake_free(host);
}

/* Each changes one byte of the quoted packet, by its place in the message. */
Test(icmp, errors_about_what_we_never_sent_are_not)
{
    static const struct {
        bool v6;
        unsigned at;
        uint8_t value;
    } wrong[] = {
        {false, 8, 0x65},     {false, 8, 0x44},  {false, 8, 0x46}, {false, 8 + 9, 17}, {false, 8 + 15, 0x77},
        {false, 8 + 6, 0x20}, {false, 8 + 7, 1}, {true, 8, 0x40},  {true, 8 + 6, 17},  {true, 8 + 23, 0x77},
    };
    struct fake_host *host = fake_new_quiet();
    uint8_t icmp[100];
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        bool v6 = wrong[i].v6;
        uint32_t len = quote(icmp, v6, v6 ? 1 : 3, 1, 0);
        icmp[wrong[i].at] = wrong[i].value;
        send_error(host, v6, icmp, len);
        cr_assert_eq(host->errors, 0, "%zu", i);
    }
    for (int v6 = 0; v6 < 2; v6++)
        for (uint32_t len = 8, whole = quote(icmp, v6, v6 ? 1 : 3, 1, 0); len < whole; len++)
            send_error(host, v6, icmp, len);
    cr_assert_eq(host->errors, 0);
    /* An IPv4 address of ours in an IPv6 header. */
    uint32_t len = quote(icmp, true, 1, 1, 0);
    memcpy(icmp + 16, host4.bytes, 16);
    memcpy(icmp + 32, peer4.bytes, 16);
    send_error(host, true, icmp, len);
    cr_assert_eq(host->errors, 0);
    fake_free(host);
}

static void datagram(bool v6, uint8_t protocol, uint32_t len)
{
    static const uint8_t udp[1400] = {0, 9, 0, 9};
    if (v6)
        fake_ip6(&b, &peer6, &host6, protocol, 64, udp, len);
    else
        fake_ip4(&b, &peer4, &host4, protocol, udp, len);
}

Test(icmp, closed_ports_and_unknown_protocols_are_said_to_be)
{
    static const struct {
        bool v6;
        uint8_t protocol;
        uint8_t type, code;
        uint32_t rest;
    } cases[] = {{false, 17, 3, 3, 0}, {false, 132, 3, 2, 0}, {true, 17, 1, 4, 0}, {true, 132, 4, 1, 6}};
    struct fake_host *host = fake_new_quiet();
    for (size_t i = 0; i < 4; i++) {
        uint32_t head = cases[i].v6 ? 54 : 34, most = cases[i].v6 ? 1280 : 576;
        for (uint32_t len = 0; len <= 1400; len += 700) {
            datagram(cases[i].v6, cases[i].protocol, len);
            input(host);
            cr_assert_eq(host->port.outs, 1);
            const struct fake_frame *f = &host->port.out[0];
            cr_assert(fake_sums_good(f));
            uint32_t whole = head + 8 + b.len - 14;
            cr_assert_eq(f->len, whole < most + 14 ? whole : most + 14);
            cr_assert(f->bytes[head] == cases[i].type && f->bytes[head + 1] == cases[i].code);
            cr_assert_eq(get_be32(f->bytes + head + 4), cases[i].rest);
            cr_assert_arr_eq(f->bytes + head + 8, b.at + 14, f->len - head - 8);
            fake_forget(&host->port);
            host->now += 1000000000;
        }
    }
    cr_assert_eq(ip_stats(host->ip)->icmp_errors_out, 12);
    fake_free(host);
}

Test(icmp, errors_have_a_rate)
{
    struct fake_host *host = fake_new_quiet();
    datagram(false, 17, 8);
    for (int i = 0; i < 50; i++)
        input(host);
    cr_assert_eq(host->port.outs, 10);
    cr_assert_eq(ip_stats(host->ip)->icmp_limited, 40);
    host->now += 20000000;
    for (int i = 0; i < 50; i++)
        input(host);
    cr_assert_eq(host->port.outs, 12);
    fake_free(host);
}

Test(icmp, nothing_is_said_to_many_or_about_errors_or_in_the_kernels_place)
{
    struct fake_host *host = fake_new_quiet();
    datagram(false, 17, 8);
    memcpy(b.at, all, 6);
    input(host);
    uint8_t icmp[100];
    uint32_t len = quote(icmp, false, 3, 3, 0);
    icmp[8 + 9] = 17;
    send_error(host, false, icmp, len);
    fake_ip6(&b, &peer6, &host6, IP6_NONE, 64, icmp, 8);
    input(host);
    cr_assert_eq(host->port.outs, 0);
    fake_free(host);
    host = fake_new();
    host->options.kernel = &host->kernel.device;
    fake_quiet(host);
    datagram(false, 17, 8);
    input(host);
    cr_assert(host->port.outs == 0 && host->kernel.outs == 1);
    fake_free(host);
}
