#include "tcp/wire.h"

#include "base/span.h"

/* Four words of 64 bits at once: as wide as the compiler has registers for. Their halves are summed apart, so
 * that no carry is lost: 2^32 words fit. */
typedef uint64_t lanes __attribute__((vector_size(32)));

uint64_t sum_bytes(const void *at, size_t len)
{
    const uint8_t *p = at;
    uint64_t sum = 0;
    if (len >= 2 * sizeof(lanes)) {
        lanes low = {0}, high = {0}, a, b;
        for (; len >= 2 * sizeof(lanes); len -= 2 * sizeof(lanes), p += 2 * sizeof(lanes)) {
            memcpy(&a, p, sizeof a);
            memcpy(&b, p + sizeof a, sizeof b);
            low += (a & UINT32_MAX) + (b & UINT32_MAX);
            high += (a >> 32) + (b >> 32);
        }
        low += high;
        sum = low[0] + low[1] + low[2] + low[3];
    }
    for (; len >= 4; len -= 4, p += 4)
        sum += sum_word(p);
    /* What is left, with zeros behind it. */
    uint32_t rest = 0;
    if (len)
        memcpy(&rest, p, len);
    return sum + rest;
}

uint64_t sum_pieces(const struct iovec *piece, unsigned pieces, uint64_t begin)
{
    bool odd = false;
    for (unsigned i = 0; i < pieces; i++) {
        uint64_t sum = sum_bytes(piece[i].iov_base, piece[i].iov_len);
        /* RFC 1071 section 2 (B): a piece that begins at an odd place has its bytes in the other halves. */
        begin += odd ? __builtin_bswap16(sum_fold(sum)) : sum;
        odd ^= piece[i].iov_len & 1;
    }
    return begin;
}
