/* Getting messages out of a queue and on their way: from the index to a DELIVER. */
#pragma once

#include "router/fetch.h"
#include "router/queue.h"

/* FETCH_WAIT: queue->waiting is to be set. */
static inline enum fetch deliver_fetch(struct router *router, struct queue *queue, struct head *head)
{
    return fetch_message(router, &queue->fetching, head);
}

/* Parts of a large message that were pinned for a delivery to come are given back. */
static inline void deliver_reset(struct router *router, struct queue *queue)
{
    fetch_reset(router, &queue->fetching);
}

/* The page that the queue waits for is there: its waiter's wake. */
void deliver_wake(struct router *router, struct waiter *waiter);
/* An entry that can't be read stays where it is, out of everyone's way: nothing that was promised is silently
 * thrown away. */
void deliver_damaged(struct router *router, struct queue *queue, const struct head *head);
