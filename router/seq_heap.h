/* Sequence numbers of one queue, smallest first: a binary heap. Zeroed is empty. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct seq_heap {
    uint64_t *seq; /* [0] is the smallest */
    size_t count, room;
};

void seq_heap_push(struct seq_heap *heap, uint64_t seq);
/* Takes off the smallest; there is one. */
void seq_heap_pop(struct seq_heap *heap);
void seq_heap_free(struct seq_heap *heap);
