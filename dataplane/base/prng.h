/* A small, fast, seeded generator of numbers (not for secrets): chance is an argument everywhere. */
#pragma once

#include <stdint.h>

struct prng {
    uint64_t state[4];
};

void prng_seed(struct prng *prng, uint64_t seed);
uint64_t prng_next(struct prng *prng);
/* A number below `bound`, which is at least 1. */
uint64_t prng_below(struct prng *prng, uint64_t bound);
/* True in `parts` of a million cases. */
int prng_chance(struct prng *prng, uint32_t parts);
