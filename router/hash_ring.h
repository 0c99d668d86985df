/*
 * The bindings of an x-consistent-hash exchange. A binding's key is its weight; each message goes to one
 * binding, by the hash of its routing key, or of the header or property that the exchange was declared with,
 * and each binding gets a share of the hashes that is as large as its weight. A binding that comes takes its
 * share from all others, and gives it back to them when it goes; nothing else moves.
 *
 * Each unit of weight is HASH_POINTS points on a circle, where the destination's name alone says (so that
 * every router sees the same circle, and sees it again after a restart). A message's hash gives HASH_PROBES
 * places; it goes to the point that comes soonest behind any of them. Points alone would share badly: with P
 * points and Q probes the shares of equal bindings differ by about 1 / sqrt(2PQ), here 6 %.
 *
 * A destination that is bound with several weights has the largest (RabbitMQ's plugin keeps the first, and
 * forgets the destination when any of them goes).
 */
#pragma once

#include "router/sorted.h"

#define HASH_POINTS 8u
#define HASH_PROBES 16u

enum hash_source { HASH_KEY, HASH_HEADER, HASH_MESSAGE_ID, HASH_CORRELATION_ID, HASH_TIMESTAMP };

struct hash_ring {
    struct sorted points;
    enum hash_source source;
    struct span header; /* of HEADER: its name, the arguments' */
};

/* What is wrong with the arguments of a declaration, or with a binding's key: where there is something, a
 * client is to be refused with the text. */
bool hash_arguments_valid(struct span arguments, char *text, size_t size);
bool hash_weight_valid(struct span key, char *text, size_t size);

/* The exchange's arguments are valid ones. */
void hash_ring_init(struct hash_ring *ring, const struct exchange *exchange);
/* A key that is no weight (there is none but by a mistake) counts as 1. */
void hash_ring_add(struct hash_ring *ring, struct binding *binding);
void hash_ring_remove(struct hash_ring *ring, struct binding *binding);
/* A message without the header or property is hashed as any other: all such go to one binding. */
void hash_ring_match(const struct hash_ring *ring, const struct message_facts *facts, struct match *match);
