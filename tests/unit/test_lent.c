#include <criterion/criterion.h>

#include "base/prng.h"
#include "lent.h"

/* Rows are numbered in their epoch, and in every counter: so each is seen to be whole after the ring has
 * grown around it. */
static void add(struct lent *lent, uint64_t number)
{
    struct lent_row *row = lent_add(lent);
    cr_assert_null(row->buffer);
    cr_assert_eq(row->port, 0);
    cr_assert_eq(row->epoch, 0);
    row->port = (unsigned)number % 4;
    row->epoch = number;
    for (unsigned r = 0; r < ROUTERS_MAX; r++)
        row->sent[r] = number * 100 + r;
}

static void check_oldest(struct lent *lent, uint64_t number)
{
    const struct lent_row *row = lent_oldest(lent);
    cr_assert(row);
    cr_assert_eq(row->port, number % 4);
    cr_assert_eq(row->epoch, number);
    for (unsigned r = 0; r < ROUTERS_MAX; r++)
        cr_assert_eq(row->sent[r], number * 100 + r);
}

Test(lent, is_a_fifo)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct lent lent = {0};
        struct prng prng;
        uint64_t added = 0, dropped = 0;
        prng_seed(&prng, seed);
        for (unsigned step = 0; step < 2000; step++) {
            /* Grows for a while, then drains. */
            if (prng_below(&prng, 8) < (step / 400 % 2 ? 2u : 6u)) {
                add(&lent, ++added);
            } else if (dropped < added) {
                check_oldest(&lent, ++dropped);
                lent_drop_oldest(&lent);
            }
            cr_assert_eq(lent.count, added - dropped);
        }
        for (; dropped < added; lent_drop_oldest(&lent))
            check_oldest(&lent, ++dropped);
        cr_assert_null(lent_oldest(&lent));
        lent_free(&lent);
    }
}

Test(lent, rows_used_again_are_clean)
{
    struct lent lent = {0};
    uint8_t byte;
    for (int i = 0; i < 100; i++) {
        struct lent_row *row = lent_add(&lent);
        cr_assert(row->buffer == NULL && row->epoch == 0);
        row->buffer = &byte;
        row->epoch = 5;
        lent_drop_oldest(&lent);
    }
    cr_assert_leq(lent.mask, 15, "a short queue needs no more room");
    lent_free(&lent);
}
