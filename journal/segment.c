#include "journal/segment.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"

static const uint8_t magic[8] = "gannetJ\n";

/* Magic, version and sum stand where they do in every version of the format. */
static_assert(sizeof(struct segment_header) == 72 && offsetof(struct segment_header, sum) == 68,
              "the layout on disk, without holes");

static uint32_t header_sum(const struct segment_header *header)
{
    return crc32c(0, header, offsetof(struct segment_header, sum));
}

uint32_t segment_header_write(uint8_t *block, const struct segment_header *header)
{
    struct segment_header h = *header;
    memcpy(h.magic, magic, sizeof magic);
    h.version = JOURNAL_VERSION;
    h.segment_bytes = SEGMENT_BYTES;
    h.page_bytes = PAGE_BYTES;
    h.sum = header_sum(&h);
    memset(block, 0, BLOCK_BYTES);
    memcpy(block, &h, sizeof h);
    return h.sum;
}

enum segment_state segment_header_read(const uint8_t *block, uint64_t number, uint32_t router,
                                       struct segment_header *header)
{
    memcpy(header, block, sizeof *header);
    if (memcmp(header->magic, magic, sizeof magic) != 0 || header->sum != header_sum(header))
        return SEGMENT_INVALID;
    if (header->version != JOURNAL_VERSION)
        return SEGMENT_NEWER;
    if (header->segment_bytes != SEGMENT_BYTES || header->page_bytes != PAGE_BYTES)
        return SEGMENT_SHAPE;
    if (header->router != router)
        return SEGMENT_ROUTER;
    /* No data directory has the secret 0. */
    return header->segment == number && header->broker != 0 ? SEGMENT_VALID : SEGMENT_INVALID;
}

void segment_name(char name[SEGMENT_NAME_BYTES], uint64_t number)
{
    snprintf(name, SEGMENT_NAME_BYTES, "%016" PRIx64 ".seg", number);
}

bool segment_number(const char *name, uint64_t *number)
{
    for (unsigned i = 0; i < 16; i++)
        if (!isdigit((unsigned char)name[i]) && (name[i] < 'a' || name[i] > 'f'))
            return false;
    if (strcmp(name + 16, ".seg") != 0)
        return false;
    *number = strtoull(name, NULL, 16);
    return *number != 0 && *number <= SEGMENT_NUMBER_MAX;
}
