#include "body.h"

static uint8_t pattern[BODY_PATTERN_PERIOD];

/* Any fixed, irregular bytes do: a splitmix step per position, the same in every run and process. */
__attribute__((constructor)) static void pattern_make(void)
{
    for (uint32_t i = 0; i < BODY_PATTERN_PERIOD; i++) {
        uint64_t x = (i + 1) * 0x9e3779b97f4a7c15ull;
        x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
        pattern[i] = (uint8_t)(x >> 56);
    }
}

/* The longest stretch that begins at body position `from` without passing the pattern's end. */
static size_t stretch(size_t from, size_t n)
{
    size_t room = BODY_PATTERN_PERIOD - from % BODY_PATTERN_PERIOD;
    return n < room ? n : room;
}

void body_fill(uint8_t *body, size_t size)
{
    for (size_t at = 0, n; at < size; at += n) {
        n = stretch(at, size - at);
        memcpy(body + at, pattern + at % BODY_PATTERN_PERIOD, n);
    }
}

bool body_pattern_ok(const uint8_t *part, size_t n, size_t from)
{
    for (size_t step; n; part += step, from += step, n -= step) {
        step = stretch(from, n);
        if (memcmp(part, pattern + from % BODY_PATTERN_PERIOD, step) != 0)
            return false;
    }
    return true;
}
