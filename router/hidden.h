/*
 * Queues of a router's own, which clients don't see: where the messages of an exchange wait (delay.h), or are
 * remembered (history.h, retain.h). They are in a virtual host that there isn't, named by the exchange's id
 * and what they are for, durable if the exchange is, and go with it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct catalog_exchange;
struct queue;
struct router;

enum hidden { HIDDEN_DELAY, HIDDEN_HISTORY, HIDDEN_RETAIN };

/* Whether a queue of this virtual host is one of these. */
static inline bool is_hidden(uint32_t vhost)
{
    return vhost == 0;
}

/* NULL: there is none. */
struct queue *hidden_find(struct router *router, const struct catalog_exchange *exchange, enum hidden kind);
/* The exchange that one of these queues is kept for, and what for; NULL: it is gone, and the queue about to.
 */
const struct catalog_exchange *hidden_whose(struct router *router, const struct queue *queue,
                                            enum hidden *kind);
/* Makes it if there is none. */
struct queue *hidden_queue(struct router *router, const struct catalog_exchange *exchange, enum hidden kind);
/* During a replay: the queue, just made, is one of these. False: its exchange is gone. */
bool hidden_recover(struct router *router, struct queue *queue);
/* The exchange is gone: what is hidden for it too. */
void hidden_drop(struct router *router, const struct catalog_exchange *exchange);
