/*
 * The journal: an agent that writes one router's log to one disk. It knows segments, blocks and syncs; what
 * the records mean is the router's affair (it only tells it what is safe). The log is one space of bytes:
 * segment n holds the LSNs from n * SEGMENT_BYTES on, the first block of a segment is its header, and pages
 * of PAGE_BYTES tile it. The router fills a page in memory and gives ranges of whole blocks to write; no
 * block is written twice.
 *
 * Commands and events travel on two rings. A range given to WRITE lies in one page and must not change until
 * SAFE has passed it. WRITE ranges come in order of their LSN with no gap but at the start of a segment: the
 * rest of the segment before may be left unwritten.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/histogram.h"
#include "base/limits.h"
#include "base/ring.h"
#include "base/span.h"
#include "journal/record.h"

struct storage;

enum journal_command_kind {
    JOURNAL_WRITE,  /* bytes to lsn, in whole blocks: safe when SAFE says so */
    JOURNAL_READ,   /* whole blocks at lsn, in one segment, into bytes; answered by DONE with tag */
    JOURNAL_RETIRE, /* lsn: the start of a segment that holds nothing anyone needs. Takes effect when all
                       WRITEs before it are safe and so is a segment header that names a checkpoint behind
                       this segment */
    JOURNAL_SPILL,  /* bytes to position lsn of the scratch file (lost at a restart); answered by DONE */
    JOURNAL_FETCH,  /* whole blocks from position lsn of the scratch file; answered by DONE */
    JOURNAL_ASIDE,  /* lsn: so many segments are to be had though the disk is full, besides what
                       acknowledgements  need; answered by SET */
};

struct journal_command {
    uint8_t kind;
    uint8_t unused[3];
    uint32_t len;
    uint64_t lsn;
    uint8_t *bytes; /* aligned to BLOCK_BYTES */
    uint64_t tag;
    uint64_t sealed_ns; /* WRITE: when the router was done with it; 0: it isn't to be measured */
    uint64_t unused2[3];
};

enum journal_event_kind {
    JOURNAL_SAFE, /* everything below lsn is on stable storage */
    JOURNAL_DONE, /* READ, SPILL or FETCH of tag; error: 0 or an errno */
    JOURNAL_FULL, /* no room for another segment: hold publishers back. What is open can still be filled; lsn:
                     not 0 if some of what was put aside is left, told again when that changes */
    JOURNAL_ROOM, /* there is room again */
    JOURNAL_READY,  /* below lsn are files to be written to, whatever the disk says */
    JOURNAL_SET,    /* ASIDE has been heard; lsn: so many segments more there is room for */
    JOURNAL_FAILED, /* a write or sync failed with error (errno): nothing will ever be safe again here */
};

struct journal_event {
    uint8_t kind;
    uint8_t unused[3];
    uint32_t error;
    uint64_t lsn;
    uint64_t tag;
    uint64_t unused2[5];
};

static_assert(sizeof(struct journal_command) == RING_ENTRY_BYTES, "a command is a ring entry");
static_assert(sizeof(struct journal_event) == RING_ENTRY_BYTES, "an event is a ring entry");

/* The header block of a segment, made by the router when it opens one (segment_header), written with the
 * segment's first WRITE. */
struct segment_header {
    uint8_t magic[8]; /* "gannetJ\n" */
    uint32_t version; /* of the format: JOURNAL_VERSION */
    uint32_t router;
    uint64_t broker;     /* id of this data directory, random, the same in all its journals */
    uint64_t segment;    /* its number */
    uint64_t checkpoint; /* LSN from which a replay is complete, the first record of a segment; 0: from the
                            beginning. Only one that is safe: a checkpoint above `safe` is not believed */
    uint64_t safe;       /* as in a COMMIT */
    uint64_t start;      /* as in a COMMIT */
    uint32_t before;     /* the sum of the last record of the segment before */
    uint32_t segment_bytes, page_bytes;
    uint32_t sum; /* CRC32C of all fields above: what the first record of the segment carries as `before` */
};

#define JOURNAL_VERSION 1u

/* block: BLOCK_BYTES, zeroed and filled in. Magic, version, sizes and sum need not be set in header. Returns
 * the sum: the header is a link of the chain. */
uint32_t segment_header_write(uint8_t *block, const struct segment_header *header);

/* ---- recovery, before the agent runs -------------------------------------------------------------- */

/* What recovery found; also what the router needs to go on appending. */
struct journal_end {
    uint64_t lsn;        /* the end of what is valid, rounded up to a block: append here */
    uint64_t safe;       /* the very end of what is valid: what the first commits may call safe */
    uint64_t checkpoint; /* LSN that the replay began from, for the headers to come; 0: the beginning */
    uint32_t before;     /* the sum of the last valid record */
    uint64_t broker;     /* 0 in an empty directory */
    uint64_t records;
    uint64_t cut_bytes; /* at least: of a torn, never confirmed end */
};

/* Called for every record from the last checkpoint on, in order; owner as given. The record is in a buffer
 * that is reused after the call. */
typedef void journal_replay(void *owner, const struct record *record, uint64_t lsn);

/*
 * Reads the log of `router` from storage and replays it. Returns 0 and fills *end, or -1 and says in error
 * (of error_size bytes) which file is damaged, at what offset, and what to do: the log is then left as it is.
 * May block: it runs at start, before the agents do.
 */
int journal_recover(struct storage *storage, uint32_t router, struct journal_end *end, journal_replay *replay,
                    void *owner, char *error, size_t error_size);

/*
 * For who only looks: goes through the segments from number `first` up to, not into, `until`, wherever the
 * checkpoint is, as recovery does, and tells replay what stands there; syncs nothing. That `first` follows
 * what was before it can't be checked. 0, or -1 with error as above; end->lsn is how far it came in any case.
 */
int journal_check(struct storage *storage, uint32_t router, uint64_t first, uint64_t until,
                  struct journal_end *end, journal_replay *replay, void *owner, char *error,
                  size_t error_size);

/* Segments that exist after recovery, oldest first, at most max numbers put into `segments`; returns how many
 * there are. Those in which the router finds nothing alive are to be RETIREd by it. end: as journal_recover
 * found it. */
unsigned journal_segments(struct storage *storage, const struct journal_end *end, uint64_t *segments,
                          unsigned max);

/* ---- the agent ------------------------------------------------------------------------------------- */

/* Files with which a journal always comes to have room again once all that it holds is dead: the segment in
 * which the last checkpoint begins, the one whose header names it, where the log goes on, and three ready
 * (reserve.h). What is alive comes on top. */
#define JOURNAL_SEGMENTS_LEAST 5u

struct journal_options {
    uint32_t router;
    uint64_t disk_free_limit;  /* bytes that must stay free on the file system: FULL below; */
    uint64_t disk_free_margin; /* and so many more until there is ROOM again, unless by what was retired */
};

struct journal;

/* storage, commands (from the router) and events (to it) are the caller's and outlive the journal. */
struct journal *journal_new(struct storage *storage, const struct journal_options *options,
                            struct ring *commands, struct ring *events, const struct journal_end *end);
void journal_free(struct journal *journal);

/* One turn: takes commands, starts writes, hears completions, tells. Never blocks. Returns the work found. */
unsigned journal_poll(struct journal *journal, uint64_t now_ns);

/* Whether nothing is under way (for a clean end). */
bool journal_idle(const struct journal *journal);

/* Numbers for status: read from any thread. */
struct journal_stats {
    struct histogram safe;    /* ns from a range's seal until it was on stable storage */
    struct histogram sync;    /* ns that a write, and what makes it stable, took */
    uint64_t disk_free_limit; /* as in the options */
};
const struct journal_stats *journal_stats(const struct journal *journal);
