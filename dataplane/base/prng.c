/* Blackman and Vigna's xoshiro256**, its state filled by splitmix64 as they advise. */
#include "base/prng.h"

static uint64_t rotate_left(uint64_t x, unsigned by)
{
    return x << by | x >> (64 - by);
}

void prng_seed(struct prng *prng, uint64_t seed)
{
    for (unsigned i = 0; i < 4; i++) {
        seed += 0x9e3779b97f4a7c15u;
        uint64_t z = seed;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        prng->state[i] = z ^ z >> 31;
    }
}

uint64_t prng_next(struct prng *prng)
{
    uint64_t *s = prng->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate_left(s[3], 45);
    return result;
}

/* Scaling instead of a remainder; uneven by less than bound / 2^64, which no test can see. */
uint64_t prng_below(struct prng *prng, uint64_t bound)
{
    return (uint64_t)((unsigned __int128)prng_next(prng) * bound >> 64);
}

int prng_chance(struct prng *prng, uint32_t parts)
{
    return prng_below(prng, 1000000) < parts;
}
