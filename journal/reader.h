/*
 * The reader: pages of segments one after the other, read ahead of who asks for them. For recovery: it
 * blocks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"

#define READER_PAGES 8u /* in memory: one in use, the others on their way */

struct storage;

struct reader_page {
    uint64_t lsn;
    uint8_t *bytes;
    bool busy;
    uint32_t error;
};

struct reader {
    struct storage *storage;
    const uint64_t *segments; /* those that may be asked for, ascending */
    size_t count;
    size_t at;     /* index of the segment that is read ahead next */
    uint32_t page; /* and its page */
    struct reader_page pages[READER_PAGES];
    unsigned first, ahead; /* of pages, a ring: those asked for, in order of their LSN */
    unsigned busy;
};

/* segments (count of them) stay the caller's. */
void reader_init(struct reader *reader, struct storage *storage, const uint64_t *segments, size_t count);
/* Waits for what is under way. */
void reader_free(struct reader *reader);
/* The page at lsn, a multiple of PAGE_BYTES, of a segment that exists; good until the next call. Pages are
 * best asked for in ascending order. 0 or errno. */
uint32_t reader_get(struct reader *reader, uint64_t lsn, const uint8_t **bytes);
