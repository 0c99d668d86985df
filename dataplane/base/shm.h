/*
 * What the broker counts, for other processes: the file DATADIR/counters, which describes itself. The
 * broker's control thread writes it, whoever may read the file maps it; neither ever waits for the other.
 *
 *     | head 64 | rows: 256 each | values: 8 each |
 *
 * A row has one value for each agent that counts it, or `width` of them if it is a histogram: its buckets and
 * their sum, as struct histogram has them. Each value is whole, and that is all that is promised:
 * two of them need not be of the same moment. A broker that starts puts a new file in the place of the old
 * one, which nobody writes any more: readers look at written_ms, and open anew.
 */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/histogram.h"

#define SHM_NAME    "counters"
#define SHM_VERSION 2u

enum shm_kind {
    SHM_TOTAL,     /* only grows; summed over the agents */
    SHM_NOW,       /* a level; summed too */
    SHM_WORST,     /* the largest of the agents' */
    SHM_HISTOGRAM, /* base/histogram.h; summed */
};

struct shm_head {
    char magic[8]; /* "gannetC\n" */
    uint32_t version, rows;
    uint64_t bytes; /* of the file */
    uint64_t pid;
    uint64_t started_ms, written_ms; /* since 1970; written 0: the broker has ended */
    uint64_t zero[2];
};

struct shm_row {
    char name[64]; /* agent.counter; these three end with NUL */
    char unit[24];
    char help[152];
    uint32_t kind;  /* enum shm_kind */
    uint32_t first; /* of its values */
    uint32_t count; /* agents */
    uint32_t width; /* values of each agent; 0, for shm_make: one */
};

static_assert(sizeof(struct shm_head) == 64 && sizeof(struct shm_row) == 256, "the layout of the file");

struct shm {
    struct shm_head *head;
    struct shm_row *row;
    uint64_t *value;
    size_t bytes;
};

/* Makes the file in a directory, readable by its group; `rows` have all but `first`, which is set here.
 * Returns false with one sentence in error. The broker's; may block. */
bool shm_make(struct shm *shm, const char *directory, const struct shm_row *rows, uint32_t n, uint64_t now_ms,
              char *error, size_t error_size);
/* The value of a row's agent. By the one who made it. */
void shm_set(struct shm *shm, uint32_t row, uint32_t agent, uint64_t value);
/* The same of a histogram, of which a reader may see half old, half new. */
void shm_set_histogram(struct shm *shm, uint32_t row, uint32_t agent, const struct histogram *from);
/* All have been set. now_ms 0: for the last time. */
void shm_written(struct shm *shm, uint64_t now_ms);

/* Maps the file of a directory for reading, and looks whether it is one. Returns false with one sentence in
 * error. */
bool shm_open_in(struct shm *shm, const char *directory, char *error, size_t error_size);
/* Of one of the row's agents, below row->count. Not of a histogram: nor is shm_read. */
uint64_t shm_one(const struct shm *shm, const struct shm_row *row, uint32_t agent);
/* Over the row's agents, by its kind. */
uint64_t shm_read(const struct shm *shm, const struct shm_row *row);
/* A histogram over its agents. */
void shm_read_histogram(const struct shm *shm, const struct shm_row *row, struct histogram *sum);
/* The row of that name, or NULL. */
const struct shm_row *shm_find(const struct shm *shm, const char *name);
/* Both: unmaps it. The file stays. */
void shm_close(struct shm *shm);
