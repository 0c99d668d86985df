/* How long a consumer may keep what it was sent. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/prng.h"
#include "consumer_site.h"

#define MS 1000000ull

static void deliver(struct site *s, struct consumer *c)
{
    uint64_t seq = index_push(&s->queue->index, (struct entry){.body = 1});
    struct entry *entry = index_head(&s->queue->index, &seq);
    index_deliver(&s->queue->index, seq, entry);
    c->credit--;
    if (c->lapse)
        lapse_begin(s->router, c, entry);
}

/* A requeue, so that no page is needed. */
static void settle(struct site *s, struct consumer *c, uint64_t seq, uint32_t count)
{
    if (c->lapse)
        lapse_end(c, s->queue, seq, count);
    for (uint64_t i = seq; i < seq + count; i++) {
        struct entry *entry = index_at(&s->queue->index, i);
        index_requeue(&s->queue->index, i, entry);
        cr_assert_eq(entry->period, 0);
        index_kill(&s->queue->index, i, entry);
    }
    c->credit += count;
}

static bool lapsed_at(struct site *s, const struct consumer *c, uint64_t ms)
{
    s->router->now_ns = ms * MS;
    alarm_poll(s->router);
    return c->held & HELD_LAPSED;
}

Test(lapse, neither_early_nor_late)
{
    struct site *s = site_new(TYPE_CLASSIC, SETTING_CONSUMER_TIMEOUT, 1200);
    struct consumer *c = site_consume(s, (struct wishes){0});
    struct event_cancel event;
    cr_assert_not(lapsed_at(s, c, 5000));
    deliver(s, c);
    cr_assert_not(lapsed_at(s, c, 5099));
    deliver(s, c);
    cr_assert_not(lapsed_at(s, c, 6298));
    cr_assert_not(site_cancelled(s, &event));
    cr_assert(lapsed_at(s, c, 6299));
    cr_assert(site_cancelled(s, &event) && event.flags == CANCEL_LAPSED && event.tag == c->tag);
    cr_assert_null(s->queue->ready);
    cr_assert(lapsed_at(s, c, 9999) && !site_cancelled(s, &event), "told once");
    site_free(s);
}

Test(lapse, what_is_answered_is_forgotten)
{
    struct site *s = site_new(TYPE_CLASSIC, SETTING_CONSUMER_TIMEOUT, 1200);
    struct consumer *c = site_consume(s, (struct wishes){0});
    for (uint64_t ms = 0; ms < 5000; ms += 100) {
        cr_assert_not(lapsed_at(s, c, ms));
        deliver(s, c);
        if (ms >= 500)
            settle(s, c, ms / 100 - 4, 1);
    }
    settle(s, c, 46, 5);
    cr_assert_not(lapsed_at(s, c, 100000));
    cr_assert_eq(timers_next(&s->router->timers), UINT64_MAX);
    site_free(s);
}

Test(lapse, a_consumer_says_it_better_than_its_queue)
{
    struct site *s = site_new(TYPE_CLASSIC, SETTING_CONSUMER_TIMEOUT, 1200);
    struct consumer *quick = site_consume(s, (struct wishes){.timeout_ms = 12}),
                    *slow = site_consume(s, (struct wishes){.timeout_ms = 120000}),
                    *careless = site_consume(s, (struct wishes){.no_ack = true});
    cr_assert_null(careless->lapse);
    deliver(s, quick);
    deliver(s, slow);
    cr_assert_not(lapsed_at(s, quick, 11));
    cr_assert(lapsed_at(s, quick, 12));
    cr_assert_not(lapsed_at(s, slow, 119999));
    cr_assert(lapsed_at(s, slow, 120000));
    site_free(s);
}

/* As a policy does: what went out before counts from then on. */
Test(lapse, a_time_that_is_set_and_unset_while_something_is_out)
{
    struct site *s = site_new(TYPE_CLASSIC, SETTING_LENGTH, 1000);
    struct consumer *c = site_consume(s, (struct wishes){0});
    struct settings settings = s->queue->shape->settings;
    deliver(s, c);
    cr_assert_not(lapsed_at(s, c, 10000));
    settings.value[SETTING_CONSUMER_TIMEOUT] = 1200;
    shape_apply(s->router, s->queue, &settings);
    deliver(s, c);
    cr_assert_not(lapsed_at(s, c, 11199));
    settle(s, c, 1, 1);
    settings.value[SETTING_CONSUMER_TIMEOUT] = NO_LIMIT;
    shape_apply(s->router, s->queue, &settings);
    cr_assert_not(lapsed_at(s, c, 20000));
    deliver(s, c);
    settings.value[SETTING_CONSUMER_TIMEOUT] = 15000;
    shape_apply(s->router, s->queue, &settings);
    cr_assert_not(lapsed_at(s, c, 24999));
    settle(s, c, 2, 1);
    cr_assert_not(lapsed_at(s, c, 34999));
    cr_assert(lapsed_at(s, c, 35000));
    site_free(s);
}

/* ---- at random ------------------------------------------------------------------------------- */

enum { OUT_MOST = 200 };

struct out {
    uint64_t seq[OUT_MOST], at_ns[OUT_MOST];
    unsigned count;
};

static uint64_t oldest_ns(const struct out *out)
{
    uint64_t oldest = UINT64_MAX;
    for (unsigned i = 0; i < out->count; i++)
        oldest = out->at_ns[i] < oldest ? out->at_ns[i] : oldest;
    return oldest;
}

static void answer_some(struct site *s, struct consumer *c, struct out *out, struct prng *prng)
{
    unsigned i = (unsigned)prng_below(prng, out->count);
    settle(s, c, out->seq[i], 1);
    out->count--;
    out->seq[i] = out->seq[out->count];
    out->at_ns[i] = out->at_ns[out->count];
}

/* Alarms are polled at each step, of at most 5 ms; the time is 120 ms, and so a period 10 ms. */
Test(lapse, is_as_exact_as_it_says)
{
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct site *s = site_new(TYPE_CLASSIC, SETTING_CONSUMER_TIMEOUT, 120);
        struct consumer *c = site_consume(s, (struct wishes){0});
        struct prng prng;
        struct out out = {.count = 0};
        uint64_t now = 0;
        prng_seed(&prng, seed);
        for (int i = 0; i < 2000; i++) {
            now += prng_below(&prng, 5 * MS);
            s->router->now_ns = now;
            alarm_poll(s->router);
            uint64_t oldest = oldest_ns(&out);
            bool lapsed = c->held & HELD_LAPSED;
            cr_assert(!lapsed || now >= oldest + 120 * MS, "early: seed %u", (unsigned)seed);
            cr_assert(lapsed || oldest == UINT64_MAX || now < oldest + 130 * MS, "late: seed %u",
                      (unsigned)seed);
            if (lapsed)
                break;
            if (out.count && prng_below(&prng, 100) < 50 + seed % 5)
                answer_some(s, c, &out, &prng);
            if (out.count == OUT_MOST || prng_below(&prng, 2))
                continue;
            out.seq[out.count] = s->queue->index.tail;
            out.at_ns[out.count++] = now;
            deliver(s, c);
        }
        site_free(s);
    }
}
