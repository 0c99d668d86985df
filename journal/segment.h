/* Segment files: their numbers, names and headers. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "journal/journal.h"

/* Larger numbers have no LSN; files so named are none of ours. */
#define SEGMENT_NUMBER_MAX (UINT64_MAX / SEGMENT_BYTES - 64)

/* One write is at most this long, so what a crash leaves unconfirmed begins within WRITES_IN_FLIGHT of them.
 */
#define WRITE_BYTES (4 * PAGE_BYTES)

#define SEGMENT_NAME_BYTES 24 /* 16 hexadecimal digits, ".seg" and NUL, rounded up */

static inline uint64_t segment_of(uint64_t lsn)
{
    return lsn / SEGMENT_BYTES;
}

static inline uint64_t segment_start(uint64_t number)
{
    return number * SEGMENT_BYTES;
}

static inline uint64_t block_round(uint64_t lsn)
{
    return (lsn + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES;
}

void segment_name(char name[SEGMENT_NAME_BYTES], uint64_t number);
/* Whether name is that of a segment file, and of which. */
bool segment_number(const char *name, uint64_t *number);

enum segment_state {
    SEGMENT_VALID,
    SEGMENT_INVALID, /* not the header of this segment: never written, recycled, torn or damaged */
    SEGMENT_NEWER,   /* of a version of the format that is not ours */
    SEGMENT_SHAPE,   /* of other segment or page sizes than ours */
    SEGMENT_ROUTER,  /* of another router */
};

/* Reads what stands in the first block of the file of segment `number`. */
enum segment_state segment_header_read(const uint8_t *block, uint64_t number, uint32_t router,
                                       struct segment_header *header);
