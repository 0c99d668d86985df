#ifndef FUZZ_COPY_H
#define FUZZ_COPY_H

#include <stdlib.h>

#include "base/check.h"
#include "base/span.h"

/* On the heap and of the exact size, so that a read past the end is seen. */
static inline struct span copy_of(struct span s)
{
    uint8_t *bytes = malloc(s.len + !s.len);
    CHECK(bytes);
    put_span(bytes, s);
    return span_of(bytes, s.len);
}

static inline void free_span(struct span s)
{
    free((void *)(uintptr_t)s.at);
}

#endif
