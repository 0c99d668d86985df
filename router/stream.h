/*
 * A stream: a queue whose messages stay when they are consumed. The message of number n (the queue's own,
 * from 1 on) has the offset n - 1; it stays READY until retention takes it from the front. Each consumer has
 * a reader: a cursor in the index, which waits for pages of its own, so that one that reads what is old holds
 * up neither publishers nor those at the live end. What consumers answer gives them credit and changes
 * nothing in the stream.
 *
 * Retention: when the bodies are longer than x-max-length-bytes by a segment
 * (x-stream-max-segment-size-bytes) the oldest messages go until no more is left than x-max-length-bytes;
 * the messages of a mark go when all are older than x-max-age. The newest message stays, and so do those of
 * the newest mark.
 *
 * Owned by its queue, used on the router's thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/fifo.h"
#include "router/alarm.h"
#include "router/fetch.h"
#include "router/image.h"
#include "router/index.h"
#include "router/stream_offset.h"

struct consumer;
struct op;
struct queue;
struct router;
struct settings;

/* When messages came: those from seq up to the next mark did from `ms` to `ms` + `span`. So a time can be
 * found and messages know their age. */
struct mark {
    uint64_t seq;
    uint64_t ms : 48;   /* since 1970; never less than the mark's before */
    uint64_t span : 16; /* ms */
};

struct reader {
    struct consumer *consumer;
    struct reader *next, *prev; /* of those that may be sent something; NULL when it may not */
    struct fetching fetching;
    struct stream_filter *filter; /* owned; NULL: everything passes */
    uint64_t seq;                 /* the message it looks at next */
    uint64_t from_ms;             /* those that came earlier are passed over; 0: no more */
    uint64_t start, start_ms;     /* seq and from_ms as they were at the beginning */
    bool waiting;                 /* for a page */
    struct image_cursor cursor;   /* of a last-value queue */
    uint64_t told;                /* of one: behind the image, what was below has been sent or told of */
    struct alarm tick;            /* its interval is over */
    bool behind;                  /* there is more that it may be sent at once */
};

struct stream {
    struct queue *queue;
    FIFO(struct mark) marks; /* from the oldest message on */
    struct alarm old;        /* the oldest mark is too old */
    struct reader *ready;    /* the one whose turn is next, in a ring */
    uint32_t readies;
    bool behind;      /* one of those may not yet have looked at everything, */
    uint64_t looked;  /* which is what was there below this number; in recovery: what was replayed last */
    uint64_t visible; /* the messages below are safe: an offset is never seen twice, with another message */
    struct image *image; /* not NULL: it is a last-value queue (image.h); owned */
    bool held;           /* is in router->held: readers wait for the disk */
    struct stream *held_next;
};

/* ---- its life (stream.c) ------------------------------------------------------------------------- */

struct stream *stream_new(struct queue *queue);
void stream_free(struct router *router, struct stream *stream);
/* A message becomes the stream's. arrival_ms: since 1970. */
void stream_push(struct router *router, struct queue *queue, struct entry entry, uint64_t arrival_ms);
/* A last-value queue's older value goes; there is a newer one. */
void stream_replace(struct router *router, struct queue *queue, uint64_t seq, struct entry *entry);
/* What is too old or too much goes: when that may have changed. */
void stream_trim(struct router *router, struct stream *stream);

/* ---- records (stream_marks.c) ---------------------------------------------------------------------- */

/* The message came then: makes a mark if one is due. span: as in a mark. Returns whether it did. */
bool stream_mark(struct stream *stream, uint64_t seq, uint64_t ms, uint64_t span);
/* The same, of recovery: in any order. */
void stream_replay_mark(struct stream *stream, uint64_t seq, uint64_t ms, uint64_t span);
/* Recovery is over: puts the marks in order; all that is there is safe. */
void stream_replayed(struct stream *stream);
/* For a checkpoint: appends a record of the marks in [from, to), if there are any. */
void stream_save_marks(struct router *router, const struct stream *stream, uint64_t from, uint64_t to);
/* Forgets the marks of what is gone. first: the oldest message that is left. */
void stream_forget_marks(struct stream *stream, uint64_t first);
/* The newest mark that came before ms; the oldest one, if none did; NULL if there is no mark at all. */
const struct mark *stream_mark_before(const struct stream *stream, uint64_t ms);

/* ---- its readers (stream_reader.c) --------------------------------------------------------------- */

/* Whether the op, a CONSUME, can be as far as streams are concerned; of a stream, reads what it wishes.
 * False: it is answered. what: "queue 'q' in vhost '/'". */
bool stream_consumable(struct router *router, const struct queue *queue, struct op *op, const char *what,
                       struct stream_wish *wish);
/* The consumer, a new one, becomes a reader. Takes over wish->filter. */
void stream_join(struct router *router, struct consumer *consumer, const struct stream_wish *wish);
/* It is about to be forgotten. */
void stream_leave(struct router *router, struct consumer *consumer);
/* Its credit, window or pause has changed. */
void stream_update(struct router *router, struct consumer *consumer);
/* It goes on behind the message `seen`, the last that its client was sent; 0: it was sent none. What the
 * router had sent since has not reached the client. */
void stream_resume(struct router *router, struct consumer *consumer, uint64_t seen);
/* A large message goes: parts that are held for it are given back. */
void stream_reset_readers(struct router *router, struct stream *stream);
/* The image is about to be gone: readers that were at it go on behind it. */
void stream_forget_image(struct router *router, struct queue *queue);
/* More is safe than was: the readers that waited for it go on. */
void streams_release(struct router *router);
/* Whether stream_run has something to do. */
bool stream_due(const struct stream *stream);
/* One round: each reader that may be sent something gets up to `most` messages. Returns how many went to
 * those that are at the live end now: the others don't get another round before publishers have had their
 * turn. */
unsigned stream_run(struct router *router, struct queue *queue, unsigned most);
