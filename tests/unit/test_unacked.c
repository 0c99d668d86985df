/* The deque of unacknowledged deliveries against an array that is searched from the front. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/map.h"
#include "codec/unacked.h"

enum { MOST = 3000 };

struct model {
    uint64_t tag[MOST];
    unsigned count;
};

static void push(struct unacked *u, struct model *m, uint64_t tag)
{
    cr_assert(unacked_push(u, &(struct delivery){.tag = tag, .seq = tag * 3, .state = UNACKED_LIVE}));
    m->tag[m->count++] = tag;
}

static void take(struct unacked *u, struct model *m, unsigned i)
{
    struct delivery *d = unacked_find(u, m->tag[i]);
    cr_assert(d);
    cr_assert_eq(d->seq, m->tag[i] * 3);
    unacked_remove(u, d);
    cr_assert_null(unacked_find(u, m->tag[i]));
    m->count--;
    memmove(m->tag + i, m->tag + i + 1, (m->count - i) * sizeof *m->tag);
}

static void compare(struct unacked *u, const struct model *m)
{
    cr_assert_eq(u->live, m->count);
    struct delivery *oldest = unacked_oldest(u);
    cr_assert_eq(oldest != NULL, m->count > 0);
    if (oldest)
        cr_assert_eq(oldest->tag, m->tag[0]);
    for (unsigned i = 0; i < m->count; i++)
        cr_assert_eq(unacked_find(u, m->tag[i])->tag, m->tag[i]);
}

Test(unacked, does_what_an_array_does)
{
    struct unacked u = {0};
    struct model *m = calloc(1, sizeof *m);
    uint64_t tag = 0;
    for (uint64_t step = 0; step < 30000; step++) {
        uint64_t chance = hash_id(step + 1);
        bool fill = step / 3000 % 2;
        if (m->count < MOST && (!m->count || chance % 100 < (fill ? 70u : 40u)))
            push(&u, m, ++tag);
        else
            take(&u, m, chance % 7 ? (unsigned)(chance >> 20) % m->count : 0);
        if (step % 500 == 0)
            compare(&u, m);
    }
    compare(&u, m);
    cr_assert_null(unacked_find(&u, 0));
    cr_assert_null(unacked_find(&u, tag + 1));
    cr_assert_null(unacked_find(&u, UINT64_MAX));
    unacked_free(&u);
    free(m);
}

Test(unacked, one_forgotten_delivery_costs_no_memory)
{
    struct unacked u = {0};
    struct model *m = calloc(1, sizeof *m);
    push(&u, m, 1);
    for (uint64_t tag = 2; tag < 100000; tag++) {
        push(&u, m, tag);
        take(&u, m, 1);
    }
    cr_assert_eq(u.live, 1);
    cr_assert_leq(u.room, 64);
    take(&u, m, 0);
    cr_assert_eq(u.count, 0);
    unacked_free(&u);
    free(m);
}

Test(unacked, what_is_held_is_not_found)
{
    struct unacked u = {0};
    cr_assert(unacked_push(&u, &(struct delivery){.tag = 1, .state = UNACKED_LIVE}));
    unacked_find(&u, 1)->state = UNACKED_HELD_ACK;
    cr_assert_null(unacked_find(&u, 1));
    cr_assert_eq(unacked_oldest(&u)->tag, 1);
    unacked_free(&u);
}
