#include "tcp/blocks.h"

#include <stdlib.h>

#include "base/check.h"

void blocks_init(struct blocks *blocks, size_t item)
{
    *blocks = (struct blocks){.item = item};
}

void blocks_end(struct blocks *blocks)
{
    for (unsigned i = 0; i < BLOCKS_SIZES; i++)
        for (void *block; (block = blocks->free[i]); free(block))
            blocks->free[i] = *(void **)block;
}

void *blocks_take(struct blocks *blocks, unsigned bits)
{
    CHECK(bits < BLOCKS_SIZES);
    void *block = blocks->free[bits];
    if (block) {
        blocks->free[bits] = *(void **)block;
        return block;
    }
    block = malloc(blocks->item << bits);
    CHECK(block);
    return block;
}

void blocks_give(struct blocks *blocks, void *block, unsigned bits)
{
    *(void **)block = blocks->free[bits];
    blocks->free[bits] = block;
}
