#include "disk.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/limits.h"
#include "base/log.h"
#include "journal/journal.h"

/* What the file system takes for itself of what it calls free, and small files of the data directory. */
#define OTHER_BYTES (2 * MIB)

struct place {
    char path[PATH_MAX]; /* of its first router's journal */
    dev_t device;
    unsigned routers;
    uint64_t bytes; /* that could be free at most */
};

static bool look(struct place *place)
{
    struct stat st;
    struct statvfs fs;
    if (stat(place->path, &st) < 0 || statvfs(place->path, &fs) < 0)
        return false;
    place->device = st.st_dev;
    place->routers = 1;
    place->bytes = (uint64_t)(fs.f_blocks - (fs.f_bfree - fs.f_bavail)) * fs.f_frsize;
    return true;
}

static unsigned mib(uint64_t bytes)
{
    return (unsigned)((bytes + MIB - 1) / MIB);
}

static bool fits(const struct config *config, const struct place *place, char *error, size_t error_size)
{
    uint64_t journals = (uint64_t)place->routers * JOURNAL_SEGMENTS_LEAST * SEGMENT_BYTES;
    uint64_t need = config->disk_free_limit + config->disk_free_margin + journals + OTHER_BYTES;
    log_line(
        LOG_INFO, "disk",
        "%s: at least %u MiB = %u router%s x %u MiB + disk.free_limit %u + disk.free_margin %u + %u; the "
        "file system has %u MiB",
        place->path, mib(need), place->routers, place->routers == 1 ? "" : "s",
        mib(journals) / place->routers, mib(config->disk_free_limit), mib(config->disk_free_margin),
        mib(OTHER_BYTES), mib(place->bytes));
    if (place->bytes >= need)
        return true;
    snprintf(
        error, error_size,
        "the file system of %s is too small: its journals need %u MiB (%u for %u router%s, disk.free_limit "
        "%u, disk.free_margin %u, others %u), and it has %u in all; set data_dir to a larger one, or lower "
        "disk.free_limit or disk.free_margin",
        place->path, mib(need), mib(journals), place->routers, place->routers == 1 ? "" : "s",
        mib(config->disk_free_limit), mib(config->disk_free_margin), mib(OTHER_BYTES), mib(place->bytes));
    return false;
}

bool disk_check(const struct config *config, unsigned routers, char *error, size_t error_size)
{
    static struct place places[ROUTERS_MAX];
    unsigned count = 0;
    for (unsigned r = 0; r < routers; r++) {
        struct place *new = &places[count];
        snprintf(new->path, sizeof new->path, "%s/router-%u", config->data_dir, r);
        if (!look(new)) {
            snprintf(error, error_size, "cannot look at %s: %s", new->path, strerror(errno));
            return false;
        }
        unsigned same = 0;
        while (places[same].device != new->device)
            same++;
        if (same < count)
            places[same].routers++;
        else
            count++;
    }
    for (unsigned i = 0; i < count; i++)
        if (!fits(config, &places[i], error, error_size))
            return false;
    return true;
}
