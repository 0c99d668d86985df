/* Counts of durations in nanoseconds, in the manner of HdrHistogram: 1,024 steps an octave (an error below
 * 0.1 %) up to 2^42 ns (73 minutes; longer is counted as that). One thread records; any thread may read. */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>

#define HISTOGRAM_STEP_BITS  10
#define HISTOGRAM_STEPS      (1u << HISTOGRAM_STEP_BITS)
#define HISTOGRAM_VALUE_BITS 42
#define HISTOGRAM_SLOTS      ((HISTOGRAM_VALUE_BITS - HISTOGRAM_STEP_BITS + 1u) * HISTOGRAM_STEPS)
#define HISTOGRAM_VALUE_MAX  ((1ull << HISTOGRAM_VALUE_BITS) - 1)

struct histogram {
    uint64_t slot[HISTOGRAM_SLOTS];
    uint64_t max; /* exact, ns */
};

/* Below 2 * STEPS every value has its own slot; above, each octave has STEPS of them. */
static inline uint32_t histogram_slot_of(uint64_t ns)
{
    if (ns > HISTOGRAM_VALUE_MAX)
        ns = HISTOGRAM_VALUE_MAX;
    int shift = 63 - __builtin_clzll(ns | HISTOGRAM_STEPS) - HISTOGRAM_STEP_BITS;
    return (uint32_t)shift * HISTOGRAM_STEPS + (uint32_t)(ns >> shift);
}

/* Relaxed atomics cost nothing here and let the reporting thread look at any time. */
static inline void histogram_record(struct histogram *h, uint64_t ns)
{
    uint64_t *slot = &h->slot[histogram_slot_of(ns)];
    __atomic_store_n(slot, *slot + 1, __ATOMIC_RELAXED);
    if (ns > h->max)
        __atomic_store_n(&h->max, ns, __ATOMIC_RELAXED);
}

/* The smallest and the largest value that share a slot. */
uint64_t histogram_slot_low(uint32_t slot);
uint64_t histogram_slot_high(uint32_t slot);

void histogram_clear(struct histogram *h);
/* to += from */
void histogram_add(struct histogram *to, const struct histogram *from);
/* out = now - before, where `before` is an earlier copy of `now`; the maximum is then that of the slot. */
void histogram_difference(struct histogram *out, const struct histogram *now, const struct histogram *before);

uint64_t histogram_count(const struct histogram *h);
uint64_t histogram_min(const struct histogram *h);
double histogram_mean(const struct histogram *h);
double histogram_deviation(const struct histogram *h);
/* The value that `percent` of the records do not exceed; 0 when there are none. */
uint64_t histogram_percentile(const struct histogram *h, double percent);
/* Writes HdrHistogram's percentile log (.hgrm), values in microseconds. */
void histogram_write_hgrm(const struct histogram *h, FILE *to);

#endif
