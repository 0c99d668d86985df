/*
 * What the consumer of a stream asks for by its arguments: where it begins (x-stream-offset), and which
 * messages it wants (x-stream-filter, x-stream-match-unfiltered).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "router/message.h"

enum offset_kind {
    OFFSET_NEXT, /* what comes from now on */
    OFFSET_FIRST,
    OFFSET_LAST,   /* the newest message, and what follows */
    OFFSET_NUMBER, /* value: of the message; below 0: the first */
    OFFSET_SINCE,  /* value: ms since 1970 */
    OFFSET_AGO,    /* value: ms before now */
};

/* More values than this in one filter are refused: each message is compared with all. */
#define FILTER_VALUES_MAX 256u

struct stream_filter;

struct stream_wish {
    enum offset_kind kind;
    int64_t value;
    struct stream_filter *filter; /* NULL: everything is wanted; malloc'd, for free() */
};

/* Why an argument can't be. */
struct stream_wrong {
    const char *argument;
    char reason[400];
};

/* Reads the arguments of a consumer (a checked table). False: one is wrong, and nothing is to be freed. */
bool stream_wish_read(struct stream_wish *wish, struct span arguments, struct stream_wrong *wrong);
/* Whether the message passes: by its header x-stream-filter-value. */
bool stream_filter_passes(const struct stream_filter *filter, const struct message *m);
