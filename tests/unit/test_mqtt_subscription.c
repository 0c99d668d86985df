#include "codec/mqtt/subscription.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "naive.h"

enum { FILTERS = 24 };

struct kept {
    char filter[64];
    struct wish wish;
    bool in;
};

static struct wish random_wish(struct prng *prng, bool plain)
{
    return (struct wish){
        .qos = (uint8_t)prng_below(prng, plain ? 1 : 3),
        .no_local = !plain && !prng_below(prng, 4),
        .as_published = !plain && !prng_below(prng, 4),
        .id = plain || !prng_below(prng, 2) ? 0 : 1 + (uint32_t)prng_below(prng, 268435455),
    };
}

static bool tells(const struct verdict *verdict, uint32_t id)
{
    for (unsigned i = 0; i < verdict->ids; i++)
        if (verdict->id[i] == id)
            return true;
    return false;
}

/* A message of the session's queue matches one of its bindings, or one that has been removed. */
static void judge(struct subscriptions *subs, const struct kept *kept, const char *key, bool own)
{
    bool wanted = false, as_published = false, any = false;
    unsigned qos = 0, ids = 0;
    for (unsigned i = 0; i < FILTERS; i++)
        any |= kept[i].in && naive_topic(kept[i].filter, key);
    if (!any && !subs->strays)
        return;
    struct verdict verdict = subscriptions_judge(subs, span_str(key), own);
    for (unsigned i = 0; i < FILTERS; i++) {
        const struct kept *k = &kept[i];
        bool spared = key[0] == '$' && (k->filter[0] == '*' || k->filter[0] == '#');
        if (!k->in || !naive_topic(k->filter, key) || spared || (own && k->wish.no_local))
            continue;
        wanted = true;
        qos = k->wish.qos > qos ? k->wish.qos : qos;
        as_published |= k->wish.as_published;
        ids += k->wish.id != 0;
        cr_assert(!k->wish.id || tells(&verdict, k->wish.id), "'%s' '%s'", k->filter, key);
    }
    cr_assert_eq(verdict.wanted, wanted, "'%s'", key);
    cr_assert_eq(verdict.qos, qos, "'%s'", key);
    cr_assert_eq(verdict.as_published, as_published, "'%s'", key);
    cr_assert_eq(verdict.ids, ids, "'%s'", key);
}

static void change(struct subscriptions *subs, struct kept *kept, struct prng *prng, bool plain)
{
    struct kept *k = &kept[prng_below(prng, FILTERS)];
    const struct span none = span_of("", 0);
    struct subscription *s = k->in ? subscription_find(subs, none, span_str(k->filter)) : NULL;
    cr_assert_eq(!!s, k->in);
    if (s && !prng_below(prng, 2)) {
        subscription_remove(subs, s);
        k->in = false;
        return;
    }
    if (!s) {
        naive_random_key(k->filter, prng, 4, true);
        if (!k->filter[0] || subscription_find(subs, none, span_str(k->filter)))
            return;
    }
    k->wish = random_wish(prng, plain);
    subscription_set(subs, none, span_str(k->filter), &k->wish);
    k->in = true;
}

static void play(unsigned seed, bool plain)
{
    struct subscriptions subs;
    struct prng prng;
    struct kept kept[FILTERS] = {0};
    char key[64];
    prng_seed(&prng, seed);
    subscriptions_init(&subs);
    for (unsigned step = 0; step < 2000; step++) {
        change(&subs, kept, &prng, plain);
        naive_random_key(key, &prng, 5, false);
        if (key[0] && !prng_below(&prng, 4))
            key[0] = '$';
        judge(&subs, kept, key, !prng_below(&prng, 3));
    }
    subscriptions_free(&subs);
}

Test(mqtt_subscription, verdicts_are_those_of_a_naive_matcher, .timeout = 60)
{
    for (unsigned seed = 0; seed < 30; seed++)
        play(seed, false);
}

/* All say the same: nothing need be looked at. */
Test(mqtt_subscription, so_are_those_of_subscriptions_that_are_all_alike, .timeout = 60)
{
    for (unsigned seed = 0; seed < 10; seed++)
        play(seed, true);
}

Test(mqtt_subscription, groups_are_told_apart)
{
    struct subscriptions subs;
    struct wish one = {.qos = 1}, two = {.qos = 2, .id = 7};
    subscriptions_init(&subs);
    subscription_set(&subs, span_of("", 0), span_str("ab.c"), &one);
    struct subscription *s = subscription_set(&subs, span_str("a"), span_str("b.c"), &two);
    cr_assert_neq(subscription_find(&subs, span_of("", 0), span_str("ab.c")), s);
    cr_assert_eq(subscription_find(&subs, span_str("a"), span_str("b.c")), s);
    cr_assert_null(subscription_find(&subs, span_str("ab"), span_str(".c")));
    cr_assert_null(subscription_find(&subs, span_of("", 0), span_str("b.c")));
    cr_assert_eq(subscriptions_judge(&subs, span_str("ab.c"), false).qos, 1);
    struct verdict verdict = subscription_judge(s, span_str("b.c"));
    cr_assert(verdict.wanted && verdict.qos == 2 && verdict.ids == 1 && verdict.id[0] == 7);
    subscriptions_free(&subs);
}

Test(mqtt_subscription, of_more_identifiers_than_fit_some_are_told)
{
    struct subscriptions subs;
    char filter[32];
    subscriptions_init(&subs);
    for (unsigned i = 0; i < 2 * VERDICT_IDS_MAX; i++) {
        struct wish wish = {.id = i + 1};
        for (unsigned bit = 0; bit < 11; bit++) /* a pattern for each number */
            memcpy(filter + 2 * bit, i >> bit & 1 ? "a." : "*.", 2);
        filter[21] = 0;
        subscription_set(&subs, span_of("", 0), span_str(filter), &wish);
    }
    cr_assert_eq(subscriptions_judge(&subs, span_str("a.a.a.a.a.a.a.a.a.a.a"), false).ids, VERDICT_IDS_MAX);
    subscriptions_free(&subs);
}

Test(mqtt_subscription, a_wish_is_kept_with_its_binding)
{
    for (unsigned i = 0; i < 3 * 2 * 2 * 3 * 2; i++) {
        struct wish wish = {.qos = i % 3,
                            .no_local = i / 3 % 2,
                            .as_published = i / 6 % 2,
                            .handling = i / 12 % 3,
                            .id = i / 36 ? 268435455 : 0},
                    read;
        uint8_t table[WISH_BYTES];
        size_t len = wish_put(table, &wish);
        cr_assert_leq(len, WISH_BYTES);
        wish_read(span_of(table, len), &read);
        cr_assert(read.qos == wish.qos && read.no_local == wish.no_local && read.id == wish.id &&
                  read.as_published == wish.as_published && read.handling == wish.handling);
    }
    struct wish none;
    wish_read(span_of("", 0), &none); /* a binding that somebody else has made */
    cr_assert_eq(none.qos, 0);
}
