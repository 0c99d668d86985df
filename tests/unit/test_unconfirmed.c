/* Which acknowledgements a publisher gets, against an array of the publishes that it waits for. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/map.h"
#include "codec/unconfirmed.h"

enum { MOST = 2000 };

static unsigned returned, dropped;

static void decided(void *owner, const struct kept_return *kept, bool routed)
{
    (void)owner;
    cr_assert_eq(kept->seq, kept->event.tag);
    if (routed)
        dropped++;
    else
        returned++;
}

Test(unconfirmed, in_order_is_one_acknowledgement)
{
    struct unconfirmed u;
    struct confirmed told;
    unconfirmed_init(&u, 10);
    for (int i = 0; i < 1000; i++)
        unconfirmed_add(&u, 1, true);
    unconfirmed_answer(&u, 10, 600, 0, decided, NULL);
    cr_assert(unconfirmed_take(&u, &told));
    cr_assert_eq(told.seq, 609);
    cr_assert(told.multiple && !told.refused);
    cr_assert(!unconfirmed_take(&u, &told));
    unconfirmed_answer(&u, 610, 1, 0, decided, NULL);
    cr_assert(unconfirmed_take(&u, &told));
    cr_assert_eq(told.seq, 610);
    cr_assert(!told.multiple);
    unconfirmed_free(&u, decided, NULL);
}

Test(unconfirmed, what_overtakes_is_told_alone)
{
    struct unconfirmed u;
    struct confirmed told;
    unconfirmed_init(&u, 1);
    for (int i = 0; i < 4; i++)
        unconfirmed_add(&u, 1, true);
    unconfirmed_answer(&u, 2, 2, 0, decided, NULL);
    cr_assert(unconfirmed_take(&u, &told) && told.seq == 2 && !told.multiple);
    cr_assert(unconfirmed_take(&u, &told) && told.seq == 3 && !told.multiple);
    cr_assert(!unconfirmed_take(&u, &told));
    unconfirmed_answer(&u, 1, 1, 0, decided, NULL);
    unconfirmed_answer(&u, 4, 1, 0, decided, NULL);
    cr_assert(unconfirmed_take(&u, &told) && told.seq == 4 && told.multiple);
    cr_assert(!unconfirmed_take(&u, &told));
    unconfirmed_free(&u, decided, NULL);
}

Test(unconfirmed, refusals_are_told_apart)
{
    struct unconfirmed u;
    struct confirmed told;
    unconfirmed_init(&u, 1);
    for (int i = 0; i < 6; i++)
        unconfirmed_add(&u, 1, true);
    unconfirmed_answer(&u, 1, 2, 0, decided, NULL);
    unconfirmed_answer(&u, 3, 2, CONFIRM_REFUSED, decided, NULL);
    unconfirmed_answer(&u, 5, 2, 0, decided, NULL);
    cr_assert(unconfirmed_take(&u, &told) && told.seq == 2 && told.multiple && !told.refused);
    cr_assert(unconfirmed_take(&u, &told) && told.seq == 4 && told.multiple && told.refused);
    cr_assert(unconfirmed_take(&u, &told) && told.seq == 6 && told.multiple && !told.refused);
    cr_assert(!unconfirmed_take(&u, &told));
    cr_assert(u.refused);
    unconfirmed_free(&u, decided, NULL);
}

Test(unconfirmed, a_kept_return_is_decided_by_the_last_answer)
{
    struct unconfirmed u;
    struct event_deliver event = {.tag = 1};
    unconfirmed_init(&u, 1);
    for (int i = 0; i < 3; i++)
        unconfirmed_add(&u, 3, true);
    cr_assert(unconfirmed_keep(&u, 0, &event));
    event.tag = 2;
    cr_assert(unconfirmed_keep(&u, 1, &event));
    event.tag = 3;
    cr_assert(unconfirmed_keep(&u, 1, &event));
    event.tag = 4;
    cr_assert(!unconfirmed_keep(&u, 1, &event));
    unconfirmed_answer(&u, 1, 3, CONFIRM_UNROUTED, decided, NULL);
    unconfirmed_answer(&u, 1, 1, CONFIRM_UNROUTED, decided, NULL);
    unconfirmed_answer(&u, 2, 1, 0, decided, NULL);
    cr_assert_eq(returned + dropped, 0);
    unconfirmed_answer(&u, 1, 2, CONFIRM_UNROUTED, decided, NULL);
    cr_assert_eq(returned, 1);
    cr_assert_eq(dropped, 1);
    unconfirmed_free(&u, decided, NULL);
    cr_assert_eq(dropped, 2);
}

Test(unconfirmed, one_router_returns_at_once)
{
    struct unconfirmed u;
    unconfirmed_init(&u, 1);
    unconfirmed_add(&u, 1, true);
    cr_assert(!unconfirmed_keep(&u, 0, &(struct event_deliver){.tag = 1}));
    unconfirmed_free(&u, decided, NULL);
}

Test(unconfirmed, late_and_unknown_answers_are_nothing)
{
    struct unconfirmed u;
    struct confirmed told;
    unconfirmed_init(&u, 100);
    unconfirmed_add(&u, 1, true);
    unconfirmed_answer(&u, 1, 50, 0, decided, NULL);
    unconfirmed_answer(&u, 101, 50, 0, decided, NULL);
    cr_assert(!unconfirmed_take(&u, &told));
    unconfirmed_answer(&u, 90, 50, 0, decided, NULL);
    unconfirmed_answer(&u, 100, 1, 0, decided, NULL);
    cr_assert(unconfirmed_take(&u, &told) && told.seq == 100);
    cr_assert_eq(u.unanswered, 0);
    unconfirmed_free(&u, decided, NULL);
}

/* ---- a model
 * -------------------------------------------------------------------------------------------------- */

struct model {
    uint8_t waiting[MOST], told[MOST];
    bool refused[MOST], wanted[MOST];
};

static void tell(struct model *m, const struct confirmed *told)
{
    uint64_t from = told->multiple ? 0 : told->seq;
    cr_assert(!m->told[told->seq]);
    for (uint64_t seq = from; seq <= told->seq; seq++) {
        cr_assert_eq(m->waiting[seq], 0, "%lu is told before it is answered", seq);
        if (!m->wanted[seq] || m->told[seq])
            continue;
        cr_assert_eq(m->refused[seq], told->refused);
        m->told[seq] = 1;
    }
}

static void play(uint64_t seed)
{
    struct unconfirmed u;
    struct model *m = calloc(1, sizeof *m);
    struct confirmed told;
    unconfirmed_init(&u, 0);
    uint64_t next = 0;
    for (uint64_t step = 0; next < MOST || u.unanswered; step++) {
        uint64_t chance = hash_id(seed * 1000003 + step);
        if (next < MOST && chance % 3 == 0) {
            m->wanted[next] = chance >> 8 & 3;
            m->waiting[next] = m->wanted[next] ? 1 + (chance >> 12) % 3 : 0;
            if (m->wanted[next])
                unconfirmed_add(&u, m->waiting[next], true);
            else
                unconfirmed_skip(&u);
            next++;
        } else if (next) {
            uint64_t window = next < 50 ? next : 50, seq = next - 1 - (chance >> 16) % window;
            for (uint64_t s = next == MOST ? 0 : seq; s <= seq; s++) {
                if (!m->waiting[s])
                    continue;
                bool refuse = (chance >> 40) % 10 == 0;
                m->refused[s] |= refuse;
                m->waiting[s]--;
                unconfirmed_answer(&u, s, 1, refuse ? CONFIRM_REFUSED : 0, decided, NULL);
            }
        }
        for (bool more = chance >> 50 & 1; more && unconfirmed_take(&u, &told);)
            tell(m, &told);
    }
    while (unconfirmed_take(&u, &told))
        tell(m, &told);
    for (uint64_t seq = 0; seq < MOST; seq++)
        cr_assert_eq(m->told[seq], m->wanted[seq]);
    unconfirmed_free(&u, decided, NULL);
    free(m);
}

Test(unconfirmed, everyone_is_told_once)
{
    for (uint64_t seed = 1; seed < 20; seed++)
        play(seed);
}

/* One router left it to another, that has not kept it either: that is no confirm. */
Test(unconfirmed, kept_by_nobody_who_should)
{
    struct unconfirmed u;
    struct confirmed confirmed;
    unconfirmed_init(&u, 1);
    for (int i = 0; i < 3; i++)
        unconfirmed_add(&u, 2, true);
    unconfirmed_answer(&u, 1, 3, CONFIRM_UNROUTED | CONFIRM_ELSEWHERE, decided, NULL);
    cr_assert(!unconfirmed_take(&u, &confirmed));
    unconfirmed_answer(&u, 1, 1, 0, decided, NULL);
    cr_assert(!u.refused);
    unconfirmed_answer(&u, 2, 1, CONFIRM_UNROUTED, decided, NULL);
    unconfirmed_answer(&u, 3, 1, 0, decided, NULL);
    cr_assert(u.refused);
    cr_assert(unconfirmed_take(&u, &confirmed) && confirmed.seq == 1 && !confirmed.refused);
    cr_assert(unconfirmed_take(&u, &confirmed) && confirmed.seq == 2 && confirmed.refused);
    cr_assert(unconfirmed_take(&u, &confirmed) && confirmed.seq == 3 && !confirmed.refused);
    cr_assert(!unconfirmed_take(&u, &confirmed));
    unconfirmed_free(&u, decided, NULL);
}
