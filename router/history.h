/*
 * Exchanges of type x-recent-history: fanouts that remember their last messages (argument
 * x-recent-history-length, 20 without it) and give them to each queue that is bound, before anything newer if
 * queue and memory are at one router. A message with the header x-recent-history-no-store = true is not
 * remembered.
 *
 * They are remembered in a hidden queue of one router (router_of_delays), which the exchange's messages
 * always go to, bound to it like any other.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "router/command.h"

struct catalog_exchange;
struct publishing;
struct queue;
struct router;

#define HISTORY_LENGTH_MAX 10000u

/* Whether an exchange can be declared so; text: why not. */
bool history_arguments_valid(struct span arguments, char *text, size_t size);
/* The queue, just made, remembers the exchange's messages. exchange: NULL if it is gone. */
void history_become(struct queue *queue, const struct catalog_exchange *exchange);
/* The exchange is there: if it remembers, and here, what remembers is bound to it. */
void history_attach(struct router *router, struct catalog_exchange *exchange);
/* The routers that must see its messages for that, a bit each. */
uint64_t history_interest(const struct router *router, const struct catalog_exchange *exchange);
/* Whether the queue, which remembers, is to remember this message. */
bool history_takes(const struct queue *queue, const struct publishing *p);
/* A router asks for what is remembered, for a queue of its own that has been bound. */
struct history_request {
    uint32_t vhost;
    struct name queue;
};
void router_on_history(struct router *router, uint64_t exchange, struct history_request *request);
/* The queue of that name has been bound to the exchange: it gets what is remembered. */
void history_send(struct router *router, struct catalog_exchange *exchange, uint32_t vhost,
                  struct span queue);
