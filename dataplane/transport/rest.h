/* The beginning of something that has not all come yet, copied aside: in a block of a power of two bytes,
 * none while there is no rest. */
#pragma once

#include <stdint.h>

#include "base/span.h"
#include "tcp/blocks.h"

struct rest {
    uint8_t *at; /* a block of 1 << bits */
    uint32_t len;
    uint8_t bits;
};

static inline void rest_drop(struct rest *rest, struct blocks *blocks)
{
    if (rest->at)
        blocks_give(blocks, rest->at, rest->bits);
    *rest = (struct rest){0};
}

static inline void rest_append(struct rest *rest, struct blocks *blocks, struct span bytes)
{
    enum { BITS_MIN = 8 };
    size_t need = rest->len + bytes.len;
    if (!rest->at || need > (size_t)1 << rest->bits) {
        unsigned bits = BITS_MIN;
        while ((size_t)1 << bits < need)
            bits++;
        uint8_t *more = blocks_take(blocks, bits);
        put_span(more, span_of(rest->at, rest->len));
        if (rest->at)
            blocks_give(blocks, rest->at, rest->bits);
        rest->at = more;
        rest->bits = (uint8_t)bits;
    }
    put_span(rest->at + rest->len, bytes);
    rest->len += (uint32_t)bytes.len;
}
