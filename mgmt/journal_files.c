#include "journal_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/limits.h"
#include "journal/directory.h"
#include "journal/segment.h"
#include "journal/storage.h"

/* A read is done when it is asked for; its answer waits to be polled for. The last file read stays open. */
struct journal_files {
    struct storage storage;
    struct directory directory;
    uint64_t first, last, open_number;
    int open_fd;
    struct storage_done done[STORAGE_REQUESTS];
    unsigned count;
};

static struct journal_files *self(const struct storage *storage)
{
    return (struct journal_files *)(uintptr_t)storage;
}

static int list(struct storage *storage, uint64_t *segments, unsigned max)
{
    const struct journal_files *files = self(storage);
    int count = directory_list(&files->directory, NULL, 0), listed = 0;
    uint64_t *all = calloc(count > 0 ? (size_t)count : 1, sizeof *all);
    CHECK(all);
    int again = count > 0 ? directory_list(&files->directory, all, (unsigned)count) : count;
    for (int i = 0; i < again && i < count; i++)
        if (all[i] >= files->first && all[i] <= files->last) {
            if ((unsigned)listed < max)
                segments[listed] = all[i];
            listed++;
        }
    free(all);
    return count < 0 ? count : listed;
}

static int sync_nothing(struct storage *storage, uint64_t segment)
{
    (void)storage;
    (void)segment;
    return 0;
}

static uint64_t no_room(struct storage *storage)
{
    (void)storage;
    return 0;
}

static void nothing(struct storage *storage)
{
    (void)storage;
}

static void path_of(struct storage *storage, uint64_t segment, char path[STORAGE_PATH_BYTES])
{
    directory_path(&self(storage)->directory, segment, path);
}

static void close_files(struct storage *storage)
{
    struct journal_files *files = self(storage);
    if (files->open_fd >= 0)
        close(files->open_fd);
    directory_close(&files->directory);
    free(files);
}

/* The file's descriptor; -1 and errno. */
static int file_of(struct journal_files *files, uint64_t segment)
{
    char name[SEGMENT_NAME_BYTES];
    if (files->open_fd >= 0 && files->open_number == segment)
        return files->open_fd;
    if (files->open_fd >= 0)
        close(files->open_fd);
    segment_name(name, segment);
    files->open_number = segment;
    files->open_fd = openat(files->directory.fd, name, O_RDONLY | O_CLOEXEC);
    return files->open_fd;
}

static uint32_t read_all(int fd, uint8_t *to, size_t len, uint64_t offset)
{
    while (len) {
        ssize_t n = pread(fd, to, len, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? (uint32_t)errno : ENODATA;
        to += n;
        len -= (size_t)n;
        offset += (size_t)n;
    }
    return 0;
}

static void read_now(struct storage *storage, uint64_t segment, uint64_t offset, void *bytes, size_t len,
                     uint64_t token)
{
    struct journal_files *files = self(storage);
    int fd = file_of(files, segment);
    uint32_t error = fd < 0 ? (uint32_t)errno : read_all(fd, bytes, len, offset);
    CHECK(files->count < STORAGE_REQUESTS);
    files->done[files->count++] = (struct storage_done){.token = token, .error = error};
}

static unsigned poll_done(struct storage *storage, struct storage_done *done, unsigned max)
{
    struct journal_files *files = self(storage);
    unsigned n = files->count < max ? files->count : max;
    memcpy(done, files->done, n * sizeof *done);
    files->count -= n;
    memmove(files->done, files->done + n, files->count * sizeof *done);
    return n;
}

static const struct storage_table table = {
    .list = list,
    .sync = sync_nothing,
    .room = no_room,
    .wait = nothing,
    .path = path_of,
    .close = close_files,
    .read = read_now,
    .submit = nothing,
    .poll = poll_done,
};

struct storage *journal_files_open(const char *path, char *error, size_t error_size)
{
    struct journal_files *files = calloc(1, sizeof *files);
    CHECK(files);
    *files = (struct journal_files){.storage = {&table}, .last = UINT64_MAX, .open_fd = -1};
    files->directory.scratch = -1;
    files->directory.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int n = snprintf(files->directory.path, sizeof files->directory.path, "%s", path);
    bool fits = n < (int)sizeof files->directory.path;
    if (files->directory.fd >= 0 && fits)
        return &files->storage;
    snprintf(error, error_size, "%s can't be read: %s", path,
             fits ? strerror(errno) : "its name is too long");
    close_files(&files->storage);
    return NULL;
}

void journal_files_only(struct storage *storage, uint64_t first, uint64_t last)
{
    self(storage)->first = first;
    self(storage)->last = last;
}
