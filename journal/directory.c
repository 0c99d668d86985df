#include "journal/directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "journal/segment.h"

#define SCRATCH_NAME "scratch.tmp"

/* The name in its parent is stable before anything is written inside. */
static int make(const char *data_dir, const char *path)
{
    int parent = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0)
        return errno;
    int error = mkdir(path, 0700) == 0 || errno == EEXIST ? 0 : errno;
    if (!error && fsync(parent) != 0)
        error = errno;
    close(parent);
    return error;
}

/* Shows by the way whether the file system knows O_DIRECT. */
static int open_scratch(struct directory *directory)
{
    directory->open_flags = O_RDWR | O_CLOEXEC | O_DIRECT;
    directory->scratch = openat(directory->fd, SCRATCH_NAME, directory->open_flags | O_CREAT | O_TRUNC, 0600);
    if (directory->scratch < 0 && errno == EINVAL) {
        directory->open_flags &= ~O_DIRECT;
        directory->scratch =
            openat(directory->fd, SCRATCH_NAME, directory->open_flags | O_CREAT | O_TRUNC, 0600);
    }
    if (directory->scratch < 0)
        return errno;
    return unlinkat(directory->fd, SCRATCH_NAME, 0) == 0 ? 0 : errno;
}

int directory_open(struct directory *directory, const char *data_dir, uint32_t router, char *error,
                   size_t error_size)
{
    directory->fd = directory->scratch = -1;
    int n = snprintf(directory->path, sizeof directory->path, "%s/router-%u", data_dir, router);
    int e = n < (int)sizeof directory->path ? make(data_dir, directory->path) : ENAMETOOLONG;
    if (!e) {
        directory->fd = open(directory->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        e = directory->fd < 0 ? errno : open_scratch(directory);
    }
    if (!e)
        return 0;
    snprintf(error, error_size, "cannot open the journal's directory %s: %s", directory->path, strerror(e));
    return -1;
}

void directory_close(struct directory *directory)
{
    if (directory->scratch >= 0)
        close(directory->scratch);
    if (directory->fd >= 0)
        close(directory->fd);
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

int directory_list(const struct directory *directory, uint64_t *segments, unsigned max)
{
    int fd = openat(directory->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir)
        return -errno;
    unsigned count = 0;
    uint64_t number;
    for (const struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        if (!segment_number(e->d_name, &number))
            continue;
        if (count < max)
            segments[count] = number;
        count++;
    }
    closedir(dir);
    if (max)
        qsort(segments, count < max ? count : max, sizeof *segments, by_number);
    return (int)count;
}

int directory_sync(const struct directory *directory, uint64_t segment)
{
    char name[SEGMENT_NAME_BYTES];
    segment_name(name, segment);
    int fd = openat(directory->fd, name, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int error = fsync(fd) == 0 && fsync(directory->fd) == 0 ? 0 : errno;
    close(fd);
    return error;
}

uint64_t directory_room(const struct directory *directory)
{
    struct statvfs fs;
    return fstatvfs(directory->fd, &fs) == 0 ? (uint64_t)fs.f_bavail * fs.f_frsize : 0;
}

void directory_path(const struct directory *directory, uint64_t segment, char path[STORAGE_PATH_BYTES])
{
    char name[SEGMENT_NAME_BYTES];
    segment_name(name, segment);
    snprintf(path, STORAGE_PATH_BYTES, "%s/%s", directory->path, name);
}
