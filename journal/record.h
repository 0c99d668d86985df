/*
 * A record of the journal: 16 bytes, then its payload, padded to 8. The log sequence number (LSN) of a
 * record is its byte position in the log; it is not stored but is part of the sum, so that a record found
 * in the wrong place is not valid. Sums chain: each record carries its predecessor's, so that a whole stale
 * record behind a torn write can't come back to life.
 *
 *    0        4        8        12   13    14    16
 *    | length | sum    | before |type|flags| zero | payload, zero padding to length ...
 */
#pragma once

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"

struct record {
    uint32_t length; /* header, payload and padding: a multiple of 8 */
    uint32_t sum;    /* CRC32C over the LSN and all bytes but this field */
    uint32_t before; /* the sum of the record before this one in the log */
    uint8_t type;    /* enum record_type, or the router's own from RECORD_OWN up */
    uint8_t flags;
    uint16_t zero;
};

static_assert(sizeof(struct record) == 16, "the layout on disk");

enum record_type {
    RECORD_PAD = 1,    /* nothing, up to the next block or page */
    RECORD_COMMIT = 2, /* struct record_commit */
    RECORD_OWN = 16,   /* from here up: what the log's owner writes (router/persist.h) */
};

/*
 * What opens every write, at the start of a block.
 * safe: the LSN up to which all was on stable storage when this write was made up: that of the last
 * JOURNAL_SAFE, before the first journal_end.safe (never journal_end.lsn: what lies between was torn). Damage
 * below it is damage to data that had been promised; damage above it can be a torn write. broker: as in the
 * segment's header; a secret of the data directory, so that no publisher can put a commit into a body. start:
 * a number drawn at random when the broker started. It makes the sums of each start's records differ from
 * those of every other start's, so that what an earlier start left behind the end can't chain to what this
 * one writes.
 */
struct record_commit {
    struct record record;
    uint64_t safe;
    uint64_t broker;
    uint64_t start;
};

static_assert(sizeof(struct record_commit) == 40, "the layout on disk");

/* Fewer than this many bytes left in a page hold no record; they are zero. */
#define RECORD_MIN sizeof(struct record)

static inline size_t record_round(size_t bytes)
{
    return (bytes + 7) & ~(size_t)7;
}

/* Fills in `before` and `sum` of a record whose other fields and payload are complete. Returns the sum. */
uint32_t record_seal(struct record *record, uint64_t lsn, uint32_t before);

/* Whether the record at LSN is what was sealed there. avail: bytes from it to the end of its page.
 * Does not look at the chain: compare `before` for that. */
int record_valid(const struct record *record, uint64_t lsn, size_t avail);

/* The commit that stands valid at lsn, the start of a block of which BLOCK_BYTES are at `block`, or NULL.
 * broker: 0 if it is not known. */
const struct record_commit *record_commit_at(const uint8_t *block, uint64_t lsn, uint64_t broker);

/*
 * Walks the records of one page that was read back (compaction). A walk ends at the end of the page, at the
 * end of what was written, or at damage: only who knows what the page should hold can tell the last two
 * apart.
 */
struct record_scan {
    const uint8_t *page; /* PAGE_BYTES */
    uint64_t lsn;        /* of the page */
    size_t at;           /* of the next record in it; PAGE_BYTES when the walk got to the end */
    uint32_t before;     /* sum of the record last seen */
    int chained;         /* whether before is known */
    uint64_t broker;     /* 0 if it is not known */
};

/* lsn: of the page, a multiple of PAGE_BYTES; the header block of a segment is stepped over. */
void record_scan_begin(struct record_scan *scan, const uint8_t *page, uint64_t lsn, uint64_t broker);
/* The next record and its LSN, or NULL. */
const struct record *record_next(struct record_scan *scan, uint64_t *lsn);
