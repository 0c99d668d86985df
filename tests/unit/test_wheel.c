#include <criterion/criterion.h>

#include "base/map.h"
#include "base/prng.h"
#include "base/wheel.h"

#define NODES 300u

/* The naive twin: when each is due, UINT64_MAX: not set. */
struct twin {
    struct wheel_node node[NODES];
    uint64_t at_ns[NODES];
};

static uint64_t earliest(const struct twin *twin)
{
    uint64_t at = UINT64_MAX;
    for (unsigned i = 0; i < NODES; i++)
        if (twin->at_ns[i] < at)
            at = twin->at_ns[i];
    return at;
}

/* What comes is due, and all that is due by a tick comes, each once. */
static void take_due(struct wheel *wheel, struct twin *twin, uint64_t now_ns)
{
    for (struct wheel_node *due; (due = wheel_due(wheel, now_ns));) {
        size_t i = (size_t)(due - twin->node);
        cr_assert_lt(i, NODES);
        cr_assert_leq(twin->at_ns[i], now_ns);
        twin->at_ns[i] = UINT64_MAX;
    }
    uint64_t next = earliest(twin);
    cr_assert(next == UINT64_MAX || next + WHEEL_TICK_NS > now_ns);
    /* Asking when it says is never too late. */
    cr_assert(next == UINT64_MAX || wheel_next(wheel) <= next + WHEEL_TICK_NS);
    cr_assert(next != UINT64_MAX || wheel_next(wheel) == UINT64_MAX);
}

/* begin_ns: the time at first; span_ns: nodes are set this far ahead at most. */
static void set_move_and_cancel(uint64_t seed, uint64_t begin_ns, uint64_t span_ns)
{
    static struct twin twin;
    static struct wheel wheel;
    struct prng prng;
    uint64_t now_ns = begin_ns;
    prng_seed(&prng, seed);
    wheel_init(&wheel, now_ns);
    memset(twin.node, 0, sizeof twin.node);
    memset(twin.at_ns, 0xff, sizeof twin.at_ns);
    for (unsigned step = 0; step < 20000; step++) {
        unsigned i = (unsigned)prng_below(&prng, NODES);
        if (prng_chance(&prng, 300000)) {
            wheel_cancel(&wheel, &twin.node[i]);
            twin.at_ns[i] = UINT64_MAX;
        } else {
            twin.at_ns[i] = now_ns + prng_below(&prng, span_ns);
            wheel_set(&wheel, &twin.node[i], twin.at_ns[i]);
        }
        if (prng_chance(&prng, 300000)) {
            now_ns += prng_below(&prng, span_ns / 16);
            take_due(&wheel, &twin, now_ns);
        }
    }
    while (earliest(&twin) != UINT64_MAX) {
        uint64_t next_ns = wheel_next(&wheel);
        cr_assert_neq(next_ns, UINT64_MAX);
        now_ns = next_ns > now_ns ? next_ns : now_ns;
        take_due(&wheel, &twin, now_ns);
    }
}

Test(wheel, near)
{
    set_move_and_cancel(1, 0, 100 * WHEEL_TICK_NS);
}

Test(wheel, minutes)
{
    set_move_and_cancel(2, 12345678, UINT64_C(600000000000));
}

Test(wheel, days)
{
    set_move_and_cancel(3, UINT64_C(1) << 60, UINT64_C(400000000000000));
}

/* The last tick before every level turns over. */
Test(wheel, at_the_boundary)
{
    uint64_t boundary_ns = UINT64_C(1) << (8 * WHEEL_LEVELS + WHEEL_TICK_SHIFT);
    set_move_and_cancel(4, boundary_ns - 1, 3 * UINT64_C(1000000));
    set_move_and_cancel(5, 7 * boundary_ns - 50 * WHEEL_TICK_NS, UINT64_C(1000000000));
}
