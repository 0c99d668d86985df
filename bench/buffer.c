#include "buffer.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>

void buffer_reserve(struct buffer *b, size_t more)
{
    if (b->cap - b->len >= more)
        return;
    size_t cap = b->cap ? b->cap : 256;
    while (cap - b->len < more)
        cap *= 2;
    b->data = realloc(b->data, cap);
    if (!b->data)
        errx(2, "out of memory: %zu bytes were refused; use fewer connections or a smaller --batch", cap);
    b->cap = cap;
}

void buffer_put(struct buffer *b, const void *bytes, size_t n)
{
    buffer_reserve(b, n);
    if (n)
        memcpy(b->data + b->len, bytes, n);
    b->len += n;
}

void buffer_drop(struct buffer *b, size_t n)
{
    b->len -= n;
    if (b->len)
        memmove(b->data, b->data + n, b->len);
}

void buffer_free(struct buffer *b)
{
    free(b->data);
    *b = (struct buffer){0};
}

void *zalloc(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size);
    if (!p)
        errx(2, "out of memory: %zu bytes were refused; use fewer connections or queues", count * size);
    return p;
}
