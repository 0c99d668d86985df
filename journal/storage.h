/*
 * The seam below the journal: the files of one router's log, in blocks. It exists because what the journal
 * promises can only be tried on a disk that tears, loses, reorders, fails and fills up when it is told to:
 * storage_sim is that disk, in memory and deterministic; storage_uring is the real one. Nothing above this
 * table knows which it has.
 *
 * A storage serves one journal and is used on one thread at a time. Files are named by segment number;
 * STORAGE_SCRATCH names a file that is empty at every start. What is asked for with a token is answered once
 * by poll, in any order; tokens are the caller's. At most STORAGE_REQUESTS may be unanswered. Offsets,
 * lengths and memory are in whole blocks.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define STORAGE_SCRATCH    0u
#define STORAGE_REQUESTS   64u
#define STORAGE_IOVS       64u /* pieces of one write */
#define STORAGE_PATH_BYTES 512u

struct storage;

struct storage_done {
    uint64_t token;
    uint32_t error; /* 0 or an errno. ENODATA: the file ends before what was to be read */
};

enum storage_write_kind {
    STORAGE_VOLATILE, /* done when a read would find it */
    STORAGE_STABLE,   /* done when it is on stable storage, all of it */
};

struct storage_table {
    /* ---- at start and end only: these may block ---- */

    /* Numbers of the segments that exist, ascending, at most max; returns how many exist, or -errno. */
    int (*list)(struct storage *storage, uint64_t *segments, unsigned max);
    /* Everything that a read of this segment finds, and its name, is on stable storage afterwards. 0 or
     * errno. */
    int (*sync)(struct storage *storage, uint64_t segment);
    /* Bytes that new files may take: statfs, also while the journal runs, when a queue asks for a
     * reservation. */
    uint64_t (*room)(struct storage *storage);
    /* Returns when poll would find something; something must be under way. */
    void (*wait)(struct storage *storage);
    /* The segment's path, for messages. */
    void (*path)(struct storage *storage, uint64_t segment, char path[STORAGE_PATH_BYTES]);
    /* Waits for what is under way and frees the storage. Answers not polled for are lost. */
    void (*close)(struct storage *storage);

    /* ---- these never block ---- */

    /* Writes the pieces one behind the other. They stay as they are until done; the array iov is copied. The
     * file exists. A short write is completed below this table; an error is final. */
    void (*write)(struct storage *storage, uint64_t segment, uint64_t offset, const struct iovec *iov,
                  unsigned iovs, enum storage_write_kind kind, uint64_t token);
    void (*read)(struct storage *storage, uint64_t segment, uint64_t offset, void *bytes, size_t len,
                 uint64_t token);
    /* Makes a segment file that can be written to its end without running out of space. from: a segment that
     * is renamed for it with all its content, 0: a new file, of zeros, for which leave_free bytes must remain
     * free (else ENOSPC). Done when file and name are on stable storage. A complete file that has the name
     * already will do. */
    void (*prepare)(struct storage *storage, uint64_t segment, uint64_t from, uint64_t leave_free,
                    uint64_t token);
    void (*remove)(struct storage *storage, uint64_t segment, uint64_t token);
    /* Starts what was asked for since the last submit. */
    void (*submit)(struct storage *storage);
    /* Puts at most max answers into done; returns how many. */
    unsigned (*poll)(struct storage *storage, struct storage_done *done, unsigned max);
    /* A descriptor that polls readable when poll would find something; -1 if there is none (simulated). */
    int (*wait_fd)(const struct storage *storage);
};

struct storage {
    const struct storage_table *table;
};
