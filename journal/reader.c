#include "journal/reader.h"

#include <stdlib.h>

#include "base/check.h"
#include "journal/segment.h"
#include "journal/storage.h"

void reader_init(struct reader *reader, struct storage *storage, const uint64_t *segments, size_t count)
{
    *reader = (struct reader){.storage = storage, .segments = segments, .count = count};
    for (unsigned i = 0; i < READER_PAGES; i++) {
        reader->pages[i].bytes = aligned_alloc(BLOCK_BYTES, PAGE_BYTES);
        CHECK(reader->pages[i].bytes);
    }
}

static void hear(struct reader *reader)
{
    struct storage_done done[READER_PAGES];
    unsigned n = reader->storage->table->poll(reader->storage, done, READER_PAGES);
    for (unsigned i = 0; i < n; i++) {
        struct reader_page *page = &reader->pages[done[i].token];
        page->busy = false;
        page->error = done[i].error;
        reader->busy--;
    }
}

static void wait_for(struct reader *reader, const bool *busy)
{
    while (*busy) {
        reader->storage->table->wait(reader->storage);
        hear(reader);
    }
}

void reader_free(struct reader *reader)
{
    for (unsigned i = 0; i < READER_PAGES; i++) {
        wait_for(reader, &reader->pages[i].busy);
        free(reader->pages[i].bytes);
    }
}

/* Asks for the pages that follow while there is memory for them. */
static void read_ahead(struct reader *reader)
{
    while (reader->ahead < READER_PAGES && reader->at < reader->count) {
        unsigned slot = (reader->first + reader->ahead++) % READER_PAGES;
        struct reader_page *page = &reader->pages[slot];
        uint64_t offset = (uint64_t)reader->page * PAGE_BYTES;
        page->lsn = segment_start(reader->segments[reader->at]) + offset;
        page->busy = true;
        reader->busy++;
        reader->storage->table->read(reader->storage, reader->segments[reader->at], offset, page->bytes,
                                     PAGE_BYTES, slot);
        if (++reader->page == PAGES_PER_SEGMENT) {
            reader->page = 0;
            reader->at++;
        }
    }
    reader->storage->table->submit(reader->storage);
}

static void drop_first(struct reader *reader)
{
    wait_for(reader, &reader->pages[reader->first].busy);
    reader->first = (reader->first + 1) % READER_PAGES;
    reader->ahead--;
}

/* Begins anew at lsn. */
static void seek(struct reader *reader, uint64_t lsn)
{
    while (reader->ahead)
        drop_first(reader);
    reader->at = 0;
    while (reader->at < reader->count && reader->segments[reader->at] < segment_of(lsn))
        reader->at++;
    CHECK(reader->at < reader->count && reader->segments[reader->at] == segment_of(lsn));
    reader->page = (uint32_t)(lsn % SEGMENT_BYTES / PAGE_BYTES);
}

uint32_t reader_get(struct reader *reader, uint64_t lsn, const uint8_t **bytes)
{
    CHECK(lsn % PAGE_BYTES == 0);
    for (unsigned i = 0; i < READER_PAGES && reader->ahead && reader->pages[reader->first].lsn < lsn; i++)
        drop_first(reader);
    if (!reader->ahead || reader->pages[reader->first].lsn != lsn)
        seek(reader, lsn);
    read_ahead(reader);
    struct reader_page *page = &reader->pages[reader->first];
    wait_for(reader, &page->busy);
    *bytes = page->bytes;
    return page->error;
}
