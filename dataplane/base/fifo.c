#include "base/fifo.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

enum { ROOM_AT_FIRST = 8 };

typedef FIFO(uint8_t) any_fifo;

void fifo_grow(void *fifo, size_t row_bytes)
{
    any_fifo *f = fifo;
    size_t room = f->rows ? 2 * (f->mask + 1) : ROOM_AT_FIRST;
    uint8_t *rows = malloc(room * row_bytes);
    CHECK(rows);
    for (size_t i = 0; i < f->count; i++)
        memcpy(rows + i * row_bytes, f->rows + ((f->head + i) & f->mask) * row_bytes, row_bytes);
    free(f->rows);
    *f = (any_fifo){.rows = rows, .mask = room - 1, .count = f->count};
}

void fifo_free(void *fifo)
{
    any_fifo *f = fifo;
    free(f->rows);
    *f = (any_fifo){0};
}
