/* Who is next: priorities, turns, the single active consumer. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/prng.h"
#include "consumer_site.h"
#include "router/table_out.h"

/* As after a delivery. */
static struct consumer *turn(struct site *s)
{
    struct consumer *c = s->queue->ready;
    s->queue->ready = c->next;
    return c;
}

static void credit(struct site *s, struct consumer *c, int64_t credit)
{
    c->credit = credit;
    consumer_update(s->router, c);
}

static void cancel(struct site *s, struct consumer *c)
{
    cr_assert_not(queue_cancel(s->router, c));
}

/* ---- priorities ------------------------------------------------------------------------------ */

Test(consumer, those_of_one_priority_take_turns)
{
    struct site *s = site_new(TYPE_CLASSIC, SETTINGS, 0);
    struct consumer *a = site_consume(s, (struct wishes){0}), *b = site_consume(s, (struct wishes){0}),
                    *c = site_consume(s, (struct wishes){0});
    cr_assert(turn(s) == a && turn(s) == b && turn(s) == c && turn(s) == a);
    credit(s, c, 0);
    cr_assert(turn(s) == b && turn(s) == a && turn(s) == b);
    credit(s, c, 1);
    cr_assert(turn(s) == a && turn(s) == b && turn(s) == c);
    site_free(s);
}

Test(consumer, the_highest_that_is_ready_is_next)
{
    struct site *s = site_new(TYPE_CLASSIC, SETTINGS, 0);
    struct consumer *low = site_consume(s, (struct wishes){.priority = INT64_MIN}),
                    *high = site_consume(s, (struct wishes){.priority = INT64_MAX}),
                    *middle = site_consume(s, (struct wishes){0}),
                    *other = site_consume(s, (struct wishes){0});
    cr_assert(turn(s) == high && turn(s) == high);
    credit(s, high, 0);
    cr_assert(turn(s) == middle && turn(s) == other);
    credit(s, middle, 0);
    credit(s, other, 0);
    cr_assert(turn(s) == low);
    credit(s, other, 1);
    cr_assert(turn(s) == other);
    credit(s, high, 1);
    credit(s, middle, 1);
    cr_assert(turn(s) == high);
    cancel(s, high);
    cr_assert(turn(s) == other && turn(s) == middle);
    cancel(s, other);
    cancel(s, middle);
    cr_assert(turn(s) == low);
    cancel(s, low);
    cr_assert(!s->queue->ready && !s->queue->all && !s->queue->ranks && !s->queue->top);
    site_free(s);
}

Test(consumer, priorities_have_an_end)
{
    struct site *s = site_new(TYPE_CLASSIC, SETTINGS, 0);
    char text[200];
    uint8_t arguments[32];
    struct op *op = calloc(1, sizeof *op);
    for (int64_t i = 0; i < CONSUMER_PRIORITIES_MAX; i++)
        site_consume(s, (struct wishes){.priority = i});
    site_consume(s, (struct wishes){.priority = 7});
    uint8_t *end = put_field_long(arguments, "x-priority", CONSUMER_PRIORITIES_MAX);
    op->arguments = span_of(arguments, (size_t)(end - arguments));
    cr_assert_not(consumer_check(s->queue, op, "queue 'q'", text, sizeof text));
    cr_assert_str_eq(
        text, "invalid arg 'x-priority' for queue 'q': its consumers have 256 different priorities already");
    free(op);
    site_free(s);
}

/* ---- against a naive one --------------------------------------------------------------------- */

enum { MOST = 12, PRIORITIES = 4 };

/* Those that are ready, in the order of their turns, and all in the order of their coming. */
struct naive {
    struct consumer *ready[MOST], *all[MOST];
    unsigned readies, count;
};

static void take_out(struct consumer **list, unsigned *count, const struct consumer *c)
{
    for (unsigned i = 0; i < *count; i++)
        if (list[i] == c) {
            memmove(&list[i], &list[i + 1], (--*count - i) * sizeof *list);
            return;
        }
}

static bool is_in(struct consumer *const *list, unsigned count, const struct consumer *c)
{
    for (unsigned i = 0; i < count; i++)
        if (list[i] == c)
            return true;
    return false;
}

static struct consumer *best(struct consumer *const *list, unsigned count)
{
    struct consumer *found = count ? list[0] : NULL;
    for (unsigned i = 1; i < count; i++)
        if (list[i]->rank->priority > found->rank->priority)
            found = list[i];
    return found;
}

static void step(struct site *s, struct naive *n, struct prng *prng)
{
    struct consumer *c = n->count ? n->all[prng_below(prng, n->count)] : NULL;
    switch (prng_below(prng, 5)) {
    case 0:
        if (n->count == MOST)
            return;
        c = site_consume(s, (struct wishes){.priority = (int64_t)prng_below(prng, PRIORITIES) - 2});
        n->ready[n->readies++] = n->all[n->count++] = c;
        return;
    case 1:
        if (!c || prng_below(prng, 3))
            return;
        take_out(n->ready, &n->readies, c);
        take_out(n->all, &n->count, c);
        cancel(s, c);
        return;
    case 2:
        if (!c)
            return;
        if (is_in(n->ready, n->readies, c))
            take_out(n->ready, &n->readies, c);
        else
            n->ready[n->readies++] = c;
        credit(s, c, is_in(n->ready, n->readies, c));
        return;
    default:
        if (!n->readies)
            return;
        c = turn(s);
        take_out(n->ready, &n->readies, c);
        n->ready[n->readies++] = c;
    }
}

Test(consumer, turns_are_those_of_a_list)
{
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct site *s = site_new(TYPE_CLASSIC, SETTINGS, 0);
        struct prng prng;
        struct naive n = {.count = 0};
        prng_seed(&prng, seed);
        for (int i = 0; i < 300; i++) {
            step(s, &n, &prng);
            cr_assert_eq(s->queue->ready, best(n.ready, n.readies), "seed %u, step %d", (unsigned)seed, i);
            cr_assert_eq(s->queue->all, best(n.all, n.count));
        }
        site_free(s);
    }
}

/* ---- the single active one ------------------------------------------------------------------- */

/* Exactly one may be sent anything, and it is this one. */
static void is_active(struct site *s, struct consumer *c)
{
    cr_assert_eq(s->queue->shape->active, c);
    for (struct consumer *other = s->queue->all; other; other = other->all_next)
        cr_assert_eq(!!(other->held & HELD_WAITING), other != c);
    cr_assert(!s->queue->ready || (s->queue->ready == c && c->next == c));
}

Test(consumer, the_oldest_of_the_highest_takes_over)
{
    struct site *s = site_new(TYPE_CLASSIC, SETTING_SINGLE_ACTIVE, 1);
    struct consumer *a = site_consume(s, (struct wishes){0}), *b = site_consume(s, (struct wishes){0}),
                    *high = site_consume(s, (struct wishes){.priority = 1}),
                    *late = site_consume(s, (struct wishes){.priority = 1});
    is_active(s, a);
    credit(s, a, 0);
    cr_assert_null(s->queue->ready);
    credit(s, b, 3);
    cr_assert_null(s->queue->ready);
    credit(s, a, 1);
    is_active(s, a);
    cancel(s, a);
    is_active(s, high);
    cancel(s, high);
    is_active(s, late);
    cancel(s, b);
    is_active(s, late);
    a = site_consume(s, (struct wishes){0});
    cancel(s, late);
    is_active(s, a);
    cancel(s, a);
    cr_assert(!s->queue->shape->active && !s->queue->ready);
    is_active(s, site_consume(s, (struct wishes){0}));
    site_free(s);
}

Test(consumer, of_a_quorum_queue_a_higher_one_waits_for_answers_only)
{
    struct site *s = site_new(TYPE_QUORUM, SETTING_SINGLE_ACTIVE, 1);
    struct consumer *a = site_consume(s, (struct wishes){0}),
                    *b = site_consume(s, (struct wishes){.priority = 1});
    is_active(s, b);
    credit(s, b, 8);
    struct consumer *c = site_consume(s, (struct wishes){.priority = 2});
    is_active(s, b);
    cr_assert(b->held == HELD_LEAVING && !s->queue->ready);
    credit(s, b, 9);
    is_active(s, b);
    credit(s, b, 10);
    is_active(s, c);
    credit(s, c, 9);
    struct consumer *d = site_consume(s, (struct wishes){.priority = 3});
    cr_assert_eq(c->held, HELD_LEAVING);
    cancel(s, d);
    is_active(s, c);
    cr_assert(c->held == 0 && s->queue->ready == c);
    d = site_consume(s, (struct wishes){.priority = 3});
    cancel(s, c);
    is_active(s, d);
    cancel(s, d);
    is_active(s, b);
    cancel(s, b);
    is_active(s, a);
    site_free(s);
}

Test(consumer, one_that_needs_no_answers_makes_room_at_once)
{
    struct site *s = site_new(TYPE_QUORUM, SETTING_SINGLE_ACTIVE, 1);
    site_consume(s, (struct wishes){.no_ack = true});
    is_active(s, site_consume(s, (struct wishes){.priority = 1}));
    site_free(s);
}
