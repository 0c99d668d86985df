#include "journal/record.h"

#include <string.h>

#include "base/crc32c.h"

/* What stands before the field `sum` is summed together with the LSN. */
static uint32_t sum_of(const struct record *record, uint64_t lsn)
{
    uint8_t head[sizeof lsn + sizeof record->length];
    memcpy(head, &lsn, sizeof lsn);
    memcpy(head + sizeof lsn, &record->length, sizeof record->length);
    size_t behind = offsetof(struct record, before);
    return crc32c(crc32c(0, head, sizeof head), (const uint8_t *)record + behind, record->length - behind);
}

uint32_t record_seal(struct record *record, uint64_t lsn, uint32_t before)
{
    record->before = before;
    record->sum = sum_of(record, lsn);
    return record->sum;
}

int record_valid(const struct record *record, uint64_t lsn, size_t avail)
{
    if (avail < RECORD_MIN || record->length < RECORD_MIN || record->length > avail ||
        record->length % 8 != 0)
        return 0;
    return record->type != 0 && record->zero == 0 && record->sum == sum_of(record, lsn);
}

const struct record_commit *record_commit_at(const uint8_t *block, uint64_t lsn, uint64_t broker)
{
    const struct record_commit *commit = (const struct record_commit *)block;
    if (commit->record.type != RECORD_COMMIT || commit->record.length != sizeof *commit)
        return NULL;
    if (broker && commit->broker != broker)
        return NULL;
    return record_valid(&commit->record, lsn, sizeof *commit) ? commit : NULL;
}

void record_scan_begin(struct record_scan *scan, const uint8_t *page, uint64_t lsn, uint64_t broker)
{
    size_t at = lsn % SEGMENT_BYTES == 0 ? BLOCK_BYTES : 0;
    *scan = (struct record_scan){.page = page, .lsn = lsn, .at = at, .broker = broker};
}

static const struct record *valid_at(const struct record_scan *scan, size_t at)
{
    const struct record *record = (const struct record *)(scan->page + at);
    if (!record_valid(record, scan->lsn + at, PAGE_BYTES - at))
        return NULL;
    return !scan->chained || record->before == scan->before ? record : NULL;
}

/* Where recovery once cut a torn end, the next start went on in the next block, with a commit that chains. */
static const struct record *resumed_at(const struct record_scan *scan, size_t *at)
{
    size_t block = (*at + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES;
    if (!scan->chained || block == *at || block >= PAGE_BYTES)
        return NULL;
    *at = block;
    if (!record_commit_at(scan->page + block, scan->lsn + block, scan->broker))
        return NULL;
    return valid_at(scan, block);
}

const struct record *record_next(struct record_scan *scan, uint64_t *lsn)
{
    if (PAGE_BYTES - scan->at < RECORD_MIN) {
        scan->at = PAGE_BYTES;
        return NULL;
    }
    size_t at = scan->at;
    const struct record *record = valid_at(scan, at);
    if (!record)
        record = resumed_at(scan, &at);
    if (!record)
        return NULL;
    *lsn = scan->lsn + at;
    scan->at = at + record->length;
    scan->before = record->sum;
    scan->chained = 1;
    return record;
}
