/* Getting messages out of a queue and on their way: from the index to a DELIVER, reading pages back where
 * they are absent. */
#pragma once

#include "router/queue.h"

/* Parts of a large message that were pinned for a delivery to come are given back. */
void deliver_reset(struct router *router, struct queue *queue);
/* The queue is about to be freed while it stands on a page's list of waiters: takes it off. */
void deliver_abandon(struct router *router, struct queue *queue);
