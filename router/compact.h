/*
 * Compaction: an old segment in which little is alive is emptied by copying that forward, so that a few
 * messages nobody acknowledges can't keep a disk full of what is long gone. One page with each poll.
 */
#pragma once

#include <stdint.h>

struct router;

struct compaction {
    uint64_t segment; /* being emptied; 0: none */
    uint64_t page;    /* number of the next page of it */
    uint64_t looked;  /* the open segment when a sparse one was last looked for */
    uint64_t tried;   /* a segment that could not be emptied: not tried again until the log has moved on */
};

/* The end of the log at which it is time to look whether that segment is to be emptied. */
uint64_t compact_begins(uint64_t segment);
/* Returns the work done. */
unsigned compact_poll(struct router *router);
