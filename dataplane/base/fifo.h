/*
 * FIFOs of rows in a ring that doubles when it is full and never shrinks. FIFO(struct row) is the type of one
 * such field; all zero is empty. Used by one thread; a row's address holds until the next fifo_add.
 */
#pragma once

#include <stddef.h>

#define FIFO(row)                                                                                            \
    struct {                                                                                                 \
        row *rows;                                                                                           \
        size_t mask, head, count;                                                                            \
    }

/* The i-th row from the oldest on, of fifo->count. */
#define fifo_at(fifo, i) (&(fifo)->rows[((fifo)->head + (i)) & (fifo)->mask])

/* NULL: there is none. */
#define fifo_oldest(fifo) ((fifo)->count ? fifo_at(fifo, 0) : NULL)

/* A row behind the newest one, to be filled in: it holds anything. */
#define fifo_add(fifo)                                                                                       \
    ({                                                                                                       \
        if (!(fifo)->rows || (fifo)->count > (fifo)->mask)                                                   \
            fifo_grow((fifo), sizeof *(fifo)->rows);                                                         \
        fifo_at(fifo, (fifo)->count++);                                                                      \
    })

#define fifo_drop_oldest(fifo) ((fifo)->head++, (fifo)->count--)

/* The slow part of fifo_add. fifo: a FIFO() of rows of row_bytes. */
void fifo_grow(void *fifo, size_t row_bytes);
/* Leaves it empty; what the rows name is the caller's. */
void fifo_free(void *fifo);
