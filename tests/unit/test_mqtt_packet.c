#include "codec/mqtt/packet.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/prng.h"

Test(mqtt_packet, numbers_have_as_few_bytes_as_can_be)
{
    static const uint32_t edges[] = {0, 1, 127, 128, 16383, 16384, 2097151, 2097152, 268435455};
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
        uint8_t bytes[8];
        uint32_t value;
        int n = (int)(varint_put(bytes, edges[i]) - bytes);
        cr_assert_eq(n, (int)varint_bytes(edges[i]));
        for (int len = 0; len < n; len++)
            cr_assert_eq(varint_read(span_of(bytes, (size_t)len), &value), 0, "more must come");
        cr_assert_eq(varint_read(span_of(bytes, sizeof bytes), &value), n);
        cr_assert_eq(value, edges[i]);
        if (n == 4)
            continue;
        bytes[n - 1] |= 128; /* a nought behind it */
        bytes[n] = 0;
        cr_assert_eq(varint_read(span_of(bytes, sizeof bytes), &value), -1);
    }
    static const uint8_t five[] = {0x80, 0x80, 0x80, 0x80, 1};
    uint32_t value;
    cr_assert_eq(varint_read(span_of(five, 4), &value), -1);
    cr_assert_eq(varint_read(span_of(five, 5), &value), -1);
}

Test(mqtt_packet, nothing_is_taken_that_is_not_all_there)
{
    static const uint8_t bytes[] = {0, 3, 'a', 'b', 'c', 9};
    struct span text;
    uint8_t one;
    uint16_t two;
    uint32_t four;
    for (size_t len = 0; len <= sizeof bytes; len++) {
        struct span in = span_of(bytes, len);
        bool whole = take_binary(&in, &text);
        cr_assert_eq(whole, len >= 5);
        cr_assert_eq(in.len, whole ? len - 5 : len);
        in = span_of(bytes, len);
        cr_assert_eq(take_u8(&in, &one), len >= 1);
        in = span_of(bytes, len);
        cr_assert_eq(take_u16(&in, &two), len >= 2);
        in = span_of(bytes, len);
        cr_assert_eq(take_u32(&in, &four), len >= 4);
    }
    cr_assert(span_is(text, "abc"));
}

/* By decoding: the value of each character, and whether it needed so many bytes. */
static bool naive_text(const uint8_t *p, size_t len)
{
    size_t i = 0;
    while (i < len) {
        unsigned lead = p[i], more = lead < 0x80       ? 0
                                     : lead >> 5 == 6  ? 1
                                     : lead >> 4 == 14 ? 2
                                     : lead >> 3 == 30 ? 3
                                                       : 99;
        static const uint32_t least[] = {1, 0x80, 0x800, 0x10000};
        if (more > 3 || i + more >= len)
            return false;
        uint32_t value = more ? lead & (0x3fu >> more) : lead;
        for (unsigned k = 1; k <= more; k++) {
            if (p[i + k] >> 6 != 2)
                return false;
            value = value << 6 | (p[i + k] & 63);
        }
        if (value < least[more] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
            return false;
        i += more + 1;
    }
    return true;
}

static void check_text(const uint8_t *bytes, size_t len)
{
    uint8_t *exact = malloc(len + !len);
    cr_assert(exact);
    memcpy(exact, bytes, len);
    cr_assert_eq(mqtt_text_valid(span_of(exact, len)), naive_text(bytes, len), "%02x %02x %02x %02x of %zu",
                 bytes[0], bytes[1], bytes[2], bytes[3], len);
    free(exact);
}

Test(mqtt_packet, text_is_utf_8_as_the_standard_wants_it, .timeout = 60)
{
    static const uint8_t edges[] = {0,    1,    0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0,
                                    0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed,
                                    0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf8, 0xff};
    enum { N = sizeof edges };
    for (unsigned i = 0; i < 65536; i++) {
        uint8_t bytes[4] = {(uint8_t)(i >> 8), (uint8_t)i, 0x80, 0x80};
        for (size_t len = 0; len <= 4; len++)
            check_text(bytes, len);
    }
    for (unsigned i = 0; i < N * N * N * N; i++) {
        uint8_t bytes[4] = {edges[i % N], edges[i / N % N], edges[i / N / N % N], edges[i / N / N / N]};
        check_text(bytes, 4);
    }
}
