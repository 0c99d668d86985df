/*
 * Recovery only reads. It
 *   lists the segment files and reads their headers; one below the checkpoint that is not valid is damage,
 *   begins at the greatest checkpoint that a header names (else at the first segment),
 *   walks record by record, judging each position by the table below,
 *   makes sure that what it has read is on stable storage: after a kill it may have come from the disk's
 * cache.
 */
#include "journal/recover.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "journal/reader.h"
#include "journal/segment.h"
#include "journal/storage.h"

/* The first row that fits decides: all of its true facts are, none of its false ones. */
static const struct {
    unsigned true_facts, false_facts;
    enum recover_verdict verdict;
} judgements[] = {
    {FACT_VALID | FACT_CHAINED, 0, VERDICT_KEEP},
    {FACT_RESUMED, 0, VERDICT_SKIP},
    {FACT_LEFT, 0, VERDICT_NEXT},
    {FACT_PROOF, 0, VERDICT_STOP},
    {0, FACT_PROOF, VERDICT_CUT},
};

enum recover_verdict recover_judge(unsigned facts)
{
    for (unsigned i = 0; i < sizeof judgements / sizeof *judgements; i++)
        if ((facts & judgements[i].true_facts) == judgements[i].true_facts &&
            !(facts & judgements[i].false_facts))
            return judgements[i].verdict;
    UNREACHABLE();
}

/* A segment file. */
struct found {
    uint64_t number;
    enum segment_state state;
    struct segment_header header;
};

/* One recovery, on the stack of whoever starts the broker. */
struct recovery {
    struct storage *storage;
    uint32_t router;
    uint64_t *numbers;   /* of the segment files, ascending; the memory of reader */
    struct found *found; /* in the same order */
    size_t count;
    struct reader reader;
    const uint8_t *page; /* the one at page_lsn */
    uint64_t page_lsn;
    uint64_t lsn;     /* of the walk, */
    uint64_t until;   /* which ends here, if nothing ends it before */
    uint32_t before;  /* sum of the last record or header kept */
    uint64_t written; /* LSN behind the last valid commit seen beyond the end */
    uint64_t proof;   /* LSN of what stands beyond the break and */
    uint64_t proven;  /* LSN up to which it says that all was safe */
    struct journal_end *end;
    char *error;
    size_t error_size;
};

__attribute__((format(printf, 3, 4))) static int stop(struct recovery *r, uint64_t lsn, const char *format,
                                                      ...)
{
    char path[STORAGE_PATH_BYTES], why[400];
    r->storage->table->path(r->storage, segment_of(lsn), path);
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    snprintf(r->error, r->error_size, "%s, offset %" PRIu64 ": %s", path, lsn % SEGMENT_BYTES, why);
    return -1;
}

static int stop_unreadable(struct recovery *r, uint64_t lsn, uint32_t error)
{
    return stop(r, lsn, "cannot be read: %s",
                error == ENODATA ? "the file is too short" : strerror((int)error));
}

static int stop_damaged(struct recovery *r)
{
    return stop(
        r, r->lsn,
        "what stood here is damaged or missing, and it had been confirmed: the log goes on at segment "
        "%016" PRIx64 ", offset %" PRIu64 ", and says there that all was safe up to segment %016" PRIx64
        ", offset %" PRIu64 ". Nothing has been changed. Restore the file from a copy, or move the "
        "directory away to start without what it holds",
        segment_of(r->proof), r->proof % SEGMENT_BYTES, segment_of(r->proven), r->proven % SEGMENT_BYTES);
}

/* ---- the files --------------------------------------------------------------------------------- */

static int list_segments(struct recovery *r)
{
    int count = r->storage->table->list(r->storage, NULL, 0);
    if (count < 0)
        return stop(r, 0, "cannot list the directory: %s", strerror(-count));
    r->numbers = calloc((size_t)count + 1, sizeof *r->numbers);
    r->found = calloc((size_t)count + 1, sizeof *r->found);
    CHECK(r->numbers && r->found);
    int again = r->storage->table->list(r->storage, r->numbers, (unsigned)count);
    if (again != count)
        return stop(r, 0, "the directory changes while it is read");
    while (r->count < (size_t)count && r->numbers[r->count] <= SEGMENT_NUMBER_MAX)
        r->count++;
    return 0;
}

static struct found *found_at(const struct recovery *r, uint64_t number)
{
    size_t low = 0, high = r->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (r->numbers[middle] < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < r->count && r->numbers[low] == number ? &r->found[low] : NULL;
}

static uint32_t read_block(struct recovery *r, uint64_t lsn, uint8_t *block)
{
    const struct storage_table *table = r->storage->table;
    struct storage_done done;
    table->read(r->storage, segment_of(lsn), lsn % SEGMENT_BYTES, block, BLOCK_BYTES, 0);
    table->submit(r->storage);
    while (table->poll(r->storage, &done, 1) == 0)
        table->wait(r->storage);
    return done.error;
}

static int check_header(struct recovery *r, struct found *found)
{
    const struct segment_header *h = &found->header;
    uint64_t lsn = segment_start(found->number);
    switch (found->state) {
    case SEGMENT_INVALID:
        return 0;
    case SEGMENT_NEWER:
        return stop(r, lsn, "has version %u of the format, this broker knows version %u", h->version,
                    JOURNAL_VERSION);
    case SEGMENT_SHAPE:
        return stop(r, lsn, "has segments of %u and pages of %u bytes, this broker %u and %u",
                    h->segment_bytes, h->page_bytes, SEGMENT_BYTES, PAGE_BYTES);
    case SEGMENT_ROUTER:
        return stop(r, lsn, "belongs to router %u, not to router %u", h->router, r->router);
    case SEGMENT_VALID:
        if (r->end->broker && r->end->broker != h->broker)
            return stop(r, lsn, "belongs to another data directory");
        r->end->broker = h->broker;
        return 0;
    }
    UNREACHABLE();
}

static int read_headers(struct recovery *r)
{
    uint8_t *block = aligned_alloc(BLOCK_BYTES, BLOCK_BYTES);
    CHECK(block);
    int result = 0;
    for (size_t i = 0; i < r->count && result == 0; i++) {
        struct found *found = &r->found[i];
        found->number = r->numbers[i];
        uint32_t error = read_block(r, segment_start(found->number), block);
        if (error)
            result = stop_unreadable(r, segment_start(found->number), error);
        else
            found->state = segment_header_read(block, found->number, r->router, &found->header);
        if (!error)
            result = check_header(r, found);
    }
    free(block);
    return result;
}

/* A checkpoint above what was safe when it was named can't have been complete. */
static int find_checkpoint(struct recovery *r)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct segment_header *h = &r->found[i].header;
        if (r->found[i].state != SEGMENT_VALID || h->checkpoint > h->safe ||
            h->checkpoint <= r->end->checkpoint)
            continue;
        if (h->checkpoint % SEGMENT_BYTES != BLOCK_BYTES || segment_of(h->checkpoint) >= h->segment)
            return stop(r, segment_start(h->segment),
                        "names a checkpoint that is not the first record of an older segment");
        r->end->checkpoint = h->checkpoint;
    }
    return 0;
}

/* Where the walk begins. Segments before that still hold messages. */
static int begin(struct recovery *r)
{
    uint64_t first = r->count ? r->numbers[0] : 1;
    if (r->end->checkpoint)
        first = segment_of(r->end->checkpoint);
    r->lsn = segment_start(first);
    const struct found *found = found_at(r, first);
    if (found && found->state == SEGMENT_VALID)
        r->before = found->header.before;
    for (size_t i = 0; i < r->count && r->numbers[i] < first; i++) {
        if (r->found[i].state == SEGMENT_VALID)
            continue;
        r->lsn = segment_start(r->numbers[i]);
        r->proof = r->proven = r->end->checkpoint;
        return stop_damaged(r);
    }
    return 0;
}

/* ---- the walk ---------------------------------------------------------------------------------- */

/* Has the page of lsn in r->page. */
static int load(struct recovery *r, uint64_t lsn)
{
    uint64_t page_lsn = lsn / PAGE_BYTES * PAGE_BYTES;
    if (r->page && r->page_lsn == page_lsn)
        return 0;
    uint32_t error = reader_get(&r->reader, page_lsn, &r->page);
    r->page_lsn = page_lsn;
    return error ? stop_unreadable(r, page_lsn, error) : 0;
}

static const struct record_commit *commit_at(const struct recovery *r, uint64_t lsn)
{
    return record_commit_at(r->page + lsn % PAGE_BYTES, lsn, r->end->broker);
}

static bool header_chains(const struct recovery *r, uint64_t number)
{
    const struct found *found = found_at(r, number);
    return found && found->state == SEGMENT_VALID && found->header.before == r->before;
}

/* Looks through the blocks of a segment from lsn on for a commit that proves that the break is damage. */
static int search_segment(struct recovery *r, uint64_t lsn, uint64_t end)
{
    for (; lsn < end && r->proven <= r->lsn; lsn += BLOCK_BYTES) {
        if (load(r, lsn) != 0)
            return -1;
        const struct record_commit *commit = commit_at(r, lsn);
        if (!commit)
            continue;
        r->written = lsn + BLOCK_BYTES;
        if (commit->safe > r->lsn) {
            r->proof = lsn;
            r->proven = commit->safe;
        }
    }
    return 0;
}

/* In a later segment that seems never to have been begun, only what writes in flight could have reached is
 * looked at. */
static int search_proof(struct recovery *r)
{
    const uint64_t reach = WRITES_IN_FLIGHT * WRITE_BYTES;
    for (size_t i = 0; i < r->count && r->proven <= r->lsn; i++) {
        const struct found *found = &r->found[i];
        uint64_t start = segment_start(found->number), bytes = SEGMENT_BYTES;
        if (found->number < segment_of(r->lsn))
            continue;
        bool begun = found->state == SEGMENT_VALID || segment_of(r->lsn) == found->number;
        if (found->state == SEGMENT_VALID && found->header.safe > r->lsn) {
            r->proof = start;
            r->proven = found->header.safe;
            return 0;
        }
        if (!begun && reach < bytes)
            bytes = reach;
        if (search_segment(r, start > r->lsn ? start : block_round(r->lsn), start + bytes) != 0)
            return -1;
    }
    return 0;
}

/* The log does not simply go on at r->lsn. */
static int look_further(struct recovery *r, unsigned *facts)
{
    uint64_t block = block_round(r->lsn);
    if (block != r->lsn && segment_of(block) == segment_of(r->lsn)) {
        if (load(r, block) != 0)
            return -1;
        const struct record_commit *commit = commit_at(r, block);
        if (commit && commit->record.before == r->before) {
            *facts |= FACT_RESUMED;
            return 0;
        }
    }
    if (r->lsn % SEGMENT_BYTES != 0 && header_chains(r, segment_of(r->lsn) + 1)) {
        *facts |= FACT_LEFT;
        return 0;
    }
    if (search_proof(r) != 0)
        return -1;
    if (r->proven > r->lsn)
        *facts |= FACT_PROOF;
    return 0;
}

/* What there is to know about r->lsn. record: what stands there, unless it is a segment's start. */
static int look(struct recovery *r, unsigned *facts, const struct record **record)
{
    uint32_t before;
    *facts = 0;
    *record = NULL;
    const struct found *found = found_at(r, segment_of(r->lsn));
    if (r->lsn % SEGMENT_BYTES == 0) {
        *facts = found && found->state == SEGMENT_VALID ? FACT_VALID : 0;
        before = *facts ? found->header.before : 0;
    } else {
        if (load(r, r->lsn) != 0)
            return -1;
        size_t at = r->lsn % PAGE_BYTES;
        *record = (const struct record *)(r->page + at);
        *facts = record_valid(*record, r->lsn, PAGE_BYTES - at) ? FACT_VALID : 0;
        before = (*record)->before;
    }
    if (*facts && before == r->before)
        *facts |= FACT_CHAINED;
    return *facts == (FACT_VALID | FACT_CHAINED) ? 0 : look_further(r, facts);
}

/* record: NULL for a segment's header. */
static void keep(struct recovery *r, const struct record *record, journal_replay *replay, void *owner)
{
    if (!record) {
        r->before = found_at(r, segment_of(r->lsn))->header.sum;
        r->lsn += BLOCK_BYTES;
        return;
    }
    replay(owner, record, r->lsn);
    r->end->records++;
    r->before = record->sum;
    r->lsn += record->length;
    if (r->lsn % PAGE_BYTES > PAGE_BYTES - RECORD_MIN)
        r->lsn = r->lsn / PAGE_BYTES * PAGE_BYTES + PAGE_BYTES;
}

static int walk(struct recovery *r, journal_replay *replay, void *owner)
{
    while (r->lsn < r->until) {
        unsigned facts;
        const struct record *record;
        if (look(r, &facts, &record) != 0)
            return -1;
        switch (recover_judge(facts)) {
        case VERDICT_KEEP:
            keep(r, record, replay, owner);
            break;
        case VERDICT_SKIP:
            r->lsn = block_round(r->lsn);
            break;
        case VERDICT_NEXT:
            r->lsn = segment_start(segment_of(r->lsn) + 1);
            break;
        case VERDICT_CUT:
            return 0;
        case VERDICT_STOP:
            return stop_damaged(r);
        }
    }
    return 0;
}

static void conclude(struct recovery *r)
{
    r->end->lsn = block_round(r->lsn);
    r->end->safe = r->lsn;
    r->end->before = r->before;
    r->end->cut_bytes = (r->written > r->end->lsn ? r->written : r->end->lsn) - r->lsn;
}

/* Writes that were in flight may have reached into this many segments before the end, or behind it. */
static int settle(struct recovery *r)
{
    for (size_t i = 0; i < r->count; i++) {
        if (r->numbers[i] + WRITES_IN_FLIGHT < segment_of(r->lsn))
            continue;
        int error = r->storage->table->sync(r->storage, r->numbers[i]);
        if (error)
            return stop(r, segment_start(r->numbers[i]), "cannot be synced: %s", strerror(error));
    }
    conclude(r);
    return 0;
}

int journal_recover(struct storage *storage, uint32_t router, struct journal_end *end, journal_replay *replay,
                    void *owner, char *error, size_t error_size)
{
    struct recovery r = {.storage = storage,
                         .router = router,
                         .until = UINT64_MAX,
                         .end = end,
                         .error = error,
                         .error_size = error_size};
    *end = (struct journal_end){0};
    int result = -1;
    if (list_segments(&r) == 0) {
        reader_init(&r.reader, storage, r.numbers, r.count);
        if (read_headers(&r) == 0 && find_checkpoint(&r) == 0 && begin(&r) == 0 &&
            walk(&r, replay, owner) == 0)
            result = settle(&r);
        reader_free(&r.reader);
    }
    free(r.numbers);
    free(r.found);
    return result;
}

int journal_check(struct storage *storage, uint32_t router, uint64_t first, uint64_t until,
                  struct journal_end *end, journal_replay *replay, void *owner, char *error,
                  size_t error_size)
{
    struct recovery r = {.storage = storage,
                         .router = router,
                         .lsn = segment_start(first),
                         .until = segment_start(until),
                         .end = end,
                         .error = error,
                         .error_size = error_size};
    *end = (struct journal_end){0};
    int result = -1;
    if (list_segments(&r) == 0) {
        reader_init(&r.reader, storage, r.numbers, r.count);
        result = read_headers(&r);
        const struct found *found = found_at(&r, first);
        r.before = found && found->state == SEGMENT_VALID ? found->header.before : 0;
        result = result == 0 ? walk(&r, replay, owner) : result;
        conclude(&r);
        reader_free(&r.reader);
    }
    free(r.numbers);
    free(r.found);
    return result;
}

unsigned journal_segments(struct storage *storage, const struct journal_end *end, uint64_t *segments,
                          unsigned max)
{
    int count = storage->table->list(storage, NULL, 0);
    uint64_t *numbers = calloc(count > 0 ? (size_t)count : 1, sizeof *numbers);
    CHECK(numbers);
    int listed = count > 0 ? storage->table->list(storage, numbers, (unsigned)count) : 0;
    unsigned found = 0;
    for (int i = 0; i < listed && i < count; i++) {
        if (numbers[i] > segment_of(end->lsn - 1))
            break;
        if (found < max)
            segments[found] = numbers[i];
        found++;
    }
    free(numbers);
    return found;
}
