#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/prng.h"
#include "router/page_list.h"

#define NUMBERS 400u

static struct page pages[NUMBERS];

/* The naive twin: which numbers are in the list. */
struct twin {
    bool in[NUMBERS];
    unsigned count;
};

static void check(const struct page_list *list, const struct twin *twin, uint64_t base)
{
    for (unsigned i = 0; i < NUMBERS; i++)
        cr_assert_eq(page_list_get(list, base + i), twin->in[i] ? &pages[i] : NULL);
    cr_assert_null(page_list_get(list, base - 1));
    cr_assert_null(page_list_get(list, base + NUMBERS));
    /* What is behind the oldest is forgotten. */
    cr_assert(list->count == 0 || list->slots[list->head] != NULL);
    cr_assert(twin->count > 0 || list->count == 0);
}

static void add(struct page_list *list, struct twin *twin, uint64_t base, unsigned i)
{
    if (twin->in[i])
        return;
    page_list_set(list, base + i, &pages[i]);
    twin->in[i] = true;
    twin->count++;
}

static void take(struct page_list *list, struct twin *twin, uint64_t base, unsigned i)
{
    if (!twin->in[i])
        return;
    page_list_remove(list, base + i);
    twin->in[i] = false;
    twin->count--;
}

/* base: of all numbers, so that large ones are tried too. */
static void add_and_take(uint64_t seed, uint64_t base)
{
    struct page_list list = {0};
    struct twin twin = {0};
    struct prng prng;
    prng_seed(&prng, seed);
    for (unsigned step = 0; step < 1500; step++) {
        unsigned i = (unsigned)prng_below(&prng, NUMBERS);
        /* Mostly filled for a while, then mostly emptied, so that it wraps and is empty at times. */
        if (prng_below(&prng, 8) < (step / 300 % 2 ? 1u : 5u))
            add(&list, &twin, base, i);
        else
            take(&list, &twin, base, i);
        if (step % 10 == 0)
            check(&list, &twin, base);
    }
    for (unsigned i = 0; i < NUMBERS; i++)
        take(&list, &twin, base, (i * 7) % NUMBERS);
    check(&list, &twin, base);
    free(list.slots);
}

Test(page_list, holds_what_an_array_would)
{
    for (uint64_t seed = 0; seed < 60; seed++)
        add_and_take(seed, seed % 2 ? UINT64_C(1) << 40 : 1);
}

/* The common life: new pages at one end, old ones gone at the other, a few that stay for long. */
Test(page_list, a_moving_window_needs_no_more_room)
{
    struct page_list list = {0};
    struct page page;
    for (uint64_t n = 0; n < 100000; n++) {
        page_list_set(&list, n, &page);
        if (n >= 10)
            page_list_remove(&list, n - 10);
        cr_assert_eq(page_list_get(&list, n), &page);
        cr_assert_null(page_list_get(&list, n + 1));
        if (n >= 10)
            cr_assert_null(page_list_get(&list, n - 10));
    }
    cr_assert_leq(list.mask, 15);
    cr_assert_eq(list.count, 10);
    free(list.slots);
}

/* A backlog: nothing goes. */
Test(page_list, grows_upwards)
{
    struct page_list list = {0};
    for (unsigned i = 0; i < NUMBERS; i++) {
        page_list_set(&list, 1000 + i, &pages[i]);
        for (unsigned j = 0; j < NUMBERS; j++)
            cr_assert_eq(page_list_get(&list, 1000 + j), j <= i ? &pages[j] : NULL);
    }
    free(list.slots);
}

/* A recovery meets pages in the order of what refers to them. */
Test(page_list, grows_downwards)
{
    struct page_list list = {0};
    for (unsigned i = NUMBERS; i-- > 0;) {
        page_list_set(&list, 1000 + i, &pages[i]);
        for (unsigned j = 0; j < NUMBERS; j++)
            cr_assert_eq(page_list_get(&list, 1000 + j), j >= i ? &pages[j] : NULL);
    }
    free(list.slots);
}

Test(page_list, empty_has_nothing)
{
    struct page_list list = {0};
    cr_assert_null(page_list_get(&list, 0));
    cr_assert_null(page_list_get(&list, UINT64_MAX));
    page_list_set(&list, 5, &pages[0]);
    page_list_remove(&list, 5);
    cr_assert_null(page_list_get(&list, 5));
    page_list_set(&list, 2, &pages[1]); /* below what it once held */
    cr_assert_eq(page_list_get(&list, 2), &pages[1]);
    free(list.slots);
}
