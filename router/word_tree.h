/*
 * Names of words with dots between them, and which of them fit a pattern: the other way round than a trie of
 * bindings, which finds the patterns that fit a name. A node for each word, found by its parent and the word.
 *
 * Owned by one router, used on its thread.
 */
#pragma once

#include <stdint.h>

#include "base/map.h"
#include "base/span.h"

struct word_node;

struct word_tree {
    struct map children; /* struct word_node by parent and word */
    struct word_node *root;
    uint64_t next_id;
};

void word_tree_init(struct word_tree *tree);
void word_tree_free(struct word_tree *tree);
/* Adds a name that isn't there, for the thing; the node is for word_tree_remove. */
struct word_node *word_tree_add(struct word_tree *tree, struct span name, void *thing);
void word_tree_remove(struct word_tree *tree, struct word_node *node);
/* Visits what fits: '*' is one word, '#' at the end any number of them. Nothing may be added or removed
 * meanwhile. */
void word_tree_match(const struct word_tree *tree, struct span pattern,
                     void (*visit)(void *owner, void *thing), void *owner);
