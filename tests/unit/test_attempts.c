#include <criterion/criterion.h>
#include <stdio.h>

#include "attempts.h"

#define MS UINT64_C(1000000)
#define S  (1000 * MS)

static struct attempts *begun(unsigned failures, const char *peer)
{
    struct attempts *a = attempts_new(4 * S, 1);
    for (unsigned i = 0; i < failures; i++)
        attempts_failed(a, peer, S);
    return a;
}

Test(attempts, pauses_grow_to_the_longest)
{
    static const uint64_t pause_ms[] = {0, 0, 0, 250, 500, 1000, 2000, 4000, 4000};
    for (unsigned n = 0; n < sizeof pause_ms / sizeof *pause_ms; n++) {
        struct attempts *a = begun(n, "10.0.0.1:1");
        cr_assert_eq(attempts_begin(a, "10.0.0.1:2", S), S + pause_ms[n] * MS, "%u", n);
        attempts_free(a);
    }
    struct attempts *a = begun(1000, "10.0.0.1:1");
    cr_assert_eq(attempts_begin(a, "10.0.0.1:2", S), 5 * S);
    attempts_free(a);
}

Test(attempts, who_comes_while_one_is_looked_at_waits)
{
    struct attempts *a = begun(3, "10.0.0.1:1");
    uint64_t then = attempts_begin(a, "10.0.0.1:2", S);
    cr_assert_eq(attempts_begin(a, "10.0.0.1:3", then), then);
    cr_assert_eq(attempts_begin(a, "10.0.0.1:4", then), then + 250 * MS);
    attempts_free(a);
}

Test(attempts, each_address_for_itself)
{
    struct attempts *a = begun(4, "10.0.0.1:1");
    cr_assert_eq(attempts_begin(a, "10.0.0.2:1", S), S);
    attempts_free(a);
    a = begun(4, "[2001:db8::1]:1");
    cr_assert_gt(attempts_begin(a, "[2001:db8::ffff]:7", S), S, "of the same network");
    cr_assert_eq(attempts_begin(a, "[2001:db8:0:1::1]:7", S), S);
    attempts_free(a);
}

Test(attempts, time_makes_good)
{
    struct attempts *a = begun(4, "10.0.0.1:1");
    cr_assert_eq(attempts_begin(a, "10.0.0.1:1", 121 * S), 121 * S);
    cr_assert_eq(attempts_begin(a, "10.0.0.1:1", 121 * S), 121 * S, "two of four are left");
    attempts_failed(a, "10.0.0.1:1", 121 * S);
    cr_assert_gt(attempts_begin(a, "10.0.0.1:1", 121 * S), 121 * S);
    attempts_free(a);
}

Test(attempts, many_addresses)
{
    struct attempts *a = begun(4, "10.0.0.1:1");
    char peer[32];
    for (unsigned i = 0; i < 100000; i++) {
        snprintf(peer, sizeof peer, "10.%u.%u.%u:1", 1 + (i >> 16), i >> 8 & 255, i & 255);
        attempts_failed(a, peer, 2 * S + i);
    }
    cr_assert_eq(attempts_begin(a, "10.0.0.1:1", 2 * S), 2 * S, "forgotten");
    attempts_free(a);
}

Test(attempts, none_are_slowed)
{
    struct attempts *a = attempts_new(0, 1);
    for (unsigned i = 0; i < 10; i++)
        attempts_failed(a, "10.0.0.1:1", S);
    cr_assert_eq(attempts_begin(a, "10.0.0.1:1", S), S);
    attempts_free(a);
}
