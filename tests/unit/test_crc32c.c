#include <criterion/criterion.h>

#include "base/crc32c.h"
#include "base/prng.h"

static uint32_t bit_by_bit(uint32_t sum, const uint8_t *p, size_t len)
{
    sum = ~sum;
    for (size_t i = 0; i < len; i++) {
        sum ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            sum = sum >> 1 ^ (sum & 1 ? 0x82f63b78u : 0);
    }
    return ~sum;
}

/* RFC 3720 appendix B.4. */
Test(crc32c, known_sums)
{
    uint8_t up[32], down[32], zeros[32] = {0}, ones[32];
    for (unsigned i = 0; i < 32; i++) {
        up[i] = (uint8_t)i;
        down[i] = (uint8_t)(31 - i);
        ones[i] = 0xff;
    }
    cr_assert_eq(crc32c(0, "123456789", 9), 0xe3069283u);
    cr_assert_eq(crc32c(0, zeros, 32), 0x8a9136aau);
    cr_assert_eq(crc32c(0, ones, 32), 0x62a8ab43u);
    cr_assert_eq(crc32c(0, up, 32), 0x46dd794eu);
    cr_assert_eq(crc32c(0, down, 32), 0x113fdb5cu);
    cr_assert_eq(crc32c(0, NULL, 0), 0);
}

Test(crc32c, every_length_and_alignment)
{
    static uint8_t bytes[4000];
    struct prng prng;
    prng_seed(&prng, 1);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)prng_next(&prng);
    for (size_t len = 0; len < 3900; len += len < 900 ? 1 : 13)
        cr_assert_eq(crc32c((uint32_t)len, bytes + len % 9, len),
                     bit_by_bit((uint32_t)len, bytes + len % 9, len));
}

Test(crc32c, continues)
{
    static uint8_t bytes[5000];
    struct prng prng;
    prng_seed(&prng, 2);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)prng_next(&prng);
    uint32_t whole = crc32c(0, bytes, sizeof bytes);
    for (size_t cut = 0; cut <= sizeof bytes; cut += 61)
        cr_assert_eq(crc32c(crc32c(0, bytes, cut), bytes + cut, sizeof bytes - cut), whole);
}
