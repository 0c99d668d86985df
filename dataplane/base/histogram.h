/*
 * How many of what size, or how long: bucket i counts values from above 2^(i-1) up to 2^i, so that any time
 * from a nanosecond to ten minutes has its place and is known to a factor of two. Its owner's thread writes
 * it, any thread may read it at any time, as base/stats.h has it: what is read needn't be of one moment.
 */
#pragma once

#include <stdint.h>

#include "base/stats.h"

#define HISTOGRAM_BUCKETS 40u

struct histogram {
    uint64_t bucket[HISTOGRAM_BUCKETS]; /* the last one: and all above */
    uint64_t sum;                       /* of the values */
};

static inline unsigned histogram_place(uint64_t value)
{
    unsigned place = value > 1 ? 64 - (unsigned)__builtin_clzll(value - 1) : 0;
    return place < HISTOGRAM_BUCKETS ? place : HISTOGRAM_BUCKETS - 1;
}

/* The largest value that belongs into a bucket; of the last one there is none. */
static inline uint64_t histogram_bound(unsigned place)
{
    return UINT64_C(1) << place;
}

/* The same value so many times. By the owner only. */
static inline void histogram_add(struct histogram *h, uint64_t value, uint64_t count)
{
    stat_add(&h->bucket[histogram_place(value)], (int64_t)count);
    stat_add(&h->sum, (int64_t)(value * count));
}

/* How many values have been counted. */
static inline uint64_t histogram_count(const struct histogram *h)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        count += stat_read(&h->bucket[i]);
    return count;
}

/* How long ago a time was; 0 of one that is to come: threads' clocks may be read a little apart. */
static inline uint64_t elapsed_ns(uint64_t since_ns, uint64_t now_ns)
{
    return now_ns > since_ns ? now_ns - since_ns : 0;
}
