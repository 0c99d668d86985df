#include <criterion/criterion.h>

#include "base/prng.h"

Test(prng, same_seed_same_numbers)
{
    struct prng a, b, c;
    prng_seed(&a, 7);
    prng_seed(&b, 7);
    prng_seed(&c, 8);
    cr_assert_neq(prng_next(&a), prng_next(&c));
    prng_next(&b);
    for (int i = 0; i < 1000; i++)
        cr_assert_eq(prng_next(&a), prng_next(&b));
}

/* Twenty thousand throws of a die: each face within seven standard deviations. */
Test(prng, below_is_even)
{
    unsigned faces[6] = {0};
    struct prng prng;
    prng_seed(&prng, 0);
    for (int i = 0; i < 20000; i++)
        faces[prng_below(&prng, 6)]++;
    for (int i = 0; i < 6; i++)
        cr_assert(faces[i] > 2963 && faces[i] < 3703);
    cr_assert_eq(prng_below(&prng, 1), 0);
}

Test(prng, chance_is_in_millionths)
{
    struct prng prng;
    prng_seed(&prng, 3);
    int hits = 0;
    for (int i = 0; i < 100000; i++) {
        hits += prng_chance(&prng, 20000);
        cr_assert(prng_chance(&prng, 1000000));
        cr_assert_not(prng_chance(&prng, 0));
    }
    cr_assert(hits > 1700 && hits < 2300);
}
