/*
 * Appending to the log and handing it to the journal:
 *   store_begin → the open page has room (else it is closed and the next one opened)
 *   store_end → the record is sealed into the chain
 *   store_flush → closed pages go over whole; the open one, padded to a block, when the disk is ready
 *   store_on_journal SAFE → what waited for it may be confirmed (confirm.c)
 *
 * What is in memory, and for how long, is in store_memory.c; segments are in store_segment.c.
 */
#include "router/store.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "journal/record.h"
#include "router/page_list.h"
#include "router/store_inside.h"

enum { TRANSIENT, DURABLE };

void store_init(struct store *store, struct ring *to_journal, uint32_t router, size_t budget_bytes)
{
    *store = (struct store){.to_journal = to_journal, .router = router, .fresh = true};
    size_t pages = budget_bytes / PAGE_BYTES;
    store->budget = pages < STORE_PAGES_MIN ? STORE_PAGES_MIN : pages;
    store_watermarks(store, 0, 0);
    store->spare = calloc(STORE_SPARES, sizeof *store->spare);
    CHECK(store->spare);
    store->end[TRANSIENT] = POSITION_TRANSIENT;
}

static void open_page(struct store *store, int stream)
{
    struct page *page = store_new_page(store, store->end[stream] / PAGE_BYTES * PAGE_BYTES);
    page->bytes = store_memory(store);
    page->state = PAGE_OPEN;
    store->open[stream] = page;
    store_use(store, page);
}

uint8_t *store_open(struct store *store, const struct journal_end *end, uint64_t broker, uint64_t start)
{
    CHECK(end->lsn % BLOCK_BYTES == 0);
    store->broker = broker;
    store->start = start;
    store->before = end->before;
    store->begin = store->handed = store->end[DURABLE] = end->lsn;
    store->safe = end->safe;
    store->checkpoint = store->header_checkpoint = store->replay_from = end->checkpoint;
    if (end->lsn % PAGE_BYTES == 0)
        return NULL;
    struct page *known = page_list_get(&store->pages[DURABLE], page_number(end->lsn));
    if (!known) {
        open_page(store, DURABLE);
        return store->open[DURABLE]->bytes;
    }
    known->bytes = store_memory(store);
    known->state = PAGE_OPEN;
    known->from_disk = true;
    store->open[DURABLE] = known;
    store_use(store, known);
    return known->bytes;
}

static uint8_t *end_of(const struct store *store, int stream)
{
    return store->open[stream]->bytes + store->end[stream] % PAGE_BYTES;
}

/* A record of nothing over the next bytes of the durable page, or zeros where they can't hold one. */
static void pad(struct store *store, size_t bytes)
{
    uint8_t *at = end_of(store, DURABLE);
    memset(at, 0, bytes);
    if (bytes >= RECORD_MIN) {
        struct record *record = (struct record *)at;
        record->length = (uint32_t)bytes;
        record->type = RECORD_PAD;
        store->before = record_seal(record, store->end[DURABLE], store->before);
    }
    store->end[DURABLE] += bytes;
}

static size_t left(const struct store *store, int stream)
{
    return PAGE_BYTES - store->end[stream] % PAGE_BYTES;
}

/* The first block of a segment is its header. */
static void open_segment(struct store *store)
{
    struct segment_header header = {
        .router = store->router,
        .broker = store->broker,
        .segment = store->end[DURABLE] / SEGMENT_BYTES,
        .checkpoint = store->checkpoint,
        .safe = store->safe,
        .start = store->start,
        .before = store->before,
    };
    store->before = segment_header_write(end_of(store, DURABLE), &header);
    store->end[DURABLE] += BLOCK_BYTES;
    store_segment(store, header.segment);
    if (store->header_checkpoint != store->checkpoint) {
        store->header_checkpoint = store->checkpoint;
        store->header_lsn = store->end[DURABLE];
    }
}

/* Opens a write: what is safe by now goes into it, for recovery to judge damage by. */
static void commit_record(struct store *store)
{
    struct record_commit *commit = (struct record_commit *)end_of(store, DURABLE);
    *commit = (struct record_commit){.record = {.length = sizeof *commit, .type = RECORD_COMMIT},
                                     .safe = store->safe,
                                     .broker = store->broker,
                                     .start = store->start};
    store->before = record_seal(&commit->record, store->end[DURABLE], store->before);
    store->end[DURABLE] += sizeof *commit;
    store->fresh = false;
}

/* Every write opens with a commit, one of padding alone too. */
static void pad_page(struct store *store)
{
    if (store->fresh)
        commit_record(store);
    pad(store, left(store, DURABLE));
}

static void close_page(struct store *store, int stream)
{
    struct page *page = store->open[stream];
    if (store->end[stream] - page->at < PAGE_BYTES) {
        if (stream == DURABLE)
            pad_page(store);
        else
            store->end[stream] += left(store, stream);
    }
    page->state = PAGE_CLOSED;
    store->open[stream] = NULL;
    if (stream == DURABLE)
        store->fresh = true;
}

struct record *store_begin(struct store *store, bool durable, size_t len)
{
    int stream = durable;
    len = record_round(len);
    CHECK(!store->pending && len + 2 * BLOCK_BYTES <= PAGE_BYTES);
    size_t need = len + (durable && store->fresh ? sizeof(struct record_commit) : 0);
    struct page *page = store->open[stream];
    if (page && left(store, stream) < need) {
        close_page(store, stream);
        store_settle_page(store, page); /* all that was in it may be gone already */
    }
    if (!store->open[stream])
        open_page(store, stream);
    if (durable && store->end[DURABLE] % SEGMENT_BYTES == 0)
        open_segment(store);
    if (durable && store->fresh)
        commit_record(store);
    store->pending = (struct record *)end_of(store, stream);
    store->pending_stream = stream;
    memset(store->pending, 0, sizeof *store->pending);
    *(uint64_t *)(end_of(store, stream) + len - 8) = 0;
    store->pending->length = (uint32_t)len;
    return store->pending;
}

uint64_t store_end(struct store *store)
{
    int stream = store->pending_stream;
    struct record *record = store->pending;
    uint64_t position = store->end[stream];
    CHECK(record);
    if (stream == DURABLE)
        store->before = record_seal(record, position, store->before);
    store->end[stream] += record->length;
    store->pending = NULL;
    /* A full page is closed at once: end must not lie on the next page while this one is open. It is not
     * settled: nobody has yet had the chance to keep the record that filled it. */
    if (store->end[stream] % PAGE_BYTES == 0)
        close_page(store, stream);
    return position;
}

uint64_t store_lsn(const struct store *store)
{
    /* What was recovered is safe, though the rest of its last block isn't called so before the first write.
     */
    return store->end[DURABLE] == store->begin ? store->safe : store->end[DURABLE];
}

void store_new_segment(struct store *store)
{
    while (store->end[DURABLE] % SEGMENT_BYTES != 0) {
        if (!store->open[DURABLE])
            open_page(store, DURABLE);
        close_page(store, DURABLE);
    }
}

/* ---- to the journal ---------------------------------------------------------------------------- */

static bool hand_over(struct store *store, struct page *page, uint64_t end)
{
    struct journal_command write = {
        .kind = JOURNAL_WRITE,
        .lsn = store->handed,
        .len = (uint32_t)(end - store->handed),
        .bytes = page->bytes + store->handed % PAGE_BYTES,
        .sealed_ns = store->now_ns,
    };
    if (ring_put(store->to_journal, &write, 1) == 0)
        return false;
    store->handed = end;
    return true;
}

/* Pads what is open to a whole block, so that it can be written. Eight bytes hold no record: then to the next
 * one. */
static void pad_to_block(struct store *store)
{
    size_t gap = (BLOCK_BYTES - store->end[DURABLE] % BLOCK_BYTES) % BLOCK_BYTES;
    if (gap && gap < RECORD_MIN && left(store, DURABLE) > gap)
        gap += BLOCK_BYTES;
    if (gap)
        pad(store, gap);
    store->fresh = true;
    if (store->end[DURABLE] % PAGE_BYTES == 0)
        close_page(store, DURABLE);
}

static bool seal_open(struct store *store)
{
    struct page *page = store->open[DURABLE];
    if (!page || store->handed == store->end[DURABLE] || store->seal_count == WRITES_IN_FLIGHT ||
        ring_room(store->to_journal) == 0)
        return false;
    pad_to_block(store); /* may close the page; it stays in memory until it is safe */
    CHECK(hand_over(store, page, store->end[DURABLE]));
    store->seals[store->seal_count++] = store->end[DURABLE];
    return true;
}

unsigned store_flush(struct store *store)
{
    unsigned work = 0;
    if (store->failed)
        return 0;
    while (store->handed / PAGE_BYTES < store->end[DURABLE] / PAGE_BYTES) {
        struct page *page = page_list_get(&store->pages[DURABLE], store->handed / PAGE_BYTES);
        CHECK(page && page->bytes);
        if (!hand_over(store, page, page->at + PAGE_BYTES))
            return work;
        work++;
    }
    return work + seal_open(store);
}

static void on_safe(struct store *store, uint64_t lsn)
{
    uint64_t before = store->safe;
    CHECK(lsn >= before && lsn <= store->handed);
    store->safe = lsn;
    unsigned gone = 0;
    while (gone < store->seal_count && store->seals[gone] <= lsn)
        gone++;
    store->seal_count -= gone;
    memmove(store->seals, store->seals + gone, store->seal_count * sizeof *store->seals);
    for (uint64_t n = before / PAGE_BYTES; n < lsn / PAGE_BYTES; n++) {
        struct page *page = page_list_get(&store->pages[DURABLE], n);
        if (page)
            store_settle_page(store, page);
    }
    if (store->header_lsn && store->header_lsn <= lsn) {
        store->header_lsn = 0;
        store->replay_from = store->header_checkpoint;
        store->some_emptied = true;
    }
    if (store->some_emptied)
        store_retire(store);
}

struct waiter *store_on_journal(struct store *store, const struct journal_event *event)
{
    switch ((enum journal_event_kind)event->kind) {
    case JOURNAL_SAFE:
        on_safe(store, event->lsn);
        return NULL;
    case JOURNAL_DONE:
        return store_on_done(store, event);
    case JOURNAL_FULL:
        store->full = true;
        store->aside = event->lsn;
        return NULL;
    case JOURNAL_ROOM:
        store->full = store->aside = false;
        return NULL;
    case JOURNAL_READY:
        store->ready = event->lsn;
        return NULL;
    case JOURNAL_SET: /* take_journal's */
        return NULL;
    case JOURNAL_FAILED:
        store->failed = true;
        store->full = false; /* nothing waits for room any more: it is refused */
        store->error = event->error;
        return NULL;
    }
    UNREACHABLE();
}

bool store_idle(const struct store *store)
{
    return (store->failed || store->safe == store->end[DURABLE]) && !store->spilling && !store->loading;
}
