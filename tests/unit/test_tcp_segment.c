#include <criterion/criterion.h>

#include "base/prng.h"
#include "base/span.h"
#include "tcp/segment.h"

static struct segment parsed(uint8_t *bytes, uint32_t len)
{
    struct segment s;
    cr_assert(segment_parse(&s, bytes, len));
    return s;
}

/* A header with these options, padded with zeros. */
static uint32_t with_options(uint8_t *bytes, uint8_t flags, const uint8_t *options, uint32_t len)
{
    uint32_t padded = (len + 3) & ~3u;
    memset(bytes, 0, SEGMENT_HEADER + padded);
    bytes[12] = (uint8_t)((SEGMENT_HEADER + padded) / 4 << 4);
    bytes[13] = flags;
    memcpy(bytes + SEGMENT_HEADER, options, len);
    return SEGMENT_HEADER + padded;
}

Test(tcp_segment, what_is_written_is_read)
{
    uint8_t bytes[SEGMENT_HEADER_MAX + 5] = {0};
    struct segment syn = {.source = 5672,
                          .destination = 50000,
                          .seq = 0xfffffff0,
                          .ack = 17,
                          .window = 4321,
                          .flags = SEG_SYN | SEG_ACK,
                          .mss = 1460,
                          .sack_permitted = true,
                          .scaled = true,
                          .scale = 7,
                          .timestamps = true,
                          .ts_value = 99,
                          .ts_echo = 0x80000000};
    unsigned len = segment_write(&syn, bytes);
    struct segment s = parsed(bytes, len + 5);
    cr_assert_eq(s.source, 5672);
    cr_assert_eq(s.destination, 50000);
    cr_assert_eq(s.seq, 0xfffffff0);
    cr_assert_eq(s.ack, 17);
    cr_assert_eq(s.window, 4321);
    cr_assert_eq(s.flags, SEG_SYN | SEG_ACK);
    cr_assert_eq(s.mss, 1460);
    cr_assert(s.sack_permitted && s.scaled && s.timestamps);
    cr_assert_eq(s.scale, 7);
    cr_assert_eq(s.ts_value, 99);
    cr_assert_eq(s.ts_echo, 0x80000000);
    cr_assert_eq(s.len, 5);
    cr_assert_eq(s.data, bytes + len);
    cr_assert_eq(segment_length(&s), 6);
}

Test(tcp_segment, as_many_blocks_as_fit)
{
    uint8_t bytes[SEGMENT_HEADER_MAX];
    struct segment ack = {.flags = SEG_ACK, .sacks = 4, .sack = {{1, 2}, {3, 4}, {5, 6}, {7, 8}}};
    struct segment s = parsed(bytes, segment_write(&ack, bytes));
    cr_assert_eq(s.sacks, 4);
    cr_assert_eq(s.sack[3].right, 8);
    ack.timestamps = true;
    s = parsed(bytes, segment_write(&ack, bytes));
    cr_assert_eq(s.sacks, 3);
    cr_assert_eq(s.sack[0].left, 1);
}

Test(tcp_segment, options_of_a_syn_count_in_a_syn_only)
{
    uint8_t bytes[SEGMENT_HEADER_MAX];
    static const uint8_t options[] = {2, 4, 5, 0xb4, 4, 2, 3, 3, 9};
    struct segment s = parsed(bytes, with_options(bytes, SEG_SYN, options, sizeof options));
    cr_assert(s.mss == 1460 && s.sack_permitted && s.scaled && s.scale == 9);
    s = parsed(bytes, with_options(bytes, SEG_ACK, options, sizeof options));
    cr_assert(s.mss == 0 && !s.sack_permitted && !s.scaled);
}

Test(tcp_segment, a_scale_beyond_14_is_14)
{
    uint8_t bytes[SEGMENT_HEADER_MAX];
    static const uint8_t options[] = {3, 3, 200};
    cr_assert_eq(parsed(bytes, with_options(bytes, SEG_SYN, options, sizeof options)).scale, 14);
}

Test(tcp_segment, unknown_options_are_passed_over_and_broken_ones_end_them)
{
    uint8_t bytes[SEGMENT_HEADER_MAX];
    static const uint8_t unknown[] = {1, 254, 4, 9, 9, 2, 4, 5, 0xb4};
    static const uint8_t too_long[] = {254, 200, 2, 4, 5, 0xb4};
    static const uint8_t too_short[] = {254, 1, 2, 4, 5, 0xb4};
    static const uint8_t ended[] = {0, 2, 4, 5, 0xb4};
    static const uint8_t cut[] = {1, 1, 1, 2};
    cr_assert_eq(parsed(bytes, with_options(bytes, SEG_SYN, unknown, sizeof unknown)).mss, 1460);
    cr_assert_eq(parsed(bytes, with_options(bytes, SEG_SYN, too_long, sizeof too_long)).mss, 0);
    cr_assert_eq(parsed(bytes, with_options(bytes, SEG_SYN, too_short, sizeof too_short)).mss, 0);
    cr_assert_eq(parsed(bytes, with_options(bytes, SEG_SYN, ended, sizeof ended)).mss, 0);
    cr_assert_eq(parsed(bytes, with_options(bytes, SEG_SYN, cut, sizeof cut)).mss, 0);
}

Test(tcp_segment, lengths_that_lie_are_refused)
{
    uint8_t bytes[SEGMENT_HEADER_MAX] = {0};
    struct segment s;
    bytes[12] = 5 << 4;
    cr_assert(segment_parse(&s, bytes, 20));
    cr_assert(!segment_parse(&s, bytes, 19));
    bytes[12] = 4 << 4;
    cr_assert(!segment_parse(&s, bytes, 40));
    bytes[12] = 15 << 4;
    cr_assert(!segment_parse(&s, bytes, 59));
}

/* Nothing is read outside, whatever it says (a sanitizer watches). */
Test(tcp_segment, any_bytes)
{
    struct prng prng;
    prng_seed(&prng, 1);
    for (unsigned i = 0; i < 200000; i++) {
        uint32_t len = (uint32_t)prng_below(&prng, 64);
        uint8_t *bytes = malloc(len + 1);
        struct segment s;
        for (uint32_t j = 0; j < len; j++)
            bytes[j] = (uint8_t)prng_next(&prng);
        if (len > 12)
            bytes[12] |= 0x60;
        uint8_t *exact = malloc(len ? len : 1);
        memcpy(exact, bytes, len);
        if (segment_parse(&s, exact, len))
            cr_assert(s.data + s.len == exact + len && s.sacks <= SEGMENT_SACKS);
        free(exact);
        free(bytes);
    }
}
