#include "data_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"

/* Makes the directory and those above it. */
static bool make(const char *path)
{
    char part[PATH_MAX];
    size_t len = strlen(path);
    if (len >= sizeof part) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(part, path, len + 1);
    for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(part, 0755) < 0 && errno != EEXIST)
            return false;
        *slash = '/';
    }
    /* Messages are nobody else's business. */
    return mkdir(part, 0750) == 0 || errno == EEXIST;
}

/* Says whose lock it is, as far as the file tells. */
static void in_use(const char *path, int fd, char *error, size_t error_size)
{
    char pid[24] = "";
    ssize_t n = pread(fd, pid, sizeof pid - 1, 0);
    long process = n > 0 ? strtol(pid, NULL, 10) : 0;
    if (process > 0)
        snprintf(error, error_size, "%s is in use by another broker (process %ld)", path, process);
    else
        snprintf(error, error_size, "%s is in use by another broker", path);
}

static void write_pid(int fd)
{
    char pid[24];
    int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    /* For people only: the lock itself is what counts. */
    if (ftruncate(fd, 0) == 0)
        (void)!pwrite(fd, pid, (size_t)n, 0);
}

int data_dir_open(const char *path, char *error, size_t error_size)
{
    char lock[PATH_MAX];
    if (!make(path)) {
        snprintf(error, error_size, "cannot make the data directory %s: %s (name another with -D)", path,
                 strerror(errno));
        return -1;
    }
    if (snprintf(lock, sizeof lock, "%s/gannetd.lock", path) >= (int)sizeof lock) {
        snprintf(error, error_size, "the path of the data directory is too long");
        return -1;
    }
    int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0) {
        snprintf(error, error_size, "cannot open %s: %s", lock, strerror(errno));
        return -1;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        in_use(path, fd, error, error_size);
        close(fd);
        return -1;
    }
    write_pid(fd);
    return fd;
}

unsigned data_dir_routers(const char *path)
{
    unsigned routers = 0;
    for (unsigned i = 0; i < ROUTERS_MAX; i++) {
        char name[PATH_MAX];
        struct stat found;
        if (snprintf(name, sizeof name, "%s/router-%u", path, i) < (int)sizeof name &&
            stat(name, &found) == 0)
            routers = i + 1;
    }
    return routers;
}
