/* What a connection has to send and what is not acknowledged of it: slices of memory lent by the user, in
 * order of their sequence numbers. Empty, it holds no memory of its own. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "tcp/blocks.h"

struct slice {
    const uint8_t *at;
    uint32_t seq, len;
};

enum { QUEUE_INLINE_BITS = 2 };

struct queue {
    struct slice *slices; /* a ring of 1 << bits; NULL: those within */
    uint32_t head, count; /* head: ever growing */
    uint32_t cursor;      /* where the search began last, likewise */
    uint32_t end;         /* the sequence number behind the last slice */
    uint8_t bits;
    struct slice within[1 << QUEUE_INLINE_BITS];
};

struct queue_pool {
    struct blocks blocks;
};

void queue_init(struct queue *queue, uint32_t seq);
void queue_free(struct queue *queue, struct queue_pool *pool);
/* False: there are too many slices already. */
bool queue_add(struct queue *queue, struct queue_pool *pool, const uint8_t *at, uint32_t len);
/* Gathers bytes from seq on, at most len of them and in at most *pieces pieces. Returns how many; *pieces: in
 * how many. */
uint32_t queue_gather(struct queue *queue, uint32_t seq, uint32_t len, struct iovec *iov, unsigned *pieces);
/* What is before seq is through. */
void queue_release(struct queue *queue, struct queue_pool *pool, uint32_t seq);
