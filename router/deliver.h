/* Getting messages out of a queue and on their way: from the index to a DELIVER, reading pages back where
 * they are absent. */
#pragma once

#include "router/queue.h"

enum fetch {
    FETCH_THERE,
    FETCH_WAIT, /* the queue is woken when its page is there: queue->waiting is to be set */
    FETCH_BUSY, /* the journal can't be asked now: again later */
    FETCH_DAMAGED,
};

/* A message of a queue. entry: NULL if there is none. */
struct head {
    uint64_t seq;
    struct entry *entry;
    struct page *page;
    const struct message *message;
};

/* Brings the message of head->entry (READY or OUT) into memory, with its parts: fills in page and message. */
enum fetch deliver_fetch(struct router *router, struct queue *queue, struct head *head);
/* An entry that can't be read stays where it is, out of everyone's way: nothing that was promised is silently
 * thrown away. */
void deliver_damaged(struct router *router, struct queue *queue, const struct head *head);
/* Parts of a large message that were pinned for a delivery to come are given back. */
void deliver_reset(struct router *router, struct queue *queue);
/* The queue is about to be freed while it stands on a page's list of waiters: takes it off. */
void deliver_abandon(struct router *router, struct queue *queue);
