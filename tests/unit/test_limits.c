/* The text of limits, and the counts and rates that they are held against. */
#include <criterion/criterion.h>

#include "base/tally.h"
#include "router/limits.h"

static char why[256];

/* What is read of it, written again; or NULL. */
static const char *again(const char *text, bool of_user)
{
    static char written[LIMITS_TEXT_BYTES];
    struct limits limits;
    limits_init(&limits);
    if (!limits_read(&limits, span_str(text), of_user, why, sizeof why))
        return NULL;
    limits_write(&limits, written);
    return written;
}

#define WRITTEN(text, of_user, as)                                                                           \
    do {                                                                                                     \
        const char *is = again(text, of_user);                                                               \
        cr_assert(is, "%s: %s", text, why);                                                                  \
        cr_assert_str_eq(is, as);                                                                            \
    } while (0)

Test(limits, text)
{
    WRITTEN("{}", true, "{}");
    WRITTEN(" { \"max-channels\" : 5 , \"max-connections\":-1 }\n", true,
            "{\"max-connections\":-1,\"max-channels\":5}");
    WRITTEN("{\"max-queues\":0,\"max-connections\":7}", false, "{\"max-connections\":7,\"max-queues\":0}");
    WRITTEN("{\"max-publish-rate\":100,\"max-publish-bytes-rate\":999999999999999}", false,
            "{\"max-publish-rate\":100,\"max-publish-bytes-rate\":999999999999999}");
}

static const struct {
    const char *text;
    bool of_user;
    const char *why;
} wrong[] = {
    {"", true, "limits are a JSON object with numbers, as {\"max-connections\": 10}"},
    {"[]", true, "limits are a JSON object with numbers, as {\"max-connections\": 10}"},
    {"{", true, "limits are a JSON object with numbers, as {\"max-connections\": 10}"},
    {"{\"max-connections", true, "limits are a JSON object with numbers, as {\"max-connections\": 10}"},
    {"{\"max-connections\":1,", true, "limits are a JSON object with numbers, as {\"max-connections\": 10}"},
    {"{\"max-connections\":1 2}", true,
     "limits are a JSON object with numbers, as {\"max-connections\": 10}"},
    {"{\"max-connections\":1}}", true, "limits are a JSON object with numbers, as {\"max-connections\": 10}"},
    {"{\"max-connections\":", true, "max-connections should be a number"},
    {"{\"max-connections\":-}", true, "max-connections should be a number"},
    {"{\"max-connections\":\"1\"}", true, "max-connections should be a number"},
    {"{\"max-connections\":1.5}", true, "max-connections should be a number"},
    {"{\"max-connections\":1e3}", true, "max-connections should be a number"},
    {"{\"max-connections\":1234567890123456}", true, "max-connections should be a number"},
    {"{\"max-queues\":1}", true, "Unrecognised terms in limits: a user has no 'max-queues'"},
    {"{\"max-channels\":1}", false, "Unrecognised terms in limits: a virtual host has no 'max-channels'"},
    {"{\"\":1}", false, "Unrecognised terms in limits: a virtual host has no ''"},
    {"{\"max-publish-rate\":0}", true,
     "max-publish-rate should be 1 or more, or negative for no limit: who may not publish has no permission "
     "to"},
};

Test(limits, wrong_text)
{
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cr_assert_null(again(wrong[i].text, wrong[i].of_user), "%s", wrong[i].text);
        cr_assert_str_eq(why, wrong[i].why);
    }
}

Test(limits, those_not_named_stay)
{
    struct limits limits;
    char text[LIMITS_TEXT_BYTES];
    limits_init(&limits);
    cr_assert(!limits_said(&limits));
    cr_assert(limits_read(&limits, span_str("{\"max-connections\":1}"), true, why, sizeof why));
    cr_assert(limits_read(&limits, span_str("{\"max-channels\":2}"), true, why, sizeof why));
    limits_write(&limits, text);
    cr_assert_str_eq(text, "{\"max-connections\":1,\"max-channels\":2}");
    cr_assert(limits_said(&limits));
}

/* ---- tallies ---------------------------------------------------------------------------------------------
 */

#define SECOND UINT64_C(1000000000)

Test(tally, one_for_all_who_name_it)
{
    struct tallies *all = tallies_new();
    struct tally *u = tally_take(all, TALLY_OF_USER, span_str("a")),
                 *again_u = tally_take(all, TALLY_OF_USER, span_str("a")),
                 *v = tally_take(all, TALLY_OF_VHOST, span_str("a"));
    cr_assert_eq(u, again_u);
    cr_assert_neq(u, v);
    tally_give_back(u);
    cr_assert(tally_add(again_u, TALLY_CHANNELS, 1));
    tally_share(again_u);
    tally_give_back(again_u);
    cr_assert(!tally_add(again_u, TALLY_CHANNELS, 1));
    tally_give_back(again_u);
    u = tally_take(all, TALLY_OF_USER, span_str("a"));
    cr_assert(tally_add(u, TALLY_CHANNELS, 1), "nobody held it: it is a new one");
    tally_give_back(u);
    tally_give_back(v);
    tallies_free(all);
}

Test(tally, counts)
{
    struct tallies *all = tallies_new();
    struct tally *t = tally_take(all, TALLY_OF_USER, span_str("a"));
    cr_assert(!tally_add(t, TALLY_QUEUES, 0));
    for (unsigned i = 0; i < 5; i++)
        cr_assert(tally_add(t, TALLY_QUEUES, 5));
    cr_assert(!tally_add(t, TALLY_QUEUES, 5));
    cr_assert(tally_add(t, TALLY_QUEUES, -1));
    cr_assert(!tally_add(t, TALLY_QUEUES, 5));
    tally_subtract(t, TALLY_QUEUES, 2);
    cr_assert(tally_add(t, TALLY_QUEUES, 5));
    cr_assert(tally_add(t, TALLY_CONNECTIONS, 1));
    tally_give_back(t);
    tallies_free(all);
}

/* Whoever comes is told when it is his turn; a second later than all before. */
Test(tally, rates)
{
    struct tallies *all = tallies_new();
    struct tally *t = tally_take(all, TALLY_OF_USER, span_str("a"));
    uint64_t now = 50 * SECOND;
    cr_assert_eq(tally_use(t, TALLY_MESSAGES, 1, 1, now), now);
    cr_assert_eq(tally_use(t, TALLY_MESSAGES, 1, 1, now), now + SECOND - TALLY_BURST_NS);
    cr_assert_eq(tally_use(t, TALLY_MESSAGES, 1, 1, now), now + 2 * SECOND - TALLY_BURST_NS);
    cr_assert_eq(tally_use(t, TALLY_BYTES, 1000, 5000, now), now, "one always may");
    cr_assert_eq(tally_use(t, TALLY_BYTES, 1000, 1, now), now + 5 * SECOND - TALLY_BURST_NS);
    tally_forget_use(t);
    cr_assert_eq(tally_use(t, TALLY_MESSAGES, 1, 1, now), now);
    cr_assert_eq(tally_use(t, TALLY_MESSAGES, 1, 1, now + 10 * SECOND), now + 10 * SECOND);
    for (unsigned i = 0; i < 100; i++)
        cr_assert(tally_use(t, TALLY_BYTES, 1, UINT32_MAX, now) >= now, "it doesn't come round");
    tally_give_back(t);
    tallies_free(all);
}

/* At 1000 a second, in a second there are 1000, but for what may come at once. */
Test(tally, a_rate_over_time)
{
    struct tallies *all = tallies_new();
    struct tally *t = tally_take(all, TALLY_OF_VHOST, span_str("v"));
    unsigned sent = 0;
    for (uint64_t now = SECOND; now < 2 * SECOND; sent++) {
        uint64_t at = tally_use(t, TALLY_MESSAGES, 1000, 1, now);
        now = at > now ? at : now;
    }
    cr_assert(sent >= 1000 && sent <= 1102, "%u", sent);
    tally_give_back(t);
    tallies_free(all);
}
