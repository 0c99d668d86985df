/*
 * The journal on real disks: a temporary directory, and a file system in memory that may know no O_DIRECT.
 * Built with GANNET_TINY.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "journal/journal.h"
#include "journal/segment.h"
#include "journal/storage.h"
#include "journal/storage_uring.h"
#include "test_journal_writer.h"

static struct writer w;

static void set_up(void)
{
    writer_init(&w);
}

static void tear_down(void)
{
    writer_free(&w);
}

TestSuite(journal_disk, .init = set_up, .fini = tear_down, .timeout = 60);

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
    snprintf(directory, sizeof directory, "%s/gannet-journal-XXXXXX", parent);
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

Test(journal_disk, a_log_comes_back)
{
    make_directory("/tmp");
    live_and_recover();
    remove_directory();
}

Test(journal_disk, on_a_file_system_in_memory_too)
{
    make_directory(access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    live_and_recover();
    remove_directory();
}

Test(journal_disk, pages_are_read_back_and_spilled)
{
    make_directory("/tmp");
    open_real();
    writer_reads_and_spills(&w);
    writer_close(&w);
    remove_directory();
}

Test(journal_disk, retired_segments_are_used_again)
{
    make_directory("/tmp");
    open_real();
    uint64_t oldest = 1;
    for (unsigned round = 0; round < 8; round++) {
        writer_fill(&w, 3);
        writer_checkpoint(&w);
        for (; segment_start(oldest + 1) <= w.checkpoint; oldest++)
            writer_retire(&w, oldest);
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
Test(journal_disk, a_sleeper_is_woken)
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

Test(journal_disk, a_truncated_file_is_named)
{
    make_directory("/tmp");
    open_real();
    writer_fill(&w, 2);
    cr_assert(writer_settle(&w));
    writer_close(&w);
    char path[128];
    path_of(1, path, sizeof path);
    cr_assert(truncate(path, SEGMENT_BYTES / 2) == 0);
    cr_assert(writer_open(&w, real()) == -1);
    cr_assert(strstr(w.error, path) && strstr(w.error, "too short"), "%s", w.error);
    remove_directory();
}

Test(journal_disk, other_files_in_the_directory_are_left_alone)
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

Test(journal_disk, no_directory_is_an_error_that_names_it)
{
    char error[600];
    cr_assert_null(storage_uring_new("/nonexistent/gannet", 0, error, sizeof error));
    cr_assert(strstr(error, "/nonexistent/gannet"), "%s", error);
}
