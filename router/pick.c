#include "router/pick.h"

#include <stdio.h>

/* They never change: see hash_ring.c. */
enum { SEED_KEY = 21, SEED_ARGUMENTS = 22, SEED_MESSAGE = 23 };

bool pick_local_valid(struct span key, const struct destination *destination, char *text, size_t size)
{
    if (key.len)
        snprintf(text, size, "Non empty binding '%.*s' key not permitted", (int)key.len,
                 (const char *)key.at);
    else if (destination->exchange)
        snprintf(text, size, "Destination not found");
    else
        return true;
    return false;
}

static uint64_t place_of(const struct binding *binding, uint32_t i)
{
    uint64_t at = hash_id(binding->destination->identity + i);
    return hash_bytes(binding->arguments, hash_bytes(binding->key, at ^ SEED_KEY) ^ SEED_ARGUMENTS);
}

void pick_init(struct pick *pick, const struct exchange *exchange)
{
    pick->salt = exchange->self.identity;
}

void pick_add(struct pick *pick, struct binding *binding)
{
    sorted_add(&pick->order, binding, 1, place_of);
}

void pick_remove(struct pick *pick, struct binding *binding)
{
    sorted_remove(&pick->order, binding);
}

static void pick_number(const struct pick *pick, uint64_t number, struct match *match)
{
    uint32_t rank = (uint32_t)(number % sorted_count(&pick->order));
    match_picked(match, sorted_rank(&pick->order, rank)->destination);
}

void pick_by_key(const struct pick *pick, struct span key, struct match *match)
{
    pick_number(pick, hash_bytes(key, pick->salt ^ SEED_MESSAGE), match);
}

void pick_by_chance(const struct pick *pick, uint64_t chance, struct match *match)
{
    pick_number(pick, hash_id(chance ^ pick->salt), match);
}
