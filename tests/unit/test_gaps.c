#include <criterion/criterion.h>

#include "base/prng.h"
#include "router/gaps.h"

static uint32_t before(const struct gaps *gaps, uint64_t seq, uint64_t from, uint64_t to,
                       enum gap_reason reason)
{
    struct gap gap[GAPS_MAX];
    uint32_t n = gaps_before(gaps, seq, gap);
    if (n) {
        cr_assert_eq(gap[0].from, from);
        cr_assert_eq(gap[0].to, to);
        cr_assert_eq(gap[0].reason, reason);
    }
    return n;
}

Test(gaps, neighbours_of_one_reason_are_one)
{
    struct gaps gaps;
    gaps_init(&gaps);
    gaps_add(&gaps, 1, 1, GAP_MAXLEN);
    gaps_add(&gaps, 2, 2, GAP_MAXLEN);
    gaps_add(&gaps, 3, 3, GAP_EXPIRED);
    cr_assert_eq(before(&gaps, 3, 1, 2, GAP_MAXLEN), 1);
    gaps_join(&gaps, 2);
    gaps_join(&gaps, 3);
    cr_assert_eq(gaps.by_end.count, 2);
    cr_assert_eq(before(&gaps, 3, 1, 2, GAP_MAXLEN), 1);
    cr_assert_eq(before(&gaps, 4, 3, 3, GAP_EXPIRED), 2);
    cr_assert_eq(before(&gaps, 5, 0, 0, 0), 0);
    gaps_free(&gaps);
}

Test(gaps, what_was_before_a_message_goes_with_it)
{
    struct gaps gaps;
    gaps_init(&gaps);
    gaps_add(&gaps, 1, 4, GAP_MAXLEN);
    gaps_add(&gaps, 5, 5, GAP_EXPIRED);
    gaps_add(&gaps, 7, 7, GAP_EXPIRED);
    cr_assert(gaps_end_at(&gaps, 5) && !gaps_end_at(&gaps, 4 + 2));
    gaps_drop_before(&gaps, 6);
    cr_assert_eq(gaps.by_end.count, 1);
    cr_assert_eq(before(&gaps, 8, 7, 7, GAP_EXPIRED), 1);
    gaps_free(&gaps);
}

/* 2 and 3 wait for their dead letters, and go in any order. */
Test(gaps, one_that_goes_leaves_its_neighbours)
{
    struct gaps gaps;
    gaps_init(&gaps);
    gaps_add(&gaps, 1, 1, GAP_MAXLEN);
    gaps_add(&gaps, 2, 2, GAP_EXPIRED);
    gaps_add(&gaps, 3, 3, GAP_EXPIRED);
    for (uint64_t seq = 1; seq <= 3; seq++)
        cr_assert(gaps_end_at(&gaps, seq), "%lu", (unsigned long)seq);
    cr_assert_eq(before(&gaps, 4, 2, 3, GAP_EXPIRED), 2);
    gaps_join(&gaps, 3);
    cr_assert_eq(before(&gaps, 4, 2, 3, GAP_EXPIRED), 2);
    gaps_free(&gaps);
}

Test(gaps, more_than_can_be_told_are_one_without_a_reason)
{
    struct gaps gaps;
    struct gap gap[GAPS_MAX];
    gaps_init(&gaps);
    for (uint64_t seq = 1; seq <= 2 * GAPS_MAX; seq++)
        gaps_add(&gaps, seq, seq, seq & 1 ? GAP_MAXLEN : GAP_EXPIRED);
    cr_assert_eq(gaps_before(&gaps, 2 * GAPS_MAX + 1, gap), GAPS_MAX);
    cr_assert_eq(gap[GAPS_MAX - 1].from, 1);
    cr_assert_eq(gap[GAPS_MAX - 1].to, GAPS_MAX + 1);
    cr_assert_eq(gap[GAPS_MAX - 1].reason, GAP_SEVERAL);
    gaps_free(&gaps);
}

Test(gaps, a_replay_may_say_it_again)
{
    struct gaps gaps;
    gaps_init(&gaps);
    gaps_add(&gaps, 2, 2, GAP_MAXLEN);
    gaps_add(&gaps, 3, 3, GAP_MAXLEN);
    gaps_add(&gaps, 2, 3, GAP_MAXLEN);
    cr_assert_eq(before(&gaps, 4, 2, 3, GAP_MAXLEN), 1);
    gaps_free(&gaps);
}

/* Its length costs nothing. */
Test(gaps, a_checkpoint_may_have_a_long_one)
{
    struct gaps gaps;
    gaps_init(&gaps);
    gaps_add(&gaps, 7, 7, GAP_EXPIRED);
    gaps_add(&gaps, UINT64_C(1) << 41, UINT64_C(1) << 41, GAP_EXPIRED);
    gaps_add(&gaps, 2, UINT64_C(1) << 40, GAP_MAXLEN);
    cr_assert_eq(gaps.by_end.count, 2, "what it repeats is in it");
    cr_assert_eq(before(&gaps, (UINT64_C(1) << 40) + 1, 2, UINT64_C(1) << 40, GAP_MAXLEN), 1);
    gaps_free(&gaps);
}

/* Against an array that says of each number why it was shed. */
Test(gaps, as_a_naive_one_says)
{
    enum { NUMBERS = 400 };
    int shed[NUMBERS + 2] = {0};
    struct prng prng;
    struct gaps gaps;
    prng_seed(&prng, 7);
    gaps_init(&gaps);
    for (uint64_t seq = 1; seq <= NUMBERS; seq++) {
        if (prng_below(&prng, 3) == 0)
            continue;
        shed[seq] = 1 + (int)prng_below(&prng, 2);
        gaps_add(&gaps, seq, seq, (enum gap_reason)(shed[seq] - 1));
    }
    for (uint64_t seq = 1; seq <= NUMBERS; seq++) {
        if (shed[seq])
            continue; /* only what is delivered is asked for */
        struct gap gap[GAPS_MAX];
        uint32_t n = gaps_before(&gaps, seq, gap);
        uint64_t first = seq;
        while (first > 1 && shed[first - 1])
            first--;
        cr_assert_eq(n != 0, first != seq);
        if (!n)
            continue;
        cr_assert_eq(gap[n - 1].from, first);
        cr_assert_eq(gap[0].to, seq - 1);
        for (uint32_t i = 0; i < n && gap[i].reason != GAP_SEVERAL; i++)
            for (uint64_t at = gap[i].from; at <= gap[i].to; at++)
                cr_assert_eq(shed[at], (int)gap[i].reason + 1);
    }
    gaps_free(&gaps);
}
