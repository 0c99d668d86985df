#include "codec/mqtt/topic.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/prng.h"

/* Level by level, over a copy. */
static bool naive_filter(const char *filter)
{
    char copy[64], *rest = copy;
    snprintf(copy, sizeof copy, "%s", filter);
    if (!*filter)
        return false;
    for (char *level; (level = strsep(&rest, "/"));) {
        if (strchr(level, '#') && (strcmp(level, "#") != 0 || rest))
            return false;
        if (strchr(level, '+') && strcmp(level, "+") != 0)
            return false;
    }
    return true;
}

static void random_text(char *to, struct prng *prng, const char *letters, unsigned most)
{
    unsigned n = (unsigned)prng_below(prng, most + 1);
    for (unsigned i = 0; i < n; i++)
        to[i] = letters[prng_below(prng, strlen(letters))];
    to[n] = 0;
}

Test(mqtt_topic, wildcards_stand_where_they_may)
{
    struct prng prng;
    prng_seed(&prng, 1);
    char text[64];
    for (unsigned i = 0; i < 200000; i++) {
        random_text(text, &prng, "a/+#", 8);
        cr_assert_eq(topic_filter_valid(span_str(text)), naive_filter(text), "'%s'", text);
        cr_assert_eq(topic_name_valid(span_str(text)), *text && !strpbrk(text, "+#"), "'%s'", text);
    }
}

Test(mqtt_topic, a_topic_comes_out_as_it_went_in)
{
    struct prng prng;
    prng_seed(&prng, 2);
    for (unsigned i = 0; i < 100000; i++) {
        char text[64];
        uint8_t key[64], topic[64];
        random_text(text, &prng, "ab/.*$ \xc3\xbc", 20);
        size_t len = strlen(text);
        topic_to_key(key, span_str(text));
        cr_assert(key_to_topic(topic, span_of(key, len)));
        for (size_t k = 0; k < len; k++) {
            cr_assert_eq(topic[k], (uint8_t)text[k], "'%s'", text);
            cr_assert_neq(key[k], '*', "no topic is a pattern: '%s'", text);
        }
    }
}

Test(mqtt_topic, filters_become_patterns)
{
    uint8_t key[32];
    topic_to_key(key, span_str("a/+/b.c/*/#"));
    cr_assert_eq(memcmp(key, "a.*.b/c.+.#", 11), 0);
}

Test(mqtt_topic, keys_that_are_no_topics)
{
    uint8_t topic[8];
    cr_assert_not(key_to_topic(topic, span_str("a.#")));
    cr_assert(key_to_topic(topic, span_str("*.a")));
    cr_assert_eq(memcmp(topic, "*/a", 3), 0);
}

Test(mqtt_topic, shared_filters_are_taken_apart)
{
    struct span group, filter;
    cr_assert(filter_split(span_str("$share/g/a/b"), &group, &filter));
    cr_assert(span_is(group, "g") && span_is(filter, "a/b"));
    cr_assert(filter_split(span_str("$share/g/"), &group, &filter));
    cr_assert(span_is(group, "g") && !filter.len);
    cr_assert(filter_split(span_str("$share/g//"), &group, &filter));
    cr_assert(span_is(filter, "/"));
    cr_assert(filter_split(span_str("$shared/g/a"), &group, &filter));
    cr_assert(!group.len && span_is(filter, "$shared/g/a"));
    cr_assert(filter_split(span_str("$share"), &group, &filter));
    cr_assert(!group.len);
    static const char *const wrong[] = {"$share/", "$share//a", "$share/g", "$share/g+/a", "$share/#/a"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_assert_not(filter_split(span_str(wrong[i]), &group, &filter), "%s", wrong[i]);
}

Test(mqtt_topic, wildcards_at_the_beginning_spare_topics_that_begin_with_a_dollar)
{
    cr_assert(filter_spares(span_str("#"), span_str("$SYS.x")));
    cr_assert(filter_spares(span_str("*.x"), span_str("$SYS.x")));
    cr_assert_not(filter_spares(span_str("$SYS.#"), span_str("$SYS.x")));
    cr_assert_not(filter_spares(span_str("#"), span_str("a.$x")));
    cr_assert_not(filter_spares(span_str("+"), span_str("$x"))); /* a star in a topic: no wildcard */
}

Test(mqtt_topic, a_plain_one_needs_no_second_look)
{
    uint8_t topic[40];
    for (unsigned len = 1; len <= sizeof topic; len++)
        for (unsigned at = 0; at < len; at++)
            for (unsigned c = 0; c < 256; c++) {
                memset(topic, 'a', len);
                topic[at] = (uint8_t)c;
                bool plain = c && c < 128 && c != '+' && c != '#';
                cr_assert_eq(topic_is_plain(span_of(topic, len)), plain, "%u at %u of %u", c, at, len);
            }
}
