/*
 * A simulated disk for the simulator and the tests: files in memory, chance from a seed, time in steps (a
 * poll is one). It survives the brokers that use it: the harness makes it, crashes it, and opens storages on
 * it again.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct storage;
struct sim_disk;

struct sim_faults {
    uint32_t write_fails; /* in a million: EIO, and all, nothing or something of it is on the disk */
    uint32_t read_fails;  /* in a million: EIO */
    uint32_t steps_max;   /* that a request may take; 0: done at the next poll */
    uint64_t capacity;    /* bytes for all files; 0: no bound */
};

enum sim_crash {
    SIM_POWER, /* what was under way is kept, lost or torn; what had only reached the disk's cache as well */
    SIM_KILL,  /* what was under way is kept, lost or torn, but only reaches the disk's cache */
};

struct sim_disk *sim_disk_new(uint64_t seed);
void sim_disk_free(struct sim_disk *disk);
/* May be changed at any time. */
struct sim_faults *sim_disk_faults(struct sim_disk *disk);

/* The files of one router. The table's close frees it. */
struct storage *storage_sim_new(struct sim_disk *disk, uint32_t router);

/* Settles what is under way on all storages of the disk. They answer nothing any more; close them and open
 * others. */
void sim_disk_crash(struct sim_disk *disk, enum sim_crash crash);

/* Blocks of the writes of the log that are under way, on all storages of the disk. */
unsigned sim_disk_writing(const struct sim_disk *disk);
/* The bytes of a segment file (SEGMENT_BYTES, to be looked at or damaged), NULL if there is none. */
uint8_t *sim_disk_bytes(struct sim_disk *disk, uint32_t router, uint64_t segment);
/* Makes a segment file of zeros, as if it had always been there. */
uint8_t *sim_disk_add(struct sim_disk *disk, uint32_t router, uint64_t segment);
/* Flips the bits of mask; false if there is no such file. */
bool sim_disk_corrupt(struct sim_disk *disk, uint32_t router, uint64_t segment, uint64_t offset,
                      uint8_t mask);
/* Takes a file away. */
void sim_disk_lose(struct sim_disk *disk, uint32_t router, uint64_t segment);
uint64_t sim_disk_used(const struct sim_disk *disk);
