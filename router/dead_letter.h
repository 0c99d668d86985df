/*
 * Dead letters: messages that leave a queue for its dead-letter exchange. They wait in line, OUT in the
 * index, and go one after the other: the page is read back if need be, the message is published with one more
 * death in its headers, and when all that keep it have it as safe as it is to be, the queue forgets it. So
 * none is lost, whatever breaks in between; with the strategy at-least-once one that finds no queue waits and
 * tries again.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fifo.h"
#include "router/command.h"
#include "router/death.h"

struct entry;
struct queue;
struct router;

/* A queue that copies go to, by name. */
struct copy_target {
    uint32_t refs;
    uint32_t vhost;
    uint64_t handle;
    struct name queue;
};

struct dying {
    uint64_t seq;
    struct copy_target *copy; /* not NULL: the message stays, and this queue gets a copy */
    uint8_t reason;           /* enum death_reason */
    uint8_t waits;            /* for so many routers' answers */
    bool routed, done;
};

struct dead_letters {
    FIFO(struct dying) line;
    FIFO(struct dying) stuck; /* found no queue, and wait for the next attempt */
    size_t sent;              /* of the line: they wait for answers */
    uint64_t first;           /* number of the oldest in line */
};

/* The entry, READY or OUT, is to leave. */
void dead_letter_add(struct router *router, struct queue *queue, uint64_t seq, struct entry *entry,
                     enum death_reason reason);
/* A copy of the READY message is to go to the target. */
void dead_letter_copy(struct router *router, struct queue *queue, uint64_t seq, struct copy_target *target);
/* With one reference. handle: the queue's at its own router, or 0 for any of that name. */
struct copy_target *copy_target_new(uint32_t vhost, struct span queue, uint64_t handle);
void copy_target_drop(struct copy_target *target);
void dead_letters_free(struct dead_letters *letters);
/* Sends off what can be; at most `most`. False: a page must be read first, the queue waits for it. */
bool dead_letter_run(struct router *router, struct queue *queue, unsigned most);
/* Whether dead_letter_run has something to do. */
bool dead_letter_due(const struct router *router, const struct queue *queue);
/* The stuck ones are in line again. */
void dead_letter_retry(struct router *router, struct queue *queue);
/* A router has answered for row `number`. */
void dead_letter_answered(struct router *router, uint64_t queue, uint64_t number, bool routed);
