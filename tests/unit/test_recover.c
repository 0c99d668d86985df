/*
 * Recovery on the simulated disk. Built with GANNET_TINY, so that segments are small enough to damage every
 * byte of them.
 */
#include "journal/recover.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "journal/segment.h"
#include "journal/storage.h"
#include "journal/storage_sim.h"
#include "test_journal_writer.h"

static struct sim_disk *disk;
static struct writer w;

static void set_up(void)
{
    disk = sim_disk_new(11);
    writer_init(&w);
}

static void tear_down(void)
{
    writer_free(&w);
    sim_disk_free(disk);
}

TestSuite(recover, .init = set_up, .fini = tear_down, .timeout = 300);

static int reopen(void)
{
    return writer_open(&w, storage_sim_new(disk, WRITER_ROUTER));
}

static void open_good(void)
{
    cr_assert(reopen() == 0, "%s", w.error);
}

/* Recovers without a journal, judging nothing but what comes out. Returns journal_recover's result. */
struct outcome {
    struct journal_end end;
    uint64_t own;
    char error[1024];
};

static void count_own(void *owner, const struct record *record, uint64_t lsn)
{
    (void)lsn;
    ((struct outcome *)owner)->own += record->type >= RECORD_OWN;
}

static int look_at(struct outcome *o)
{
    struct storage *storage = storage_sim_new(disk, WRITER_ROUTER);
    o->own = 0;
    int result = journal_recover(storage, WRITER_ROUTER, &o->end, count_own, o, o->error, sizeof o->error);
    storage->table->close(storage);
    return result;
}

static void append_writes(unsigned writes, unsigned records, size_t len)
{
    for (unsigned i = 0; i < writes; i++) {
        for (unsigned j = 0; j < records; j++)
            writer_append(&w, len + 8 * j);
        cr_assert(writer_settle(&w));
    }
}

/* ---- the table ----------------------------------------------------------------------------------- */

Test(recover, the_table_knows_every_input)
{
    for (unsigned facts = 0; facts <= FACTS_ALL; facts++) {
        enum recover_verdict expected = VERDICT_CUT;
        bool valid = facts & FACT_VALID, chained = facts & FACT_CHAINED, resumed = facts & FACT_RESUMED;
        bool left = facts & FACT_LEFT, proof = facts & FACT_PROOF;
        if (valid && chained)
            expected = VERDICT_KEEP;
        else if (resumed)
            expected = VERDICT_SKIP;
        else if (left)
            expected = VERDICT_NEXT;
        else if (proof)
            expected = VERDICT_STOP;
        cr_assert(recover_judge(facts) == expected, "facts %u", facts);
    }
}

/* ---- whole logs ---------------------------------------------------------------------------------- */

Test(recover, an_empty_directory_is_an_empty_log)
{
    struct outcome o;
    cr_assert(look_at(&o) == 0);
    cr_assert(o.end.lsn == SEGMENT_BYTES && o.end.safe == SEGMENT_BYTES);
    cr_assert(o.end.broker == 0 && o.end.records == 0 && o.end.cut_bytes == 0 && o.end.before == 0);
}

Test(recover, segments_never_written_are_an_empty_log)
{
    for (uint64_t n = 1; n <= 3; n++)
        sim_disk_add(disk, WRITER_ROUTER, n);
    struct outcome o;
    cr_assert(look_at(&o) == 0);
    cr_assert(o.end.lsn == SEGMENT_BYTES && o.end.records == 0);
}

Test(recover, a_log_over_many_segments_comes_back_whole)
{
    open_good();
    for (unsigned i = 0; i < 400; i++) {
        writer_append(&w, 24 + i * 37 % 8000);
        if (i % 7 == 0)
            writer_flush(&w);
        if (i % 90 == 89)
            writer_new_segment(&w, i % 180 == 89);
        writer_poll(&w);
    }
    cr_assert(writer_settle(&w));
    size_t count = w.count;
    for (unsigned again = 0; again < 3; again++) {
        writer_close(&w);
        open_good();
        cr_assert(w.count == count && w.end.cut_bytes == 0);
    }
    writer_close(&w);
}

Test(recover, a_checkpoint_shortens_the_replay)
{
    open_good();
    append_writes(3, 5, 300);
    writer_new_segment(&w, false);
    uint64_t checkpoint = w.lsn + BLOCK_BYTES;
    append_writes(2, 5, 300);
    w.checkpoint = checkpoint;
    writer_new_segment(&w, true);
    append_writes(1, 5, 300);
    writer_close(&w);
    open_good();
    cr_assert(w.end.checkpoint == checkpoint);
    cr_assert(w.replayed_count == 15, "%zu", w.replayed_count);
    writer_close(&w);
}

Test(recover, a_checkpoint_that_was_not_safe_is_not_believed)
{
    open_good();
    append_writes(3, 5, 300);
    writer_new_segment(&w, false);
    w.checkpoint = w.lsn + BLOCK_BYTES; /* names itself */
    append_writes(1, 5, 300);
    writer_close(&w);
    open_good();
    cr_assert(w.end.checkpoint == 0 && w.replayed_count == 20);
    writer_close(&w);
}

/* ---- damage -------------------------------------------------------------------------------------- */

/* Three small writes each in two segments; returns the LSN at which the last write begins. */
static uint64_t small_log(void)
{
    open_good();
    append_writes(3, 4, 900);
    writer_new_segment(&w, true);
    append_writes(2, 4, 900);
    uint64_t last = w.lsn;
    append_writes(1, 4, 900);
    writer_close(&w);
    return last;
}

static void flip_everything(uint64_t segment, uint64_t last)
{
    uint64_t start = segment * SEGMENT_BYTES, stops = 0;
    for (uint64_t at = 0; at < 24 * KIB; at++) {
        struct outcome o;
        uint64_t lsn = start + at;
        sim_disk_corrupt(disk, WRITER_ROUTER, segment, at, (uint8_t)(1 << at % 8));
        int result = look_at(&o);
        sim_disk_corrupt(disk, WRITER_ROUTER, segment, at, (uint8_t)(1 << at % 8));
        if (result == -1) { /* the flip is between the places that are named */
            unsigned long file, offset, proof_file, proof_offset;
            cr_assert(sscanf(strstr(o.error, "router-3/") + 9, "%lx.seg, offset %lu", &file, &offset) == 2);
            cr_assert(sscanf(strstr(o.error, "at segment "), "at segment %lx, offset %lu", &proof_file,
                             &proof_offset) == 2);
            cr_assert(file * SEGMENT_BYTES + offset <= lsn, "flip at %lu: %s", at, o.error);
            cr_assert(lsn < proof_file * SEGMENT_BYTES + proof_offset, "flip at %lu: %s", at, o.error);
            stops++;
            continue;
        }
        /* Nothing is proven of the last write; and some bytes mean nothing. */
        uint64_t expected = lsn < last ? 24 : 20;
        cr_assert(o.own >= expected, "flip at %lu of segment %lu: %lu records", at, segment, o.own);
    }
    cr_assert(stops > 7 * KIB, "%lu", stops);
}

Test(recover, every_flipped_byte_of_confirmed_data_is_found)
{
    uint64_t last = small_log();
    struct outcome o;
    cr_assert(look_at(&o) == 0 && o.own == 24);
    flip_everything(1, last);
    flip_everything(2, last);
}

Test(recover, a_missing_segment_is_damage)
{
    small_log();
    sim_disk_lose(disk, WRITER_ROUTER, 1);
    struct outcome o;
    w.error[0] = 0;
    /* The first of a log without checkpoint is simply where it begins; in the middle it is missed. */
    cr_assert(look_at(&o) == 0 && o.own == 12);
}

Test(recover, a_missing_segment_in_the_middle_is_damage)
{
    open_good();
    for (unsigned i = 0; i < 3; i++) {
        append_writes(2, 4, 900);
        writer_new_segment(&w, true);
    }
    append_writes(2, 4, 900);
    writer_close(&w);
    sim_disk_lose(disk, WRITER_ROUTER, 2);
    struct outcome o;
    cr_assert(look_at(&o) == -1);
    cr_assert(strstr(o.error, "0000000000000001.seg"), "%s", o.error); /* where the log does not go on */
}

Test(recover, a_lost_segment_behind_which_only_headers_speak)
{
    open_good();
    for (unsigned i = 0; i < 3; i++) {
        append_writes(2, 4, 900);
        writer_new_segment(&w, false);
    }
    append_writes(1, 1, 900);
    writer_close(&w);
    memset(sim_disk_bytes(disk, WRITER_ROUTER, 2), 0, SEGMENT_BYTES);
    memset(sim_disk_bytes(disk, WRITER_ROUTER, 3), 0, SEGMENT_BYTES);
    memset(sim_disk_bytes(disk, WRITER_ROUTER, 4) + BLOCK_BYTES, 0, SEGMENT_BYTES - BLOCK_BYTES);
    struct outcome o;
    cr_assert(look_at(&o) == -1);
    cr_assert(strstr(o.error, "0000000000000002.seg, offset 0"), "%s", o.error);
}

Test(recover, an_old_segment_with_a_damaged_header_is_damage)
{
    open_good();
    append_writes(3, 5, 300);
    writer_new_segment(&w, false);
    uint64_t checkpoint = w.lsn + BLOCK_BYTES;
    append_writes(2, 5, 300);
    w.checkpoint = checkpoint;
    writer_new_segment(&w, true);
    append_writes(1, 5, 300);
    writer_close(&w);
    sim_disk_corrupt(disk, WRITER_ROUTER, 1, 20, 1);
    struct outcome o;
    cr_assert(look_at(&o) == -1);
    cr_assert(strstr(o.error, "0000000000000001.seg, offset 0"), "%s", o.error);
}

Test(recover, an_unreadable_block_is_not_taken_for_an_end)
{
    small_log();
    sim_disk_faults(disk)->read_fails = 1000000;
    struct outcome o;
    cr_assert(look_at(&o) == -1);
    cr_assert(strstr(o.error, "cannot be read"), "%s", o.error);
}

Test(recover, a_header_is_good_for_one_number_only)
{
    static uint8_t block[BLOCK_BYTES];
    struct segment_header header = {
        .router = 3, .broker = 9, .segment = 7, .checkpoint = 0, .safe = 1, .start = 2};
    segment_header_write(block, &header);
    cr_assert(segment_header_read(block, 7, 3, &header) == SEGMENT_VALID);
    cr_assert(segment_header_read(block, 8, 3, &header) == SEGMENT_INVALID, "recycled");
    for (size_t i = 0; i < sizeof header; i++) {
        block[i] ^= 4;
        cr_assert(segment_header_read(block, 7, 3, &header) == SEGMENT_INVALID, "flip at %zu", i);
        block[i] ^= 4;
    }
    header.broker = 0;
    segment_header_write(block, &header);
    cr_assert(segment_header_read(block, 7, 3, &header) == SEGMENT_INVALID, "of no data directory");
}

Test(recover, only_our_names_are_segments)
{
    char name[SEGMENT_NAME_BYTES];
    uint64_t number;
    segment_name(name, 0x1234abcd);
    cr_assert(segment_number(name, &number) && number == 0x1234abcd);
    const char *others[] = {"",
                            ".",
                            "new.tmp",
                            "0000000000000000.seg",
                            "0000000000000001.se",
                            "0000000000000001.seg~",
                            "000000000000000A.seg",
                            "ffffffffffffffff.seg",
                            "1.seg",
                            "0x00000000000001.seg"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        cr_assert_not(segment_number(others[i], &number), "%s", others[i]);
}

/* ---- what is not ours ---------------------------------------------------------------------------- */

static void change_header(uint64_t segment, size_t offset, uint64_t value, size_t len)
{
    uint8_t *block = sim_disk_bytes(disk, WRITER_ROUTER, segment);
    memcpy(block + offset, &value, len);
    uint32_t sum = crc32c(0, block, offsetof(struct segment_header, sum));
    memcpy(block + offsetof(struct segment_header, sum), &sum, sizeof sum);
}

static void expect_refusal(size_t offset, uint64_t value, size_t len, const char *why)
{
    struct outcome o;
    small_log();
    change_header(2, offset, value, len);
    cr_assert(look_at(&o) == -1);
    cr_assert(strstr(o.error, why) && strstr(o.error, "0000000000000002.seg"), "%s", o.error);
}

Test(recover, a_newer_format_is_refused)
{
    expect_refusal(offsetof(struct segment_header, version), 2, 4, "version 2");
}

Test(recover, other_sizes_are_refused)
{
    expect_refusal(offsetof(struct segment_header, segment_bytes), 1 << 20, 4, "segments of 1048576");
}

Test(recover, another_router_is_refused)
{
    expect_refusal(offsetof(struct segment_header, router), 8, 4, "router 8");
}

Test(recover, another_data_directory_is_refused)
{
    expect_refusal(offsetof(struct segment_header, broker), 8, 8, "another data directory");
}
