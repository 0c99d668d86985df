#include "transport/output.h"

#include <stdlib.h>

#include "base/check.h"

static struct output_chunk *pop(struct output_chunk **first, unsigned *count)
{
    struct output_chunk *chunk = *first;
    if (chunk) {
        *first = chunk->next;
        --*count;
    }
    return chunk;
}

static struct output_chunk *take_chunk(struct output_pool *pool, bool small)
{
    struct output_chunk *chunk =
        small ? pop(&pool->free_small, &pool->small) : pop(&pool->free, &pool->count);
    if (!chunk) {
        uint32_t room = small ? OUTPUT_SMALL_BYTES : OUTPUT_CHUNK_BYTES;
        chunk = malloc(sizeof *chunk + room);
        CHECK(chunk);
        chunk->room = room;
    }
    chunk->used = 0;
    chunk->pieces = 1;
    return chunk;
}

static void keep(struct output_chunk *chunk, struct output_chunk **first, unsigned *count, unsigned most)
{
    if (*count == most) {
        free(chunk);
        return;
    }
    chunk->next = *first;
    *first = chunk;
    ++*count;
}

static void unref(struct output_chunk *chunk, struct output_pool *pool)
{
    if (--chunk->pieces)
        return;
    if (chunk->room == OUTPUT_SMALL_BYTES)
        keep(chunk, &pool->free_small, &pool->small, OUTPUT_POOL_SMALL);
    else
        keep(chunk, &pool->free, &pool->count, pool->most);
}

static void free_all(struct output_chunk *first, unsigned count)
{
    while (first)
        free(pop(&first, &count));
}

void output_pool_free(struct output_pool *pool)
{
    free_all(pool->free, pool->count);
    free_all(pool->free_small, pool->small);
}

uint8_t *output_reserve(struct output *output, struct output_pool *pool, size_t bytes)
{
    CHECK(bytes <= OUTPUT_CHUNK_BYTES);
    if (output->open && output->open->used + bytes > output->open->room) {
        unref(output->open, pool);
        output->open = NULL;
    }
    if (!output->open)
        output->open = take_chunk(pool, !output->pieces.count && bytes <= OUTPUT_SMALL_BYTES);
    return output->open->bytes + output->open->used;
}

void output_commit(struct output *output, size_t bytes)
{
    struct output_chunk *chunk = output->open;
    uint8_t *at = chunk->bytes + chunk->used;
    struct piece *last = output->pieces.count ? fifo_at(&output->pieces, output->pieces.count - 1) : NULL;
    if (bytes == 0)
        return;
    chunk->used += (uint32_t)bytes;
    output->unsent += bytes;
    /* A piece that is out already doesn't grow: its end has been counted. */
    if (last && last->chunk == chunk && last->at + last->len == at && output->next < output->pieces.count) {
        last->len += bytes;
        return;
    }
    *fifo_add(&output->pieces) = (struct piece){.at = at, .len = bytes, .chunk = chunk};
    chunk->pieces++;
}

void output_lend(struct output *output, unsigned router, uint64_t page, struct span bytes)
{
    CHECK(bytes.len);
    *fifo_add(&output->pieces) =
        (struct piece){.at = bytes.at, .len = bytes.len, .page = page, .router = router};
    output->unsent += bytes.len;
}

int output_next(const struct output *output, struct iovec *iov)
{
    int n = 0;
    for (size_t i = output->next; i < output->pieces.count && n < (int)OUTPUT_IOVS; i++, n++) {
        const struct piece *p = fifo_at(&output->pieces, i);
        size_t skip = i == output->next ? output->next_offset : 0;
        iov[n] = (struct iovec){(void *)(uintptr_t)(p->at + skip), p->len - skip};
    }
    return n;
}

void output_taken(struct output *output, size_t bytes)
{
    output->unsent -= bytes;
    output->taken += bytes;
    output->next_offset += bytes;
    while (output->next < output->pieces.count &&
           output->next_offset >= fifo_at(&output->pieces, output->next)->len) {
        output->next_offset -= fifo_at(&output->pieces, output->next)->len;
        output->next++;
    }
}

static void drop_head(struct output *output, struct output_pool *pool, output_page_out *out, void *owner)
{
    struct piece *p = fifo_at(&output->pieces, 0);
    if (p->chunk)
        unref(p->chunk, pool);
    else
        out(owner, p->router, p->page);
    fifo_drop_oldest(&output->pieces);
}

void output_released(struct output *output, struct output_pool *pool, uint64_t bytes, output_page_out *out,
                     void *owner)
{
    while (output->pieces.count && output->next &&
           output->freed + fifo_at(&output->pieces, 0)->len <= bytes) {
        output->freed += fifo_at(&output->pieces, 0)->len;
        drop_head(output, pool, out, owner);
        output->next--;
    }
    /* All is out: the open chunk goes back too, to be used by whoever writes next. */
    if (output->pieces.count == 0 && output->open) {
        unref(output->open, pool);
        output->open = NULL;
    }
}

void output_free(struct output *output, struct output_pool *pool, output_page_out *out, void *owner)
{
    while (output->pieces.count)
        drop_head(output, pool, out, owner);
    if (output->open)
        unref(output->open, pool);
    fifo_free(&output->pieces);
    *output = (struct output){0};
}
