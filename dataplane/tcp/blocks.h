/* Arrays whose room is a power of two, for what a connection has only while it is busy: given back to a stack
 * of their size when it has become idle, so that nothing is allocated per segment and idle connections hold
 * none. One thread. */
#pragma once

#include <stddef.h>

enum { BLOCKS_SIZES = 20 };

struct blocks {
    void *free[BLOCKS_SIZES]; /* of 1 << i items */
    size_t item;              /* bytes */
};

void blocks_init(struct blocks *blocks, size_t item);
void blocks_end(struct blocks *blocks);
/* 1 << bits items, contents undefined. */
void *blocks_take(struct blocks *blocks, unsigned bits);
void blocks_give(struct blocks *blocks, void *block, unsigned bits);
