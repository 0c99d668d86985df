/*
 * Recovery of whatever is found in a segment file: it must end, with a log or with an error, and must neither
 * fault nor trip a check; and what it makes of a log must still be that after it was written on. What the
 * records say is told as gannetctl's journal dump tells it, whatever it is.
 *
 * clang -fsanitize=fuzzer,address,undefined -DGANNET_TINY; corpus/journal holds one input per file: pieces of
 * "at which block of segments 1 to 3 (a byte), how many bytes (two, little-endian), the bytes". A first byte
 * of the input that is odd has the sums of headers and records at the pieces' starts put right, so that more
 * than noise gets through.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "journal/journal.h"
#include "journal/segment.h"
#include "journal/storage.h"
#include "journal/storage_sim.h"
#include "mgmt/journal_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROUTER = 3, SEGMENTS = 3, BLOCKS = SEGMENT_BYTES / BLOCK_BYTES };

/* `before` of 0 in the input stands for the sum of what was sealed last, so that logs over several pieces
 * come about. */
static uint32_t chain;

static void seal_header(uint8_t *at)
{
    struct segment_header header;
    memcpy(&header, at, sizeof header);
    header.before = header.before ? header.before : chain;
    chain = segment_header_write(at, &header);
}

static void seal_records(uint8_t *at, size_t len, uint64_t lsn)
{
    for (size_t i = 0; i + RECORD_MIN <= len;) {
        struct record *record = (struct record *)(at + i);
        record->length = (uint32_t)record_round(record->length % 512);
        if (record->length < RECORD_MIN || record->length > len - i)
            return;
        record->zero = 0;
        chain = record_seal(record, lsn + i, record->before ? record->before : chain);
        i += record->length;
    }
}

static size_t put_piece(struct sim_disk *disk, const uint8_t *data, size_t size, int seal)
{
    unsigned place = data[0] % (SEGMENTS * BLOCKS);
    size_t len = data[1] | (size_t)data[2] << 8;
    uint64_t segment = 1 + place / BLOCKS, offset = (uint64_t)(place % BLOCKS) * BLOCK_BYTES;
    uint8_t *bytes = sim_disk_bytes(disk, ROUTER, segment);
    len = len < size - 3 ? len : size - 3;
    len = len < SEGMENT_BYTES - offset ? len : SEGMENT_BYTES - offset;
    if (!bytes)
        bytes = sim_disk_add(disk, ROUTER, segment);
    memcpy(bytes + offset, data + 3, len);
    size_t page_left = PAGE_BYTES - offset % PAGE_BYTES;
    if (seal && offset == 0)
        seal_header(bytes);
    else if (seal)
        seal_records(bytes + offset, len < page_left ? len : page_left, segment * SEGMENT_BYTES + offset);
    return 3 + len;
}

static void count(void *owner, const struct record *record, uint64_t lsn)
{
    static FILE *out;
    const struct record_form form = {.json = lsn & 8, .bodies = lsn & 16};
    CHECK(record_valid(record, lsn, PAGE_BYTES - lsn % PAGE_BYTES));
    if (!out)
        out = fopen("/dev/null", "w");
    CHECK(out);
    journal_record_write(out, record, lsn, &form);
    (*(uint64_t *)owner)++;
}

static int recover(struct sim_disk *disk, struct journal_end *end)
{
    char error[512];
    uint64_t records = 0;
    struct storage *storage = storage_sim_new(disk, ROUTER);
    int result = journal_recover(storage, ROUTER, end, count, &records, error, sizeof error);
    uint64_t segments[8];
    if (result == 0) {
        CHECK(end->records == records && end->lsn % BLOCK_BYTES == 0 && end->lsn >= end->safe);
        journal_segments(storage, end, segments, 8);
    }
    storage->table->close(storage);
    return result;
}

/* One more write behind what was found. */
static void write_on(struct sim_disk *disk, const struct journal_end *end)
{
    uint64_t segment = end->lsn / SEGMENT_BYTES, lsn = end->lsn;
    uint8_t *bytes = sim_disk_bytes(disk, ROUTER, segment);
    uint64_t broker = end->broker ? end->broker : 1;
    uint32_t before = end->before;
    if (!bytes)
        bytes = sim_disk_add(disk, ROUTER, segment);
    if (lsn % SEGMENT_BYTES == 0) {
        struct segment_header header = {
            .router = ROUTER, .broker = broker, .segment = segment, .start = 1, .before = before};
        header.checkpoint = end->checkpoint;
        header.safe = end->safe;
        before = segment_header_write(bytes, &header);
        lsn += BLOCK_BYTES;
    }
    struct record_commit *commit = (struct record_commit *)(bytes + lsn % SEGMENT_BYTES);
    memset(commit, 0, BLOCK_BYTES);
    *commit = (struct record_commit){
        {.length = BLOCK_BYTES, .type = RECORD_COMMIT}, .safe = end->safe, .broker = broker, .start = 1};
    commit->record.length = sizeof *commit;
    before = record_seal(&commit->record, lsn, before);
    struct record *pad = (struct record *)(commit + 1);
    *pad = (struct record){.length = BLOCK_BYTES - sizeof *commit, .type = RECORD_PAD};
    record_seal(pad, lsn + sizeof *commit, before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sim_disk *disk = sim_disk_new(1);
    struct journal_end end, again;
    int seal = size ? data[0] & 1 : 0;
    chain = 0;
    for (size_t at = 1; at + 3 < size;)
        at += put_piece(disk, data + at, size - at, seal);
    if (recover(disk, &end) == 0) {
        write_on(disk, &end);
        CHECK(recover(disk, &again) == 0);
        CHECK(again.records >= end.records + 2 && again.lsn > end.lsn);
    }
    sim_disk_free(disk);
    return 0;
}
