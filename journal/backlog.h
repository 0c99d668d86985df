/* Commands that a journal has taken from its ring and not yet started, oldest first. Bounded like the ring.
 */
#pragma once

#include <stdbool.h>

#include "journal/journal.h"

struct backlog {
    struct journal_command commands[RING_SLOTS];
    unsigned first, count;
};

static inline bool backlog_takes(const struct backlog *backlog)
{
    return backlog->count < RING_SLOTS;
}

static inline void backlog_put(struct backlog *backlog, const struct journal_command *command)
{
    backlog->commands[(backlog->first + backlog->count++) % RING_SLOTS] = *command;
}

/* The oldest, NULL if there is none. */
static inline struct journal_command *backlog_first(struct backlog *backlog)
{
    return backlog->count ? &backlog->commands[backlog->first] : NULL;
}

static inline void backlog_drop_first(struct backlog *backlog)
{
    backlog->first = (backlog->first + 1) % RING_SLOTS;
    backlog->count--;
}
