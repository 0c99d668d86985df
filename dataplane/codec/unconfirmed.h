/*
 * Publishes of one channel that wait for the answers of 1 to R routers, by the publisher's own number (seq).
 * Answers come in any order; what can be told the publisher is collected and comes out as few
 * acknowledgements, most of them "all up to".
 *
 *   first                     next
 *     | 0 | 0 | 1 | 0 | 2 | 1 |          answers that are still to come
 *     '---'       '
 *   ack up to     ack this one
 *
 * Owned by a channel. Zeroed is empty, but for first and next, which unconfirmed_init sets.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "router/command.h"

/* What a publish that was sent to several routers has been answered when the last answer is in. */
struct kept_return {
    uint64_t seq;
    unsigned router;
    struct event_deliver event; /* its message is pinned until it is written or DONE */
};

struct unconfirmed {
    struct pending {
        uint8_t waiting; /* answers to come */
        uint8_t flags;   /* PENDING_* */
    } * ring;
    uint32_t room, head;  /* room: a power of two, or 0 */
    uint64_t first, next; /* seq of the oldest that is remembered, and of the next to be published */
    uint64_t told_from,
        told_to;           /* where answers completed since the last unconfirmed_take: none if from > to */
    uint64_t unanswered;   /* publishes that wait for an answer */
    bool refused;          /* one was, since the owner last looked: for transactions, */
    uint64_t refused_from; /* from this one on: those before it are no part of one */
    struct kept_return *kept;
    uint32_t kept_count, kept_room;
};

enum {
    PENDING_WANTED = 1,     /* the publisher is to be told */
    PENDING_TOLD = 2,       /* and has been */
    PENDING_SHARED = 4,     /* more than one router was sent it */
    PENDING_ROUTED = 8,     /* one of them has a queue for it */
    PENDING_REFUSED = 16,   /* one of them couldn't make it safe, or none has kept it that should have */
    PENDING_KEPT = 32,      /* one of them sent it back, in case that no other has a queue for it */
    PENDING_ELSEWHERE = 64, /* one of them left it to another */
};

/* Called when a publish that came back in full is decided: returned to the publisher if !routed, else DONE.
 */
typedef void unconfirmed_decided(void *owner, const struct kept_return *kept, bool routed);

/* first_seq: of the first publish. Numbers of one channel number go on from one channel to the next, so that
 * an answer that is late names nothing. */
void unconfirmed_init(struct unconfirmed *unconfirmed, uint64_t first_seq);
/* Kept returns are given to `decided` as routed. */
void unconfirmed_free(struct unconfirmed *unconfirmed, unconfirmed_decided *decided, void *owner);

/* The publish numbered unconfirmed->next has been sent to n routers: each of them answers. */
void unconfirmed_add(struct unconfirmed *unconfirmed, unsigned routers, bool wanted);
/* It has been sent, and nothing is to be heard of it. */
void unconfirmed_skip(struct unconfirmed *unconfirmed);

/* count answers from seq on; flags: CONFIRM_*. What was never asked for is ignored. */
void unconfirmed_answer(struct unconfirmed *unconfirmed, uint64_t seq, uint32_t count, uint8_t flags,
                        unconfirmed_decided *decided, void *owner);
/* A publish came back. True: it was sent to several routers and is kept until all have answered. */
bool unconfirmed_keep(struct unconfirmed *unconfirmed, unsigned router, const struct event_deliver *event);

struct confirmed {
    uint64_t seq;
    bool multiple; /* all up to seq */
    bool refused;
};

/* The next acknowledgement to write. False when there is none. */
bool unconfirmed_take(struct unconfirmed *unconfirmed, struct confirmed *confirmed);
