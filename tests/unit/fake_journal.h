/*
 * A journal that only plays: it takes a store's commands from the ring, does them in memory when the test
 * says so, and judges each by what journal.h asks of a router. A write's bytes are looked at again when it
 * completes: whoever changed or reused them in between is caught.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/prng.h"
#include "journal/journal.h"

enum { FAKE_ROUTER = 3, FAKE_SEGMENTS = 40, FAKE_PAGES_SPILLED = 64, FAKE_ASKED = 4096 };

#define FAKE_BROKER UINT64_C(0x1234567890abcdef)
#define FAKE_START  UINT64_C(0xfedcba9876543210)
/* Where an empty log begins. */
#define FAKE_FIRST ((uint64_t)SEGMENT_BYTES)

struct fake_journal {
    struct prng prng;
    struct ring *commands;
    struct journal_command asked[FAKE_ASKED]; /* taken, not done; in the order of asking */
    uint64_t sum[FAKE_ASKED];                 /* of the bytes of a WRITE or SPILL when it was asked for */
    size_t count;
    uint8_t *log[FAKE_SEGMENTS]; /* what is on the disk; NULL: never written */
    bool retired[FAKE_SEGMENTS];
    uint8_t *scratch[FAKE_PAGES_SPILLED]; /* NULL: never written */
    uint64_t handed, safe;                /* LSN: asked to be written, told to be safe */
    uint64_t named;                       /* the checkpoint that the newest safe header names */
    uint64_t emptied[FAKE_SEGMENTS]; /* told by the test: LSN when the last in it went, UINT64_MAX while there
                                        is something */
    uint32_t fail_reads, fail_spills;                 /* in a million */
    unsigned writes, reads, spills, fetches, retires; /* done */
};

void fake_journal_init(struct fake_journal *journal, uint64_t seed);
void fake_journal_free(struct fake_journal *journal);
/* Takes at most `most` commands from the ring. */
void fake_journal_take(struct fake_journal *journal, unsigned most);
/* Whether there is anything to take or to do. */
bool fake_journal_busy(const struct fake_journal *journal);
/* Does one of the commands taken; true and fills in *event if there is something to tell. */
bool fake_journal_do(struct fake_journal *journal, struct journal_event *event);
/* Calls visit for each of the owner's records in the log, in order, up to what is safe, and checks the chain,
 * headers, pads and commits on the way. */
void fake_journal_walk(const struct fake_journal *journal,
                       void (*visit)(void *owner, const struct record *record, uint64_t lsn), void *owner);
/* The memory of one LSN on the disk. */
uint8_t *fake_journal_at(const struct fake_journal *journal, uint64_t lsn);
