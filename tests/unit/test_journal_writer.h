/*
 * A small stand-in for a router, for the tests of the journal: it appends numbered records, seals them as a
 * router must, and remembers what it appended and what was promised, so that it can judge what a recovery
 * finds.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/prng.h"
#include "journal/journal.h"

struct storage;

struct entry {
    uint64_t lsn, id;
};

struct writer_page {
    struct writer_page *next;
    uint64_t lsn;
    uint8_t *bytes;
};

struct writer {
    struct storage *storage;
    struct journal *journal;
    struct ring *commands, *events;
    struct journal_end end;
    struct writer_page *pages; /* newest first */
    uint64_t now_ns, free_limit;
    uint64_t lsn, handed; /* where the next record goes; what has been handed over */
    uint64_t safe, claim; /* as told; as put into commits */
    uint64_t checkpoint, broker, start;
    uint32_t before;
    bool fresh;

    struct entry *entries; /* in order; survives restarts */
    size_t count, room;
    size_t promised; /* of them */
    uint64_t next_id;

    struct entry *replayed; /* by the last recovery */
    size_t replayed_count, replayed_room;

    unsigned fulls, rooms, dones;
    uint64_t aside_left, more; /* as FULL and SET say */
    uint32_t failed, done_error;
    uint64_t done_tag;
    char error[1024];
};

enum { WRITER_ROUTER = 3 };

void writer_init(struct writer *w);
void writer_free(struct writer *w);
/* Recovers and starts a journal. 0; -1: recovery refused (w->error); -2: it lost or invented something
 * (w->error). Takes the storage over, also when it fails. */
int writer_open(struct writer *w, struct storage *storage);
/* Ends journal and storage, not what is remembered. */
void writer_close(struct writer *w);
/* One record of len bytes in all. */
void writer_append(struct writer *w, size_t len);
/* Makes what is open a whole number of blocks and hands it over. */
void writer_flush(struct writer *w);
/* Goes on in a new segment; what was open is flushed. leave: the rest of the old one stays unwritten. */
void writer_new_segment(struct writer *w, bool leave);
unsigned writer_poll(struct writer *w);
/* Flushes, and polls until all is safe. False if that never comes. */
bool writer_settle(struct writer *w);
/* Polls n times. */
void writer_polls(struct writer *w, unsigned n);
void writer_command(struct writer *w, enum journal_command_kind kind, uint64_t lsn, void *bytes, uint32_t len,
                    uint64_t tag);
/* Appends until the n-th segment from here is reached. */
void writer_fill(struct writer *w, unsigned n);
void writer_retire(struct writer *w, uint64_t segment);
/* A checkpoint in a segment of its own, named by the header of the next. */
void writer_checkpoint(struct writer *w);
/* Polls until the journal is DONE with what was asked under tag; returns its error. */
uint32_t writer_done(struct writer *w, uint64_t tag);
/* READ, SPILL and FETCH, and what they say when there is nothing. */
void writer_reads_and_spills(struct writer *w);
