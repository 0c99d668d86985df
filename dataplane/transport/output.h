/*
 * What a stream has still to send: pieces in order, each either in a chunk of the sender's own or lent to it
 * (from a log page). Kept until the transport no longer looks at it. Chunks come from a pool of the front's,
 * or of TLS's, and go back as soon as what is in them is out, so an idle stream has none. The first is a
 * small one: a word to each of many streams that have nothing else to say needs little memory.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/fifo.h"
#include "base/span.h"

#define OUTPUT_CHUNK_BYTES (64u * 1024u)
#define OUTPUT_IOVS        64u
#define OUTPUT_SMALL_BYTES 2000u
#define OUTPUT_POOL_CHUNKS 64u   /* enough for `most`, where there is no reason for another number */
#define OUTPUT_POOL_SMALL  1024u /* small ones are cheap to keep */

struct output_chunk {
    struct output_chunk *next; /* in the pool */
    uint32_t room;             /* OUTPUT_CHUNK_BYTES or OUTPUT_SMALL_BYTES */
    uint32_t used;
    uint32_t pieces; /* that point into it; with the open one counted as well */
    uint8_t bytes[];
};

/* Chunks kept for use again. */
struct output_pool {
    struct output_chunk *free, *free_small;
    unsigned count, most, small;
};

struct piece {
    const uint8_t *at;
    size_t len;
    struct output_chunk *chunk; /* NULL: of a page, */
    uint64_t page;              /* this one, */
    unsigned router;            /* of this router */
};

struct output {
    FIFO(struct piece) pieces;
    struct output_chunk *open;
    size_t next;        /* the piece to send next, from head, */
    size_t next_offset; /* and the bytes of it that are sent */
    size_t unsent;      /* bytes not yet taken by the transport */
    uint64_t taken;     /* bytes ever taken by the transport */
    uint64_t freed;     /* bytes of pieces that are gone */
};

/* Called for every piece of a page that is out. */
typedef void output_page_out(void *owner, unsigned router, uint64_t page);

/* In memory: to be sent, or the transport still looks at it. */
static inline size_t output_held(const struct output *output)
{
    return (size_t)(output->taken - output->freed) + output->unsent;
}

/* out, owner: nothing, where nothing is ever lent. */
void output_free(struct output *output, struct output_pool *pool, output_page_out *out, void *owner);
void output_pool_free(struct output_pool *pool);

/* Room for bytes (at most OUTPUT_CHUNK_BYTES) in one piece. */
uint8_t *output_reserve(struct output *output, struct output_pool *pool, size_t bytes);
void output_commit(struct output *output, size_t bytes);
void output_lend(struct output *output, unsigned router, uint64_t page, struct span bytes);

/* What is to be sent next, at most OUTPUT_IOVS pieces; returns how many. */
int output_next(const struct output *output, struct iovec *iov);
/* The transport has taken so many bytes. */
void output_taken(struct output *output, size_t bytes);
/* The transport is through with so many bytes in all, since the beginning. */
void output_released(struct output *output, struct output_pool *pool, uint64_t bytes, output_page_out *out,
                     void *owner);
