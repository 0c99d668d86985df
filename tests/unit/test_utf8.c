/* Every sequence of up to four bytes of those that matter, against the definition. */
#include <criterion/criterion.h>
#include <string.h>

#include "transport/utf8.h"

/* The length of the character at the beginning, by what it stands for; 0: none. */
static size_t naive_character(struct span s)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t value;
    size_t n = s.at[0] < 0x80       ? 1
               : s.at[0] >> 5 == 6  ? 2
               : s.at[0] >> 4 == 14 ? 3
               : s.at[0] >> 3 == 30 ? 4
                                    : 0;
    if (n == 0 || n > s.len)
        return 0;
    value = n == 1 ? s.at[0] : s.at[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if (s.at[i] >> 6 != 2)
            return 0;
        value = value << 6 | (s.at[i] & 0x3f);
    }
    return value < least[n] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000) ? 0 : n;
}

static bool naive(struct span s)
{
    for (size_t n; s.len; s = span_of(s.at + n, s.len - n))
        if (!(n = naive_character(s)))
            return false;
    return true;
}

static bool in_pieces(struct span s, size_t at)
{
    struct utf8 utf8 = {0};
    return utf8_take(&utf8, span_of(s.at, at)) && utf8_take(&utf8, span_of(s.at + at, s.len - at)) &&
           utf8_whole(&utf8);
}

static void compare(const uint8_t *bytes, size_t n)
{
    struct span s = span_of(bytes, n);
    for (size_t at = 0; at <= n; at++)
        if (in_pieces(s, at) != naive(s))
            cr_assert_fail("%02x %02x %02x %02x of %zu, cut at %zu", bytes[0], bytes[1], bytes[2], bytes[3],
                           n, at);
}

Test(utf8, is_what_its_definition_says)
{
    static const uint8_t seconds[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff};
    for (unsigned a = 0; a < 256; a++)
        for (size_t b = 0; b < sizeof seconds; b++)
            for (size_t c = 0; c < sizeof seconds; c++)
                for (size_t d = 0; d < sizeof seconds; d++) {
                    uint8_t bytes[4] = {(uint8_t)a, seconds[b], seconds[c], seconds[d]};
                    for (size_t n = 1; n <= 4; n++)
                        compare(bytes, n);
                }
}

Test(utf8, long_texts_at_every_place)
{
    for (size_t at = 0; at < 40; at++)
        for (unsigned what = 0; what < 3; what++) {
            static const char *const inserts[] = {"\xe2\x82\xac", "\xff", "\xf0\x9f\x90"};
            uint8_t text[64];
            memset(text, 'a', sizeof text);
            memcpy(text + at, inserts[what], strlen(inserts[what]));
            for (size_t cut = 0; cut <= sizeof text; cut++)
                cr_assert_eq(in_pieces(span_of(text, sizeof text), cut), what == 0);
        }
}
