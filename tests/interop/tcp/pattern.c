#include "pattern.h"

#include <string.h>

enum {
    PERIOD = 65521,      /* a prime: no segment, window or buffer is a multiple of it */
    WAY_OFFSET = 30011,  /* where the other way begins */
    PIECE_MOST = 131072, /* room for a piece that begins anywhere in the period */
};

static const uint8_t *block(void)
{
    static uint8_t bytes[PERIOD + PIECE_MOST];
    static bool made;
    if (made)
        return bytes;
    uint32_t x = 1;
    for (uint32_t i = 0; i < PERIOD; i++) {
        x = x * 1664525 + 1013904223;
        bytes[i] = (uint8_t)(x >> 24);
    }
    for (uint32_t i = PERIOD; i < sizeof bytes; i++)
        bytes[i] = bytes[i - PERIOD];
    made = true;
    return bytes;
}

struct span pattern_at(enum pattern_way way, uint64_t position)
{
    uint32_t from = (uint32_t)((position + (uint64_t)way * WAY_OFFSET) % PERIOD);
    return span_of(block() + from, PIECE_MOST);
}

bool pattern_is(enum pattern_way way, uint64_t position, struct span bytes)
{
    while (bytes.len) {
        struct span want = pattern_at(way, position);
        size_t n = bytes.len < want.len ? bytes.len : want.len;
        if (memcmp(bytes.at, want.at, n) != 0)
            return false;
        bytes = span_of(bytes.at + n, bytes.len - n);
        position += n;
    }
    return true;
}
