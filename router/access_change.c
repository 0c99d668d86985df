#include "router/access_change.h"

#include <stdlib.h>

#include "base/check.h"

enum { TEXT_HEAD_BYTES = 3 };

struct span access_pack(const struct access_change *change)
{
    size_t bytes = 1;
    for (unsigned i = 0; i < ACCESS_TEXTS; i++)
        bytes += TEXT_HEAD_BYTES + change->text[i].len;
    uint8_t *start = malloc(bytes), *at = start;
    CHECK(start);
    at = put_u8(at, change->kind);
    for (unsigned i = 0; i < ACCESS_TEXTS; i++) {
        if (!change->text[i].at)
            continue;
        CHECK(change->text[i].len <= UINT16_MAX);
        at = put_be16(put_u8(at, (uint8_t)i), (uint16_t)change->text[i].len);
        at = put_span(at, change->text[i]);
    }
    return span_of(start, (size_t)(at - start));
}

bool access_unpack(struct span packed, struct access_change *change)
{
    const uint8_t *at = packed.at, *end = packed.at + packed.len;
    if (!packed.len)
        return false;
    *change = (struct access_change){.kind = *at++};
    while (at != end) {
        if (end - at < TEXT_HEAD_BYTES || *at >= ACCESS_TEXTS || change->text[*at].at)
            return false;
        size_t len = get_be16(at + 1);
        if ((size_t)(end - at) < TEXT_HEAD_BYTES + len)
            return false;
        change->text[*at] = span_of(at + TEXT_HEAD_BYTES, len);
        at += TEXT_HEAD_BYTES + len;
    }
    return change->kind && change->kind < ACCESS_KINDS;
}
