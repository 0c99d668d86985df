#include "journal/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/check.h"
#include "base/limits.h"
#include "journal/segment.h"

#define ZEROS_BYTES (SEGMENT_BYTES < MIB ? SEGMENT_BYTES : MIB) /* written at once */
#define NEW_NAME    "new.tmp"                                   /* a file that is not complete yet */

struct keeper {
    int dir, open_flags;
    int asked, answered; /* eventfds */
    struct ring *jobs, *answers;
    uint8_t *zeros;
    pthread_t thread;
};

static uint64_t room(int dir)
{
    struct statvfs fs;
    return fstatvfs(dir, &fs) == 0 ? (uint64_t)fs.f_bavail * fs.f_frsize : 0;
}

/* Zeros are really written: a first write over blocks that are only allocated pays for the file system's own
 * journal, and commits would wait for that. */
static int fill(const struct keeper *keeper, int fd)
{
    if (fallocate(fd, 0, 0, SEGMENT_BYTES) != 0 && errno != EOPNOTSUPP)
        return errno;
    for (uint64_t at = 0; at < SEGMENT_BYTES;) {
        ssize_t n = pwrite(fd, keeper->zeros, ZEROS_BYTES, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? errno : EIO;
        at += (uint64_t)n / BLOCK_BYTES * BLOCK_BYTES;
        if (n < (ssize_t)BLOCK_BYTES)
            return EIO;
    }
    return fsync(fd) == 0 ? 0 : errno;
}

static bool complete(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && st.st_size >= (off_t)SEGMENT_BYTES;
}

/* Under a name of its own until it is complete and stable, so that a segment's name never stands for half a
 * file. */
static int create(const struct keeper *keeper, const char *name, uint64_t leave_free)
{
    if (room(keeper->dir) < leave_free + SEGMENT_BYTES)
        return ENOSPC;
    int fd = openat(keeper->dir, NEW_NAME, keeper->open_flags | O_CREAT | O_TRUNC, 0600);
    if (fd < 0)
        return errno;
    int error = fill(keeper, fd);
    close(fd);
    if (!error && renameat(keeper->dir, NEW_NAME, keeper->dir, name) != 0)
        error = errno;
    if (error)
        unlinkat(keeper->dir, NEW_NAME, 0);
    return error;
}

/* Makes the file `name`; from: 0 or the segment that becomes it. */
static int make(const struct keeper *keeper, const char *name, uint64_t from, uint64_t leave_free)
{
    char old[SEGMENT_NAME_BYTES];
    segment_name(old, from);
    if (from && renameat(keeper->dir, old, keeper->dir, name) == 0)
        return 0;
    if (from && errno != ENOENT)
        return errno;
    int fd = openat(keeper->dir, name, keeper->open_flags);
    bool there = fd >= 0 && complete(fd);
    if (fd >= 0)
        close(fd);
    return there ? 0 : create(keeper, name, leave_free);
}

static void prepare(const struct keeper *keeper, struct keeper_job *job)
{
    char name[SEGMENT_NAME_BYTES];
    segment_name(name, job->segment);
    job->fd = -1;
    job->error = (uint32_t)make(keeper, name, job->from, job->leave_free);
    if (!job->error && fsync(keeper->dir) != 0)
        job->error = (uint32_t)errno;
    if (job->error)
        return;
    job->fd = openat(keeper->dir, name, keeper->open_flags);
    if (job->fd < 0)
        job->error = (uint32_t)errno;
}

static void remove_file(const struct keeper *keeper, struct keeper_job *job)
{
    char name[SEGMENT_NAME_BYTES];
    segment_name(name, job->segment);
    bool gone = unlinkat(keeper->dir, name, 0) == 0 || errno == ENOENT;
    job->error = gone ? 0 : (uint32_t)errno;
}

/* Every answer finds room: no more jobs are asked than the ring holds. */
static void answer(struct keeper *keeper, const struct keeper_job *job)
{
    uint64_t one = 1;
    CHECK(ring_put(keeper->answers, job, 1) == 1);
    CHECK(write(keeper->answered, &one, sizeof one) == sizeof one);
}

static bool work(struct keeper *keeper, struct keeper_job *job)
{
    switch ((enum keeper_kind)job->kind) {
    case KEEPER_PREPARE:
        prepare(keeper, job);
        answer(keeper, job);
        return true;
    case KEEPER_REMOVE:
        remove_file(keeper, job);
        answer(keeper, job);
        return true;
    case KEEPER_CLOSE:
        close(job->fd);
        return true;
    case KEEPER_END:
        return false;
    }
    UNREACHABLE();
}

static void *run(void *owner)
{
    struct keeper *keeper = owner;
    for (bool on = true; on;) {
        uint64_t count;
        struct keeper_job job;
        if (read(keeper->asked, &count, sizeof count) < 0 && errno != EINTR)
            UNREACHABLE();
        while (on && ring_take(keeper->jobs, &job, 1))
            on = work(keeper, &job);
    }
    return NULL;
}

/* Signals are for the thread that main made for them. */
static int start_thread(struct keeper *keeper)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int error = pthread_create(&keeper->thread, NULL, run, keeper);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return error;
}

static void release(struct keeper *keeper)
{
    if (keeper->asked >= 0)
        close(keeper->asked);
    if (keeper->answered >= 0)
        close(keeper->answered);
    ring_free(keeper->jobs);
    ring_free(keeper->answers);
    free(keeper->zeros);
    free(keeper);
}

struct keeper *keeper_new(int dir, int open_flags)
{
    struct keeper *keeper = calloc(1, sizeof *keeper);
    CHECK(keeper);
    keeper->dir = dir;
    keeper->open_flags = open_flags;
    keeper->asked = eventfd(0, EFD_CLOEXEC);
    keeper->answered = eventfd(0, EFD_CLOEXEC);
    keeper->jobs = ring_new();
    keeper->answers = ring_new();
    keeper->zeros = aligned_alloc(BLOCK_BYTES, ZEROS_BYTES);
    CHECK(keeper->zeros);
    memset(keeper->zeros, 0, ZEROS_BYTES);
    unlinkat(dir, NEW_NAME, 0);
    int error = keeper->asked < 0 || keeper->answered < 0 ? errno : start_thread(keeper);
    if (!error)
        return keeper;
    release(keeper);
    errno = error;
    return NULL;
}

void keeper_free(struct keeper *keeper)
{
    struct keeper_job end = {.kind = KEEPER_END};
    keeper_ask(keeper, &end);
    pthread_join(keeper->thread, NULL);
    struct keeper_job job;
    while (ring_take(keeper->answers, &job, 1))
        if (job.kind == KEEPER_PREPARE && job.fd >= 0)
            close(job.fd);
    release(keeper);
}

void keeper_ask(struct keeper *keeper, const struct keeper_job *job)
{
    uint64_t one = 1;
    CHECK(ring_put(keeper->jobs, job, 1) == 1);
    CHECK(write(keeper->asked, &one, sizeof one) == sizeof one);
}

void keeper_close(struct keeper *keeper, int fd)
{
    struct keeper_job job = {.kind = KEEPER_CLOSE, .fd = fd};
    if (ring_room(keeper->jobs) > RING_SLOTS / 2)
        keeper_ask(keeper, &job);
    else
        close(fd);
}

unsigned keeper_hear(struct keeper *keeper, struct keeper_job *answers, unsigned max)
{
    return ring_take(keeper->answers, answers, max);
}

int keeper_fd(const struct keeper *keeper)
{
    return keeper->answered;
}
