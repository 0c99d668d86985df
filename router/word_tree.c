#include "router/word_tree.h"

#include <stdlib.h>

#include "base/check.h"

struct word_node {
    struct map_node by_word;
    struct word_node *parent, *first, *next, *prev; /* first: of its children */
    uint64_t id;
    void *thing; /* NULL: no name ends here */
    uint8_t len;
    uint8_t word[];
};

struct key {
    uint64_t parent;
    struct span word;
};

static bool is_child(const struct map_node *node, const void *key)
{
    const struct word_node *n = container_of(node, struct word_node, by_word);
    const struct key *k = key;
    return n->parent->id == k->parent && span_equal(span_of(n->word, n->len), k->word);
}

static struct word_node *child(const struct word_tree *tree, const struct word_node *parent, struct span word)
{
    struct key key = {parent->id, word};
    struct map_node *node = map_find(&tree->children, hash_keyed(word, parent->id), is_child, &key);
    return node ? container_of(node, struct word_node, by_word) : NULL;
}

static struct word_node *node_new(struct word_tree *tree, struct span word)
{
    struct word_node *n = calloc(1, sizeof *n + word.len);
    CHECK(n);
    n->id = ++tree->next_id;
    n->len = (uint8_t)word.len;
    put_span(n->word, word);
    return n;
}

static struct word_node *child_new(struct word_tree *tree, struct word_node *parent, struct span word)
{
    struct word_node *n = node_new(tree, word);
    n->parent = parent;
    n->next = parent->first;
    if (n->next)
        n->next->prev = n;
    parent->first = n;
    map_add(&tree->children, &n->by_word, hash_keyed(word, parent->id));
    return n;
}

/* Takes the first word off; false if there is none. *left->at is NULL behind the last. */
static bool next_word(struct span *left, struct span *word)
{
    if (!left->at)
        return false;
    const uint8_t *dot = left->len ? memchr(left->at, '.', left->len) : NULL;
    *word = span_of(left->at, dot ? (size_t)(dot - left->at) : left->len);
    *left = dot ? span_of(dot + 1, left->len - word->len - 1) : span_of(NULL, 0);
    return true;
}

void word_tree_init(struct word_tree *tree)
{
    tree->next_id = 0;
    map_init(&tree->children);
    tree->root = node_new(tree, span_of("", 0));
}

static void node_free(struct word_tree *tree, struct word_node *n)
{
    if (n->prev)
        n->prev->next = n->next;
    else
        n->parent->first = n->next;
    if (n->next)
        n->next->prev = n->prev;
    map_remove(&tree->children, &n->by_word);
    free(n);
}

/* From the leaves up; no recursion. */
void word_tree_free(struct word_tree *tree)
{
    struct word_node *n = tree->root;
    while (n) {
        if (n->first) {
            n = n->first;
            continue;
        }
        struct word_node *parent = n->parent;
        if (parent)
            node_free(tree, n);
        else
            free(n);
        n = parent;
    }
    map_free(&tree->children);
    tree->root = NULL;
}

struct word_node *word_tree_add(struct word_tree *tree, struct span name, void *thing)
{
    struct word_node *n = tree->root;
    struct span word;
    while (next_word(&name, &word)) {
        struct word_node *next = child(tree, n, word);
        n = next ? next : child_new(tree, n, word);
    }
    n->thing = thing;
    return n;
}

void word_tree_remove(struct word_tree *tree, struct word_node *n)
{
    n->thing = NULL;
    while (n->parent && !n->thing && !n->first) {
        struct word_node *parent = n->parent;
        node_free(tree, n);
        n = parent;
    }
}

struct visit {
    const struct word_tree *tree;
    void (*visit)(void *owner, void *thing);
    void *owner;
};

/* The node and all below it, which it comes to in order; no recursion. */
static void visit_all(const struct visit *v, const struct word_node *top)
{
    const struct word_node *n = top;
    for (;;) {
        if (n->thing)
            v->visit(v->owner, n->thing);
        if (n->first) {
            n = n->first;
            continue;
        }
        while (n != top && !n->next)
            n = n->parent;
        if (n == top)
            return;
        n = n->next;
    }
}

/* As deep as the pattern has words, of which there are 128 at most in a key. */
static void visit_matching(const struct visit *v, const struct word_node *n, struct span pattern)
{
    struct span word;
    if (!next_word(&pattern, &word)) {
        if (n->thing)
            v->visit(v->owner, n->thing);
    } else if (span_is(word, "#")) {
        visit_all(v, n);
    } else if (span_is(word, "*")) {
        for (const struct word_node *c = n->first; c; c = c->next)
            visit_matching(v, c, pattern);
    } else {
        const struct word_node *c = child(v->tree, n, word);
        if (c)
            visit_matching(v, c, pattern);
    }
}

void word_tree_match(const struct word_tree *tree, struct span pattern,
                     void (*visit)(void *owner, void *thing), void *owner)
{
    struct visit v = {tree, visit, owner};
    visit_matching(&v, tree->root, pattern);
}
