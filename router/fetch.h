/*
 * Bringing messages from the log into memory to be looked at or delivered: the page of each, with the pages
 * of its parts, is read back where it is absent, and so are those that will be wanted next.
 */
#pragma once

#include <stdint.h>

#include "router/waiter.h"

struct entry;
struct large;
struct message;
struct page;
struct parts;
struct router;

enum fetch {
    FETCH_THERE,
    FETCH_WAIT, /* whoever fetches is woken when its page is there */
    FETCH_BUSY, /* the journal can't be asked now: again later */
    FETCH_DAMAGED,
};

/* Whoever fetches, one message at a time: a queue, or a reader of a stream. Embedded there; waiter.wake is
 * set once. */
struct fetching {
    struct waiter waiter;    /* on a page's list from FETCH_WAIT until it is woken */
    struct large *gathering; /* a large message whose pages are being brought together */
    uint32_t gathered;       /* parts of it that are pinned */
    uint64_t reading;        /* number of the page behind which it last read ahead */
};

/* A message of a queue. entry: NULL if there is none. */
struct head {
    uint64_t seq;
    struct entry *entry;
    struct page *page;
    const struct message *message;
};

/* Brings the message of head->entry (READY or OUT) into memory, with its parts: fills in page and message. */
enum fetch fetch_message(struct router *router, struct fetching *f, struct head *head);
/* The parts of the large message just fetched; malloc'd, their pins are the caller's from now on. */
struct parts *fetch_parts(struct router *router, struct fetching *f);
/* Parts of a large message that were pinned for a delivery to come are given back. */
void fetch_reset(struct router *router, struct fetching *f);
/* It is about to go while it stands on a page's list of waiters: takes it off. */
void fetch_abandon(struct router *router, struct fetching *f);
