#include "base/fifo.h"

#include <criterion/criterion.h>
#include <stdint.h>

#include "base/prng.h"

/* Rows hold their number in every word: each is seen to be whole after the ring has grown around it. */
struct row {
    uint64_t words[5];
};

typedef FIFO(struct row) rows;

static void add(rows *fifo, uint64_t number)
{
    struct row *row = fifo_add(fifo);
    for (unsigned i = 0; i < 5; i++)
        row->words[i] = number * 100 + i;
}

static void check(const struct row *row, uint64_t number)
{
    cr_assert(row);
    for (unsigned i = 0; i < 5; i++)
        cr_assert_eq(row->words[i], number * 100 + i);
}

Test(fifo, gives_rows_in_order_however_it_grows)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        rows fifo = {0};
        struct prng prng;
        uint64_t added = 0, dropped = 0;
        prng_seed(&prng, seed);
        for (unsigned step = 0; step < 2000; step++) {
            /* Grows for a while, then drains. */
            if (prng_below(&prng, 8) < (step / 400 % 2 ? 2u : 6u)) {
                add(&fifo, ++added);
            } else if (dropped < added) {
                check(fifo_oldest(&fifo), ++dropped);
                fifo_drop_oldest(&fifo);
            }
            cr_assert_eq(fifo.count, added - dropped);
            for (size_t i = 0; i < fifo.count; i++)
                check(fifo_at(&fifo, i), dropped + 1 + i);
        }
        fifo_free(&fifo);
        cr_assert_null(fifo_oldest(&fifo));
    }
}

Test(fifo, a_short_one_needs_no_more_room)
{
    rows fifo = {0};
    for (unsigned i = 1; i <= 100; i++) {
        add(&fifo, i);
        check(fifo_oldest(&fifo), i);
        fifo_drop_oldest(&fifo);
    }
    cr_assert_leq(fifo.mask, 7);
    fifo_free(&fifo);
}
