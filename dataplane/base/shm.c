#include "base/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* All of a histogram are values: its buckets, then the sum. */
#define HISTOGRAM_VALUES (uint32_t)(sizeof(struct histogram) / sizeof(uint64_t))

static const char magic[8] = "gannetC\n";

static void place(struct shm *shm, void *at, size_t bytes, uint32_t rows)
{
    shm->bytes = bytes;
    shm->head = at;
    shm->row = (struct shm_row *)(shm->head + 1);
    shm->value = (uint64_t *)(void *)(shm->row + rows);
}

static bool fail(char *error, size_t error_size, const char *what, const char *directory)
{
    snprintf(error, error_size, "cannot %s %s/" SHM_NAME ": %s", what, directory, strerror(errno));
    return false;
}

/* ---- the broker's side -----------------------------------------------------------------------------------
 */

static void *make_file(const char *directory, size_t bytes)
{
    char path[4200], made[4200];
    snprintf(path, sizeof path, "%s/" SHM_NAME, directory);
    snprintf(made, sizeof made, "%s/" SHM_NAME ".new", directory);
    int fd = open(made, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    void *at = MAP_FAILED;
    /* Its blocks are taken now: a disk that is full later must not kill who writes. */
    int failed = fd < 0 ? errno : posix_fallocate(fd, 0, (off_t)bytes);
    if (!failed && (at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)) == MAP_FAILED)
        failed = errno;
    if (!failed && rename(made, path) != 0) {
        failed = errno;
        munmap(at, bytes);
        at = MAP_FAILED;
    }
    if (fd >= 0)
        close(fd);
    errno = failed;
    return at == MAP_FAILED ? NULL : at;
}

static uint32_t width_of(const struct shm_row *row)
{
    return row->kind == SHM_HISTOGRAM ? HISTOGRAM_VALUES : 1;
}

bool shm_make(struct shm *shm, const char *directory, const struct shm_row *rows, uint32_t n, uint64_t now_ms,
              char *error, size_t error_size)
{
    uint32_t values = 0;
    for (uint32_t i = 0; i < n; i++)
        values += rows[i].count * width_of(&rows[i]);
    size_t bytes = sizeof(struct shm_head) + n * sizeof *rows + values * sizeof(uint64_t);
    void *at = make_file(directory, bytes);
    if (!at)
        return fail(error, error_size, "make", directory);
    place(shm, at, bytes, n);
    *shm->head = (struct shm_head){.version = SHM_VERSION,
                                   .rows = n,
                                   .bytes = bytes,
                                   .pid = (uint64_t)getpid(),
                                   .started_ms = now_ms,
                                   .written_ms = now_ms};
    memcpy(shm->row, rows, n * sizeof *rows);
    for (uint32_t i = 0, first = 0; i < n; first += rows[i].count * shm->row[i].width, i++) {
        shm->row[i].first = first;
        shm->row[i].width = width_of(&rows[i]);
    }
    memcpy(shm->head->magic, magic, sizeof magic);
    return true;
}

void shm_set(struct shm *shm, uint32_t row, uint32_t agent, uint64_t value)
{
    __atomic_store_n(&shm->value[shm->row[row].first + agent], value, __ATOMIC_RELAXED);
}

void shm_set_histogram(struct shm *shm, uint32_t row, uint32_t agent, const struct histogram *from)
{
    uint64_t *to = &shm->value[shm->row[row].first + agent * HISTOGRAM_VALUES];
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        stat_set(&to[i], stat_read(&from->bucket[i]));
    stat_set(&to[HISTOGRAM_BUCKETS], stat_read(&from->sum));
}

void shm_written(struct shm *shm, uint64_t now_ms)
{
    __atomic_store_n(&shm->head->written_ms, now_ms, __ATOMIC_RELEASE);
}

/* ---- the readers' side
 * ------------------------------------------------------------------------------------- */

static bool ends(const char *text, size_t size)
{
    return memchr(text, '\0', size) != NULL;
}

static bool is_row(const struct shm_row *row, uint64_t values)
{
    return ends(row->name, sizeof row->name) && ends(row->unit, sizeof row->unit) &&
           ends(row->help, sizeof row->help) && row->kind <= SHM_HISTOGRAM && row->width == width_of(row) &&
           row->first + (uint64_t)row->count * row->width <= values;
}

/* It comes from another process, perhaps of another version. */
static bool take(struct shm *shm, void *at, size_t bytes)
{
    const struct shm_head *head = at;
    if (memcmp(head->magic, magic, sizeof magic) != 0 || head->version != SHM_VERSION ||
        head->bytes != bytes || head->rows > (bytes - sizeof *head) / sizeof(struct shm_row))
        return false;
    place(shm, at, bytes, head->rows);
    uint64_t values = (bytes - sizeof *head - head->rows * sizeof(struct shm_row)) / sizeof(uint64_t);
    for (uint32_t i = 0; i < head->rows; i++)
        if (!is_row(&shm->row[i], values))
            return false;
    return true;
}

/* errno 0: it is none. */
static bool map(struct shm *shm, int fd)
{
    struct stat stat;
    if (fstat(fd, &stat) != 0)
        return false;
    errno = 0;
    size_t bytes = (size_t)stat.st_size;
    if (bytes < sizeof(struct shm_head))
        return false;
    void *at = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        return false;
    if (take(shm, at, bytes))
        return true;
    munmap(at, bytes);
    return false;
}

bool shm_open_in(struct shm *shm, const char *directory, char *error, size_t error_size)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/" SHM_NAME, directory);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail(error, error_size, "open", directory);
    bool mapped = map(shm, fd);
    int why = errno;
    close(fd);
    errno = why;
    if (!mapped && why)
        return fail(error, error_size, "map", directory);
    if (!mapped)
        snprintf(error, error_size, "%s is not what a broker of version " GANNET_VERSION " writes", path);
    return mapped;
}

uint64_t shm_one(const struct shm *shm, const struct shm_row *row, uint32_t agent)
{
    return __atomic_load_n(&shm->value[row->first + agent], __ATOMIC_RELAXED);
}

uint64_t shm_read(const struct shm *shm, const struct shm_row *row)
{
    uint64_t all = 0;
    for (uint32_t i = 0; i < row->count; i++) {
        uint64_t one = shm_one(shm, row, i);
        if (row->kind != SHM_WORST)
            all += one;
        else if (one > all)
            all = one;
    }
    return all;
}

void shm_read_histogram(const struct shm *shm, const struct shm_row *row, struct histogram *sum)
{
    *sum = (struct histogram){0};
    for (uint32_t agent = 0; agent < row->count; agent++) {
        const uint64_t *from = &shm->value[row->first + agent * HISTOGRAM_VALUES];
        for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++)
            sum->bucket[i] += stat_read(&from[i]);
        sum->sum += stat_read(&from[HISTOGRAM_BUCKETS]);
    }
}

const struct shm_row *shm_find(const struct shm *shm, const char *name)
{
    for (uint32_t i = 0; i < shm->head->rows; i++)
        if (strcmp(shm->row[i].name, name) == 0)
            return &shm->row[i];
    return NULL;
}

void shm_close(struct shm *shm)
{
    munmap(shm->head, shm->bytes);
    shm->head = NULL;
}
