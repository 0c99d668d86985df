#include "histogram.h"

#include <math.h>
#include <string.h>

static uint64_t slot_count(const struct histogram *h, uint32_t slot)
{
    return __atomic_load_n(&h->slot[slot], __ATOMIC_RELAXED);
}

uint64_t histogram_slot_low(uint32_t slot)
{
    if (slot < 2 * HISTOGRAM_STEPS)
        return slot;
    uint32_t shift = slot / HISTOGRAM_STEPS - 1;
    return (uint64_t)(slot - shift * HISTOGRAM_STEPS) << shift;
}

uint64_t histogram_slot_high(uint32_t slot)
{
    return slot + 1 < HISTOGRAM_SLOTS ? histogram_slot_low(slot + 1) - 1 : HISTOGRAM_VALUE_MAX;
}

void histogram_clear(struct histogram *h)
{
    memset(h, 0, sizeof *h);
}

void histogram_add(struct histogram *to, const struct histogram *from)
{
    for (uint32_t i = 0; i < HISTOGRAM_SLOTS; i++)
        to->slot[i] += slot_count(from, i);
    uint64_t max = __atomic_load_n(&from->max, __ATOMIC_RELAXED);
    if (max > to->max)
        to->max = max;
}

void histogram_difference(struct histogram *out, const struct histogram *now, const struct histogram *before)
{
    out->max = 0;
    for (uint32_t i = 0; i < HISTOGRAM_SLOTS; i++) {
        out->slot[i] = now->slot[i] - before->slot[i];
        if (out->slot[i])
            out->max = histogram_slot_high(i);
    }
    if (out->max > now->max)
        out->max = now->max;
}

uint64_t histogram_count(const struct histogram *h)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < HISTOGRAM_SLOTS; i++)
        n += slot_count(h, i);
    return n;
}

uint64_t histogram_min(const struct histogram *h)
{
    for (uint32_t i = 0; i < HISTOGRAM_SLOTS; i++)
        if (slot_count(h, i))
            return histogram_slot_low(i);
    return 0;
}

static double slot_middle(uint32_t slot)
{
    return ((double)histogram_slot_low(slot) + (double)histogram_slot_high(slot)) / 2;
}

double histogram_mean(const struct histogram *h)
{
    double sum = 0;
    uint64_t n = histogram_count(h);
    for (uint32_t i = 0; i < HISTOGRAM_SLOTS; i++)
        sum += (double)slot_count(h, i) * slot_middle(i);
    return n ? sum / (double)n : 0;
}

double histogram_deviation(const struct histogram *h)
{
    double sum = 0, mean = histogram_mean(h);
    uint64_t n = histogram_count(h);
    for (uint32_t i = 0; i < HISTOGRAM_SLOTS; i++)
        sum += (double)slot_count(h, i) * (slot_middle(i) - mean) * (slot_middle(i) - mean);
    return n ? sqrt(sum / (double)n) : 0;
}

/* How many records must not exceed the value asked for: at least one, so that 0 % is the minimum. */
static uint64_t rank_of(double percent, uint64_t count)
{
    double rank = ceil(percent / 100 * (double)count);
    if (rank < 1)
        return 1;
    return rank > (double)count ? count : (uint64_t)rank;
}

static uint64_t value_at_rank(const struct histogram *h, uint64_t rank, uint64_t *covered)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < HISTOGRAM_SLOTS; i++) {
        n += slot_count(h, i);
        if (n >= rank) {
            *covered = n;
            return histogram_slot_high(i) < h->max ? histogram_slot_high(i) : h->max;
        }
    }
    return 0;
}

uint64_t histogram_percentile(const struct histogram *h, double percent)
{
    uint64_t count = histogram_count(h), covered;
    return count ? value_at_rank(h, rank_of(percent, count), &covered) : 0;
}

/* Five lines for every halving of what is left to 100 %, as HdrHistogram's outputPercentileDistribution does.
 */
static double next_percent(double percent)
{
    double halvings = floor(log2(100 / (100 - percent))) + 1;
    return percent + 100 / (5 * pow(2, halvings));
}

void histogram_write_hgrm(const struct histogram *h, FILE *to)
{
    uint64_t count = histogram_count(h), covered = 0;
    fprintf(to, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    for (double percent = 0; count && covered < count; percent = next_percent(percent)) {
        uint64_t value = value_at_rank(h, rank_of(percent, count), &covered);
        if (covered < count)
            fprintf(to, "%12.3f %2.12f %10llu %14.2f\n", (double)value / 1000, percent / 100,
                    (unsigned long long)covered, 100 / (100 - percent));
    }
    fprintf(to, "%12.3f %2.12f %10llu %14s\n", (double)h->max / 1000, 1.0, (unsigned long long)count, "inf");
    fprintf(to, "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n", histogram_mean(h) / 1000,
            histogram_deviation(h) / 1000);
    fprintf(to, "#[Max     = %12.3f, Total count    = %12llu]\n", (double)h->max / 1000,
            (unsigned long long)count);
    fprintf(to, "#[Buckets = %12u, SubBuckets     = %12u]\n", HISTOGRAM_VALUE_BITS - HISTOGRAM_STEP_BITS + 1,
            HISTOGRAM_STEPS);
}
