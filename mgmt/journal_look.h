/*
 * Looking at the journals of a data directory, which stay as they are: what recovery would make of each (by
 * journal/recover.c itself), and what stands in the segments before the one where it would begin, which hold
 * messages only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "journal/journal.h"

/* One router's. */
struct journal_look {
    char path[4200];
    uint32_t router;
    struct storage *storage; /* while it is looked at */
};

/* Those in the directory, a data directory or a router's own, in order; malloc'd. NULL, with one sentence in
 * error: there is none. */
struct journal_look *journal_looks(const char *directory, size_t *count, char *error, size_t error_size);

/* What was found wrong: file, offset and what it means. */
typedef void journal_wrong(void *owner, const char *what);

struct journal_looker {
    journal_replay *record;
    journal_wrong *wrong;
    void *owner;
};

/* What a start would read, and find: records go to looker->record. False: it would refuse, as looker->wrong
 * is told. */
bool journal_look_start(struct journal_look *look, const struct journal_looker *looker,
                        struct journal_end *end);
/* What it wouldn't read; end: what journal_look_start has said. False: something is damaged, as looker->wrong
 * is told each time. *segments: how many there are altogether. */
bool journal_look_older(struct journal_look *look, const struct journal_looker *looker,
                        const struct journal_end *end, unsigned *segments);
