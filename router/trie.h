/*
 * The bindings of a topic exchange that have wildcards: a tree with a level per word of the pattern. Words
 * end at '.', '*' stands for one word, '#' for any number of them, also none (AMQP 0-9-1 section 3.1.3.3). A
 * key of no bytes has no words; ".." has three.
 *
 * A match walks down all branches at once, word by word. It holds the nodes that the words so far lead to,
 * each once, so it takes at most words * nodes steps whatever patterns and keys peers choose; usually it is a
 * handful of nodes.
 */
#pragma once

#include "router/spot.h"

struct trie_node;

struct trie {
    struct map words; /* the nodes for words, all levels, by parent and word */
    struct trie_node *root;
};

/* Whether the pattern has no wildcard, so that it matches one key only. */
bool trie_is_plain(struct span pattern);
/* The binding's own key and member are used. */
void trie_add(struct trie *trie, struct binding *binding);
void trie_remove(struct trie *trie, struct binding *binding);
void trie_match(const struct trie *trie, struct span key, struct match *match);
/* There are no bindings left. */
void trie_free(struct trie *trie);
