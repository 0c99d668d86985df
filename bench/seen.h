/* A set of sequence numbers, cheap when they arrive nearly in order: all below `next` are in the set, those
 * above it are bits in a ring. In order costs one compare; a gap costs one bit a message from then on. Owner:
 * one worker thread while the run goes on, the reporting thread after it. */
#ifndef BENCH_SEEN_H
#define BENCH_SEEN_H

#include <stdbool.h>
#include <stdint.h>

struct seen {
    uint64_t next;     /* the lowest number not in the set */
    uint64_t beyond;   /* how many numbers above next are in the set */
    uint64_t highest;  /* one more than the largest number in the set */
    uint64_t lowest;   /* the smallest number ever added; meaningless while the set is empty */
    uint64_t *bits;    /* number n is bit n % capacity; only [next, next + capacity) is held */
    uint64_t capacity; /* a power of two, or 0 */
};

enum seen_result { SEEN_NEW, SEEN_AGAIN, SEEN_TOO_FAR };

/* A window wider than this (1 GiB of bits) is taken for nonsense instead of memory. */
#define SEEN_WINDOW_MAX (1ull << 33)

enum seen_result seen_add_far(struct seen *s, uint64_t n);
bool seen_has(const struct seen *s, uint64_t n);
void seen_free(struct seen *s);

static inline uint64_t seen_count(const struct seen *s)
{
    return s->next + s->beyond;
}

static inline enum seen_result seen_add(struct seen *s, uint64_t n)
{
    if (n != s->next || s->beyond)
        return seen_add_far(s, n);
    s->highest = ++s->next;
    return SEEN_NEW;
}

#endif
