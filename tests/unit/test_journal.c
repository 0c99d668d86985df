/*
 * The agent: on the simulated disk, and on a real one in a temporary directory. Built with GANNET_TINY.
 */
#include "journal/journal.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal/reserve.h"
#include "journal/segment.h"
#include "journal/storage.h"
#include "journal/storage_sim.h"
#include "journal/storage_uring.h"
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

/* ---- a storage that counts and holds back what goes through it ------------------------------------ */

static struct {
    struct storage storage;
    struct storage *below;
    unsigned writes, pieces;
    size_t bytes;
    bool hold;        /* answers nothing */
    bool hold_writes; /* does not even begin them */
    unsigned held;
    struct {
        uint64_t segment, offset, token;
        struct iovec iov[STORAGE_IOVS];
        unsigned iovs;
    } writes_held[WRITES_IN_FLIGHT];
} tap;

static void tap_write(struct storage *storage, uint64_t segment, uint64_t offset, const struct iovec *iov,
                      unsigned iovs, enum storage_write_kind kind, uint64_t token)
{
    (void)storage;
    tap.writes++;
    tap.pieces += iovs;
    for (unsigned i = 0; i < iovs; i++)
        tap.bytes += iov[i].iov_len;
    if (!tap.hold_writes) {
        tap.below->table->write(tap.below, segment, offset, iov, iovs, kind, token);
        return;
    }
    unsigned i = tap.held++;
    tap.writes_held[i].segment = segment;
    tap.writes_held[i].offset = offset;
    tap.writes_held[i].token = token;
    tap.writes_held[i].iovs = iovs;
    memcpy(tap.writes_held[i].iov, iov, iovs * sizeof *iov);
}

static void let_writes_go(void)
{
    tap.hold_writes = false;
    for (unsigned i = 0; i < tap.held; i++)
        tap.below->table->write(tap.below, tap.writes_held[i].segment, tap.writes_held[i].offset,
                                tap.writes_held[i].iov, tap.writes_held[i].iovs, STORAGE_STABLE,
                                tap.writes_held[i].token);
    tap.held = 0;
}

static void tap_read(struct storage *storage, uint64_t segment, uint64_t offset, void *bytes, size_t len,
                     uint64_t token)
{
    (void)storage;
    tap.below->table->read(tap.below, segment, offset, bytes, len, token);
}

static void tap_prepare(struct storage *storage, uint64_t segment, uint64_t from, uint64_t leave_free,
                        uint64_t token)
{
    (void)storage;
    tap.below->table->prepare(tap.below, segment, from, leave_free, token);
}

static void tap_remove(struct storage *storage, uint64_t segment, uint64_t token)
{
    (void)storage;
    tap.below->table->remove(tap.below, segment, token);
}

static void tap_submit(struct storage *storage)
{
    (void)storage;
    tap.below->table->submit(tap.below);
}

static unsigned tap_poll(struct storage *storage, struct storage_done *done, unsigned max)
{
    (void)storage;
    return tap.hold ? 0 : tap.below->table->poll(tap.below, done, max);
}

static int tap_list(struct storage *storage, uint64_t *segments, unsigned max)
{
    (void)storage;
    return tap.below->table->list(tap.below, segments, max);
}

static int tap_sync(struct storage *storage, uint64_t segment)
{
    (void)storage;
    return tap.below->table->sync(tap.below, segment);
}

static uint64_t tap_room(struct storage *storage)
{
    (void)storage;
    return tap.below->table->room(tap.below);
}

static void tap_wait(struct storage *storage)
{
    (void)storage;
    tap.below->table->wait(tap.below);
}

static void tap_path(struct storage *storage, uint64_t segment, char path[STORAGE_PATH_BYTES])
{
    (void)storage;
    tap.below->table->path(tap.below, segment, path);
}

static void tap_close(struct storage *storage)
{
    (void)storage;
    tap.below->table->close(tap.below);
}

static int tap_wait_fd(const struct storage *storage)
{
    (void)storage;
    return -1;
}

static const struct storage_table tap_table = {tap_list,   tap_sync,  tap_room,   tap_wait,    tap_path,
                                               tap_close,  tap_write, tap_read,   tap_prepare, tap_remove,
                                               tap_submit, tap_poll,  tap_wait_fd};

static void open_tapped(void)
{
    memset(&tap, 0, sizeof tap);
    tap.storage.table = &tap_table;
    tap.below = storage_sim_new(disk, WRITER_ROUTER);
    cr_assert(writer_open(&w, &tap.storage) == 0, "%s", w.error);
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

/* Appends until the writer is in the n-th segment from here. */
static void fill_segments(unsigned n)
{
    for (uint64_t end = segment_of(w.lsn) + n; segment_of(w.lsn) < end && !w.failed;) {
        writer_append(&w, 8000);
        writer_poll(&w);
    }
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
        fill_segments(1);
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
        fill_segments(1);
        cr_assert(writer_settle(&w));
    }
    cr_assert(files_on_disk() == 7, "%lu", files_on_disk());
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

Test(journal, a_failing_disk_is_not_a_full_one)
{
    open_sim();
    writer_append(&w, 100);
    cr_assert(writer_settle(&w));
    cr_assert(w.fulls == 0);
    writer_close(&w);
}

/* ---- retiring ------------------------------------------------------------------------------------ */

static void retire(uint64_t segment)
{
    writer_command(&w, JOURNAL_RETIRE, segment_start(segment), NULL, 0, 0);
}

/* A checkpoint in a segment of its own, named by the header of the next. */
static void checkpoint(void)
{
    writer_new_segment(&w, true);
    uint64_t lsn = w.lsn + BLOCK_BYTES;
    writer_append(&w, 200);
    cr_assert(writer_settle(&w));
    w.checkpoint = lsn;
    writer_new_segment(&w, true);
    writer_append(&w, 200);
    cr_assert(writer_settle(&w));
}

Test(journal, retired_segments_are_used_again)
{
    sim_disk_faults(disk)->capacity = 9 * SEGMENT_BYTES;
    open_sim();
    uint64_t oldest = 1;
    for (unsigned round = 0; round < 40; round++) {
        fill_segments(1);
        checkpoint();
        for (; segment_start(oldest + 1) <= w.checkpoint; oldest++)
            retire(oldest);
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
    fill_segments(12);
    checkpoint();
    uint64_t current = segment_of(w.lsn);
    for (uint64_t n = 1; segment_start(n + 1) <= w.checkpoint; n++)
        retire(n);
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
        fill_segments(1);
        cr_assert(writer_settle(&w));
    }
    uint64_t last = segment_of(w.lsn - 1);
    checkpoint();
    for (uint64_t n = 1; n <= last; n++)
        retire(n);
    writer_polls(&w, 50);
    cr_assert(w.rooms == 1 && files_on_disk() == 6);
    writer_close(&w);
}

/* Until what led to it is safe, a power cut could still bring the segment's messages back to life. */
Test(journal, a_segment_is_not_retired_before_what_led_to_it_is_safe)
{
    open_tapped();
    fill_segments(1);
    checkpoint();
    tap.hold_writes = true;
    writer_append(&w, 100); /* the last acknowledgement */
    writer_flush(&w);
    retire(1);
    writer_polls(&w, 100);
    cr_assert_not_null(sim_disk_bytes(disk, WRITER_ROUTER, 1));
    let_writes_go();
    writer_polls(&w, 100);
    cr_assert_null(sim_disk_bytes(disk, WRITER_ROUTER, 1));
    writer_close(&w);
}

Test(journal, a_segment_that_a_replay_would_need_is_not_retired)
{
    open_sim();
    fill_segments(1);
    retire(1); /* no checkpoint is behind it */
    cr_assert(writer_settle(&w));
    writer_polls(&w, 100);
    cr_assert_not_null(sim_disk_bytes(disk, WRITER_ROUTER, 1));
    checkpoint();
    writer_polls(&w, 100);
    cr_assert_null(sim_disk_bytes(disk, WRITER_ROUTER, 1));
    writer_close(&w);
}

/* ---- reading, and the scratch file --------------------------------------------------------------- */

static void expect_done(uint64_t tag, uint32_t error)
{
    unsigned dones = w.dones;
    int fd = w.storage->table->wait_fd(w.storage);
    for (unsigned i = 0; i < 1000 && w.dones == dones; i++)
        if (writer_poll(&w) == 0 && fd >= 0)
            poll(&(struct pollfd){fd, POLLIN, 0}, 1, 1000);
    cr_assert(w.dones == dones + 1 && w.done_tag == tag, "tag %lu", tag);
    cr_assert(w.done_error == error, "errno %u", w.done_error);
}

static void read_and_spill(void)
{
    writer_append(&w, 5000);
    cr_assert(writer_settle(&w));
    uint8_t *page = aligned_alloc(BLOCK_BYTES, PAGE_BYTES), *other = aligned_alloc(BLOCK_BYTES, PAGE_BYTES);
    writer_command(&w, JOURNAL_READ, w.end.lsn / PAGE_BYTES * PAGE_BYTES, page, PAGE_BYTES, 1);
    expect_done(1, 0);
    struct record_scan scan;
    uint64_t lsn;
    record_scan_begin(&scan, page, w.end.lsn / PAGE_BYTES * PAGE_BYTES, w.broker);
    cr_assert_not_null(record_next(&scan, &lsn));
    for (size_t i = 0; i < PAGE_BYTES; i++)
        page[i] = (uint8_t)(i * 7);
    writer_command(&w, JOURNAL_SPILL, 3 * PAGE_BYTES, page, PAGE_BYTES, 2);
    expect_done(2, 0);
    writer_command(&w, JOURNAL_FETCH, 3 * PAGE_BYTES, other, PAGE_BYTES, 3);
    expect_done(3, 0);
    cr_assert(memcmp(page, other, PAGE_BYTES) == 0);
    writer_command(&w, JOURNAL_FETCH, 9 * PAGE_BYTES, other, PAGE_BYTES, 4);
    expect_done(4, ENODATA);
    writer_command(&w, JOURNAL_READ, segment_start(50), other, PAGE_BYTES, 5);
    expect_done(5, ENOENT);
    free(page);
    free(other);
}

Test(journal, pages_are_read_back_and_spilled)
{
    open_sim();
    read_and_spill();
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
    expect_done(7, ENOSPC);
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

/* ---- on a real disk ------------------------------------------------------------------------------ */

static char directory[64];

static struct storage *real(void)
{
    char error[600];
    struct storage *storage = storage_uring_new(directory, WRITER_ROUTER, error, sizeof error);
    cr_assert_not_null(storage, "%s", error);
    return storage;
}

static void open_real(void)
{
    cr_assert(writer_open(&w, real()) == 0, "%s", w.error);
}

static void make_directory(const char *parent)
{
    snprintf(directory, sizeof directory, "%s/gannet-XXXXXX", parent);
    cr_assert_not_null(mkdtemp(directory));
}

static void remove_directory(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", directory);
    cr_assert(system(command) == 0);
}

static void live_and_recover(void)
{
    for (unsigned life = 0; life < 4; life++) {
        open_real();
        for (unsigned i = 0; i < 120; i++) {
            writer_append(&w, 100 + i * 67);
            if (i % 5 == 0)
                writer_flush(&w);
            writer_poll(&w);
        }
        cr_assert(writer_settle(&w));
        writer_close(&w);
    }
    open_real();
    cr_assert(w.count == 480 && w.end.cut_bytes == 0);
    writer_close(&w);
}

Test(journal, on_a_real_disk_a_log_comes_back)
{
    make_directory("/tmp");
    live_and_recover();
    remove_directory();
}

Test(journal, on_a_file_system_in_memory_too)
{
    make_directory(access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    live_and_recover();
    remove_directory();
}

Test(journal, on_a_real_disk_pages_are_read_back_and_spilled)
{
    make_directory("/tmp");
    open_real();
    read_and_spill();
    writer_close(&w);
    remove_directory();
}

Test(journal, on_a_real_disk_retired_segments_are_used_again)
{
    make_directory("/tmp");
    open_real();
    uint64_t oldest = 1;
    for (unsigned round = 0; round < 8; round++) {
        fill_segments(3);
        checkpoint();
        for (; segment_start(oldest + 1) <= w.checkpoint; oldest++)
            retire(oldest);
        cr_assert(writer_settle(&w));
    }
    writer_append(&w, 100);
    cr_assert(writer_settle(&w));
    uint64_t segments[64];
    unsigned left = journal_segments(w.storage, &(struct journal_end){.lsn = w.lsn}, segments, 64);
    cr_assert(left <= 4 && segments[0] >= oldest, "%u", left);
    writer_close(&w);
    open_real();
    writer_close(&w);
    remove_directory();
}

/* The descriptor is readable when there is something to poll for, and the poll itself never sleeps. */
Test(journal, a_sleeper_is_woken)
{
    make_directory("/tmp");
    open_real();
    int fd = w.storage->table->wait_fd(w.storage);
    cr_assert(fd >= 0);
    for (unsigned i = 0; i < 200; i++) {
        writer_append(&w, 3000);
        writer_flush(&w);
        while (w.safe < w.handed)
            if (writer_poll(&w) == 0)
                cr_assert(poll(&(struct pollfd){fd, POLLIN, 0}, 1, 5000) == 1, "nobody woke it");
    }
    writer_close(&w);
    remove_directory();
}

static void path_of(uint64_t segment, char *path, size_t size)
{
    snprintf(path, size, "%s/router-%u/%016lx.seg", directory, WRITER_ROUTER, segment);
}

Test(journal, a_truncated_file_is_named)
{
    make_directory("/tmp");
    open_real();
    fill_segments(2);
    cr_assert(writer_settle(&w));
    writer_close(&w);
    char path[128];
    path_of(1, path, sizeof path);
    cr_assert(truncate(path, SEGMENT_BYTES / 2) == 0);
    cr_assert(writer_open(&w, real()) == -1);
    cr_assert(strstr(w.error, path) && strstr(w.error, "too short"), "%s", w.error);
    remove_directory();
}

Test(journal, other_files_in_the_directory_are_left_alone)
{
    make_directory("/tmp");
    open_real();
    writer_append(&w, 100);
    cr_assert(writer_settle(&w));
    writer_close(&w);
    char path[128];
    snprintf(path, sizeof path, "%s/router-%u/0000000000000001.seg.copy", directory, WRITER_ROUTER);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    cr_assert(fd >= 0);
    close(fd);
    open_real();
    cr_assert(w.count == 1);
    writer_close(&w);
    cr_assert(access(path, F_OK) == 0);
    remove_directory();
}

Test(journal, no_directory_is_an_error_that_names_it)
{
    char error[600];
    cr_assert_null(storage_uring_new("/nonexistent/gannet", 0, error, sizeof error));
    cr_assert(strstr(error, "/nonexistent/gannet"), "%s", error);
}
