#include "router/word_tree.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "naive.h"

enum { NAMES = 60 };

struct named {
    char name[64];
    struct word_node *node; /* NULL: it isn't in the tree */
    unsigned seen;
};

static void see(void *owner, void *thing)
{
    (void)owner;
    ((struct named *)thing)->seen++;
}

static bool is_there(const struct named *names, const char *name)
{
    for (unsigned i = 0; i < NAMES; i++)
        if (names[i].node && strcmp(names[i].name, name) == 0)
            return true;
    return false;
}

/* '#' stands at the end of a filter only. */
static void random_pattern(char *pattern, struct prng *prng)
{
    do
        naive_random_key(pattern, prng, 5, true);
    while (strchr(pattern, '#') && strchr(pattern, '#')[1]);
}

static void match(const struct word_tree *tree, struct named *names, const char *pattern)
{
    for (unsigned i = 0; i < NAMES; i++)
        names[i].seen = 0;
    word_tree_match(tree, span_str(pattern), see, NULL);
    for (unsigned i = 0; i < NAMES; i++)
        cr_assert_eq(names[i].seen, names[i].node && naive_topic(pattern, names[i].name),
                     "'%s' '%s' was found %u times", pattern, names[i].name, names[i].seen);
}

/* Names with empty words too, but not the empty name: no topic is. */
static void change(struct word_tree *tree, struct named *named, const struct named *names, struct prng *prng)
{
    if (named->node) {
        word_tree_remove(tree, named->node);
        named->node = NULL;
        return;
    }
    naive_random_key(named->name, prng, 6, false);
    if (*named->name && !is_there(names, named->name))
        named->node = word_tree_add(tree, span_str(named->name), named);
}

Test(word_tree, what_fits_is_what_a_naive_matcher_says, .timeout = 60)
{
    static struct named names[NAMES];
    struct prng prng;
    for (unsigned seed = 0; seed < 40; seed++) {
        struct word_tree tree;
        char pattern[64];
        memset(names, 0, sizeof names);
        prng_seed(&prng, seed);
        word_tree_init(&tree);
        for (unsigned step = 0; step < 1500; step++) {
            change(&tree, &names[prng_below(&prng, NAMES)], names, &prng);
            random_pattern(pattern, &prng);
            match(&tree, names, pattern);
        }
        match(&tree, names, "#");
        word_tree_free(&tree); /* with what is in it */
    }
}

Test(word_tree, nothing_stays_of_what_is_removed)
{
    struct word_tree tree;
    struct named one = {.name = "a.b.c"}, two = {.name = "a.b"};
    word_tree_init(&tree);
    one.node = word_tree_add(&tree, span_str(one.name), &one);
    two.node = word_tree_add(&tree, span_str(two.name), &two);
    word_tree_remove(&tree, two.node);
    word_tree_match(&tree, span_str("a.#"), see, NULL);
    cr_assert_eq(one.seen, 1);
    cr_assert_eq(two.seen, 0);
    cr_assert_eq(tree.children.count, 3, "the nodes of the longer name");
    word_tree_remove(&tree, one.node);
    cr_assert_eq(tree.children.count, 0);
    word_tree_free(&tree);
}

/* 128 levels are as many as a key has room for. */
Test(word_tree, names_of_many_words)
{
    struct word_tree tree;
    struct named deep = {.seen = 0};
    char name[256], pattern[256];
    for (unsigned i = 0; i < 255; i++) {
        name[i] = i % 2 ? '.' : 'a';
        pattern[i] = i % 2 ? '.' : '*';
    }
    name[255] = pattern[255] = 0;
    word_tree_init(&tree);
    deep.node = word_tree_add(&tree, span_str(name), &deep);
    word_tree_match(&tree, span_str(pattern), see, NULL);
    word_tree_match(&tree, span_str("#"), see, NULL);
    word_tree_match(&tree, span_str("a.*.#"), see, NULL);
    cr_assert_eq(deep.seen, 3);
    word_tree_remove(&tree, deep.node);
    word_tree_free(&tree);
}
