#include "seen.h"
#include "buffer.h"

#include <stdlib.h>

static bool bit_get(const struct seen *s, uint64_t n)
{
    uint64_t at = n & (s->capacity - 1);
    return s->bits[at / 64] >> (at % 64) & 1;
}

static void bit_flip(struct seen *s, uint64_t n)
{
    uint64_t at = n & (s->capacity - 1);
    s->bits[at / 64] ^= 1ull << (at % 64);
}

static void seen_widen(struct seen *s, uint64_t window)
{
    struct seen wide = *s;
    wide.capacity = s->capacity ? s->capacity : 4096;
    while (wide.capacity < window)
        wide.capacity *= 2;
    wide.bits = zalloc(wide.capacity / 64, sizeof *wide.bits);
    for (uint64_t n = s->next; n < s->highest; n++)
        if (bit_get(s, n))
            bit_flip(&wide, n);
    free(s->bits);
    *s = wide;
}

/* Takes the numbers that now touch `next` out of the ring. */
static void seen_advance(struct seen *s)
{
    while (s->beyond && bit_get(s, s->next)) {
        bit_flip(s, s->next);
        s->next++;
        s->beyond--;
    }
}

enum seen_result seen_add_far(struct seen *s, uint64_t n)
{
    if (n < s->next)
        return SEEN_AGAIN;
    if (n - s->next >= SEEN_WINDOW_MAX)
        return SEEN_TOO_FAR;
    if (n - s->next >= s->capacity)
        seen_widen(s, n - s->next + 1);
    if (bit_get(s, n))
        return SEEN_AGAIN;
    if (!seen_count(s) || n < s->lowest)
        s->lowest = n;
    bit_flip(s, n);
    s->beyond++;
    if (n >= s->highest)
        s->highest = n + 1;
    seen_advance(s);
    return SEEN_NEW;
}

bool seen_has(const struct seen *s, uint64_t n)
{
    return n < s->next || (n < s->highest && bit_get(s, n));
}

void seen_free(struct seen *s)
{
    free(s->bits);
    *s = (struct seen){0};
}
