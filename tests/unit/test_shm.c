/* Counters for other processes: what is written is read, and what isn't such a file is refused. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/shm.h"

static char directory[] = "/tmp/gannet-shm-XXXXXX", error[512];
static struct shm ours;

static const struct shm_row rows[] = {
    {.name = "front.bytes", .unit = "bytes", .help = "received", .kind = SHM_TOTAL, .count = 3},
    {.name = "router.failed", .unit = "errno", .help = "of a journal", .kind = SHM_WORST, .count = 2},
    {.name = "router.ns", .unit = "ns", .help = "of a stage", .kind = SHM_HISTOGRAM, .count = 2},
};
#define ROWS (sizeof rows / sizeof *rows)

static void make(void)
{
    cr_assert(mkdtemp(directory));
    cr_assert(shm_make(&ours, directory, rows, ROWS, 1000, error, sizeof error), "%s", error);
}

static void path_of(char path[128])
{
    snprintf(path, 128, "%s/" SHM_NAME, directory);
}

static void end(void)
{
    char path[128];
    path_of(path);
    shm_close(&ours);
    unlink(path);
    rmdir(directory);
}

TestSuite(shm, .init = make, .fini = end);

Test(shm, what_is_written_is_read)
{
    struct shm theirs;
    cr_assert(shm_open_in(&theirs, directory, error, sizeof error), "%s", error);
    for (uint32_t agent = 0; agent < 3; agent++)
        shm_set(&ours, 0, agent, 10 + agent);
    shm_set(&ours, 1, 0, 5);
    shm_set(&ours, 1, 1, 3);
    shm_written(&ours, 2000);
    const struct shm_row *bytes = shm_find(&theirs, "front.bytes"),
                         *failed = shm_find(&theirs, "router.failed");
    cr_assert(bytes && failed && !shm_find(&theirs, "front"));
    cr_assert_eq(shm_read(&theirs, bytes), 33, "a total is summed");
    cr_assert_eq(shm_read(&theirs, failed), 5, "of the worst there is one");
    cr_assert_eq(theirs.head->written_ms, 2000);
    cr_assert_eq(theirs.head->pid, (uint64_t)getpid());
    shm_close(&theirs);
}

Test(shm, a_histogram_is_summed_bucket_by_bucket)
{
    struct shm theirs;
    struct histogram one = {0}, sum;
    histogram_add(&one, 1000, 3);
    shm_set_histogram(&ours, 2, 0, &one);
    histogram_add(&one, 100000, 2);
    shm_set_histogram(&ours, 2, 1, &one);
    shm_set(&ours, 1, 1, 3);
    cr_assert(shm_open_in(&theirs, directory, error, sizeof error), "%s", error);
    shm_read_histogram(&theirs, shm_find(&theirs, "router.ns"), &sum);
    cr_assert_eq(sum.bucket[10], 6);
    cr_assert_eq(sum.bucket[17], 2);
    cr_assert_eq(sum.sum, 6 * 1000 + 2 * 100000);
    cr_assert_eq(histogram_count(&sum), 8);
    cr_assert_eq(shm_read(&theirs, shm_find(&theirs, "router.failed")), 3, "its neighbour is as it was");
    shm_close(&theirs);
}

Test(shm, a_new_start_makes_a_new_file)
{
    struct shm theirs, again;
    cr_assert(shm_open_in(&theirs, directory, error, sizeof error));
    cr_assert(shm_make(&again, directory, rows, 1, 3000, error, sizeof error));
    shm_set(&again, 0, 0, 7);
    cr_assert_eq(shm_read(&theirs, shm_find(&theirs, "front.bytes")), 0, "the old one is as it was");
    shm_close(&theirs);
    cr_assert(shm_open_in(&theirs, directory, error, sizeof error));
    cr_assert_eq(shm_read(&theirs, shm_find(&theirs, "front.bytes")), 7);
    shm_close(&theirs);
    shm_close(&again);
}

/* Each byte of head and rows as something else, and each shorter file: refused, or read without a fault. */
Test(shm, what_is_no_such_file_is_refused)
{
    char path[128];
    uint8_t good[2048];
    struct shm theirs;
    path_of(path);
    int fd = open(path, O_RDWR);
    ssize_t n = read(fd, good, sizeof good);
    cr_assert_eq(n, 64 + 3 * 256 + (5 + 2 * 41) * 8);
    for (off_t i = 0; i < 64 + 3 * 256; i++) {
        uint8_t bad = good[i] ^ 0xff;
        cr_assert(pwrite(fd, &bad, 1, i) == 1);
        bool read = shm_open_in(&theirs, directory, error, sizeof error);
        cr_assert(!read || i >= 24, "byte %ld", (long)i);
        for (uint32_t row = 0; read && row < theirs.head->rows; row++)
            shm_read(&theirs, &theirs.row[row]);
        if (read)
            shm_close(&theirs);
        cr_assert(pwrite(fd, &good[i], 1, i) == 1);
    }
    for (off_t len = n - 1; len >= 0; len--) {
        cr_assert(ftruncate(fd, len) == 0);
        cr_assert(!shm_open_in(&theirs, directory, error, sizeof error), "%ld bytes", (long)len);
    }
    /* Before it is closed at the end, the mapping is as long as it was. */
    cr_assert(ftruncate(fd, n) == 0);
    close(fd);
}

Test(shm, a_directory_without_one_is_said_to_be_so)
{
    struct shm theirs;
    cr_assert(!shm_open_in(&theirs, "/nowhere/at/all", error, sizeof error));
    cr_assert(strstr(error, "/nowhere/at/all/counters"), "%s", error);
}
