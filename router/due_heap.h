/* Sequence numbers of one queue by the time they are due, earliest first; of one time, smallest number first.
 * A binary heap. Zeroed is empty. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct due {
    uint64_t ms; /* since 1970 */
    uint64_t seq;
};

struct due_heap {
    struct due *rows; /* [0] is the earliest */
    size_t count, room;
};

void due_heap_push(struct due_heap *heap, struct due due);
/* Takes off the earliest; there is one. */
void due_heap_pop(struct due_heap *heap);
void due_heap_free(struct due_heap *heap);
