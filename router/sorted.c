#include "router/sorted.h"

#include <stdlib.h>

#include "base/check.h"

#define CHANCE_SEED 6u

static uint32_t count_of(const struct place *place)
{
    return place ? place->count : 0;
}

static void count(struct place *place)
{
    place->count = 1 + count_of(place->left) + count_of(place->right);
}

/* Places that are alike in everything are one binding's, or lead to one destination: which of them comes
 * first makes no difference. */
static bool before(const struct place *a, const struct place *b)
{
    if (a->at != b->at)
        return a->at < b->at;
    if (a->destination->identity != b->destination->identity)
        return a->destination->identity < b->destination->identity;
    return a < b;
}

/* Takes the tree apart: what comes before the place, and what comes behind it. */
static void split(struct place *tree, const struct place *place, struct place **left, struct place **right)
{
    if (!tree) {
        *left = *right = NULL;
        return;
    }
    if (before(tree, place)) {
        *left = tree;
        split(tree->right, place, &tree->right, right);
    } else {
        *right = tree;
        split(tree->left, place, left, &tree->left);
    }
    count(tree);
}

/* All of left comes before all of right. */
static struct place *join(struct place *left, struct place *right)
{
    if (!left || !right)
        return left ? left : right;
    struct place *root = left->chance > right->chance ? left : right;
    if (root == left)
        left->right = join(left->right, right);
    else
        right->left = join(left, right->left);
    count(root);
    return root;
}

static void insert(struct sorted *sorted, struct place *place)
{
    struct place **at = &sorted->root;
    while (*at && (*at)->chance > place->chance) {
        (*at)->count++;
        at = before(*at, place) ? &(*at)->right : &(*at)->left;
    }
    split(*at, place, &place->left, &place->right);
    count(place);
    *at = place;
}

static void take_out(struct sorted *sorted, const struct place *place)
{
    struct place **at = &sorted->root;
    while (*at != place) {
        CHECK(*at);
        (*at)->count--;
        at = before(*at, place) ? &(*at)->right : &(*at)->left;
    }
    *at = join(place->left, place->right);
}

/* The secret is in it: names that make the tree a list can't be found. */
static uint32_t chance_of(uint64_t at)
{
    return (uint32_t)hash_keyed(span_of(&at, sizeof at), CHANCE_SEED);
}

void sorted_add(struct sorted *sorted, struct binding *binding, uint32_t places,
                uint64_t (*at)(const struct binding *binding, uint32_t i))
{
    struct share *share = malloc(sizeof *share + places * sizeof share->places[0]);
    CHECK(share && !binding->share);
    share->count = places;
    for (uint32_t i = 0; i < places; i++) {
        struct place *p = &share->places[i];
        *p = (struct place){.destination = binding->destination, .at = at(binding, i)};
        p->chance = chance_of(p->at);
        insert(sorted, p);
    }
    binding->share = share;
}

void sorted_remove(struct sorted *sorted, struct binding *binding)
{
    struct share *share = binding->share;
    for (uint32_t i = 0; i < share->count; i++)
        take_out(sorted, &share->places[i]);
    free(share);
    binding->share = NULL;
}

const struct place *sorted_next(const struct sorted *sorted, uint64_t at)
{
    const struct place *found = NULL;
    for (const struct place *p = sorted->root; p;) {
        bool reached = p->at >= at;
        found = reached ? p : found;
        p = reached ? p->left : p->right;
    }
    return found || !sorted->root ? found : sorted_rank(sorted, 0);
}

const struct place *sorted_rank(const struct sorted *sorted, uint32_t rank)
{
    const struct place *p = sorted->root;
    CHECK(rank < sorted_count(sorted));
    for (uint32_t left; (left = count_of(p->left)) != rank;) {
        if (rank < left) {
            p = p->left;
        } else {
            rank -= left + 1;
            p = p->right;
        }
    }
    return p;
}
