/*
 * The order in which a priority queue gives its messages: a lane for each priority, highest first, and in
 * each lane by sequence number, so that what is given back is where it was. The index (index.h) keeps the
 * entries; lanes keep the numbers of those that are READY, eight bytes each. A number whose entry is no
 * longer READY is passed over when it comes to the front.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/fifo.h"
#include "router/seq_heap.h"

enum { LANES = 256 };

struct index;

struct lane {
    FIFO(uint64_t) fresh; /* never yet delivered, in order */
    struct seq_heap back; /* given back */
};

struct lanes {
    uint64_t used[LANES / 64]; /* lanes that are not empty, a bit each */
    struct lane *lane;         /* highest + 1 of them */
    uint8_t highest;
};

/* highest: the largest priority; what is above it counts as that. */
struct lanes *lanes_new(uint8_t highest);
void lanes_free(struct lanes *lanes);
/* An entry has become READY. fresh: for the first time, with the largest number so far. */
void lanes_add(struct lanes *lanes, uint8_t priority, uint64_t seq, bool fresh);
/* The number of the READY entry that is next; false if there is none. */
bool lanes_head(struct lanes *lanes, const struct index *index, uint64_t *seq);
/* The one that lanes_head gave is no longer READY. */
void lanes_drop(struct lanes *lanes, uint64_t seq);
