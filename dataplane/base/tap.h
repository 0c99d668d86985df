/*
 * A tap: records of bytes from one thread to another, copied into a ring of a fixed size. For looking on: who
 * writes never waits, and what finds no room is counted and gone.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct tap;

struct tap_record {
    uint32_t bytes; /* that follow */
    uint8_t kind, flags;
    uint16_t unused;
    uint64_t offset, ns;
};

/* Records of at most a quarter of `room` bytes, a power of two, fit. */
struct tap *tap_new(uint32_t room);
/* When neither side will use it any more. */
void tap_free(struct tap *tap);
/* Writer. Puts the first record.bytes of the pieces. */
void tap_put(struct tap *tap, struct tap_record record, const struct iovec *piece, int pieces);
/* Reader. Takes the next record; its bytes go to `bytes`, which has a quarter of the tap's room. */
bool tap_take(struct tap *tap, struct tap_record *record, uint8_t *bytes);
/* Reader. How many records have been lost. */
uint64_t tap_lost(const struct tap *tap);
