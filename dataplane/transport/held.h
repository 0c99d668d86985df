/* Received buffers that the front, and routers it told of them, may still look at: a FIFO by epoch. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct held_row {
    uint64_t epoch;
    void *buffer;   /* the device's; NULL: */
    uint8_t *block; /* of the transport's own, 1 << bits bytes */
    uint8_t bits;
};

struct held {
    struct held_row *rows; /* a ring */
    size_t mask, head, count;
};

void held_add(struct held *held, struct held_row row);
/* NULL: there is none. */
const struct held_row *held_oldest(const struct held *held);
void held_drop_oldest(struct held *held);
/* The table, not what its rows name. */
void held_free(struct held *held);
