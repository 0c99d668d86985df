/* Each value has one bucket, whose bound is the first that it doesn't exceed. */
#include <criterion/criterion.h>

#include "base/histogram.h"
#include "base/prng.h"

Test(histogram, a_value_lies_between_two_bounds)
{
    struct prng prng;
    prng_seed(&prng, 1);
    for (unsigned i = 0; i < 100000; i++) {
        uint64_t value = prng_next(&prng) >> prng_below(&prng, 64);
        unsigned place = histogram_place(value);
        cr_assert_lt(place, HISTOGRAM_BUCKETS);
        if (place < HISTOGRAM_BUCKETS - 1)
            cr_assert_leq(value, histogram_bound(place));
        if (place)
            cr_assert_gt(value, histogram_bound(place - 1));
    }
}

Test(histogram, bounds_belong_to_what_is_below_them)
{
    cr_assert(histogram_place(0) == 0 && histogram_place(1) == 0 && histogram_place(2) == 1);
    for (unsigned i = 1; i < HISTOGRAM_BUCKETS - 1; i++) {
        cr_assert_eq(histogram_place(histogram_bound(i)), i);
        cr_assert_eq(histogram_place(histogram_bound(i) + 1), i + 1);
    }
    cr_assert_eq(histogram_place(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
}

Test(histogram, it_knows_how_many_and_how_much)
{
    struct histogram h = {0};
    histogram_add(&h, 5, 2);
    histogram_add(&h, 1000, 1);
    histogram_add(&h, 0, 4);
    cr_assert_eq(histogram_count(&h), 7);
    cr_assert_eq(h.sum, 1010);
    cr_assert(h.bucket[0] == 4 && h.bucket[3] == 2 && h.bucket[10] == 1);
}

Test(histogram, clocks_that_disagree_make_no_eternity)
{
    cr_assert_eq(elapsed_ns(10, 25), 15);
    cr_assert_eq(elapsed_ns(25, 10), 0);
}
