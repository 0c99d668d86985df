#include "journal/record.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"

static uint8_t *page_new(void)
{
    uint8_t *page = aligned_alloc(BLOCK_BYTES, PAGE_BYTES);
    memset(page, 0, PAGE_BYTES);
    return page;
}

/* Puts a record of len bytes at an offset; returns the sum. */
static uint32_t put(uint8_t *page, uint64_t lsn, size_t at, uint32_t len, uint32_t before)
{
    struct record *record = (struct record *)(page + at);
    memset(record, 0, len);
    *record = (struct record){.length = len, .type = RECORD_OWN};
    for (size_t i = sizeof *record; i < len; i++)
        page[at + i] = (uint8_t)(at + i);
    return record_seal(record, lsn + at, before);
}

static uint32_t put_commit(uint8_t *page, uint64_t lsn, size_t at, uint32_t before)
{
    struct record_commit *commit = (struct record_commit *)(page + at);
    *commit = (struct record_commit){{.length = sizeof *commit, .type = RECORD_COMMIT}, 1, 2, 3};
    return record_seal(&commit->record, lsn + at, before);
}

Test(record, every_flipped_bit_is_seen)
{
    uint8_t *page = page_new();
    for (uint32_t len = 16; len <= 1024; len += 168) {
        put(page, 7 * SEGMENT_BYTES, 4096, len, 99);
        const struct record *record = (const struct record *)(page + 4096);
        cr_assert(record_valid(record, 7 * SEGMENT_BYTES + 4096, PAGE_BYTES - 4096));
        for (uint32_t bit = 0; bit < len * 8; bit++) {
            page[4096 + bit / 8] ^= (uint8_t)(1 << bit % 8);
            cr_assert_not(record_valid(record, 7 * SEGMENT_BYTES + 4096, PAGE_BYTES - 4096), "bit %u of %u",
                          bit, len);
            page[4096 + bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    }
    free(page);
}

Test(record, is_valid_only_at_its_place)
{
    uint8_t *page = page_new();
    put(page, 7 * SEGMENT_BYTES, 4096, 64, 99);
    const struct record *record = (const struct record *)(page + 4096);
    cr_assert_not(record_valid(record, 8 * SEGMENT_BYTES + 4096, PAGE_BYTES - 4096), "a recycled segment");
    cr_assert_not(record_valid(record, 7 * SEGMENT_BYTES + 8192, PAGE_BYTES - 4096));
    cr_assert_not(record_valid(record, 7 * SEGMENT_BYTES + 4096, 56), "more than there is");
    cr_assert_not(record_valid(record, 7 * SEGMENT_BYTES + 4096, 8));
    free(page);
}

/* Whatever length a damaged record claims, nothing behind `avail` is read (the sanitizer watches the page's
 * end). */
Test(record, hostile_lengths_stay_inside)
{
    uint8_t *page = page_new();
    struct prng prng;
    prng_seed(&prng, 1);
    for (unsigned i = 0; i < 100000; i++) {
        size_t at = PAGE_BYTES - 8 * (1 + prng_below(&prng, 64));
        struct record record = {.length = (uint32_t)prng_next(&prng), .type = (uint8_t)prng_next(&prng)};
        if (prng_below(&prng, 2))
            record.length = (uint32_t)prng_below(&prng, 1024);
        size_t room = PAGE_BYTES - at;
        memcpy(page + at, &record, room < sizeof record ? room : sizeof record);
        cr_assert_not(record_valid((const struct record *)(page + at), at, room));
    }
    free(page);
}

Test(record, nothing_is_no_record)
{
    uint8_t *page = page_new();
    cr_assert_not(record_valid((const struct record *)page, 0, PAGE_BYTES));
    cr_assert_null(record_commit_at(page, 0, 0));
    free(page);
}

Test(record, a_commit_is_known_by_its_broker)
{
    uint8_t *page = page_new();
    put_commit(page, 0, 0, 5);
    cr_assert_not_null(record_commit_at(page, 0, 2));
    cr_assert_not_null(record_commit_at(page, 0, 0));
    cr_assert_null(record_commit_at(page, 0, 77), "of another data directory, or made up by a publisher");
    cr_assert_null(record_commit_at(page, BLOCK_BYTES, 2));
    free(page);
}

Test(record, a_scan_meets_every_record_of_a_page)
{
    uint8_t *page = page_new();
    uint64_t page_lsn = 3 * SEGMENT_BYTES, lsn = 0;
    uint32_t before = put_commit(page, page_lsn, BLOCK_BYTES, 42);
    size_t at = BLOCK_BYTES + sizeof(struct record_commit);
    unsigned count = 1;
    for (; at + 504 <= PAGE_BYTES; at += 504, count++)
        before = put(page, page_lsn, at, 504, before);
    uint32_t rest = PAGE_BYTES - (uint32_t)at;
    if (rest >= 24) { /* leaves eight bytes that hold no record */
        put(page, page_lsn, at, rest - 8, before);
        count++;
    }
    struct record_scan scan;
    record_scan_begin(&scan, page, page_lsn, 2);
    unsigned seen = 0;
    for (const struct record *r = record_next(&scan, &lsn); r; r = record_next(&scan, &lsn), seen++)
        cr_assert(lsn == page_lsn + (uint64_t)((const uint8_t *)r - page));
    cr_assert(seen == count, "%u of %u", seen, count);
    cr_assert(scan.at == PAGE_BYTES);
    free(page);
}

Test(record, a_scan_ends_at_damage)
{
    uint8_t *page = page_new();
    uint64_t page_lsn = 3 * SEGMENT_BYTES + PAGE_BYTES, lsn;
    uint32_t before = put_commit(page, page_lsn, 0, 42);
    before = put(page, page_lsn, 40, 400, before);
    put(page, page_lsn, 440, 400, before + 1); /* does not chain */
    struct record_scan scan;
    record_scan_begin(&scan, page, page_lsn, 2);
    cr_assert_not_null(record_next(&scan, &lsn));
    cr_assert_not_null(record_next(&scan, &lsn));
    cr_assert_null(record_next(&scan, &lsn));
    cr_assert(scan.at == 440);
    free(page);
}

Test(record, a_scan_goes_on_where_recovery_had_cut)
{
    uint8_t *page = page_new();
    uint64_t page_lsn = 3 * SEGMENT_BYTES + PAGE_BYTES, lsn = 0;
    uint32_t before = put_commit(page, page_lsn, 0, 42);
    before = put(page, page_lsn, 40, 400, before);
    memset(page + 440, 0xee, BLOCK_BYTES - 440); /* torn */
    before = put_commit(page, page_lsn, BLOCK_BYTES, before);
    put(page, page_lsn, BLOCK_BYTES + 40, 64, before);
    struct record_scan scan;
    record_scan_begin(&scan, page, page_lsn, 2);
    for (unsigned i = 0; i < 4; i++)
        cr_assert_not_null(record_next(&scan, &lsn));
    cr_assert(lsn == page_lsn + BLOCK_BYTES + 40);
    cr_assert_null(record_next(&scan, &lsn));
    free(page);
}
