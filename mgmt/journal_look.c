#include "journal_look.h"

#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "journal/segment.h"
#include "journal/storage.h"
#include "journal_files.h"

/* ---- directories ------------------------------------------------------------------------------------ */

static bool has_segments(const char *path)
{
    uint64_t number;
    bool found = false;
    DIR *dir = opendir(path);
    for (const struct dirent *e = dir ? readdir(dir) : NULL; e && !found; e = readdir(dir))
        found = segment_number(e->d_name, &number);
    if (dir)
        closedir(dir);
    return found;
}

/* Whose the files are, as the first header that there is says. False: none does. */
static bool router_in(const char *path, uint32_t *router)
{
    struct segment_header header = {0};
    uint8_t *block = aligned_alloc(BLOCK_BYTES, BLOCK_BYTES);
    bool found = false;
    uint64_t number;
    DIR *dir = opendir(path);
    for (const struct dirent *e = dir && block ? readdir(dir) : NULL; e && !found; e = readdir(dir)) {
        int fd =
            segment_number(e->d_name, &number) ? openat(dirfd(dir), e->d_name, O_RDONLY | O_CLOEXEC) : -1;
        if (fd >= 0 && pread(fd, block, BLOCK_BYTES, 0) == BLOCK_BYTES) {
            enum segment_state state = segment_header_read(block, number, 0, &header);
            found = state == SEGMENT_VALID || state == SEGMENT_ROUTER;
        }
        if (fd >= 0)
            close(fd);
    }
    if (dir)
        closedir(dir);
    free(block);
    *router = header.router;
    return found;
}

static void add(struct journal_look **looks, size_t *count, const char *path, uint32_t router)
{
    *looks = realloc(*looks, (*count + 1) * sizeof **looks);
    if (!*looks)
        errx(1, "no memory");
    struct journal_look *look = &(*looks)[(*count)++];
    *look = (struct journal_look){.router = router};
    snprintf(look->path, sizeof look->path, "%s", path);
}

static int by_router(const void *a, const void *b)
{
    const struct journal_look *x = a, *y = b;
    return (x->router > y->router) - (x->router < y->router);
}

struct journal_look *journal_looks(const char *directory, size_t *count, char *error, size_t error_size)
{
    struct journal_look *looks = NULL;
    char path[4200], *end;
    *count = 0;
    DIR *dir = opendir(directory);
    if (!dir) {
        snprintf(error, error_size, "%s can't be read: %s", directory, strerror(errno));
        return NULL;
    }
    for (const struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        unsigned long router = strncmp(e->d_name, "router-", 7) == 0 ? strtoul(e->d_name + 7, &end, 10) : 0;
        if (strncmp(e->d_name, "router-", 7) != 0 || end == e->d_name + 7 || *end)
            continue;
        snprintf(path, sizeof path, "%s/%s", directory, e->d_name);
        add(&looks, count, path, (uint32_t)router);
    }
    closedir(dir);
    uint32_t router;
    if (!*count && has_segments(directory)) {
        router_in(directory, &router);
        add(&looks, count, directory, router);
    }
    if (*count)
        qsort(looks, *count, sizeof *looks, by_router);
    else
        snprintf(error, error_size,
                 "%s is neither a data directory nor a router's journal: it has no router-N, and no segments",
                 directory);
    return looks;
}

/* ---- looking ----------------------------------------------------------------------------------------- */

bool journal_look_start(struct journal_look *look, const struct journal_looker *looker,
                        struct journal_end *end)
{
    char error[1200];
    *end = (struct journal_end){0};
    look->storage = journal_files_open(look->path, error, sizeof error);
    bool good = look->storage && journal_recover(look->storage, look->router, end, looker->record,
                                                 looker->owner, error, sizeof error) == 0;
    if (!good)
        looker->wrong(looker->owner, error);
    if (look->storage)
        look->storage->table->close(look->storage);
    return good;
}

/* Segments that follow each other without a gap, from `first` up to, not into, `until`. Behind a gap it can't
 * be told where the last of them should end: what was written says that only as far as it was written on. */
static bool look_at_run(struct journal_look *look, const struct journal_looker *looker, uint64_t first,
                        uint64_t until, bool gap)
{
    bool good = true;
    char error[1200], told[1200] = "";
    while (first < until) {
        struct journal_end end;
        journal_files_only(look->storage, first, gap ? until - 1 : UINT64_MAX);
        if (journal_check(look->storage, look->router, first, until, &end, looker->record, looker->owner,
                          error, sizeof error) == 0)
            break;
        if (strcmp(error, told) != 0)
            looker->wrong(looker->owner, error);
        snprintf(told, sizeof told, "%s", error);
        good = false;
        uint64_t at = segment_of(end.safe);
        first = (at < first ? first : at) + 1;
    }
    return good;
}

static bool look_at(struct journal_look *look, const struct journal_looker *looker, const uint64_t *numbers,
                    unsigned count, uint64_t until)
{
    bool good = true;
    for (unsigned i = 0; i < count && numbers[i] < until;) {
        unsigned next = i + 1;
        while (next < count && numbers[next] == numbers[next - 1] + 1 && numbers[next] < until)
            next++;
        uint64_t behind = numbers[next - 1] + 1;
        bool gap = next == count || numbers[next] != behind;
        good &= look_at_run(look, looker, numbers[i], behind, gap);
        i = next;
    }
    return good;
}

bool journal_look_older(struct journal_look *look, const struct journal_looker *looker,
                        const struct journal_end *end, unsigned *segments)
{
    char error[1200];
    look->storage = journal_files_open(look->path, error, sizeof error);
    if (!look->storage) {
        looker->wrong(looker->owner, error);
        return false;
    }
    int count = look->storage->table->list(look->storage, NULL, 0);
    uint64_t *numbers = calloc(count > 0 ? (size_t)count : 1, sizeof *numbers);
    if (!numbers)
        errx(1, "no memory");
    int listed = count > 0 ? look->storage->table->list(look->storage, numbers, (unsigned)count) : 0;
    *segments = (unsigned)(listed < count ? listed : count > 0 ? count : 0);
    bool good = look_at(look, looker, numbers, *segments, segment_of(end->checkpoint));
    free(numbers);
    look->storage->table->close(look->storage);
    return good;
}
