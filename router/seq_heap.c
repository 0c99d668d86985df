#include "router/seq_heap.h"

#include <stdlib.h>

#include "base/check.h"

void seq_heap_push(struct seq_heap *heap, uint64_t seq)
{
    if (heap->count == heap->room) {
        heap->room = heap->room ? 2 * heap->room : 16;
        heap->seq = realloc(heap->seq, heap->room * sizeof *heap->seq);
        CHECK(heap->seq);
    }
    size_t i = heap->count++;
    for (; i && heap->seq[(i - 1) / 2] > seq; i = (i - 1) / 2)
        heap->seq[i] = heap->seq[(i - 1) / 2];
    heap->seq[i] = seq;
}

void seq_heap_pop(struct seq_heap *heap)
{
    uint64_t last = heap->seq[--heap->count];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < heap->count; i = child) {
        if (child + 1 < heap->count && heap->seq[child + 1] < heap->seq[child])
            child++;
        if (heap->seq[child] >= last)
            break;
        heap->seq[i] = heap->seq[child];
    }
    heap->seq[i] = last;
}

void seq_heap_free(struct seq_heap *heap)
{
    free(heap->seq);
    *heap = (struct seq_heap){0};
}
