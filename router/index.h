/*
 * The index of a queue: one 16-byte entry per message, in order of the queue's own sequence numbers, which
 * are dense and never reused. An entry stays at its place until the message is done with, so a message that
 * is given back returns to its old place.
 *
 * Entries stand in chunks; a chunk all of whose entries are dead is freed, wherever it is, so that one old
 * unacknowledged message costs its chunk and eight bytes for each younger chunk.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "router/seq_heap.h"
#include "router/store.h"

enum entry_state { ENTRY_DEAD, ENTRY_READY, ENTRY_OUT }; /* OUT: delivered, not yet settled */

/* position: /8, with POSITION_TRANSIENT at bit 55. */
struct entry {
    uint64_t position : 56, state : 2, redelivered : 1, large : 1, period : 4;
    /* period: of an OUT entry, for lapse.h; else 0 */
    uint32_t body;  /* bytes of the message's body */
    uint32_t share; /* its bytes of the record: what it counts for in the segment's account */
};

static_assert(sizeof(struct entry) == 16, "memory per queued message");

static inline uint64_t entry_position(const struct entry *entry)
{
    return (uint64_t)entry->position << 3;
}

/* What some queues must know of a message besides: kept only where the index has notes. All zero: nothing. */
struct entry_note {
    uint64_t expires : 44;  /* ms since 1970, when it is to leave; 0: never */
    uint64_t attempts : 12; /* deliveries that came to nothing; counts no further than ATTEMPTS_MAX */
    uint64_t priority : 8;
};

#define ATTEMPTS_MAX 4095u

static_assert(sizeof(struct entry_note) == 8, "memory per message with a note");

struct index_chunk;
struct lanes;

struct index {
    struct index_chunk **chunks; /* ring of mask + 1 */
    size_t mask, head, count;
    uint64_t first;              /* number of the chunk at head */
    uint64_t next;               /* the first sequence number never yet delivered */
    uint64_t tail;               /* the next to be given; starts at 1 */
    struct seq_heap back;        /* given-back sequence numbers below next */
    uint64_t ready, out;         /* entries in these states */
    uint64_t bytes, ready_bytes; /* of bodies: READY and OUT, and READY alone */
    bool noted;                  /* new entries get a note */
    bool has_notes;              /* one that says something has been kept */
    struct lanes *lanes;         /* NULL: READY entries leave in order of their numbers; owned */
};

void index_init(struct index *index);
void index_free(struct index *index);
/* From now on entries leave by priority (their notes', 0 without), `highest` at most; entries that are there
 * are sorted in. Needs notes. */
void index_order(struct index *index, uint8_t highest);

/* Appends a READY entry; returns its sequence number. note: only where the index has notes. */
uint64_t index_push(struct index *index, struct entry entry);
uint64_t index_push_noted(struct index *index, struct entry entry, struct entry_note note);
/* The note of an entry that isn't dead; {0} where it has none. */
struct entry_note index_note(const struct index *index, uint64_t seq);
/* Exchanges it; does nothing where the index has no notes. The priority of a READY entry doesn't change. */
void index_set_note(struct index *index, uint64_t seq, struct entry_note note);
/* Puts an entry where it was, for recovery; grows the index on either side. Replaces what is there (*old,
 * DEAD if nothing). */
void index_put(struct index *index, uint64_t seq, struct entry entry, struct entry *old);
/* For recovery: numbers below tail have been given, whether or not they are put. tail: at or above
 * index->tail. */
void index_move_tail(struct index *index, uint64_t tail);
/* The entry, NULL if it is dead. */
struct entry *index_at(const struct index *index, uint64_t seq);
/* The next READY entry in order, and its number; NULL if there is none. */
struct entry *index_head(struct index *index, uint64_t *seq);
/* The same, for looking further: the first READY entry at or above seq. */
struct entry *index_ready_from(const struct index *index, uint64_t *seq);
/* The first entry at or above seq that is READY or OUT. */
struct entry *index_alive_from(const struct index *index, uint64_t *seq);
/* The same, below limit. */
struct entry *index_alive_below(const struct index *index, uint64_t *seq, uint64_t limit);
/* The READY entry that index_head gave is delivered: OUT. */
void index_deliver(struct index *index, uint64_t seq, struct entry *entry);
/* An OUT entry is READY again at its old place. */
void index_requeue(struct index *index, uint64_t seq, struct entry *entry);
/* A READY or OUT entry is done with. */
void index_kill(struct index *index, uint64_t seq, struct entry *entry);
/* The smallest sequence number that is not dead; index->tail if all are. */
uint64_t index_first(const struct index *index);
