#include <criterion/criterion.h>

#include "base/prng.h"
#include "tcp/sent.h"
#include "tcp/seq.h"

enum { MOST = 200 };

/* The sums are those of the flags, and the segments follow each other. */
static void check(struct sent_list *list)
{
    uint32_t sacked = 0, lost = 0, again = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        const struct sent *s = sent_at(list, i);
        uint32_t len = s->end - s->seq;
        sacked += s->flags & SENT_SACKED ? len : 0;
        lost += s->flags & SENT_LOST ? len : 0;
        again += s->flags & SENT_AGAIN ? len : 0;
        cr_assert_leq(__builtin_popcount(s->flags & (SENT_SACKED | SENT_LOST | SENT_AGAIN)), 1);
        if (i)
            cr_assert_eq(sent_at(list, i - 1)->end, s->seq);
    }
    cr_assert_eq(list->sacked, sacked);
    cr_assert_eq(list->lost, lost);
    cr_assert_eq(list->again, again);
}

static void check_find(struct sent_list *list, uint32_t seq)
{
    uint32_t i = 0;
    while (i < list->count && seq_leq(sent_at(list, i)->end, seq))
        i++;
    cr_assert_eq(sent_find(list, seq), i);
}

static void change(struct sent_list *list, struct sent_pool *pool, struct prng *prng)
{
    uint32_t i = (uint32_t)prng_below(prng, list->count);
    struct sent *s = sent_at(list, i);
    switch (prng_below(prng, 6)) {
    case 0:
        sent_mark_sacked(list, s);
        break;
    case 1:
        sent_mark_lost(list, s);
        break;
    case 2:
        sent_mark_again(list, s, 5);
        cr_assert(s->flags & SENT_RETRANSMITTED);
        break;
    case 3:
        if (s->end - s->seq > 1)
            sent_split(list, pool, i, s->seq + 1 + (uint32_t)prng_below(prng, s->end - s->seq - 1));
        break;
    default:
        sent_unmark(list, sent_at(list, 0));
        sent_drop(list, pool);
        break;
    }
}

Test(tcp_sent, sums_and_order)
{
    struct sent_list list;
    struct sent_pool pool;
    struct prng prng;
    uint32_t nxt = UINT32_MAX - 20000;
    prng_seed(&prng, 3);
    blocks_init(&pool.blocks, sizeof(struct sent));
    sent_init(&list);
    for (unsigned step = 0; step < 30000; step++) {
        if (list.count < MOST && prng_chance(&prng, 300000)) {
            uint32_t len = 1 + (uint32_t)prng_below(&prng, 1460);
            *sent_add(&list, &pool) = (struct sent){.seq = nxt, .end = nxt + len};
            nxt += len;
        } else if (list.count) {
            check_find(&list, nxt - (uint32_t)prng_below(&prng, 20000));
            change(&list, &pool, &prng);
        }
        check(&list);
        if (!list.count)
            cr_assert_null(list.items, "an empty list holds memory");
    }
    sent_free(&list, &pool);
    blocks_end(&pool.blocks);
}

Test(tcp_sent, the_fin_goes_with_the_end)
{
    struct sent_list list;
    struct sent_pool pool;
    blocks_init(&pool.blocks, sizeof(struct sent));
    sent_init(&list);
    *sent_add(&list, &pool) = (struct sent){.seq = 10, .end = 31, .flags = SENT_FIN};
    sent_split(&list, &pool, 0, 20);
    cr_assert_eq(sent_at(&list, 0)->flags, 0);
    cr_assert_eq(sent_at(&list, 1)->flags, SENT_FIN);
    sent_free(&list, &pool);
    blocks_end(&pool.blocks);
}
