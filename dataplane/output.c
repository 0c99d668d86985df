#include "output.h"

#include <stdlib.h>

#include "base/check.h"

static struct output_chunk *take_chunk(struct output_pool *pool)
{
    struct output_chunk *chunk = pool->free;
    if (chunk) {
        pool->free = chunk->next;
        pool->count--;
    } else {
        chunk = malloc(sizeof *chunk);
        CHECK(chunk);
    }
    chunk->used = 0;
    chunk->pieces = 1;
    return chunk;
}

static void unref(struct output_chunk *chunk, struct output_pool *pool)
{
    if (--chunk->pieces)
        return;
    if (pool->count == pool->most) {
        free(chunk);
        return;
    }
    chunk->next = pool->free;
    pool->free = chunk;
    pool->count++;
}

void output_pool_free(struct output_pool *pool)
{
    while (pool->free) {
        struct output_chunk *chunk = pool->free;
        pool->free = chunk->next;
        free(chunk);
    }
}

static struct piece *piece_at(const struct output *output, size_t i)
{
    return &output->pieces[(output->head + i) & output->mask];
}

static struct piece *add_piece(struct output *output)
{
    if (!output->pieces || output->count > output->mask) {
        size_t room = output->pieces ? 2 * (output->mask + 1) : 8;
        struct piece *pieces = malloc(room * sizeof *pieces);
        CHECK(pieces);
        for (size_t i = 0; i < output->count; i++)
            pieces[i] = *piece_at(output, i);
        free(output->pieces);
        output->pieces = pieces;
        output->mask = room - 1;
        output->head = 0;
    }
    return piece_at(output, output->count++);
}

uint8_t *output_reserve(struct output *output, struct output_pool *pool, size_t bytes)
{
    CHECK(bytes <= OUTPUT_CHUNK_BYTES);
    if (output->open && output->open->used + bytes > OUTPUT_CHUNK_BYTES) {
        unref(output->open, pool);
        output->open = NULL;
    }
    if (!output->open)
        output->open = take_chunk(pool);
    return output->open->bytes + output->open->used;
}

void output_commit(struct output *output, size_t bytes)
{
    struct output_chunk *chunk = output->open;
    uint8_t *at = chunk->bytes + chunk->used;
    struct piece *last = output->count ? piece_at(output, output->count - 1) : NULL;
    if (bytes == 0)
        return;
    chunk->used += (uint32_t)bytes;
    output->unsent += bytes;
    /* A piece that is out already doesn't grow: its end has been counted. */
    if (last && last->chunk == chunk && last->at + last->len == at && output->next < output->count) {
        last->len += bytes;
        return;
    }
    *add_piece(output) = (struct piece){.at = at, .len = bytes, .chunk = chunk};
    chunk->pieces++;
}

void output_lend(struct output *output, unsigned router, uint64_t page, struct span bytes)
{
    CHECK(bytes.len);
    *add_piece(output) = (struct piece){.at = bytes.at, .len = bytes.len, .page = page, .router = router};
    output->unsent += bytes.len;
}

int output_next(const struct output *output, struct iovec *iov)
{
    int n = 0;
    for (size_t i = output->next; i < output->count && n < (int)OUTPUT_IOVS; i++, n++) {
        const struct piece *p = piece_at(output, i);
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
    while (output->next < output->count && output->next_offset >= piece_at(output, output->next)->len) {
        output->next_offset -= piece_at(output, output->next)->len;
        output->next++;
    }
}

static void drop_head(struct output *output, struct output_pool *pool, output_page_out *out, void *owner)
{
    struct piece *p = piece_at(output, 0);
    if (p->chunk)
        unref(p->chunk, pool);
    else
        out(owner, p->router, p->page);
    output->head++;
    output->count--;
}

void output_released(struct output *output, struct output_pool *pool, uint64_t bytes, output_page_out *out,
                     void *owner)
{
    while (output->count && output->next && output->freed + piece_at(output, 0)->len <= bytes) {
        output->freed += piece_at(output, 0)->len;
        drop_head(output, pool, out, owner);
        output->next--;
    }
    /* All is out: the open chunk goes back too, to be used by whoever writes next. */
    if (output->count == 0 && output->open) {
        unref(output->open, pool);
        output->open = NULL;
    }
}

void output_free(struct output *output, struct output_pool *pool, output_page_out *out, void *owner)
{
    while (output->count)
        drop_head(output, pool, out, owner);
    if (output->open)
        unref(output->open, pool);
    free(output->pieces);
    *output = (struct output){0};
}
