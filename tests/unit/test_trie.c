#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "naive.h"
#include "router/trie.h"

/* A binding and what it leads to, by pattern. */
struct leaf {
    struct destination queue;
    struct binding binding;
    char pattern[600];
    bool in;
};

static void add(struct trie *trie, struct leaf *leaf)
{
    leaf->binding.destination = &leaf->queue;
    leaf->binding.key = span_str(leaf->pattern);
    trie_add(trie, &leaf->binding);
    leaf->in = true;
}

static void take_out(struct trie *trie, struct leaf *leaf)
{
    trie_remove(trie, &leaf->binding);
    leaf->in = false;
}

static size_t match_key(const struct trie *trie, const char *key, struct match *match)
{
    match->number++;
    match->count = 0;
    trie_match(trie, span_str(key), match);
    return match->count;
}

static bool matches(const char *pattern, const char *key)
{
    struct trie trie = {0};
    struct match match = {0};
    struct leaf leaf = {0};
    snprintf(leaf.pattern, sizeof leaf.pattern, "%s", pattern);
    add(&trie, &leaf);
    size_t found = match_key(&trie, key, &match);
    take_out(&trie, &leaf);
    trie_free(&trie);
    match_free(&match);
    cr_assert_leq(found, 1);
    cr_assert_eq(found == 1, naive_topic(pattern, key), "'%s' '%s'", pattern, key);
    return found == 1;
}

/* AMQP 0-9-1 section 3.1.3.3 and what RabbitMQ makes of its edges. */
Test(trie, examples)
{
    cr_assert(matches("*.stock.#", "usd.stock"));
    cr_assert(matches("*.stock.#", "eur.stock.db"));
    cr_assert_not(matches("*.stock.#", "stock.nasdaq"));
    cr_assert(matches("#", ""));
    cr_assert(matches("#", "a.b.c"));
    cr_assert(matches("#.#", ""));
    cr_assert(matches("", ""));
    cr_assert_not(matches("", "a"));
    cr_assert_not(matches("*", ""));
    cr_assert(matches("*.*", "."));
    cr_assert(matches("*", "a"));
    cr_assert_not(matches("*", "a.b"));
    cr_assert(matches("a.#", "a"));
    cr_assert(matches("#.a", "a"));
    cr_assert(matches("#.a.#.b", "a.x.a.b"));
    cr_assert_not(matches("#.a.#.b", "a.x.a.c"));
    cr_assert(matches("#.*.#", "a"));
    cr_assert_not(matches("#.*.#", ""));
    cr_assert(matches("a..b", "a..b"));
    cr_assert(matches("a.*.b", "a..b"));
    cr_assert_not(matches("a.b", "a..b"));
    cr_assert(matches("a.", "a."));
    cr_assert_not(matches("a.", "a"));
    cr_assert_not(matches("a*", "ab"));
    cr_assert(matches("a*", "a*"));
    cr_assert_not(matches("*a.##", "ba.c"));
}

Test(trie, plain_patterns)
{
    cr_assert(trie_is_plain(span_str("")));
    cr_assert(trie_is_plain(span_str("a.b*.#c")));
    cr_assert_not(trie_is_plain(span_str("a.*")));
    cr_assert_not(trie_is_plain(span_str("#")));
    cr_assert_not(trie_is_plain(span_str("a.#.b")));
}

#define LEAVES 60

static void compare(const struct trie *trie, struct leaf *leaves, const char *key, struct match *match)
{
    size_t expected = 0;
    match_key(trie, key, match);
    for (int i = 0; i < LEAVES; i++) {
        if (!leaves[i].in)
            continue;
        bool found = leaves[i].queue.matched == match->number;
        cr_assert_eq(found, naive_topic(leaves[i].pattern, key), "'%s' '%s'", leaves[i].pattern, key);
        expected += found;
    }
    cr_assert_eq(match->count, expected, "'%s': %zu, not %zu", key, match->count, expected);
}

static void random_walk(uint64_t seed)
{
    static struct leaf leaves[LEAVES];
    struct trie trie = {0};
    struct match match = {0};
    struct prng prng;
    memset(leaves, 0, sizeof leaves);
    prng_seed(&prng, seed);
    for (int step = 0; step < 1000; step++) {
        struct leaf *leaf = &leaves[prng_below(&prng, LEAVES)];
        if (leaf->in) {
            take_out(&trie, leaf);
        } else {
            naive_random_key(leaf->pattern, &prng, 6, true);
            add(&trie, leaf);
        }
        char key[20];
        naive_random_key(key, &prng, 7, false);
        compare(&trie, leaves, key, &match);
    }
    for (int i = 0; i < LEAVES; i++)
        if (leaves[i].in)
            take_out(&trie, &leaves[i]);
    trie_free(&trie); /* checks that no node is left */
    match_free(&match);
}

Test(trie, agrees_with_the_oracle)
{
    for (uint64_t seed = 0; seed < 60; seed++)
        random_walk(seed);
}

/* Exponential matchers never come back from these. */
Test(trie, many_wildcards_take_polynomial_time, .timeout = 20)
{
    struct trie trie = {0};
    struct match match = {0};
    static struct leaf leaves[40];
    for (int i = 0; i < 40; i++) {
        char *pattern = leaves[i].pattern;
        for (int j = 0; j < i; j++)
            memcpy(pattern + 4 * j, j % 3 == 0 ? "#.a." : "#.*.", 4);
        pattern[4 * i] = 'z';
        add(&trie, &leaves[i]);
    }
    char key[300] = "a";
    for (int i = 1; i < 127; i++)
        memcpy(key + 2 * i - 1, ".a", 2);
    cr_assert_eq(match_key(&trie, key, &match), 0);
    memcpy(key + 253, ".z", 2);
    for (int i = 0; i < 100; i++)
        cr_assert_eq(match_key(&trie, key, &match), 39);
    for (int i = 0; i < 40; i++)
        take_out(&trie, &leaves[i]);
    trie_free(&trie);
    match_free(&match);
}

static void fill_with_words(struct leaf *leaf, int i)
{
    snprintf(leaf->pattern, sizeof leaf->pattern, "stocks.%d.*.%d", i % 100, i);
}

/* With a thousand times the bindings a match finds its one, and looks at no more nodes. */
Test(trie, large)
{
    enum { MANY = 20000 };
    struct leaf *leaves = calloc(MANY, sizeof *leaves);
    struct trie trie = {0};
    struct match match = {0};
    for (int i = 0; i < MANY; i++) {
        fill_with_words(&leaves[i], i);
        add(&trie, &leaves[i]);
    }
    for (int i = 0; i < MANY; i++) {
        char key[50];
        snprintf(key, sizeof key, "stocks.%d.x.%d", i % 100, i);
        cr_assert_eq(match_key(&trie, key, &match), 1);
        cr_assert_eq(match.found[0], &leaves[i].queue);
        cr_assert_leq(match.states[0].room + match.states[1].room, 32);
    }
    for (int i = 0; i < MANY; i++)
        take_out(&trie, &leaves[i]);
    trie_free(&trie);
    match_free(&match);
    free(leaves);
}
