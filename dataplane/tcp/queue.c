#include "tcp/queue.h"

#include <string.h>

#include "tcp/seq.h"

enum { QUEUE_MOST_BITS = 16 };

static struct slice *slices(struct queue *queue)
{
    return queue->slices ? queue->slices : queue->within;
}

static struct slice *slice_at(struct queue *queue, uint32_t i)
{
    return &slices(queue)[i & ((1u << queue->bits) - 1)];
}

void queue_init(struct queue *queue, uint32_t seq)
{
    *queue = (struct queue){.end = seq, .bits = QUEUE_INLINE_BITS};
}

void queue_free(struct queue *queue, struct queue_pool *pool)
{
    if (queue->slices)
        blocks_give(&pool->blocks, queue->slices, queue->bits);
    queue_init(queue, queue->end);
}

static void grow(struct queue *queue, struct queue_pool *pool)
{
    unsigned bits = queue->bits + 1u;
    struct slice *more = blocks_take(&pool->blocks, bits);
    for (uint32_t i = queue->head; i != queue->head + queue->count; i++)
        more[i & ((1u << bits) - 1)] = *slice_at(queue, i);
    if (queue->slices)
        blocks_give(&pool->blocks, queue->slices, queue->bits);
    queue->slices = more;
    queue->bits = (uint8_t)bits;
}

bool queue_add(struct queue *queue, struct queue_pool *pool, const uint8_t *at, uint32_t len)
{
    if (queue->count) {
        struct slice *last = slice_at(queue, queue->head + queue->count - 1);
        if (last->at + last->len == at) {
            last->len += len;
            queue->end += len;
            return true;
        }
    }
    if (queue->count == 1u << queue->bits) {
        if (queue->bits == QUEUE_MOST_BITS)
            return false;
        grow(queue, pool);
    }
    *slice_at(queue, queue->head + queue->count++) = (struct slice){at, queue->end, len};
    queue->end += len;
    return true;
}

static bool holds(const struct slice *slice, uint32_t seq)
{
    return seq - slice->seq < slice->len;
}

/* Which slice holds seq; there is one. */
static uint32_t find(struct queue *queue, uint32_t seq)
{
    uint32_t low = 0, high = queue->count - 1, near = queue->cursor - queue->head;
    /* New data follows what was sent last. */
    for (unsigned i = 0; i < 2; i++, near++)
        if (near < queue->count && holds(slice_at(queue, queue->head + near), seq))
            return queue->head + near;
    while (low < high) {
        uint32_t middle = (low + high + 1) / 2;
        if (seq_leq(slice_at(queue, queue->head + middle)->seq, seq))
            low = middle;
        else
            high = middle - 1;
    }
    return queue->head + low;
}

uint32_t queue_gather(struct queue *queue, uint32_t seq, uint32_t len, struct iovec *iov, unsigned *pieces)
{
    unsigned n = 0;
    uint32_t got = 0, i = find(queue, seq);
    for (; got < len && n < *pieces && i != queue->head + queue->count; i++, n++) {
        const struct slice *slice = slice_at(queue, i);
        uint32_t skip = seq + got - slice->seq;
        uint32_t part = slice->len - skip < len - got ? slice->len - skip : len - got;
        iov[n] = (struct iovec){(void *)(uintptr_t)(slice->at + skip), part};
        got += part;
    }
    queue->cursor = i - 1;
    *pieces = n;
    return got;
}

void queue_release(struct queue *queue, struct queue_pool *pool, uint32_t seq)
{
    while (queue->count) {
        struct slice *first = slice_at(queue, queue->head);
        uint32_t through = seq - first->seq;
        if ((int32_t)through <= 0)
            return;
        if (through < first->len) {
            first->at += through;
            first->seq += through;
            first->len -= through;
            return;
        }
        queue->head++;
        queue->count--;
    }
    if (queue->slices)
        queue_free(queue, pool);
}
