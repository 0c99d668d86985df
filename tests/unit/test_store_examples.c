/* The store's promises one by one; test_store.c tries them all together, at random. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "fake_journal.h"
#include "router/store.h"

enum { BUDGET_PAGES = 8 };

struct bench {
    struct fake_journal journal;
    struct store store;
    uint64_t now_ns;
    unsigned walked;
};

static const struct journal_end nothing = {.lsn = FAKE_FIRST, .safe = FAKE_FIRST};

static void bench_init(struct bench *b)
{
    *b = (struct bench){0};
    fake_journal_init(&b->journal, 1);
    store_init(&b->store, b->journal.commands, FAKE_ROUTER, BUDGET_PAGES * PAGE_BYTES);
}

static void bench_free(struct bench *b)
{
    store_free(&b->store);
    fake_journal_free(&b->journal);
}

static uint64_t append(struct bench *b, bool durable, size_t len)
{
    struct record *record = store_begin(&b->store, durable, len);
    record->type = RECORD_OWN;
    memset(record + 1, 'x', len - sizeof *record);
    return store_end(&b->store);
}

static struct waiter *do_one(struct bench *b)
{
    struct journal_event event;
    fake_journal_take(&b->journal, UINT32_MAX);
    return fake_journal_do(&b->journal, &event) ? store_on_journal(&b->store, &event) : NULL;
}

static void make_safe(struct bench *b)
{
    for (unsigned i = 0; store_flush(&b->store) || fake_journal_busy(&b->journal) || !store_idle(&b->store);
         i++) {
        cr_assert_lt(i, 100000);
        do_one(b);
    }
}

static void count_record(void *owner, const struct record *record, uint64_t lsn)
{
    (void)record;
    (void)lsn;
    ((struct bench *)owner)->walked++;
}

static unsigned records_in_log(struct bench *b)
{
    b->walked = 0;
    fake_journal_walk(&b->journal, count_record, b);
    return b->walked;
}

/* ---- pads --------------------------------------------------------------------------------------- */

/* Where the first record of a write begins, behind its commit. */
#define BEHIND_COMMIT sizeof(struct record_commit)

Test(store_examples, a_write_is_padded_to_a_block_by_a_record)
{
    struct bench b;
    bench_init(&b);
    store_open(&b.store, &nothing, FAKE_BROKER, FAKE_START);
    uint64_t at = append(&b, true, 100);
    cr_assert_eq(at, FAKE_FIRST + BLOCK_BYTES + BEHIND_COMMIT);
    make_safe(&b);
    cr_assert_eq(b.journal.safe, FAKE_FIRST + 2 * BLOCK_BYTES);
    cr_assert_eq(b.journal.writes, 1);
    const struct record *pad = (void *)fake_journal_at(&b.journal, at + record_round(100));
    cr_assert_eq(pad->type, RECORD_PAD);
    cr_assert_eq(records_in_log(&b), 1);
    bench_free(&b);
}

/* left: bytes of the block that a record leaves; blocks: that the write then takes. */
static void leave(size_t left, unsigned blocks)
{
    struct bench b;
    bench_init(&b);
    store_open(&b.store, &nothing, FAKE_BROKER, FAKE_START);
    append(&b, true, BLOCK_BYTES - BEHIND_COMMIT - left);
    make_safe(&b);
    cr_assert_eq(b.journal.safe, FAKE_FIRST + (1 + blocks) * BLOCK_BYTES, "%zu bytes left", left);
    append(&b, true, 64);
    make_safe(&b);
    cr_assert_eq(records_in_log(&b), 2);
    bench_free(&b);
}

Test(store_examples, what_holds_no_record_is_padded_to_the_block_behind)
{
    leave(0, 1);
    leave(8, 2);
    leave(16, 1);
    leave(24, 1);
}

/* The header, commit and records of a page that all but `left` bytes fill. */
static void fill_page(struct bench *b, size_t left)
{
    size_t rest = PAGE_BYTES - BLOCK_BYTES - BEHIND_COMMIT - left;
    while (rest > PAGE_BYTES / 4) {
        append(b, true, PAGE_BYTES / 8);
        rest -= PAGE_BYTES / 8;
    }
    append(b, true, rest);
}

static void leave_of_page(size_t left)
{
    struct bench b;
    bench_init(&b);
    store_open(&b.store, &nothing, FAKE_BROKER, FAKE_START);
    fill_page(&b, left);
    cr_assert_eq(store_lsn(&b.store), FAKE_FIRST + PAGE_BYTES - left);
    uint64_t next = append(&b, true, 64);
    cr_assert_eq(next, FAKE_FIRST + PAGE_BYTES + BEHIND_COMMIT, "%zu bytes left", left);
    make_safe(&b);
    unsigned records = records_in_log(&b);
    bench_free(&b);

    /* The same, but what is there is written before it is known that no more comes into the page. */
    bench_init(&b);
    store_open(&b.store, &nothing, FAKE_BROKER, FAKE_START);
    fill_page(&b, left);
    make_safe(&b);
    cr_assert_eq(b.journal.safe, FAKE_FIRST + PAGE_BYTES);
    append(&b, true, 64);
    make_safe(&b);
    cr_assert_eq(records_in_log(&b), records);
    bench_free(&b);
}

Test(store_examples, the_end_of_a_page_is_padded_by_a_record_or_zeros)
{
    leave_of_page(0);
    leave_of_page(8);
    leave_of_page(16);
    leave_of_page(56);
}

/* A page closed with nothing in it but padding is a write too, and opens with a commit. */
Test(store_examples, a_new_segment_leaves_the_rest_of_the_old_one_padded)
{
    struct bench b;
    bench_init(&b);
    store_open(&b.store, &nothing, FAKE_BROKER, FAKE_START);
    append(&b, true, 100);
    make_safe(&b);
    store_new_segment(&b.store);
    cr_assert_eq(store_lsn(&b.store), FAKE_FIRST + SEGMENT_BYTES);
    store_new_segment(&b.store); /* it is at one already */
    cr_assert_eq(store_lsn(&b.store), FAKE_FIRST + SEGMENT_BYTES);
    cr_assert_eq(append(&b, true, 100), FAKE_FIRST + SEGMENT_BYTES + BLOCK_BYTES + BEHIND_COMMIT);
    make_safe(&b);
    cr_assert_eq(records_in_log(&b), 2);
    bench_free(&b);
}

/* ---- writes under way --------------------------------------------------------------------------- */

Test(store_examples, an_open_page_has_so_many_writes_under_way_at_most)
{
    struct bench b;
    bench_init(&b);
    store_open(&b.store, &nothing, FAKE_BROKER, FAKE_START);
    for (unsigned i = 0; i < 3; i++) {
        append(&b, true, 32);
        store_flush(&b.store);
        cr_assert_eq(store_flush(&b.store), 0, "nothing new");
    }
    fake_journal_take(&b.journal, UINT32_MAX);
    cr_assert_eq(b.journal.count, WRITES_IN_FLIGHT < 3 ? WRITES_IN_FLIGHT : 3);
    make_safe(&b);
    cr_assert_eq(b.store.seal_count, 0);
    cr_assert_eq(records_in_log(&b), 3);
    bench_free(&b);
}

Test(store_examples, nothing_is_asked_of_a_failed_journal)
{
    struct bench b;
    bench_init(&b);
    store_open(&b.store, &nothing, FAKE_BROKER, FAKE_START);
    append(&b, true, 100);
    cr_assert(!store_idle(&b.store));
    store_on_journal(&b.store, &(struct journal_event){.kind = JOURNAL_FAILED, .error = 5});
    cr_assert_eq(store_flush(&b.store), 0);
    cr_assert(b.store.failed && b.store.error == 5);
    cr_assert(store_idle(&b.store), "there is nothing to wait for");
    bench_free(&b);
}

/* ---- memory ------------------------------------------------------------------------------------- */

enum { PAGES = 3 * BUDGET_PAGES };

/* One record that fills most of a page, in each of PAGES; all safe. */
static void fill_pages(struct bench *b, bool durable, uint64_t *positions)
{
    store_open(&b->store, &nothing, FAKE_BROKER, FAKE_START);
    for (unsigned i = 0; i < PAGES; i++) {
        positions[i] = append(b, durable, PAGE_BYTES - 2 * BLOCK_BYTES);
        store_keep(&b->store, positions[i], 1);
        if (durable)
            make_safe(b);
    }
}

static void shrink(struct bench *b)
{
    for (unsigned i = 0; i < 10 * PAGES; i++) {
        store_shrink(&b->store, b->now_ns);
        do_one(b);
    }
}

static void check_pins_hold(bool durable)
{
    struct bench b;
    uint64_t positions[PAGES];
    bench_init(&b);
    fill_pages(&b, durable, positions);
    for (unsigned i = 0; i < PAGES; i++)
        store_pin(store_page(&b.store, positions[i]));
    shrink(&b);
    for (unsigned i = 0; i < PAGES; i++)
        cr_assert(store_bytes(&b.store, store_page(&b.store, positions[i]), positions[i]));
    cr_assert(store_pressed(&b.store));
    for (unsigned i = 0; i < PAGES; i++)
        store_unpin(&b.store, positions[i] / PAGE_BYTES * PAGE_BYTES, 1);
    shrink(&b);
    cr_assert_leq(b.store.resident, BUDGET_PAGES);
    cr_assert(!store_pressed(&b.store));
    bench_free(&b);
}

Test(store_examples, pins_hold_pages_in_memory)
{
    check_pins_hold(true);
    check_pins_hold(false);
}

Test(store_examples, a_scratch_file_that_took_no_more_is_tried_again_later)
{
    struct bench b;
    uint64_t positions[PAGES];
    bench_init(&b);
    fill_pages(&b, false, positions);
    b.journal.fail_spills = 1000000;
    shrink(&b);
    size_t resident = b.store.resident;
    uint64_t later_ns = store_deadline(&b.store);
    cr_assert(resident > BUDGET_PAGES && store_pressed(&b.store));
    cr_assert(later_ns > b.now_ns && later_ns != UINT64_MAX);

    b.journal.fail_spills = 0;
    shrink(&b);
    cr_assert_eq(b.store.resident, resident, "not before its time");
    b.now_ns = later_ns;
    shrink(&b);
    cr_assert_leq(b.store.resident, BUDGET_PAGES);
    cr_assert_eq(store_deadline(&b.store), UINT64_MAX);
    bench_free(&b);
}

/* The oldest by use go first. */
Test(store_examples, what_is_looked_at_stays_in_memory)
{
    struct bench b;
    uint64_t positions[PAGES];
    bench_init(&b);
    fill_pages(&b, true, positions);
    cr_assert(store_bytes(&b.store, store_page(&b.store, positions[3]), positions[3]));
    shrink(&b);
    cr_assert(store_bytes(&b.store, store_page(&b.store, positions[3]), positions[3]));
    cr_assert_null(store_bytes(&b.store, store_page(&b.store, positions[4]), positions[4]));
    cr_assert_eq(b.journal.spills, 0, "what is in the log need not be written again");
    bench_free(&b);
}

Test(store_examples, all_who_wait_for_a_page_are_woken_by_one_read)
{
    struct bench b;
    uint64_t positions[PAGES];
    struct waiter one = {0}, other = {0};
    bench_init(&b);
    fill_pages(&b, false, positions);
    shrink(&b);
    struct page *page = store_page(&b.store, positions[0]);
    cr_assert_eq(page->state, PAGE_ABSENT);
    cr_assert(store_load(&b.store, page, &one));
    cr_assert(store_load(&b.store, page, &other));
    cr_assert(store_load(&b.store, page, NULL));
    cr_assert(!store_idle(&b.store));
    struct waiter *woken = NULL;
    for (unsigned i = 0; !woken && i < 100; i++)
        woken = do_one(&b);
    cr_assert(woken && woken->next && !woken->next->next);
    cr_assert_eq(b.journal.fetches, 1);
    cr_assert_eq(page->state, PAGE_CLOSED);
    bench_free(&b);
}

Test(store_examples, a_read_that_the_ring_has_no_room_for_is_tried_again)
{
    struct bench b;
    uint64_t positions[PAGES];
    struct waiter waiter = {0};
    bench_init(&b);
    fill_pages(&b, true, positions);
    shrink(&b);
    struct page *page = store_page(&b.store, positions[0]);
    size_t resident = b.store.resident;
    struct journal_command any = {.kind = JOURNAL_RETIRE};
    while (ring_put(b.journal.commands, &any, 1))
        ;
    cr_assert(!store_load(&b.store, page, &waiter));
    cr_assert(page->state == PAGE_ABSENT && !page->waiters && b.store.resident == resident);
    while (ring_take(b.journal.commands, &any, 1))
        ;
    cr_assert(store_load(&b.store, page, &waiter));
    bench_free(&b);
}

/* ---- segments ----------------------------------------------------------------------------------- */

static void fill_segment(struct bench *b)
{
    uint64_t segment = store_lsn(&b->store) / SEGMENT_BYTES;
    while (store_lsn(&b->store) / SEGMENT_BYTES == segment) {
        append(b, true, PAGE_BYTES / 2);
        make_safe(b);
    }
}

/* Nothing in it alive; a checkpoint behind it; a header that names the checkpoint; that header safe; what
 * emptied it safe. */
Test(store_examples, a_segment_goes_when_all_that_must_be_safe_is)
{
    struct bench b;
    bench_init(&b);
    store_open(&b.store, &nothing, FAKE_BROKER, FAKE_START);
    uint64_t position = append(&b, true, 100);
    store_keep(&b.store, position, 1);
    b.journal.emptied[1] = UINT64_MAX;
    fill_segment(&b);
    cr_assert_eq(store_dead_segments(&b.store), 0);
    store_checkpoint(&b.store, 2 * (uint64_t)SEGMENT_BYTES + BLOCK_BYTES);
    fill_segment(&b);
    fill_segment(&b);
    cr_assert_eq(b.journal.retires, 0, "a message in it is alive");
    cr_assert_eq(store_log_bytes(&b.store), 4 * (uint64_t)SEGMENT_BYTES);
    append(&b, true, 100);
    store_flush(&b.store);
    store_drop(&b.store, position, 1);
    b.journal.emptied[1] = store_lsn(&b.store);
    make_safe(&b);
    cr_assert_eq(b.journal.retires, 0, "nothing is safe that says so");
    append(&b, true, 100);
    make_safe(&b);
    cr_assert_eq(b.journal.retires, 1);
    cr_assert(b.journal.retired[1] && !b.journal.retired[2]);
    cr_assert_eq(store_log_bytes(&b.store), 3 * (uint64_t)SEGMENT_BYTES);
    bench_free(&b);
}

/* A checkpoint that no header names yet is none. */
Test(store_examples, a_segment_stays_until_the_header_that_names_the_checkpoint_behind_it_is_safe)
{
    struct bench b;
    bench_init(&b);
    store_open(&b.store, &nothing, FAKE_BROKER, FAKE_START);
    fill_segment(&b);
    store_checkpoint(&b.store, FAKE_FIRST + BLOCK_BYTES);
    fill_segment(&b);
    store_checkpoint(&b.store, 2 * (uint64_t)SEGMENT_BYTES + BLOCK_BYTES);
    fill_segment(&b);
    append(&b, true, 100); /* the header of segment 4 names that of segment 2 */
    store_checkpoint(&b.store, 3 * (uint64_t)SEGMENT_BYTES + BLOCK_BYTES);
    make_safe(&b);
    cr_assert(b.journal.retired[1] && !b.journal.retired[2]);
    fill_segment(&b);
    append(&b, true, 100);
    make_safe(&b);
    cr_assert(b.journal.retired[2] && !b.journal.retired[3]);
    bench_free(&b);
}

/* Far more segments than at first, after the oldest have gone. */
Test(store_examples, any_number_of_segments_is_accounted_for)
{
    struct bench b;
    struct journal_end end = {.lsn = 20 * (uint64_t)SEGMENT_BYTES,
                              .checkpoint = 12 * (uint64_t)SEGMENT_BYTES + BLOCK_BYTES};
    bench_init(&b);
    b.journal.handed = b.journal.safe = end.safe = end.lsn;
    b.journal.named = end.checkpoint;
    for (uint64_t n = 14; n >= 5; n--)
        store_keep(&b.store, n * SEGMENT_BYTES + BLOCK_BYTES, 1);
    store_found_segments(&b.store, (const uint64_t[]){5, 6, 7, 8, 9, 10, 11, 12, 13, 14}, 10);
    store_open(&b.store, &end, FAKE_BROKER, FAKE_START);
    for (uint64_t n = 5; n < 10; n++) {
        b.journal.log[n] = calloc(1, SEGMENT_BYTES);
        store_drop(&b.store, n * SEGMENT_BYTES + BLOCK_BYTES, 1);
        b.journal.emptied[n] = end.lsn;
    }
    cr_assert_eq(store_dead_segments(&b.store), 5);
    append(&b, true, 100);
    make_safe(&b);
    cr_assert_eq(b.journal.retires, 5);
    cr_assert_eq(store_log_bytes(&b.store), 6 * (uint64_t)SEGMENT_BYTES);
    for (uint64_t n = 20; n < 90; n++)
        store_keep(&b.store, n * SEGMENT_BYTES + BLOCK_BYTES, 1);
    for (uint64_t n = 0; n < 100; n++)
        cr_assert_eq(store_segment_alive(&b.store, n), (n >= 10 && n < 15) || (n >= 20 && n < 90));
    cr_assert_eq(store_log_bytes(&b.store), 75 * (uint64_t)SEGMENT_BYTES);
    bench_free(&b);
}

Test(store_examples, a_segment_with_little_alive_is_found)
{
    struct bench b;
    bench_init(&b);
    store_open(&b.store, &nothing, FAKE_BROKER, FAKE_START);
    uint64_t small = append(&b, true, 100);
    store_keep(&b.store, small, 100);
    uint64_t large = append(&b, true, 100);
    store_keep(&b.store, large, SEGMENT_BYTES / 4);
    fill_segment(&b);
    store_checkpoint(&b.store, 2 * (uint64_t)SEGMENT_BYTES + BLOCK_BYTES);
    fill_segment(&b);
    fill_segment(&b);
    cr_assert_eq(store_sparse_segment(&b.store, 1), 0);
    store_drop(&b.store, large, SEGMENT_BYTES / 4);
    cr_assert_eq(store_sparse_segment(&b.store, 1), 1);
    cr_assert_eq(store_sparse_segment(&b.store, 3), 0, "it is too young");
    store_drop(&b.store, small, 100);
    cr_assert_eq(store_sparse_segment(&b.store, 1), 0, "it is empty");
    bench_free(&b);
}

/* ---- a start that goes on in the middle of a page -------------------------------------------------- */

/* Who asks for nothing new need not wait for a write that may never come. */
Test(store_examples, what_was_recovered_is_safe)
{
    static const struct journal_end end = {.lsn = FAKE_FIRST + BLOCK_BYTES, .safe = FAKE_FIRST + 100};
    struct bench b;
    bench_init(&b);
    store_open(&b.store, &end, FAKE_BROKER, FAKE_START);
    cr_assert_leq(store_lsn(&b.store), b.store.safe);
    append(&b, true, 100);
    cr_assert_gt(store_lsn(&b.store), b.store.safe);
    bench_free(&b);
}

Test(store_examples, goes_on_where_recovery_ended)
{
    struct bench b;
    bench_init(&b);
    store_open(&b.store, &nothing, FAKE_BROKER, FAKE_START);
    uint64_t position = append(&b, true, 100);
    make_safe(&b);
    struct journal_end end = {.lsn = b.journal.safe, .safe = b.journal.safe, .before = b.store.before};
    store_free(&b.store);

    store_init(&b.store, b.journal.commands, FAKE_ROUTER, 0);
    store_keep(&b.store, position, 1);
    store_found_segments(&b.store, (const uint64_t[]){1}, 1);
    uint8_t *page = store_open(&b.store, &end, FAKE_BROKER, FAKE_START);
    cr_assert(page);
    memcpy(page, fake_journal_at(&b.journal, FAKE_FIRST), end.lsn - FAKE_FIRST);
    const struct record *record = store_bytes(&b.store, store_page(&b.store, position), position);
    cr_assert(record_valid(record, position, PAGE_BYTES - position % PAGE_BYTES));
    cr_assert_eq(append(&b, true, 100), end.lsn + BEHIND_COMMIT);
    make_safe(&b);
    cr_assert_eq(records_in_log(&b), 2);
    cr_assert_eq(store_bytes(&b.store, store_page(&b.store, position), position), record);
    bench_free(&b);
}
