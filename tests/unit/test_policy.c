#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "naive.h"
#include "router/policy.h"

enum { HERE = 7, THERE = 8 };

static struct policies policies;

static struct span definition(const char *key, double number)
{
    static uint8_t bytes[NAIVE_BYTES_MAX];
    return naive_encode(&(struct naive_table){1, {{key, 'l', "", number}}}, bytes);
}

static struct policy words(const char *name, const char *pattern, int32_t priority, enum policy_target target)
{
    struct policy p = {.vhost = HERE, .priority = priority, .target = (uint8_t)target};
    name_set(&p.name, span_str(name));
    name_set(&p.pattern, span_str(pattern));
    p.definition = definition("max-length", 1);
    return p;
}

/* Into the table, in place of one of its name. */
static void put(struct policy p)
{
    char why[600] = "";
    struct policy *copy = policy_copy(&p, why, sizeof why);
    cr_assert(copy->code, "%s", why);
    policy_free(policies_put(&policies, copy));
}

static struct policy *of_queue(const char *name, enum queue_type type)
{
    uint8_t bytes[NAIVE_BYTES_MAX];
    struct settings s;
    struct naive_table t = {1, {{"x-queue-type", 'S', type == TYPE_QUORUM ? "quorum" : "classic", 0}}};
    settings_load(&s, naive_encode(&t, bytes));
    return policy_of_queue(&policies, false, HERE, span_str(name), &s);
}

static void holds(const char *queue, const char *wanted)
{
    struct policy *p = of_queue(queue, TYPE_CLASSIC);
    cr_assert_eq(p != NULL, wanted != NULL, "%s", queue);
    cr_assert(!p || span_is(name_span(&p->name), wanted), "%s: %.*s", queue, p->name.len, p->name.bytes);
}

Test(policy, none_holds_where_there_is_none)
{
    holds("q", NULL);
    cr_assert_null(policy_of_exchange(&policies, HERE, span_str("")));
    policies_free(&policies);
}

Test(policy, a_pattern_is_found_anywhere)
{
    put(words("p", "b", 0, POLICY_ALL));
    holds("abc", "p");
    holds("ac", NULL);
    put(words("p", "^b+$", 0, POLICY_ALL));
    holds("abc", NULL);
    holds("bb", "p");
    put(words("p", "", 0, POLICY_ALL));
    holds("", "p");
    put(words("p", "^.$", 0, POLICY_ALL));
    holds("\xff", "p");
    holds("\xc3\xb6", NULL); /* bytes, not characters */
    cr_assert_eq(policies.count, 1);
    policies_free(&policies);
}

Test(policy, the_highest_priority_holds_and_of_equals_the_first_by_name)
{
    put(words("b", "q", 0, POLICY_ALL));
    put(words("a", "q", 0, POLICY_ALL));
    put(words("ab", "q", 0, POLICY_ALL));
    holds("q", "a");
    put(words("low", "q", -1, POLICY_ALL));
    holds("q", "a");
    put(words("high", "1", 1, POLICY_ALL));
    holds("q1", "high");
    holds("q", "a");
    put(words("b", "q", INT32_MAX, POLICY_ALL));
    holds("q1", "b");
    struct policy *a = policies_find(&policies, HERE, false, span_str("a"));
    policies_remove(&policies, a);
    policy_free(a);
    cr_assert_null(policies_find(&policies, HERE, false, span_str("a")));
    put(words("b", "q", INT32_MIN, POLICY_ALL));
    holds("q", "ab");
    policies_free(&policies);
}

Test(policy, each_is_for_what_it_says)
{
    static const struct {
        const char *word;
        bool classic, quorum, exchange;
    } cases[] = {
        {"all", true, true, true},
        {"queues", true, true, false},
        {"classic_queues", true, false, false},
        {"quorum_queues", false, true, false},
        {"streams", false, false, false},
        {"exchanges", false, false, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum policy_target target = policy_target_of(span_str(cases[i].word));
        cr_assert_str_eq(policy_target_name((uint8_t)target), cases[i].word);
        put(words("p", "x", 0, target));
        cr_assert_eq(of_queue("x", TYPE_CLASSIC) != NULL, cases[i].classic, "%s", cases[i].word);
        cr_assert_eq(of_queue("x", TYPE_QUORUM) != NULL, cases[i].quorum, "%s", cases[i].word);
        cr_assert_eq(policy_of_exchange(&policies, HERE, span_str("x")) != NULL, cases[i].exchange);
    }
    cr_assert_eq(policy_target_of(span_str("queue")), POLICY_TARGETS);
    cr_assert_eq(policy_target_of(span_str("")), POLICY_TARGETS);
    policies_free(&policies);
}

Test(policy, virtual_hosts_and_kinds_are_apart)
{
    struct policy p = words("p", "x", 0, POLICY_ALL);
    p.vhost = THERE;
    put(p);
    holds("x", NULL);
    p.vhost = HERE;
    p.is_operator = true;
    put(p);
    holds("x", NULL);
    cr_assert_null(policy_of_exchange(&policies, HERE, span_str("x")));
    p.is_operator = false;
    put(p);
    holds("x", "p");
    cr_assert_eq(policies.count, 3);
    struct settings s;
    settings_load(&s, (struct span){NULL, 0});
    cr_assert(policy_of_queue(&policies, true, HERE, span_str("x"), &s)->is_operator);
    policies_free(&policies);
}

Test(policy, one_that_says_what_the_type_cannot_be_told_is_not_for_it)
{
    struct policy p = words("p", "x", 5, POLICY_ALL);
    p.definition = definition("delivery-limit", 1);
    put(p);
    p = words("other", "x", 0, POLICY_ALL);
    put(p);
    holds("x", "other");
    cr_assert(span_is(name_span(&of_queue("x", TYPE_QUORUM)->name), "p"));
    policies_free(&policies);
}

Test(policy, a_pattern_that_cannot_be_compiled_is_told)
{
    static const char *const patterns[] = {"(",   "[z-a]",   "a{99999}", "(?<n",
                                           "\\C", "(*UTF)a", "(*UCP)a",  "*"};
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        char why[600] = "";
        struct policy p = words("p", patterns[i], 0, POLICY_ALL), *copy = policy_copy(&p, why, sizeof why);
        cr_assert_null(copy->code, "%s", patterns[i]);
        cr_assert(strstr(why, "is not a regular expression: "), "%s", why);
        policy_free(policies_put(&policies, copy)); /* as when an older broker had made it */
        holds("a", NULL);
    }
    policies_free(&policies);
}

/* What takes too long is bounded, and the next one holds. */
Test(policy, no_pattern_takes_for_ever, .timeout = 60)
{
    static const char *const patterns[] = {
        "(a+)+$",        "(a|a)*$",           "(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)b",
        "(?:(?:a*)*)*c", "^(a?){200}a{200}$", "(?R)?a"};
    char name[256];
    memset(name, 'a', 250);
    memcpy(name + 250, "-", 2);
    put(words("other", "-$", 0, POLICY_ALL));
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        put(words("slow", patterns[i], 1, POLICY_ALL));
        for (unsigned n = 0; n < 1000; n++)
            cr_assert(of_queue(name, TYPE_CLASSIC), "%s", patterns[i]);
    }
    policies_free(&policies);
}

/* Any bytes are a pattern or none, and any name is looked at. */
Test(policy, any_bytes_may_come)
{
    static const char letters[] = "ab(|)*+?[]{1,}\\^$.:=!<>RPdwsbQE#-&'";
    struct prng prng;
    prng_seed(&prng, 1);
    for (unsigned n = 0; n < 20000; n++) {
        char pattern[24], name[16] = "";
        size_t len = prng_next(&prng) % sizeof pattern;
        for (size_t i = 0; i < len; i++)
            pattern[i] = letters[prng_next(&prng) % (sizeof letters - 1)];
        for (size_t i = 0; i < sizeof name - 1; i++)
            name[i] = (char)(1 + prng_next(&prng) % 255);
        struct policy p = words("p", "", 0, POLICY_ALL);
        name_set(&p.pattern, span_of(pattern, len));
        char why[600] = "";
        policy_free(policies_put(&policies, policy_copy(&p, why, sizeof why)));
        of_queue(name, TYPE_CLASSIC);
        of_queue("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabbbb", TYPE_CLASSIC);
    }
    policies_free(&policies);
}

Test(policy, a_definition_is_checked)
{
    static const struct {
        struct naive_field field;
        bool of_operator;
        const char *text; /* NULL: right */
    } cases[] = {
        {{"max-length", 'l', "", 1}, false, NULL},
        {{"max-length", 'l', "", 1}, true, NULL},
        {{"delivery-limit", 'l', "", 1}, true, NULL},
        {{"overflow", 'S', "drop-head", 0}, false, NULL},
        {{"overflow", 'S', "drop-head", 0}, true, "'overflow' is not something an operator policy can say"},
        {{"alternate-exchange", 'S', "x", 0}, false, NULL},
        {{"alternate-exchange", 'S', "x", 0}, true, "'alternate-exchange' is not something a policy can say"},
        {{"alternate-exchange", 'S', "", 0},
         false,
         "invalid value for 'alternate-exchange': it is the name of an exchange"},
        {{"alternate-exchange", 'l', "", 1},
         false,
         "invalid value for 'alternate-exchange': it is the name of an exchange"},
        {{"max-lengthy", 'l', "", 1}, false, "'max-lengthy' is not something a policy can say"},
        {{"expires", 'l', "", 0}, true, "invalid value for 'expires': {value_zero,0}"},
    };
    char text[600];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t bytes[NAIVE_BYTES_MAX];
        struct naive_table t = {2, {{"message-ttl", 'l', "", 5}, cases[i].field}};
        bool ok = policy_check(naive_encode(&t, bytes), cases[i].of_operator, text, sizeof text);
        cr_assert_eq(ok, cases[i].text == NULL, "%s", cases[i].field.name);
        if (!ok)
            cr_assert_str_eq(text, cases[i].text);
    }
    cr_assert(!policy_check((struct span){NULL, 0}, false, text, sizeof text));
    cr_assert_str_eq(text, "the definition says nothing");
}
