/*
 * A last-value queue (x-last-value-key): of all messages with one key it holds the newest only. The key is
 * the value of a header, or the routing key; messages without that header share one. It is a stream
 * (stream.h) whose older values go: a consumer takes nothing out of it, answers give it credit and nothing
 * else. It is first sent the image, the values that there are, in the order in which their keys first came;
 * then what is newer, in the order in which it came. What is replaced while the image is on its way is sent
 * once, as an update.
 *
 * x-conflation-interval-ms: behind the image, a consumer gets what has come in such an interval at its end,
 * so no key more than once in it.
 *
 * Memory: for each key an index entry and 80 bytes with the key behind them. Owned by its stream.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/fifo.h"
#include "base/map.h"
#include "router/index.h"

struct message;
struct publishing;
struct word_node;
struct word_tree;
struct queue;
struct reader;
struct record_keys;
struct router;

struct image_key {
    struct map_node by_name;
    struct image_key *next, *prev; /* that came first later, and before */
    struct word_node *node;        /* in image.names; NULL: names aren't looked for */
    uint64_t order;                /* counts first arrivals */
    uint64_t seq;                  /* of its value; 0: it has none any more */
    uint32_t len;
    uint8_t name[];
};

struct image {
    struct map keys;
    struct image_key *first, *last; /* by order */
    uint64_t order;                 /* the next one's */
    struct word_tree *names;        /* NULL: keys are found by their whole names only; owned */
    const struct image_key *saving; /* of a checkpoint: the next one; NULL: there is none, or it's done */
    struct image_key *swept;        /* whose time is looked at next, where values expire; NULL: the first's */
};

/* What of the image a reader has been sent, while it is of use: for stream_resume. */
struct image_sent {
    uint64_t seq;
    struct image_key *key;
};

/* Where a reader is. Zeroed: it has had the image. */
struct image_cursor {
    struct image_key *at; /* the next of the image; NULL: it has had it */
    FIFO(struct image_sent) sent;
    uint64_t from, limit; /* with an interval: messages from `from` on and below `limit` may be sent */
    uint64_t next_ns;     /* and then, not before this time, those that have come by then */
};

struct image *image_new(void);
void image_free(struct image *image);
/* A message becomes the queue's, which is a last-value queue; the key's older value goes. Where values expire
 * (the index has notes) two keys are looked at in turn, and those whose time is over go: so there are never
 * many more than live ones, and no timer is needed. */
void image_push(struct router *router, struct queue *queue, struct entry entry, const struct publishing *p);
/* The key's value goes, and with it the key: of a queue without readers. */
void image_forget(struct router *router, struct queue *queue, struct span name);
/* From now on, while there are no keys yet: their names are routing keys, and found by patterns. */
void image_find_names(struct image *image);
void image_match_names(const struct image *image, struct span pattern,
                       void (*visit)(void *owner, void *image_key), void *owner);
/* The queue has been purged. */
void image_clear(struct router *router, struct queue *queue);

/* ---- readers (stream_reader.c) ------------------------------------------------------------------- */

void image_join(const struct image *image, struct image_cursor *cursor);
void image_leave(struct image_cursor *cursor);
/* The key's value has been sent; the next one is next. */
void image_was_sent(struct image_cursor *cursor, uint64_t seq);
/* The reader goes on behind `seen` (0: nothing). False: that was behind the image. start: the first number
 * that isn't of the reader's image. */
bool image_resume(const struct image *image, struct image_cursor *cursor, uint64_t seen, uint64_t start);
/* The first number that a reader is not to be sent yet, of one that has come to `seq`; at most `tail`.
 * *wake_ns: when to look again, though nothing happens; 0: no need. */
uint64_t image_limit(const struct queue *queue, struct image_cursor *cursor, uint64_t seq, uint64_t tail,
                     uint64_t now_ns, uint64_t *wake_ns);

/* ---- recovery ------------------------------------------------------------------------------------ */

/* The message was found in the log as the queue's. */
void image_replay(struct router *router, struct queue *queue, uint64_t seq, const struct message *m);
void image_replay_keys(struct router *router, struct queue *queue, const struct record_keys *r);
/* At its end: keys in order; those without a value are forgotten. */
void image_replayed(struct queue *queue);
/* For a checkpoint: appends a record of the first keys (begin), or the next. False: that was all. */
bool image_save(struct router *router, const struct queue *queue, bool begin);
