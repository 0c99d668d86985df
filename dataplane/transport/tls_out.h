/*
 * Encrypted bytes of one stream on their way to the transport below: appended as records are made, lent to
 * that transport as it takes them, kept until it no longer looks at them. Chunks come from a pool of the
 * transport, so a stream with nothing to send has none.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/limits.h"
#include "base/span.h"

/* A stream with more than this on its way takes no more. */
#define TLS_OUT_HIGH        (OUTPUT_HIGH_BYTES / 4)
#define TLS_OUT_CHUNK_BYTES (TLS_OUT_HIGH / 8)

enum { TLS_OUT_IOVS = 16, TLS_OUT_POOL_MOST = 64 };

struct tls_chunk {
    struct tls_chunk *next;
    uint32_t fill;
    uint8_t bytes[TLS_OUT_CHUNK_BYTES];
};

struct tls_pool {
    struct tls_chunk *free;
    unsigned count;
};

/* Zeroed at its start. Offsets count the stream's bytes from 0. */
struct tls_out {
    struct tls_chunk *head, *tail;
    uint64_t base;  /* of the head's first byte */
    uint64_t sent;  /* taken by the transport below */
    uint64_t added; /* ever appended */
};

void tls_out_add(struct tls_out *out, struct tls_pool *pool, struct span bytes);
/* What is to be sent next; returns how many pieces. */
int tls_out_next(const struct tls_out *out, struct iovec iov[TLS_OUT_IOVS]);
void tls_out_taken(struct tls_out *out, size_t bytes);
/* The transport below looks at no byte before this offset any more (more than it ever took means all). */
void tls_out_released(struct tls_out *out, struct tls_pool *pool, uint64_t offset);
void tls_out_free(struct tls_out *out, struct tls_pool *pool);
void tls_pool_free(struct tls_pool *pool);

/* Not yet taken. */
static inline size_t tls_out_unsent(const struct tls_out *out)
{
    return (size_t)(out->added - out->sent);
}

/* In memory. */
static inline size_t tls_out_held(const struct tls_out *out)
{
    return (size_t)(out->added - out->base);
}
