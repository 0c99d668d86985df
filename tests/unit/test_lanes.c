#include <criterion/criterion.h>

#include "base/prng.h"
#include "router/index.h"
#include "router/lanes.h"

static uint64_t push(struct index *index, uint8_t priority)
{
    return index_push_noted(index, (struct entry){.body = 1}, (struct entry_note){.priority = priority});
}

static uint64_t take(struct index *index)
{
    uint64_t seq;
    struct entry *entry = index_head(index, &seq);
    if (!entry)
        return 0;
    index_deliver(index, seq, entry);
    return seq;
}

static void order(struct index *index, uint8_t highest)
{
    index_init(index);
    index->noted = true;
    index_order(index, highest);
}

Test(lanes, the_highest_goes_first_and_of_one_priority_the_oldest)
{
    struct index index;
    order(&index, 5);
    uint64_t low = push(&index, 0), high = push(&index, 5), above = push(&index, 200),
             middle = push(&index, 3);
    cr_assert_eq(take(&index), high);
    cr_assert_eq(take(&index), above, "what is above the highest counts as that");
    cr_assert_eq(take(&index), middle);
    cr_assert_eq(take(&index), low);
    cr_assert_eq(take(&index), 0);
    index_free(&index);
}

Test(lanes, what_is_given_back_is_where_it_was)
{
    struct index index;
    order(&index, 9);
    uint64_t first = push(&index, 4), second = push(&index, 4);
    cr_assert_eq(take(&index), first);
    push(&index, 1);
    index_requeue(&index, first, index_at(&index, first));
    cr_assert_eq(take(&index), first);
    cr_assert_eq(take(&index), second);
    index_free(&index);
}

/* Against a search through all that is ready. */
Test(lanes, as_a_naive_queue_gives_them)
{
    enum { STEPS = 20000, MOST = 30000 };
    static uint8_t priority[MOST];
    static enum { GONE, READY, OUT } state[MOST];
    struct index index;
    struct prng prng;
    uint64_t last = 0;
    prng_seed(&prng, 11);
    order(&index, 255);
    for (unsigned step = 0; step < STEPS; step++) {
        uint64_t some = last ? 1 + prng_below(&prng, last) : 0, best = 0;
        switch (prng_below(&prng, 5)) {
        case 0:
        case 1:
            last = push(&index, priority[last + 1] = (uint8_t)prng_below(&prng, 256));
            state[last] = READY;
            break;
        case 2:
            for (uint64_t i = last; i > 0; i--)
                if (state[i] == READY && (!best || priority[i] >= priority[best]))
                    best = i;
            cr_assert_eq(take(&index), best);
            state[best] = OUT;
            break;
        case 3:
            if (some && state[some] == OUT) {
                index_requeue(&index, some, index_at(&index, some));
                state[some] = READY;
            }
            break;
        default:
            if (some && state[some] != GONE) {
                index_kill(&index, some, index_at(&index, some));
                state[some] = GONE;
            }
        }
    }
    index_free(&index);
}
