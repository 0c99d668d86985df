#include "router/due_heap.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/check.h"

static bool earlier(const struct due *a, const struct due *b)
{
    return a->ms != b->ms ? a->ms < b->ms : a->seq < b->seq;
}

void due_heap_push(struct due_heap *heap, struct due due)
{
    if (heap->count == heap->room) {
        heap->room = heap->room ? 2 * heap->room : 16;
        heap->rows = realloc(heap->rows, heap->room * sizeof *heap->rows);
        CHECK(heap->rows);
    }
    size_t i = heap->count++;
    for (; i && earlier(&due, &heap->rows[(i - 1) / 2]); i = (i - 1) / 2)
        heap->rows[i] = heap->rows[(i - 1) / 2];
    heap->rows[i] = due;
}

void due_heap_pop(struct due_heap *heap)
{
    struct due last = heap->rows[--heap->count];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < heap->count; i = child) {
        if (child + 1 < heap->count && earlier(&heap->rows[child + 1], &heap->rows[child]))
            child++;
        if (!earlier(&heap->rows[child], &last))
            break;
        heap->rows[i] = heap->rows[child];
    }
    heap->rows[i] = last;
}

void due_heap_free(struct due_heap *heap)
{
    free(heap->rows);
    *heap = (struct due_heap){0};
}
