/*
 * The store: a router's log pages. Messages are appended to one of two streams of pages: the durable one is
 * the router's journal (a page is written to disk as it is), the transient one is not written unless memory
 * runs short (then to a scratch file that is lost at a restart). A position names a byte of either stream;
 * that of the durable stream is its LSN.
 *
 * A page is in memory while it is open or unsafe, while a delivery points into it (pins), and for as long
 * after that as the memory budget allows; then it is dropped, or spilled, and read back when a consumer
 * reaches it. A page that no index entry points to (live) is forgotten; a segment of which all pages are is
 * retired after the next checkpoint.
 *
 * Owned by one router, used on its thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ring.h"
#include "journal/journal.h"
#include "router/waiter.h"

/* Set in positions of the transient stream. Positions are multiples of 8 below 2^58, so that an index entry
 * can keep one in 56 bits. */
#define POSITION_TRANSIENT (UINT64_C(1) << 58)

enum page_state {
    PAGE_OPEN,    /* being filled */
    PAGE_CLOSED,  /* full, in memory */
    PAGE_SPILL,   /* in memory, on its way to the scratch file */
    PAGE_LOAD,    /* on its way into memory */
    PAGE_ABSENT,  /* not in memory */
    PAGE_DAMAGED, /* could not be read back */
};

struct page {
    uint64_t at; /* position of its first byte */
    uint8_t *bytes;
    uint32_t live;  /* index entries and parts that need it */
    uint32_t pins;  /* deliveries that point into it */
    uint8_t state;  /* enum page_state */
    bool from_disk; /* read back: sums are to be checked */
    bool on_scratch;
    uint64_t scratch; /* position in the scratch file */
    uint32_t sum;     /* CRC32C of the whole page there: transient records have no sums of their own */
    struct page *newer, *older; /* of those in memory, by last use */
    struct waiter *waiters;
};

/* Pages of one stream by number, from the oldest that is needed to the newest. */
struct page_list {
    struct page **slots; /* a ring, mask + 1 of them */
    size_t mask, head, count;
    uint64_t first; /* the number of the page at head */
};

struct segment {
    uint64_t live;       /* index entries */
    uint64_t live_bytes; /* roughly: each entry's share of its record */
    uint64_t emptied; /* end of the log when the last one went: what says that they are gone is behind it */
    bool retired;
};

struct store {
    struct page_list pages[2]; /* [0] transient, [1] durable */
    struct page *open[2];
    uint64_t end[2]; /* position of the next byte */
    struct page *newest, *oldest;
    size_t resident, budget; /* pages in memory, and how many there should be at most, with */
    uint64_t index_bytes;    /* what finds messages in them: the owner's to set */
    unsigned high, low;      /* percent of the budget */
    bool pressed;
    uint8_t **spare; /* page memory to use again, last used first */
    size_t spares, spares_max;
    struct ring *to_journal;
    uint64_t now_ns; /* of the router's turn: when what is sealed in it was */

    /* Durable stream. */
    uint64_t begin;                   /* LSN that recovery ended at, rounded up to a block */
    uint64_t handed;                  /* LSN up to which the journal has been given everything */
    uint64_t safe;                    /* LSN up to which everything is on stable storage */
    uint64_t ready;                   /* LSN up to which it can be, whatever room the disk has */
    uint32_t before;                  /* sum of the last record */
    bool fresh;                       /* the next record opens a write */
    uint64_t seals[WRITES_IN_FLIGHT]; /* ends of writes of an open page under way, oldest first */
    unsigned seal_count;
    struct record *pending; /* between store_begin and store_end */
    int pending_stream;
    bool full, failed;
    bool aside;     /* full, but for what was put aside */
    uint32_t error; /* errno of the failure */

    struct segment *segments; /* ring of segment_mask + 1, the oldest at segment_head */
    size_t segment_mask, segment_head, segment_count;
    uint64_t segment_first;     /* its number */
    size_t segments_held;       /* not retired */
    uint64_t checkpoint;        /* LSN a replay can start from: goes into the next segment header, */
    uint64_t header_lsn;        /* which ends here; 0: it is safe, */
    uint64_t header_checkpoint; /* and says this; */
    uint64_t replay_from; /* a restart would start here now: segments before it that hold nothing may go */
    bool some_emptied;    /* since segments were last looked at */
    uint32_t router;
    uint64_t broker, start;

    uint64_t *scratch_free; /* page-sized places in the scratch file to use again */
    size_t scratch_frees, scratch_frees_room;
    uint64_t scratch_end;
    unsigned spilling, loading;
    uint64_t spill_at_ns; /* the scratch file took no more: not before this is it tried again; 0: it takes */
    uint32_t spill_error; /* errno of a spill that failed since store_shrink was last called */
};

void store_init(struct store *store, struct ring *to_journal, uint32_t router, size_t budget_bytes);
/* At how many percent of the budget publishers must wait, and at how many they need not any more: 100 at
 * least, high above low. 0: 125 and 110. */
void store_watermarks(struct store *store, unsigned high, unsigned low);
/* The bytes at which they must wait. */
uint64_t store_limit(const struct store *store);
void store_free(struct store *store);
/* After recovery: where to append. broker: id of the data directory; start: a number drawn for this start.
 * Returns where to put what the page of end->lsn already holds (from its beginning to end->lsn), so that it
 * can be delivered from; NULL if there is nothing before. */
uint8_t *store_open(struct store *store, const struct journal_end *end, uint64_t broker, uint64_t start);

/* Room for a record of len bytes (header included, at most a page less two blocks) in a stream. The caller
 * fills in all but length, sum and before, and calls store_end, which returns the record's position. Between
 * the two no other call. */
struct record *store_begin(struct store *store, bool durable, size_t len);
uint64_t store_end(struct store *store);
/* The LSN that must be safe for everything appended so far to be so. */
uint64_t store_lsn(const struct store *store);

/* The page of a position; NULL if it is forgotten (nothing was live in it). */
struct page *store_page(const struct store *store, uint64_t position);
/* The bytes at a position, NULL unless its page is in memory. Marks the page as used. */
const void *store_bytes(struct store *store, struct page *page, uint64_t position);
/* Has an absent page read back; waiter (or NULL) is woken when it is there or damaged. False: the journal is
 * too busy to be asked now, try again later. */
bool store_load(struct store *store, struct page *page, struct waiter *waiter);

/* An index entry (share: its bytes of the record, for the segment's account) begins or ceases to need the
 * record. During recovery store_keep makes the pages known. */
void store_keep(struct store *store, uint64_t position, uint32_t share);
void store_drop(struct store *store, uint64_t position, uint32_t share);
/* A delivery points into the page; count deliveries no longer do. page_id as in the delivery: page->at. */
static inline void store_pin(struct page *page)
{
    page->pins++;
}
void store_unpin(struct store *store, uint64_t page_id, uint32_t count);

/* Hands to the journal what is full, and seals what is open if the disk is ready for another write. Returns
 * the work done. */
unsigned store_flush(struct store *store);
/* Drops or spills what is over the budget, and looks at the watermarks. */
void store_shrink(struct store *store, uint64_t now_ns);
/* When store_shrink must be called though nothing else happened. */
uint64_t store_deadline(const struct store *store);
/* Whether there was so much in memory, when store_shrink was last called, that publishers must wait. */
bool store_pressed(const struct store *store);
/* Takes one event of the journal. Returns the waiters to be woken (linked), if any. */
struct waiter *store_on_journal(struct store *store, const struct journal_event *event);

/* A checkpoint that begins at lsn is complete and safe. When a segment header says so, and is safe too,
 * segments before it that nobody needs are retired. */
void store_checkpoint(struct store *store, uint64_t lsn);
/* Segments that could be retired if a checkpoint began now; 0 while the header that names the last one is not
 * safe, as they go by that. */
size_t store_dead_segments(const struct store *store);
/* Whether so many bytes more, and then so many segments, have their files already. */
bool store_fits(const struct store *store, uint64_t bytes, uint64_t segments);
/* Leaves the rest of the open segment unused: the next record opens a new one. */
void store_new_segment(struct store *store);
/* Which segments exist on disk, ascending (recovery). */
void store_found_segments(struct store *store, const uint64_t *numbers, size_t count);
/* A segment of which less is alive is sparse. */
#define SEGMENT_SPARSE_BYTES (SEGMENT_BYTES / 4)

/* The oldest sparse segment before replay_from that is at least `age` segments old; 0 if there is none. */
uint64_t store_sparse_segment(const struct store *store, uint64_t age);
/* Whether anything in the segment is alive. */
bool store_segment_alive(const struct store *store, uint64_t number);
/* Whether everything appended is safe and no page is on its way. */
bool store_idle(const struct store *store);
/* Bytes of the segments that are not retired. */
uint64_t store_log_bytes(const struct store *store);
