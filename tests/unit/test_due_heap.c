#include <criterion/criterion.h>

#include "base/prng.h"
#include "router/due_heap.h"

Test(due_heap, earliest_first_and_of_one_time_the_smallest_number)
{
    enum { ROWS = 3000 };
    struct due_heap heap = {0};
    struct prng prng;
    struct due last = {0};
    prng_seed(&prng, 3);
    for (uint64_t seq = ROWS; seq > 0; seq--)
        due_heap_push(&heap, (struct due){prng_below(&prng, 100), seq});
    for (unsigned i = 0; i < ROWS; i++) {
        struct due row = heap.rows[0];
        due_heap_pop(&heap);
        cr_assert(row.ms > last.ms || (row.ms == last.ms && row.seq > last.seq));
        last = row;
    }
    cr_assert_eq(heap.count, 0);
    due_heap_free(&heap);
}
