/* Whether bytes are UTF-8 (RFC 3629: no surrogates, nothing longer than need be), piece by piece. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

/* Where a text stands; all zero: between two characters. */
struct utf8 {
    uint8_t left;        /* bytes of the character that are still to come; */
    uint8_t least, most; /* and what the next of them may be */
};

/* More of the text. Returns false if it is none; nothing more may follow then. */
bool utf8_take(struct utf8 *utf8, struct span bytes);

static inline bool utf8_whole(const struct utf8 *utf8)
{
    return utf8->left == 0;
}
