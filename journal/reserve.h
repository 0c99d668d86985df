/*
 * The reserve: segment files made ready ahead of the writer, so that it never waits for one to be created,
 * and so that there are some left for acknowledgements when the disk is full. They carry the numbers that
 * follow the current segment's; a retired segment is renamed to the next number wanted, or removed when there
 * are enough.
 *
 * What is put aside for queues that have a reservation are files, too: then nobody else can take that room.
 *
 * Part of a journal, on its thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"

#define RESERVE_SEGMENTS 2u /* left when the disk is full; one more is wanted otherwise */
#define RESERVE_MOST     5u /* a retired segment beyond this is removed */

struct storage;

struct retired {
    uint64_t segment;
    uint64_t barrier; /* LSN: what led to the retirement is safe when this is */
};

enum reserve_task { RESERVE_RESTS, RESERVE_CREATES, RESERVE_RECYCLES, RESERVE_REMOVES, RESERVE_TRIMS };

/* ASIDE: there is no room but what was put aside; FULL: none at all. */
enum reserve_level { RESERVE_ROOM, RESERVE_ASIDE, RESERVE_FULL };

struct reserve {
    struct storage *storage;
    uint64_t token;         /* of the task under way */
    uint64_t leave_free;    /* bytes, on the file system, */
    uint64_t margin;        /* and so many more while it is full: the owner's to set */
    uint64_t aside;         /* segments wanted besides, */
    bool aside_known;       /* once that has been said: before, what is ready may be what was put aside */
    uint64_t current;       /* the segment of the newest WRITE */
    uint64_t ready;         /* segments up to this one have their files */
    enum reserve_task task; /* one at a time; RECYCLES and REMOVES are about the oldest retired segment, TRIMS
                               about the last one that is ready */
    bool measured;          /* since aside was last set: */
    uint64_t more;          /* how many more could be put aside */
    bool full;              /* the next segment could not be prepared */
    uint64_t create_ns;     /* when to try to create one again */
    uint64_t retry_ns;      /* when to try anything again */
    uint32_t error;         /* errno, for good: the disk failed, rather than being full */
    struct retired retired[RING_SLOTS];
    unsigned first, count; /* of retired, a ring */
};

/* lsn: where the log goes on. May block: at start. Finds out whether the disk is full. */
void reserve_init(struct reserve *reserve, struct storage *storage, uint64_t token, uint64_t lsn,
                  uint64_t leave_free);
/* So many segments are to be ready besides: asks the file system for its room, now or when the file under way
 * is made. */
void reserve_put_aside(struct reserve *reserve, uint64_t segments);
enum reserve_level reserve_level(const struct reserve *reserve);
/* Whether reserve_retire can take another. */
bool reserve_takes(const struct reserve *reserve);
void reserve_retire(struct reserve *reserve, uint64_t segment, uint64_t barrier);
/* Asks for what is wanted next. safe: LSN; checkpoint: LSN of the newest that a header on stable storage
 * names: a segment behind it would be missed by a replay. Returns the work found. */
unsigned reserve_poll(struct reserve *reserve, uint64_t safe, uint64_t checkpoint, uint64_t now_ns);
/* The storage has answered. */
void reserve_on_done(struct reserve *reserve, uint32_t error, uint64_t now_ns);
