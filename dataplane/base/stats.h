/*
 * Counters of an agent: its thread writes them, any thread may read them at any time. A plain store is not
 * enough to be allowed that; a relaxed one costs the same.
 */
#pragma once

#include <stdint.h>

/* n may be negative. By the owner only. */
static inline void stat_add(uint64_t *counter, int64_t n)
{
    __atomic_store_n(counter, *counter + (uint64_t)n, __ATOMIC_RELAXED);
}

/* By the owner only. */
static inline void stat_set(uint64_t *counter, uint64_t value)
{
    __atomic_store_n(counter, value, __ATOMIC_RELAXED);
}

static inline uint64_t stat_read(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}
