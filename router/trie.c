#include "router/trie.h"

#include <stdlib.h>

#include "base/check.h"

/*
 * "#.*" and "*.#" match the same keys, and so do "#" and "#.#": a run of wildcards goes in as its '*'s and
 * then at most one '#'. So a node for '#' has only words below it, and no two nodes stand for the same
 * prefix.
 */
enum node_kind { ROOT, WORD, ONE, ANY };

struct trie_node {
    struct map_node by_word; /* in trie->words if kind is WORD; the hash is that of the path, for all kinds */
    struct trie_node *parent;
    struct trie_node *one; /* the child for '*', or NULL */
    struct trie_node *any; /* the child for '#', or NULL */
    uint32_t words;        /* children that are words */
    uint32_t len;
    struct spot spot;
    uint64_t reached; /* ANY: the last walk that came here */
    enum node_kind kind;
    char word[];
};

#define SEED 2u

/* ---- words ---------------------------------------------------------------------------------------- */

/* What is left of a key; at is NULL when there are no more words. */
struct words {
    const uint8_t *at, *end;
};

static struct words words_of(struct span key)
{
    return (struct words){key.len ? key.at : NULL, key.at + key.len};
}

static bool next_word(struct words *words, struct span *word)
{
    const uint8_t *p = words->at;
    if (!p)
        return false;
    while (p < words->end && *p != '.')
        p++;
    *word = span_of(words->at, (size_t)(p - words->at));
    words->at = p < words->end ? p + 1 : NULL;
    return true;
}

static bool word_is(struct span word, char c)
{
    return word.len == 1 && *word.at == (uint8_t)c;
}

bool trie_is_plain(struct span pattern)
{
    struct words words = words_of(pattern);
    struct span word;
    while (next_word(&words, &word))
        if (word_is(word, '*') || word_is(word, '#'))
            return false;
    return true;
}

/* ---- nodes ---------------------------------------------------------------------------------------- */

struct child_key {
    const struct trie_node *parent;
    struct span word;
};

static bool is_child(const struct map_node *node, const void *key)
{
    const struct trie_node *n = container_of(node, struct trie_node, by_word);
    const struct child_key *k = key;
    return n->parent == k->parent && n->len == k->word.len && memcmp(n->word, k->word.at, n->len) == 0;
}

static uint64_t path_hash(const struct trie_node *parent, uint64_t word_hash)
{
    return hash_id(parent->by_word.hash ^ word_hash);
}

static struct trie_node *find_word(const struct trie *trie, const struct trie_node *parent, struct span word,
                                   uint64_t word_hash)
{
    if (parent->words == 0)
        return NULL;
    struct child_key key = {parent, word};
    struct map_node *node = map_find(&trie->words, path_hash(parent, word_hash), is_child, &key);
    return node ? container_of(node, struct trie_node, by_word) : NULL;
}

static struct trie_node *new_node(struct trie_node *parent, enum node_kind kind, struct span word)
{
    struct trie_node *node = malloc(sizeof *node + word.len);
    CHECK(node);
    *node = (struct trie_node){.parent = parent, .kind = kind, .len = (uint32_t)word.len};
    put_span((uint8_t *)node->word, word);
    return node;
}

static struct trie_node *word_child(struct trie *trie, struct trie_node *parent, struct span word)
{
    uint64_t word_hash = hash_keyed(word, SEED);
    struct trie_node *node = find_word(trie, parent, word, word_hash);
    if (!node) {
        node = new_node(parent, WORD, word);
        map_add(&trie->words, &node->by_word, path_hash(parent, word_hash));
        parent->words++;
    }
    return node;
}

static struct trie_node *wild_child(struct trie_node *parent, enum node_kind kind)
{
    struct trie_node **child = kind == ONE ? &parent->one : &parent->any;
    if (!*child) {
        *child = new_node(parent, kind, span_of(NULL, 0));
        (*child)->by_word.hash = path_hash(parent, kind);
    }
    return *child;
}

/* A run of wildcards not gone down yet. */
struct run {
    unsigned ones;
    bool any;
};

static struct trie_node *end_run(struct trie_node *node, struct run *run)
{
    for (; run->ones > 0; run->ones--)
        node = wild_child(node, ONE);
    if (run->any)
        node = wild_child(node, ANY);
    run->any = false;
    return node;
}

void trie_add(struct trie *trie, struct binding *binding)
{
    if (!trie->root)
        trie->root = new_node(NULL, ROOT, span_of(NULL, 0));
    struct trie_node *node = trie->root;
    struct words words = words_of(binding->key);
    struct run run = {0};
    struct span word;
    while (next_word(&words, &word)) {
        if (word_is(word, '*'))
            run.ones++;
        else if (word_is(word, '#'))
            run.any = true;
        else
            node = word_child(trie, end_run(node, &run), word);
    }
    spot_add(&end_run(node, &run)->spot, &binding->member, binding);
}

static void detach(struct trie *trie, struct trie_node *node)
{
    if (node->kind == ONE) {
        node->parent->one = NULL;
    } else if (node->kind == ANY) {
        node->parent->any = NULL;
    } else {
        map_remove(&trie->words, &node->by_word);
        node->parent->words--;
    }
}

static bool is_bare(const struct trie_node *node)
{
    return node->spot.count == 0 && node->words == 0 && !node->one && !node->any;
}

void trie_remove(struct trie *trie, struct binding *binding)
{
    struct trie_node *node = container_of(spot_remove(&binding->member), struct trie_node, spot);
    while (node->kind != ROOT && is_bare(node)) {
        struct trie_node *parent = node->parent;
        detach(trie, node);
        free(node);
        node = parent;
    }
}

void trie_free(struct trie *trie)
{
    CHECK(trie->words.count == 0 && (!trie->root || is_bare(trie->root)));
    map_free(&trie->words);
    free(trie->root);
    trie->root = NULL;
}

/* ---- the walk --------------------------------------------------------------------------------------- */

struct walk {
    const struct trie *trie;
    struct match *match;
    struct pile *now;  /* nodes that the words so far lead to, but for those of '#' */
    struct pile *then; /* nodes that they and the word in hand lead to */
};

/*
 * A '#' may also stand for no words, so who comes to a node has come to its '#' too. That one swallows
 * whatever follows: what stands there matches at once, and the words below it are tried again with every
 * later word of the key (match->loops).
 */
static void reach_any(struct trie_node *any, struct match *match)
{
    if (any->reached == match->walk)
        return;
    any->reached = match->walk;
    match_spot(match, &any->spot);
    if (any->words > 0)
        pile_push(&match->loops, any);
}

static void reach(struct walk *walk, struct trie_node *node)
{
    if (!node)
        return;
    pile_push(walk->then, node);
    if (node->any)
        reach_any(node->any, walk->match);
}

/* The piles are swapped by their pointers: copying them would wait for the stores that have just filled
 * them. */
static void turn(struct walk *walk)
{
    struct pile *then = walk->then;
    walk->then = walk->now;
    walk->now = then;
    walk->then->count = 0;
}

static void step(struct walk *walk, struct span word)
{
    const struct pile *loops = &walk->match->loops;
    uint64_t hash = hash_keyed(word, SEED);
    uint32_t looping = loops->count; /* those reached by this very word come into play with the next */
    for (uint32_t i = 0; i < walk->now->count; i++) {
        const struct trie_node *node = walk->now->items[i];
        reach(walk, find_word(walk->trie, node, word, hash));
        reach(walk, node->one);
    }
    for (uint32_t i = 0; i < looping; i++)
        reach(walk, find_word(walk->trie, loops->items[i], word, hash));
    turn(walk);
}

void trie_match(const struct trie *trie, struct span key, struct match *match)
{
    if (!trie->root)
        return;
    struct walk walk = {trie, match, &match->states[0], &match->states[1]};
    walk.then->count = match->loops.count = 0;
    match->walk++;
    reach(&walk, trie->root);
    turn(&walk);
    struct words words = words_of(key);
    struct span word;
    while (next_word(&words, &word)) {
        step(&walk, word);
        if (walk.now->count == 0 && match->loops.count == 0)
            return;
    }
    for (uint32_t i = 0; i < walk.now->count; i++)
        match_spot(match, &((const struct trie_node *)walk.now->items[i])->spot);
}
