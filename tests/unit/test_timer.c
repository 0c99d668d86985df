#include <criterion/criterion.h>

#include "base/prng.h"
#include "base/timer.h"

#define TIMERS 300u

/* The naive twin: when each is due, UINT64_MAX: not set. */
struct twin {
    struct timer timer[TIMERS];
    uint64_t at[TIMERS];
};

static uint64_t earliest(const struct twin *twin)
{
    uint64_t at = UINT64_MAX;
    for (unsigned i = 0; i < TIMERS; i++)
        if (twin->at[i] < at)
            at = twin->at[i];
    return at;
}

/* All that are due come, the earliest first, each once. */
static void take_due(struct timers *timers, struct twin *twin, uint64_t now_ns)
{
    for (struct timer *due; (due = timer_due(timers, now_ns));) {
        size_t i = (size_t)(due - twin->timer);
        cr_assert_lt(i, TIMERS);
        cr_assert_leq(twin->at[i], now_ns);
        cr_assert_eq(twin->at[i], earliest(twin));
        cr_assert_eq(due->place, 0);
        twin->at[i] = UINT64_MAX;
    }
    cr_assert_gt(earliest(twin), now_ns);
}

/* span_ns: timers are set this far ahead at most; a small one gives many that are due at once. */
static void set_move_and_cancel(uint64_t seed, uint64_t span_ns)
{
    static struct twin twin;
    struct timers timers = {0};
    struct prng prng;
    uint64_t now_ns = 0;
    prng_seed(&prng, seed);
    twin = (struct twin){0};
    for (unsigned i = 0; i < TIMERS; i++)
        twin.at[i] = UINT64_MAX;
    for (unsigned step = 0; step < 5000; step++) {
        unsigned i = (unsigned)prng_below(&prng, TIMERS);
        if (prng_below(&prng, 3)) {
            twin.at[i] = now_ns + prng_below(&prng, span_ns);
            timer_set(&timers, &twin.timer[i], twin.at[i]);
        } else {
            timer_cancel(&timers, &twin.timer[i]);
            twin.at[i] = UINT64_MAX;
        }
        cr_assert_eq(timers_next(&timers), earliest(&twin));
        if (prng_below(&prng, 20) == 0)
            take_due(&timers, &twin, now_ns += prng_below(&prng, span_ns / 2));
    }
    take_due(&timers, &twin, now_ns + span_ns);
    cr_assert_eq(timers.count, 0);
    timers_free(&timers);
}

Test(timer, fire_in_order_each_once)
{
    for (uint64_t seed = 0; seed < 10; seed++) {
        set_move_and_cancel(seed, 1000000);
        set_move_and_cancel(seed, 20);
    }
}

Test(timer, due_means_now_or_before)
{
    struct timers timers = {0};
    struct timer a = {0};
    cr_assert_eq(timers_next(&timers), UINT64_MAX);
    cr_assert_null(timer_due(&timers, UINT64_MAX));
    timer_cancel(&timers, &a); /* not set: nothing happens */
    timer_set(&timers, &a, 100);
    cr_assert_null(timer_due(&timers, 99));
    cr_assert_eq(timer_due(&timers, 100), &a);
    cr_assert_null(timer_due(&timers, 100));
    timer_set(&timers, &a, 0);
    cr_assert_eq(timer_due(&timers, 0), &a);
    timers_free(&timers);
}
