#include "transport/tls_out.h"

#include <stdlib.h>

#include "base/check.h"

static struct tls_chunk *take_chunk(struct tls_pool *pool)
{
    struct tls_chunk *chunk = pool->free;
    if (chunk) {
        pool->free = chunk->next;
        pool->count--;
    } else {
        chunk = malloc(sizeof *chunk);
        CHECK(chunk);
    }
    chunk->next = NULL;
    chunk->fill = 0;
    return chunk;
}

static void give_chunk(struct tls_pool *pool, struct tls_chunk *chunk)
{
    if (pool->count == TLS_OUT_POOL_MOST) {
        free(chunk);
        return;
    }
    chunk->next = pool->free;
    pool->free = chunk;
    pool->count++;
}

void tls_pool_free(struct tls_pool *pool)
{
    for (struct tls_chunk *chunk; (chunk = pool->free); free(chunk))
        pool->free = chunk->next;
}

void tls_out_add(struct tls_out *out, struct tls_pool *pool, struct span bytes)
{
    while (bytes.len) {
        if (!out->tail || out->tail->fill == TLS_OUT_CHUNK_BYTES) {
            struct tls_chunk *chunk = take_chunk(pool);
            if (out->tail)
                out->tail->next = chunk;
            else
                out->head = chunk;
            out->tail = chunk;
        }
        size_t room = TLS_OUT_CHUNK_BYTES - out->tail->fill, n = bytes.len < room ? bytes.len : room;
        memcpy(out->tail->bytes + out->tail->fill, bytes.at, n);
        out->tail->fill += (uint32_t)n;
        out->added += n;
        bytes = span_of(bytes.at + n, bytes.len - n);
    }
}

int tls_out_next(const struct tls_out *out, struct iovec iov[TLS_OUT_IOVS])
{
    int n = 0;
    uint64_t skip = out->sent - out->base;
    for (struct tls_chunk *chunk = out->head; chunk && n < TLS_OUT_IOVS; chunk = chunk->next) {
        if (skip < chunk->fill) {
            iov[n++] = (struct iovec){chunk->bytes + skip, chunk->fill - (size_t)skip};
            skip = 0;
        } else {
            skip -= chunk->fill;
        }
    }
    return n;
}

void tls_out_taken(struct tls_out *out, size_t bytes)
{
    out->sent += bytes;
    CHECK(out->sent <= out->added);
}

void tls_out_released(struct tls_out *out, struct tls_pool *pool, uint64_t offset)
{
    if (offset > out->sent)
        offset = out->sent;
    for (struct tls_chunk *chunk; (chunk = out->head) && out->base + chunk->fill <= offset;) {
        out->base += chunk->fill;
        out->head = chunk->next;
        if (!out->head)
            out->tail = NULL;
        give_chunk(pool, chunk);
    }
}

void tls_out_free(struct tls_out *out, struct tls_pool *pool)
{
    for (struct tls_chunk *chunk; (chunk = out->head); give_chunk(pool, chunk))
        out->head = chunk->next;
    out->tail = NULL;
    out->base = out->sent = out->added;
}
