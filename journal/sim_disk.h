/* What the simulated disk and the storages on it share: files, names, sectors, and what becomes of them in a
 * crash. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/prng.h"
#include "journal/storage_sim.h"

#define SECTOR_BYTES 512u

struct sim_file {
    struct sim_file *next;
    uint32_t router;
    uint64_t segment;
    bool exists; /* false: removed, but a power cut may bring it back */
    uint8_t *bytes;
};

/* A sector that is only in the disk's cache, and what it would fall back to. */
struct sim_sector {
    struct sim_sector *next;
    struct sim_file *file;
    uint64_t offset;
    uint8_t old[SECTOR_BYTES];
};

/* A change of a name that is not stable yet, newest first. */
struct sim_change {
    struct sim_change *next;
    struct sim_file *file;
    uint64_t old_segment;
    bool existed;
};

/* Made and used by the harness's thread, like everything here. */
struct sim_disk {
    struct prng prng;
    struct sim_faults faults;
    struct sim_file *files;
    struct sim_sector *sectors;
    struct sim_change *changes;
    uint64_t scratch_bytes; /* of all storages */
    struct sim_storage *storages;
};

/* What becomes of a write under way at a crash: which of its pieces are there. */
enum sim_fate { FATE_KEPT, FATE_LOST, FATE_HEAD, FATE_TAIL, FATE_ANY, FATES };

struct sim_file *sim_file_find(const struct sim_disk *disk, uint32_t router, uint64_t segment);
struct sim_file *sim_file_new(struct sim_disk *disk, uint32_t router, uint64_t segment);
/* These change names; they are stable after sim_sync_names. The last tells of a new file. */
void sim_file_remove(struct sim_disk *disk, struct sim_file *file);
void sim_file_rename(struct sim_disk *disk, struct sim_file *file, uint64_t segment);
void sim_file_created(struct sim_disk *disk, struct sim_file *file);
void sim_sync_names(struct sim_disk *disk);
/* Bytes that new files may take. */
uint64_t sim_disk_room(const struct sim_disk *disk);
/* The cached sectors of a file, or of all (NULL), that lie between two offsets, are on stable storage. */
void sim_drop_sectors(struct sim_disk *disk, const struct sim_file *file, uint64_t from, uint64_t to);
/* Puts a write, or some of it, on the disk. cached: so that a power cut can still take it back. */
void sim_land(struct sim_disk *disk, struct sim_file *file, uint64_t offset, const uint8_t *bytes, size_t len,
              enum sim_fate fate, bool cached);
enum sim_fate sim_any_fate(struct sim_disk *disk);
/* What was only cached, or only renamed, may be lost. */
void sim_power_cut(struct sim_disk *disk);
