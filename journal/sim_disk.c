#include "journal/sim_disk.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/limits.h"

struct sim_file *sim_file_find(const struct sim_disk *disk, uint32_t router, uint64_t segment)
{
    for (struct sim_file *file = disk->files; file; file = file->next)
        if (file->exists && file->router == router && file->segment == segment)
            return file;
    return NULL;
}

struct sim_file *sim_file_new(struct sim_disk *disk, uint32_t router, uint64_t segment)
{
    struct sim_file *file = calloc(1, sizeof *file);
    CHECK(file);
    *file = (struct sim_file){.next = disk->files, .router = router, .segment = segment, .exists = true};
    file->bytes = calloc(1, SEGMENT_BYTES);
    CHECK(file->bytes);
    disk->files = file;
    return file;
}

void sim_drop_sectors(struct sim_disk *disk, const struct sim_file *file, uint64_t from, uint64_t to)
{
    for (struct sim_sector **at = &disk->sectors; *at;) {
        struct sim_sector *sector = *at;
        if ((file && sector->file != file) || sector->offset < from || sector->offset >= to) {
            at = &sector->next;
            continue;
        }
        *at = sector->next;
        free(sector);
    }
}

static void drop_files(struct sim_disk *disk, bool all)
{
    for (struct sim_file **at = &disk->files; *at;) {
        struct sim_file *file = *at;
        if (!all && file->exists) {
            at = &file->next;
            continue;
        }
        *at = file->next;
        sim_drop_sectors(disk, file, 0, SEGMENT_BYTES);
        free(file->bytes);
        free(file);
    }
}

static void note_change(struct sim_disk *disk, struct sim_file *file, bool existed)
{
    struct sim_change *change = calloc(1, sizeof *change);
    CHECK(change);
    *change = (struct sim_change){disk->changes, file, file->segment, existed};
    disk->changes = change;
}

/* All changes of names are stable: one file system, one journal. */
void sim_sync_names(struct sim_disk *disk)
{
    while (disk->changes) {
        struct sim_change *change = disk->changes;
        disk->changes = change->next;
        free(change);
    }
    drop_files(disk, false);
}

static void undo_names(struct sim_disk *disk)
{
    while (disk->changes && prng_below(&disk->prng, 2)) {
        struct sim_change *change = disk->changes;
        change->file->segment = change->old_segment;
        change->file->exists = change->existed;
        disk->changes = change->next;
        free(change);
    }
    sim_sync_names(disk);
}

uint64_t sim_disk_used(const struct sim_disk *disk)
{
    uint64_t used = disk->scratch_bytes;
    for (const struct sim_file *file = disk->files; file; file = file->next)
        used += file->exists ? SEGMENT_BYTES : 0;
    return used;
}

uint64_t sim_disk_room(const struct sim_disk *disk)
{
    uint64_t used = sim_disk_used(disk);
    if (disk->faults.capacity == 0)
        return UINT64_MAX / 2;
    return disk->faults.capacity > used ? disk->faults.capacity - used : 0;
}

void sim_file_remove(struct sim_disk *disk, struct sim_file *file)
{
    note_change(disk, file, true);
    file->exists = false;
}

void sim_file_rename(struct sim_disk *disk, struct sim_file *file, uint64_t segment)
{
    note_change(disk, file, true);
    file->segment = segment;
}

void sim_file_created(struct sim_disk *disk, struct sim_file *file)
{
    note_change(disk, file, false);
}

/* ---- what lands of a write, and what is lost again ---------------------------------------------- */

/* Puts one sector on the disk. cached: so that a power cut can still take it back. */
static void land_sector(struct sim_disk *disk, struct sim_file *file, uint64_t offset, const uint8_t *bytes,
                        bool cached)
{
    if (cached) {
        struct sim_sector *sector = calloc(1, sizeof *sector);
        CHECK(sector);
        sector->next = disk->sectors;
        sector->file = file;
        sector->offset = offset;
        memcpy(sector->old, file->bytes + offset, SECTOR_BYTES);
        disk->sectors = sector;
    }
    memcpy(file->bytes + offset, bytes, SECTOR_BYTES);
}

void sim_land(struct sim_disk *disk, struct sim_file *file, uint64_t offset, const uint8_t *bytes, size_t len,
              enum sim_fate fate, bool cached)
{
    size_t piece = prng_below(&disk->prng, 2) ? SECTOR_BYTES : BLOCK_BYTES;
    size_t pieces = len / piece;
    size_t split = prng_below(&disk->prng, pieces + 1);
    for (size_t i = 0; i < pieces; i++) {
        bool lands = fate == FATE_KEPT || (fate == FATE_HEAD && i < split) ||
                     (fate == FATE_TAIL && i >= split) || (fate == FATE_ANY && prng_below(&disk->prng, 2));
        for (size_t at = i * piece; lands && at < (i + 1) * piece; at += SECTOR_BYTES)
            land_sector(disk, file, offset + at, bytes + at, cached);
    }
}

enum sim_fate sim_any_fate(struct sim_disk *disk)
{
    return (enum sim_fate)prng_below(&disk->prng, FATES);
}

/* Any of the cached sectors go. Newest first, so that the oldest content of a sector wins. */
static void lose_cache(struct sim_disk *disk)
{
    bool all = prng_below(&disk->prng, 2);
    for (struct sim_sector *sector = disk->sectors; sector; sector = sector->next)
        if (all || prng_below(&disk->prng, 2))
            memcpy(sector->file->bytes + sector->offset, sector->old, SECTOR_BYTES);
    sim_drop_sectors(disk, NULL, 0, SEGMENT_BYTES);
}

void sim_power_cut(struct sim_disk *disk)
{
    lose_cache(disk);
    undo_names(disk);
}

/* ---- the harness's side ------------------------------------------------------------------------ */

struct sim_disk *sim_disk_new(uint64_t seed)
{
    struct sim_disk *disk = calloc(1, sizeof *disk);
    CHECK(disk);
    prng_seed(&disk->prng, seed);
    return disk;
}

void sim_disk_free(struct sim_disk *disk)
{
    CHECK(!disk->storages);
    sim_sync_names(disk);
    drop_files(disk, true);
    free(disk);
}

struct sim_faults *sim_disk_faults(struct sim_disk *disk)
{
    return &disk->faults;
}

uint8_t *sim_disk_bytes(struct sim_disk *disk, uint32_t router, uint64_t segment)
{
    struct sim_file *file = sim_file_find(disk, router, segment);
    return file ? file->bytes : NULL;
}

uint8_t *sim_disk_add(struct sim_disk *disk, uint32_t router, uint64_t segment)
{
    CHECK(!sim_file_find(disk, router, segment));
    return sim_file_new(disk, router, segment)->bytes;
}

bool sim_disk_corrupt(struct sim_disk *disk, uint32_t router, uint64_t segment, uint64_t offset, uint8_t mask)
{
    struct sim_file *file = sim_file_find(disk, router, segment);
    if (!file || offset >= SEGMENT_BYTES)
        return false;
    file->bytes[offset] ^= mask;
    return true;
}

void sim_disk_lose(struct sim_disk *disk, uint32_t router, uint64_t segment)
{
    struct sim_file *file = sim_file_find(disk, router, segment);
    if (file)
        file->exists = false;
    sim_sync_names(disk);
}
