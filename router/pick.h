/*
 * The bindings of exchanges that pick one, each as likely as any other: by a hash of the routing key
 * (x-modulus-hash), or by chance (x-random, x-local-random). They are in an order that their destinations'
 * names, keys and arguments give, so that one number is one binding at every router.
 */
#pragma once

#include "router/sorted.h"

struct pick {
    struct sorted order;
    uint64_t salt; /* the exchange's: what one of a chain picks says nothing about the next one's pick */
};

/* Whether x-local-random takes the binding; where not, a client is to be refused with the text. */
bool pick_local_valid(struct span key, const struct destination *destination, char *text, size_t size);

void pick_init(struct pick *pick, const struct exchange *exchange);
void pick_add(struct pick *pick, struct binding *binding);
void pick_remove(struct pick *pick, struct binding *binding);
/* The binding that comes at the hash of the routing key modulo their number. */
void pick_by_key(const struct pick *pick, struct span key, struct match *match);
/* chance: message_facts' */
void pick_by_chance(const struct pick *pick, uint64_t chance, struct match *match);
