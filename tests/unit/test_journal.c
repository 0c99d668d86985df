/*
 * The agent on the simulated disk. Built with GANNET_TINY.
 */
#include "journal/journal.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "journal/reserve.h"
#include "journal/segment.h"
#include "journal/storage.h"
#include "journal/storage_sim.h"
#include "test_journal_tap.h"
#include "test_journal_writer.h"

static struct sim_disk *disk;
static struct writer w;

static void set_up(void)
{
    disk = sim_disk_new(5);
    writer_init(&w);
}

static void tear_down(void)
{
    writer_free(&w);
    sim_disk_free(disk);
}

TestSuite(journal, .init = set_up, .fini = tear_down, .timeout = 60);

static void open_sim(void)
{
    cr_assert(writer_open(&w, storage_sim_new(disk, WRITER_ROUTER)) == 0, "%s", w.error);
}

static void reopen_sim(void)
{
    writer_close(&w);
    open_sim();
}

/* ---- through a tap ------------------------------------------------------------------------------ */

static void open_tapped(void)
{
    struct storage *storage = tap_new(storage_sim_new(disk, WRITER_ROUTER));
    cr_assert(writer_open(&w, storage) == 0, "%s", w.error);
}

/* ---- writing ------------------------------------------------------------------------------------- */

Test(journal, nothing_is_safe_before_its_write_is_done)
{
    open_tapped();
    writer_append(&w, 100);
    writer_flush(&w);
    writer_polls(&w, 5); /* the first segment is made */
    cr_assert(writer_settle(&w));
    tap.hold = true;
    writer_append(&w, 100);
    writer_flush(&w);
    uint64_t safe = w.safe;
    writer_polls(&w, 100);
    cr_assert(w.safe == safe && !journal_idle(w.journal));
    tap.hold = false;
    writer_polls(&w, 2);
    cr_assert(w.safe == w.handed);
    writer_close(&w);
}

Test(journal, what_waits_becomes_one_write)
{
    open_tapped();
    writer_append(&w, 100);
    cr_assert(writer_settle(&w));
    tap.hold = true;
    tap.writes = tap.pieces = 0;
    for (unsigned i = 0; i < WRITES_IN_FLIGHT + 5; i++) {
        writer_append(&w, 4000);
        writer_flush(&w);
        writer_poll(&w);
    }
    cr_assert(tap.writes == WRITES_IN_FLIGHT, "%u", tap.writes);
    tap.hold = false;
    cr_assert(writer_settle(&w));
    cr_assert(tap.writes == WRITES_IN_FLIGHT + 1, "%u", tap.writes);
    writer_close(&w);
}

Test(journal, safe_is_the_end_of_what_is_done_without_a_gap)
{
    sim_disk_faults(disk)->steps_max = 50;
    open_sim();
    for (unsigned i = 0; i < 500; i++) {
        writer_append(&w, 3000);
        writer_flush(&w);
        writer_poll(&w);
        /* All that was called safe is there after a power cut now. */
        if (i % 25 == 24) {
            sim_disk_crash(disk, SIM_POWER);
            reopen_sim();
        }
    }
    writer_close(&w);
}

Test(journal, the_rest_of_a_segment_may_stay_unwritten)
{
    open_sim();
    for (unsigned i = 0; i < 6; i++) {
        writer_append(&w, 500);
        writer_new_segment(&w, true);
    }
    writer_append(&w, 500);
    cr_assert(writer_settle(&w));
    reopen_sim();
    cr_assert(w.count == 7);
    writer_close(&w);
}

/* ---- failing ------------------------------------------------------------------------------------- */

Test(journal, a_failed_write_stops_it_for_good)
{
    open_sim();
    writer_append(&w, 100);
    cr_assert(writer_settle(&w));
    uint64_t safe = w.safe;
    sim_disk_faults(disk)->write_fails = 1000000;
    writer_append(&w, 100);
    cr_assert_not(writer_settle(&w));
    cr_assert(w.failed == EIO && w.safe == safe);
    sim_disk_faults(disk)->write_fails = 0;
    for (unsigned i = 0; i < 50; i++) { /* the writer checks that FAILED comes once, and no SAFE behind it */
        writer_append(&w, 3000);
        writer_flush(&w);
        writer_poll(&w);
    }
    cr_assert(w.safe == safe);
    uint8_t *page = aligned_alloc(BLOCK_BYTES, PAGE_BYTES);
    writer_command(&w, JOURNAL_READ, SEGMENT_BYTES, page, BLOCK_BYTES, 9);
    writer_polls(&w, 10);
    cr_assert(w.dones == 1 && w.done_error == 0 && w.done_tag == 9, "it can still be read");
    free(page);
    size_t promised = w.promised;
    reopen_sim();
    cr_assert(w.count >= promised);
    writer_close(&w);
}

Test(journal, nothing_later_is_safe_when_an_earlier_write_fails)
{
    for (uint64_t seed = 0; seed < 300; seed++) {
        tear_down();
        disk = sim_disk_new(seed);
        writer_init(&w);
        sim_disk_faults(disk)->steps_max = 10;
        open_sim();
        sim_disk_faults(disk)->write_fails = 100000;
        for (unsigned i = 0; i < 60 && !w.failed; i++) {
            writer_append(&w, 2000);
            writer_flush(&w);
            writer_poll(&w);
        }
        writer_polls(&w, 40);
        sim_disk_crash(disk, SIM_POWER);
        sim_disk_faults(disk)->write_fails = 0;
        reopen_sim();
        writer_close(&w);
    }
}

/* ---- room ---------------------------------------------------------------------------------------- */

static uint64_t files_on_disk(void)
{
    return sim_disk_used(disk) / SEGMENT_BYTES;
}

Test(journal, segments_are_ready_before_they_are_needed)
{
    open_sim();
    writer_append(&w, 100);
    cr_assert(writer_settle(&w));
    cr_assert(files_on_disk() == 1 + RESERVE_SEGMENTS + 1);
    writer_close(&w);
}

Test(journal, a_full_disk_holds_publishers_back_and_room_lets_them_go_on)
{
    sim_disk_faults(disk)->capacity = 6 * SEGMENT_BYTES;
    open_sim();
    while (w.fulls == 0) {
        writer_fill(&w, 1);
        cr_assert(writer_settle(&w));
    }
    uint64_t current = segment_of(w.lsn - 1);
    cr_assert(files_on_disk() == 6 && w.rooms == 0 && !w.failed);
    cr_assert(6 - current >= RESERVE_SEGMENTS, "acknowledgements have somewhere to go");
    while (w.lsn % SEGMENT_BYTES < SEGMENT_BYTES / 2 || segment_of(w.lsn) < 6) {
        writer_append(&w, 4000);
        cr_assert(writer_settle(&w), "what is there can be filled");
    }
    cr_assert(w.fulls == 1 && w.rooms == 0);
    sim_disk_faults(disk)->capacity = 20 * SEGMENT_BYTES;
    writer_polls(&w, 2000);
    cr_assert(w.fulls == 1 && w.rooms == 1);
    writer_close(&w);
}

Test(journal, what_must_stay_free_stays_free)
{
    sim_disk_faults(disk)->capacity = 10 * SEGMENT_BYTES;
    w.free_limit = 3 * SEGMENT_BYTES;
    open_sim();
    while (w.fulls == 0) {
        writer_fill(&w, 1);
        cr_assert(writer_settle(&w));
    }
    cr_assert(files_on_disk() == 7, "%lu", files_on_disk());
    writer_close(&w);
}

/* Publishers are held back by then: what still comes are acknowledgements, and what ends the shortage. */
Test(journal, a_write_that_waits_gets_what_must_stay_free)
{
    sim_disk_faults(disk)->capacity = 10 * SEGMENT_BYTES;
    w.free_limit = 3 * SEGMENT_BYTES;
    open_sim();
    for (unsigned i = 0; i < 9; i++) {
        writer_fill(&w, 1);
        cr_assert(writer_settle(&w), "segment %u", i);
    }
    cr_assert(w.fulls == 1 && w.rooms == 0);
    cr_assert(files_on_disk() == 10, "%lu", files_on_disk());
    writer_close(&w);
}

/* A full disk is told before anything else can happen. */
Test(journal, a_start_on_a_full_disk_says_so_first)
{
    sim_disk_faults(disk)->capacity = 2 * SEGMENT_BYTES;
    open_sim();
    writer_poll(&w);
    cr_assert(w.fulls == 1);
    writer_append(&w, 100);
    cr_assert(writer_settle(&w));
    writer_close(&w);
}

static void put_aside(uint64_t segments)
{
    writer_command(&w, JOURNAL_ASIDE, segments, NULL, 0, 0);
    writer_polls(&w, 500);
}

Test(journal, what_is_put_aside_is_files_that_go_again)
{
    sim_disk_faults(disk)->capacity = 20 * SEGMENT_BYTES;
    open_sim();
    writer_append(&w, 100);
    cr_assert(writer_settle(&w));
    put_aside(4);
    cr_assert_eq(files_on_disk(), 1 + RESERVE_SEGMENTS + 1 + 4);
    put_aside(4);
    cr_assert_eq(w.more, 20 - 8);
    put_aside(0);
    cr_assert_eq(files_on_disk(), 1 + RESERVE_MOST);
    put_aside(0);
    cr_assert_eq(w.more, 20 - 4, "what is ready besides can be put aside, too");
    cr_assert_eq(w.fulls, 0);
    writer_close(&w);
}

Test(journal, a_full_disk_still_has_what_was_put_aside)
{
    sim_disk_faults(disk)->capacity = 8 * SEGMENT_BYTES;
    open_sim();
    put_aside(2);
    while (w.fulls == 0) {
        writer_fill(&w, 1);
        cr_assert(writer_settle(&w));
    }
    uint64_t current = segment_of(w.lsn - 1);
    cr_assert(w.aside_left && current <= 8 - RESERVE_SEGMENTS - 2);
    while (w.aside_left) {
        writer_fill(&w, 1);
        cr_assert(writer_settle(&w));
    }
    cr_assert(w.rooms == 0 && segment_of(w.lsn - 1) > current);
    cr_assert(8 - segment_of(w.lsn - 1) >= RESERVE_SEGMENTS, "acknowledgements have somewhere to go");
    put_aside(100);
    cr_assert(w.rooms == 0 && w.more == 0);
    put_aside(0);
    sim_disk_faults(disk)->capacity = 20 * SEGMENT_BYTES;
    writer_polls(&w, 2000);
    cr_assert(w.rooms == 1 && w.fulls == 1);
    writer_close(&w);
}

Test(journal, a_failing_disk_is_not_a_full_one)
{
    open_sim();
    writer_append(&w, 100);
    cr_assert(writer_settle(&w));
    cr_assert(w.fulls == 0);
    writer_close(&w);
}

/* ---- retiring ------------------------------------------------------------------------------------ */

Test(journal, retired_segments_are_used_again)
{
    sim_disk_faults(disk)->capacity = 9 * SEGMENT_BYTES;
    open_sim();
    uint64_t oldest = 1;
    for (unsigned round = 0; round < 40; round++) {
        writer_fill(&w, 1);
        writer_checkpoint(&w);
        for (; segment_start(oldest + 1) <= w.checkpoint; oldest++)
            writer_retire(&w, oldest);
        cr_assert(writer_settle(&w));
        writer_polls(&w, 50);
        cr_assert(w.fulls == w.rooms, "round %u", round);
    }
    cr_assert(files_on_disk() <= 1 + 2 + RESERVE_MOST);
    reopen_sim();
    writer_close(&w);
}

Test(journal, segments_beyond_the_reserve_are_removed)
{
    open_sim();
    writer_fill(&w, 12);
    writer_checkpoint(&w);
    uint64_t current = segment_of(w.lsn);
    for (uint64_t n = 1; segment_start(n + 1) <= w.checkpoint; n++)
        writer_retire(&w, n);
    cr_assert(writer_settle(&w));
    writer_polls(&w, 200);
    cr_assert(files_on_disk() == 2 + RESERVE_MOST, "%lu", files_on_disk());
    for (uint64_t n = 1; n < current - 1; n++)
        cr_assert_null(sim_disk_bytes(disk, WRITER_ROUTER, n));
    writer_close(&w);
}

Test(journal, retirement_makes_room_on_a_full_disk)
{
    sim_disk_faults(disk)->capacity = 6 * SEGMENT_BYTES;
    open_sim();
    while (w.fulls == 0) {
        writer_fill(&w, 1);
        cr_assert(writer_settle(&w));
    }
    uint64_t last = segment_of(w.lsn - 1);
    writer_checkpoint(&w);
    for (uint64_t n = 1; n <= last; n++)
        writer_retire(&w, n);
    writer_polls(&w, 50);
    cr_assert(w.rooms == 1 && files_on_disk() == 6);
    writer_close(&w);
}

/* Until what led to it is safe, a power cut could still bring the segment's messages back to life. */
Test(journal, a_segment_is_not_retired_before_what_led_to_it_is_safe)
{
    open_tapped();
    writer_fill(&w, 1);
    writer_checkpoint(&w);
    tap.hold_writes = true;
    writer_append(&w, 100); /* the last acknowledgement */
    writer_flush(&w);
    writer_retire(&w, 1);
    writer_polls(&w, 100);
    cr_assert_not_null(sim_disk_bytes(disk, WRITER_ROUTER, 1));
    tap_let_writes_go();
    writer_polls(&w, 100);
    cr_assert_null(sim_disk_bytes(disk, WRITER_ROUTER, 1));
    writer_close(&w);
}

Test(journal, a_segment_that_a_replay_would_need_is_not_retired)
{
    open_sim();
    writer_fill(&w, 1);
    writer_retire(&w, 1); /* no checkpoint is behind it */
    cr_assert(writer_settle(&w));
    writer_polls(&w, 100);
    cr_assert_not_null(sim_disk_bytes(disk, WRITER_ROUTER, 1));
    writer_checkpoint(&w);
    writer_polls(&w, 100);
    cr_assert_null(sim_disk_bytes(disk, WRITER_ROUTER, 1));
    writer_close(&w);
}

/* ---- reading, and the scratch file --------------------------------------------------------------- */

Test(journal, pages_are_read_back_and_spilled)
{
    open_sim();
    writer_reads_and_spills(&w);
    writer_close(&w);
}

Test(journal, a_scratch_file_without_room_says_so)
{
    sim_disk_faults(disk)->capacity = 4 * SEGMENT_BYTES;
    open_sim();
    writer_append(&w, 100);
    cr_assert(writer_settle(&w));
    uint8_t *page = aligned_alloc(BLOCK_BYTES, PAGE_BYTES);
    memset(page, 1, PAGE_BYTES);
    writer_command(&w, JOURNAL_SPILL, 0, page, PAGE_BYTES, 7);
    cr_assert(writer_done(&w, 7) == ENOSPC);
    cr_assert(w.failed == 0);
    free(page);
    writer_close(&w);
}

/* A router that does not take its events stalls nothing but itself. */
Test(journal, more_is_asked_than_the_event_ring_holds)
{
    open_sim();
    writer_append(&w, 100);
    cr_assert(writer_settle(&w));
    uint8_t *block = aligned_alloc(BLOCK_BYTES, BLOCK_BYTES);
    struct journal_command read = {
        .kind = JOURNAL_READ, .lsn = SEGMENT_BYTES, .bytes = block, .len = BLOCK_BYTES};
    unsigned asked = 0;
    for (unsigned i = 0; i < 400; i++) {
        if (i < 40 && i % 5 == 0) { /* SAFE takes its place among them */
            writer_append(&w, 100);
            writer_flush(&w);
        }
        asked += ring_put(w.commands, &read, 1);
        journal_poll(w.journal, w.now_ns);
    }
    cr_assert(asked > RING_SLOTS && ring_waiting(w.events) < RING_SLOTS);
    writer_polls(&w, 400);
    cr_assert(w.dones == asked, "%u of %u", w.dones, asked);
    free(block);
    writer_close(&w);
}
