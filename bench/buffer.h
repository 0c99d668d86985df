/* Growable bytes. The owner is the struct that embeds it; buffer_free gives the memory back. */
#ifndef BENCH_BUFFER_H
#define BENCH_BUFFER_H

#include <stddef.h>
#include <stdint.h>

struct buffer {
    uint8_t *data;
    size_t len; /* bytes in use */
    size_t cap; /* bytes allocated */
};

/* Makes room for `more` bytes behind len. A load generator without memory has no result to save: it exits. */
void buffer_reserve(struct buffer *b, size_t more);
void buffer_put(struct buffer *b, const void *bytes, size_t n);
/* Forgets the first n bytes. */
void buffer_drop(struct buffer *b, size_t n);
void buffer_free(struct buffer *b);

/* calloc for things that live until exit; never returns NULL. */
void *zalloc(size_t count, size_t size);

#endif
