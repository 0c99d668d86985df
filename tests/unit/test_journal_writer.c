#include "test_journal_writer.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "journal/segment.h"
#include "journal/storage.h"

void writer_init(struct writer *w)
{
    *w = (struct writer){.next_id = 1, .broker = 0x1234567890abcdefu};
}

void writer_free(struct writer *w)
{
    free(w->entries);
    free(w->replayed);
}

static void remember(struct entry **entries, size_t *count, size_t *room, struct entry entry)
{
    if (*count == *room) {
        *room = *room ? *room * 2 : 64;
        *entries = realloc(*entries, *room * sizeof **entries);
        CHECK(*entries);
    }
    (*entries)[(*count)++] = entry;
}

static void on_record(void *owner, const struct record *record, uint64_t lsn)
{
    struct writer *w = owner;
    struct entry entry = {.lsn = lsn};
    if (record->type < RECORD_OWN)
        return;
    memcpy(&entry.id, record + 1, sizeof entry.id);
    const uint8_t *bytes = (const uint8_t *)(record + 1);
    for (size_t i = sizeof entry.id; i < record->length - sizeof *record; i++)
        CHECK(bytes[i] == (uint8_t)(entry.id * 31 + i));
    remember(&w->replayed, &w->replayed_count, &w->replayed_room, entry);
}

/* What was found must be what was appended, up to some point behind all that was promised. */
static int judge(struct writer *w)
{
    size_t first = 0;
    while (first < w->count && w->entries[first].lsn < w->end.checkpoint)
        first++;
    size_t found = first + w->replayed_count;
    for (size_t i = first; i < found; i++) {
        const struct entry *is = &w->replayed[i - first];
        if (i >= w->count || w->entries[i].lsn != is->lsn || w->entries[i].id != is->id) {
            snprintf(w->error, sizeof w->error, "record %zu (id %lu at %lu) was never appended there", i,
                     is->id, is->lsn);
            return -2;
        }
    }
    if (found < w->promised) {
        snprintf(w->error, sizeof w->error, "%zu of %zu promised records were found", found, w->promised);
        return -2;
    }
    w->count = found;
    w->promised = found;
    return 0;
}

int writer_open(struct writer *w, struct storage *storage)
{
    w->replayed_count = 0;
    w->storage = storage;
    int result = journal_recover(storage, WRITER_ROUTER, &w->end, on_record, w, w->error, sizeof w->error);
    if (result == 0)
        result = judge(w);
    if (result) {
        storage->table->close(storage);
        w->storage = NULL;
        return result;
    }
    struct journal_options options = {.router = WRITER_ROUTER, .disk_free_limit = w->free_limit};
    w->commands = ring_new();
    w->events = ring_new();
    w->journal = journal_new(storage, &options, w->commands, w->events, &w->end);
    w->lsn = w->handed = w->safe = w->end.lsn;
    w->claim = w->end.safe;
    w->checkpoint = w->end.checkpoint;
    w->before = w->end.before;
    w->fresh = true;
    w->start = w->start * 6364136223846793005u + 1442695040888963407u;
    w->failed = 0;
    w->fulls = w->rooms = w->dones = 0;
    return 0;
}

static void free_pages(struct writer *w, uint64_t below)
{
    for (struct writer_page **at = &w->pages; *at;) {
        struct writer_page *page = *at;
        if (page->lsn + PAGE_BYTES > below) {
            at = &page->next;
            continue;
        }
        *at = page->next;
        memset(page->bytes, 0xdd, PAGE_BYTES); /* nobody may read it now */
        free(page->bytes);
        free(page);
    }
}

void writer_close(struct writer *w)
{
    journal_free(w->journal);
    w->storage->table->close(w->storage);
    ring_free(w->commands);
    ring_free(w->events);
    free_pages(w, UINT64_MAX);
}

static uint8_t *at_end(struct writer *w)
{
    uint64_t lsn = w->lsn / PAGE_BYTES * PAGE_BYTES;
    if (!w->pages || w->pages->lsn != lsn) {
        struct writer_page *page = malloc(sizeof *page);
        CHECK(page);
        *page = (struct writer_page){.next = w->pages, .lsn = lsn};
        page->bytes = aligned_alloc(BLOCK_BYTES, PAGE_BYTES);
        CHECK(page->bytes);
        memset(page->bytes, 0, PAGE_BYTES);
        w->pages = page;
    }
    return w->pages->bytes + w->lsn % PAGE_BYTES;
}

static void seal(struct writer *w, struct record *record)
{
    w->before = record_seal(record, w->lsn, w->before);
    w->lsn += record->length;
}

static void pad(struct writer *w, size_t bytes)
{
    struct record *record = (struct record *)at_end(w);
    memset(record, 0, bytes);
    if (bytes < RECORD_MIN) {
        w->lsn += bytes;
        return;
    }
    record->length = (uint32_t)bytes;
    record->type = RECORD_PAD;
    seal(w, record);
}

static size_t left(const struct writer *w)
{
    return PAGE_BYTES - w->lsn % PAGE_BYTES;
}

static void hand_over(struct writer *w)
{
    if (w->handed == w->lsn)
        return;
    writer_command(w, JOURNAL_WRITE, w->handed, w->pages->bytes + w->handed % PAGE_BYTES,
                   (uint32_t)(w->lsn - w->handed), 0);
    w->handed = w->lsn;
    w->fresh = true;
}

static void begin_write(struct writer *w)
{
    if (w->lsn % SEGMENT_BYTES == 0) {
        struct segment_header header = {.router = WRITER_ROUTER,
                                        .broker = w->broker,
                                        .segment = w->lsn / SEGMENT_BYTES,
                                        .checkpoint = w->checkpoint,
                                        .safe = w->claim,
                                        .start = w->start,
                                        .before = w->before};
        w->before = segment_header_write(at_end(w), &header);
        w->lsn += BLOCK_BYTES;
    }
    struct record_commit *commit = (struct record_commit *)at_end(w);
    *commit = (struct record_commit){{.length = sizeof *commit, .type = RECORD_COMMIT},
                                     .safe = w->claim,
                                     .broker = w->broker,
                                     .start = w->start};
    seal(w, &commit->record);
    w->fresh = false;
}

/* Fills the page up. */
static void close_page(struct writer *w)
{
    if (w->fresh)
        begin_write(w);
    pad(w, left(w));
    hand_over(w);
}

void writer_append(struct writer *w, size_t len)
{
    len = record_round(len < 24 ? 24 : len);
    CHECK(len + 2 * BLOCK_BYTES <= PAGE_BYTES);
    if (left(w) < len + (w->fresh ? sizeof(struct record_commit) : 0))
        close_page(w);
    if (w->fresh)
        begin_write(w);
    struct record *record = (struct record *)at_end(w);
    *record = (struct record){.length = (uint32_t)len, .type = RECORD_OWN};
    uint8_t *bytes = (uint8_t *)(record + 1);
    for (size_t i = 0; i < len - sizeof *record; i++)
        bytes[i] = (uint8_t)(w->next_id * 31 + i);
    memcpy(bytes, &w->next_id, sizeof w->next_id);
    remember(&w->entries, &w->count, &w->room, (struct entry){w->lsn, w->next_id++});
    seal(w, record);
    if (left(w) == PAGE_BYTES)
        hand_over(w);
}

void writer_flush(struct writer *w)
{
    size_t gap = (BLOCK_BYTES - w->lsn % BLOCK_BYTES) % BLOCK_BYTES;
    if (gap && gap < RECORD_MIN && left(w) > gap)
        gap += BLOCK_BYTES;
    if (gap)
        pad(w, gap);
    hand_over(w);
}

void writer_new_segment(struct writer *w, bool leave)
{
    writer_flush(w);
    while (!leave && w->lsn % SEGMENT_BYTES)
        close_page(w);
    w->lsn = w->handed = (w->lsn + SEGMENT_BYTES - 1) / SEGMENT_BYTES * SEGMENT_BYTES;
}

void writer_command(struct writer *w, enum journal_command_kind kind, uint64_t lsn, void *bytes, uint32_t len,
                    uint64_t tag)
{
    struct journal_command command = {
        .kind = (uint8_t)kind, .lsn = lsn, .bytes = bytes, .len = len, .tag = tag};
    while (ring_put(w->commands, &command, 1) == 0)
        writer_poll(w);
}

static void on_event(struct writer *w, const struct journal_event *event)
{
    switch ((enum journal_event_kind)event->kind) {
    case JOURNAL_SAFE:
        CHECK(event->lsn > w->safe || w->safe == w->end.lsn);
        CHECK(event->lsn <= w->handed && !w->failed);
        w->safe = w->claim = event->lsn;
        while (w->promised < w->count && w->entries[w->promised].lsn < w->safe)
            w->promised++;
        free_pages(w, w->safe);
        return;
    case JOURNAL_DONE:
        w->dones++;
        w->done_error = event->error;
        w->done_tag = event->tag;
        return;
    case JOURNAL_FULL:
        CHECK(w->fulls == w->rooms || event->lsn != w->aside_left);
        w->fulls += w->fulls == w->rooms;
        w->aside_left = event->lsn;
        return;
    case JOURNAL_READY:
        CHECK(event->lsn >= w->safe && event->lsn % SEGMENT_BYTES == 0);
        return;
    case JOURNAL_SET:
        w->more = event->lsn;
        return;
    case JOURNAL_ROOM:
        w->rooms++;
        CHECK(w->fulls == w->rooms);
        return;
    case JOURNAL_FAILED:
        CHECK(!w->failed && event->error);
        w->failed = event->error;
        return;
    }
    UNREACHABLE();
}

unsigned writer_poll(struct writer *w)
{
    struct journal_event event;
    w->now_ns += 1000000;
    unsigned work = journal_poll(w->journal, w->now_ns);
    while (ring_take(w->events, &event, 1)) {
        on_event(w, &event);
        work++;
    }
    return work;
}

void writer_polls(struct writer *w, unsigned n)
{
    while (n--)
        writer_poll(w);
}

/* Real disks take real time: when nothing is found, wait a little for them. */
bool writer_settle(struct writer *w)
{
    writer_flush(w);
    int fd = w->storage->table->wait_fd(w->storage);
    for (unsigned i = 0; i < 100000; i++) {
        unsigned work = writer_poll(w);
        if (w->failed || (w->safe == w->handed && journal_idle(w->journal)))
            return !w->failed;
        if (!work && fd >= 0)
            w->storage->table->wait(w->storage);
    }
    return false;
}

void writer_fill(struct writer *w, unsigned n)
{
    for (uint64_t end = segment_of(w->lsn) + n; segment_of(w->lsn) < end && !w->failed;) {
        writer_append(w, 8000);
        writer_poll(w);
    }
}

void writer_retire(struct writer *w, uint64_t segment)
{
    writer_command(w, JOURNAL_RETIRE, segment_start(segment), NULL, 0, 0);
}

void writer_checkpoint(struct writer *w)
{
    writer_new_segment(w, true);
    uint64_t lsn = w->lsn + BLOCK_BYTES;
    writer_append(w, 200);
    CHECK(writer_settle(w));
    w->checkpoint = lsn;
    writer_new_segment(w, true);
    writer_append(w, 200);
    CHECK(writer_settle(w));
}

/* Real disks answer when they do. */
uint32_t writer_done(struct writer *w, uint64_t tag)
{
    unsigned dones = w->dones;
    int fd = w->storage->table->wait_fd(w->storage);
    for (unsigned i = 0; i < 1000 && w->dones == dones; i++)
        if (writer_poll(w) == 0 && fd >= 0)
            poll(&(struct pollfd){fd, POLLIN, 0}, 1, 1000);
    CHECK(w->dones == dones + 1 && w->done_tag == tag);
    return w->done_error;
}

void writer_reads_and_spills(struct writer *w)
{
    writer_append(w, 5000);
    CHECK(writer_settle(w));
    uint8_t *page = aligned_alloc(BLOCK_BYTES, PAGE_BYTES), *other = aligned_alloc(BLOCK_BYTES, PAGE_BYTES);
    writer_command(w, JOURNAL_READ, w->end.lsn / PAGE_BYTES * PAGE_BYTES, page, PAGE_BYTES, 1);
    CHECK(writer_done(w, 1) == 0);
    struct record_scan scan;
    uint64_t lsn;
    record_scan_begin(&scan, page, w->end.lsn / PAGE_BYTES * PAGE_BYTES, w->broker);
    CHECK(record_next(&scan, &lsn));
    for (size_t i = 0; i < PAGE_BYTES; i++)
        page[i] = (uint8_t)(i * 7);
    writer_command(w, JOURNAL_SPILL, 3 * PAGE_BYTES, page, PAGE_BYTES, 2);
    CHECK(writer_done(w, 2) == 0);
    writer_command(w, JOURNAL_FETCH, 3 * PAGE_BYTES, other, PAGE_BYTES, 3);
    CHECK(writer_done(w, 3) == 0);
    CHECK(memcmp(page, other, PAGE_BYTES) == 0);
    writer_command(w, JOURNAL_FETCH, 9 * PAGE_BYTES, other, PAGE_BYTES, 4);
    CHECK(writer_done(w, 4) == ENODATA);
    writer_command(w, JOURNAL_READ, segment_start(50), other, PAGE_BYTES, 5);
    CHECK(writer_done(w, 5) == ENOENT);
    free(page);
    free(other);
}
