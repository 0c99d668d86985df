/*
 * Exchanges of type x-delayed-message: a message whose header x-delay says so many milliseconds waits as long
 * before the exchange, which is otherwise of the type that its argument x-delayed-type names, routes it.
 *
 * More than EXPIRATION_MAX, ten years, is taken for that. It waits at one router, in a hidden queue
 * (hidden.h), durable if the exchange is, and leaves it as a dead letter does: it is published on the
 * router's own account, to whatever is bound by then, and forgotten when that is safe. Memory per message: an
 * index entry, its note, and 16 bytes of the heap; 40 bytes together.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "router/due_heap.h"
#include "router/repost.h"

struct catalog_exchange;
struct message;
struct publishing;
struct queue;
struct router;

struct delay {
    uint64_t exchange; /* id */
    struct due_heap heap;
};

/* The hidden queue, just made, is where messages of the exchange wait. */
void delay_become(struct queue *queue, uint64_t exchange);
/* Whether the message, published to the exchange, is to wait. */
bool delay_wanted(const struct catalog_exchange *exchange, const struct publishing *p);
/* The message, which has become the queue's as seq, is due then. */
void delay_add(struct router *router, struct queue *queue, uint64_t seq, uint64_t due_ms);
/* What is due leaves. */
void delay_expire(struct router *router, struct queue *queue);
/* At the first poll: what was recovered. */
void delay_wake(struct router *router, struct queue *queue);
/* Fills in where the message goes, and its properties at `to` (room for them and one byte): x-delay is said
 * negated, so that it isn't heeded twice. */
void delay_leave(struct router *router, struct queue *queue, const struct message *m, uint8_t *to,
                 struct repost *r);
