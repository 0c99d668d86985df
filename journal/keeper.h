/*
 * The keeper: a thread beside storage_uring for what may block in the kernel for long and has no place in a
 * poll: creating, zeroing, renaming and removing segment files, syncing the directory, closing. Jobs and
 * answers travel on two rings, so neither side waits for the other or takes a lock; eventfds wake whoever
 * sleeps.
 */
#pragma once

#include <assert.h>
#include <stdint.h>

#include "base/ring.h"

enum keeper_kind { KEEPER_PREPARE, KEEPER_REMOVE, KEEPER_CLOSE, KEEPER_END };

/* A job, and its answer. */
struct keeper_job {
    uint32_t kind;
    int32_t fd; /* CLOSE: to be closed; answer to PREPARE: the file, open */
    uint64_t segment;
    uint64_t from;       /* PREPARE: as in storage.h */
    uint64_t leave_free; /* bytes */
    uint64_t token;
    uint32_t error; /* answer: 0 or errno */
    uint32_t unused[3];
    uint64_t unused2;
};

static_assert(sizeof(struct keeper_job) == RING_ENTRY_BYTES, "a job is a ring entry");

struct keeper;

/* dir: descriptor of the router's directory, not owned. open_flags: for the files. NULL and errno if there is
 * no thread to be had. */
struct keeper *keeper_new(int dir, int open_flags);
/* Ends the thread after the jobs it has. May block. */
void keeper_free(struct keeper *keeper);
/* PREPARE or REMOVE. A few may be unanswered. */
void keeper_ask(struct keeper *keeper, const struct keeper_job *job);
/* Closes fd, sooner or later. */
void keeper_close(struct keeper *keeper, int fd);
/* Answers, at most max; returns how many. */
unsigned keeper_hear(struct keeper *keeper, struct keeper_job *answers, unsigned max);
/* An eventfd that counts answers. */
int keeper_fd(const struct keeper *keeper);
