#include "base/crc32c.h"

#include <nmmintrin.h>
#include <string.h>

/*
 * The instruction takes three cycles and one can start in each, so long inputs go as three streams of STREAM
 * bytes side by side. Joining them needs the sum of the first as it would be with STREAM zero bytes behind
 * it: a linear map of 32 bits, held as one table per byte of the sum.
 */
#define STREAM 256u

static uint32_t behind_zeros[4][256];

static uint64_t word_at(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static uint32_t push_zeros(uint32_t sum)
{
    uint64_t s = sum;
    for (unsigned i = 0; i < STREAM / 8; i++)
        s = _mm_crc32_u64(s, 0);
    return (uint32_t)s;
}

/* Before main, so that no thread ever finds half a table. */
__attribute__((constructor)) static void fill_tables(void)
{
    for (unsigned byte = 0; byte < 4; byte++)
        for (unsigned v = 0; v < 256; v++)
            behind_zeros[byte][v] = push_zeros((uint32_t)v << (8 * byte));
}

static uint32_t shift(uint32_t sum)
{
    return behind_zeros[0][sum & 255] ^ behind_zeros[1][sum >> 8 & 255] ^ behind_zeros[2][sum >> 16 & 255] ^
           behind_zeros[3][sum >> 24];
}

static uint32_t three_streams(uint32_t sum, const uint8_t *p)
{
    uint64_t a = sum, b = 0, c = 0;
    for (unsigned i = 0; i < STREAM; i += 8) {
        a = _mm_crc32_u64(a, word_at(p + i));
        b = _mm_crc32_u64(b, word_at(p + STREAM + i));
        c = _mm_crc32_u64(c, word_at(p + 2 * STREAM + i));
    }
    return shift(shift((uint32_t)a) ^ (uint32_t)b) ^ (uint32_t)c;
}

uint32_t crc32c(uint32_t sum, const void *bytes, size_t len)
{
    const uint8_t *p = bytes;
    sum = ~sum;
    for (; len >= 3 * STREAM; p += 3 * STREAM, len -= 3 * STREAM)
        sum = three_streams(sum, p);
    for (; len >= 8; p += 8, len -= 8)
        sum = (uint32_t)_mm_crc32_u64(sum, word_at(p));
    for (; len > 0; p++, len--)
        sum = _mm_crc32_u8(sum, *p);
    return ~sum;
}
