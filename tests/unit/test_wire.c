#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/prng.h"
#include "base/span.h"
#include "tcp/wire.h"

/* RFC 1071 section 3's own example: 00 01 f2 03 f4 f5 f6 f7 adds up to ddf2. */
Test(wire, the_example_of_the_rfc)
{
    static const uint8_t bytes[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
    uint8_t put[2];
    sum_put(put, sum_bytes(bytes, sizeof bytes));
    cr_assert_eq(get_be16(put), (uint16_t)~0xddf2);
}

static uint32_t slow_sum(const uint8_t *at, size_t len)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < len; i++) {
        sum += i & 1 ? at[i] : (uint32_t)at[i] << 8;
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

/* Of all lengths, at all places, from a buffer that ends where the sum does. */
Test(wire, sums_are_those_of_a_sum_by_bytes)
{
    struct prng prng;
    prng_seed(&prng, 1);
    for (size_t len = 0; len < 600; len++) {
        size_t skip = prng_below(&prng, 8);
        uint8_t *bytes = malloc(skip + len + 1);
        for (size_t i = 0; i < skip + len; i++)
            bytes[i] = prng_below(&prng, 3) ? (uint8_t)prng_next(&prng) : 0xff;
        uint16_t sum = sum_fold(sum_bytes(bytes + skip, len));
        cr_assert_eq(__builtin_bswap16(sum), slow_sum(bytes + skip, len), "%zu bytes", len);
        free(bytes);
    }
}

Test(wire, no_carry_is_lost_in_64_KiB_of_ones)
{
    uint8_t *bytes = malloc(65536);
    memset(bytes, 0xff, 65536);
    cr_assert_eq(sum_fold(sum_bytes(bytes, 65536)), 0xffff);
    cr_assert_eq(sum_fold(UINT64_MAX), 0xffff);
    cr_assert_eq(sum_fold(0xffffffff00000000u), 0xffff);
    cr_assert_eq(sum_fold(0x1fffe), 0xffff);
    free(bytes);
}

Test(wire, pieces_of_odd_lengths_add_up_to_the_whole)
{
    struct prng prng;
    uint8_t bytes[4000];
    prng_seed(&prng, 2);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)prng_next(&prng);
    for (int round = 0; round < 2000; round++) {
        struct iovec piece[TX_PIECES_MAX];
        unsigned pieces = (unsigned)prng_below(&prng, TX_PIECES_MAX + 1);
        size_t len = 0;
        for (unsigned i = 0; i < pieces; i++) {
            piece[i] = (struct iovec){bytes + len, prng_below(&prng, 200)};
            len += piece[i].iov_len;
        }
        uint64_t sum = sum_pieces(piece, pieces, 0x12345);
        cr_assert_eq(sum_fold(sum), sum_fold(0x12345 + sum_bytes(bytes, len)));
    }
}

Test(wire, a_single_bit_makes_a_sum_bad)
{
    uint8_t head[20] = {0x45, 0, 0, 20, 1, 2, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 9};
    sum_put(head + 10, sum_ip4(head));
    cr_assert(sum_good(sum_ip4(head)));
    for (int bit = 0; bit < 160; bit++) {
        head[bit / 8] ^= (uint8_t)(1 << bit % 8);
        cr_assert_not(sum_good(sum_ip4(head)));
        cr_assert_not(sum_good(sum_bytes(head, 20)));
        head[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

/* RFC 9293 section 3.1 and RFC 8200 section 8.1, written out as bytes. */
Test(wire, a_pseudo_header_is_summed)
{
    struct ip_address a, b;
    cr_assert(ip_address_parse("192.0.2.1", &a) && ip_address_parse("198.51.100.7", &b));
    static const uint8_t v4[] = {192, 0, 2, 1, 198, 51, 100, 7, 0, 6, 0x12, 0x34};
    cr_assert_eq(sum_fold(sum_pseudo(&a, &b, false, 6, 0x1234)), sum_fold(sum_bytes(v4, 12)));
    cr_assert(ip_address_parse("2001:db8::1", &a) && ip_address_parse("fe80::7", &b));
    uint8_t v6[40] = {[34] = 0x12, [35] = 0x34, [39] = 58};
    memcpy(v6, a.bytes, 16);
    memcpy(v6 + 16, b.bytes, 16);
    cr_assert_eq(sum_fold(sum_pseudo(&a, &b, true, 58, 0x1234)), sum_fold(sum_bytes(v6, 40)));
}

Test(wire, addresses_are_read_and_written)
{
    static const char *const same[] = {"192.0.2.1", "0.0.0.0", "255.255.255.255", "2001:db8::1",
                                       "::",        "::1",     "fe80::1:2:3:4"};
    struct ip_address address;
    char text[IP_TEXT];
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        cr_assert(ip_address_parse(same[i], &address));
        cr_assert_str_eq(ip_address_text(&address, text), same[i]);
        cr_assert_eq(ip_address_is_v4(&address), strchr(same[i], ':') == NULL);
    }
    cr_assert(ip_address_parse("::ffff:192.0.2.1", &address));
    cr_assert_str_eq(ip_address_text(&address, text), "192.0.2.1");
    static const char *const bad[] = {"",         "1.2.3", "1.2.3.4.5", "256.1.1.1",
                                      "1.2.3.4 ", "x",     "1::2::3",   "fe80::1%eth0"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_not(ip_address_parse(bad[i], &address), "%s", bad[i]);
}

Test(wire, prefixes_are_read)
{
    struct ip_prefix prefix;
    cr_assert(ip_prefix_parse("192.0.2.1/24", &prefix) && prefix.bits == 24);
    cr_assert(ip_address_is_v4(&prefix.address) && prefix.address.bytes[15] == 1);
    cr_assert(ip_prefix_parse("192.0.2.1/32", &prefix) && prefix.bits == 32);
    cr_assert(ip_prefix_parse("2001:db8::1/128", &prefix) && prefix.bits == 128);
    static const char *const bad[] = {
        "192.0.2.1",    "192.0.2.1/",
        "192.0.2.1/33", "2001:db8::1/129",
        "/24",          "192.0.2.1/24x",
        "192.0.2.1/-1", "192.0.2.1/4294967320",
        "192.0.2/24",   "11111111111111111111111111111111111111111111111111111111/24"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_not(ip_prefix_parse(bad[i], &prefix), "%s", bad[i]);
}
