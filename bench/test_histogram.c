/* The histogram decides what every latency figure of the project says, so its arithmetic is checked against a
 * sorted array. */
#include "histogram.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLES 200000

static struct histogram h, other, difference;

static void clear_all(void)
{
    histogram_clear(&h);
    histogram_clear(&other);
    histogram_clear(&difference);
}

TestSuite(histogram, .init = clear_all);

Test(histogram, every_slot_begins_where_the_one_before_ends)
{
    for (uint32_t slot = 0; slot < HISTOGRAM_SLOTS; slot++) {
        cr_assert_eq(histogram_slot_of(histogram_slot_low(slot)), slot);
        cr_assert_eq(histogram_slot_of(histogram_slot_high(slot)), slot);
        if (slot)
            cr_assert_eq(histogram_slot_low(slot), histogram_slot_high(slot - 1) + 1);
    }
    cr_assert_eq(histogram_slot_low(0), 0);
    cr_assert_eq(histogram_slot_high(HISTOGRAM_SLOTS - 1), HISTOGRAM_VALUE_MAX);
}

Test(histogram, a_slot_is_never_wider_than_a_thousandth_of_its_values)
{
    for (uint32_t slot = 0; slot < HISTOGRAM_SLOTS; slot++) {
        uint64_t width = histogram_slot_high(slot) - histogram_slot_low(slot);
        cr_assert_leq(width * HISTOGRAM_STEPS, histogram_slot_low(slot), "slot %u", slot);
    }
}

Test(histogram, what_is_too_long_is_kept_in_the_last_slot_and_exactly_as_maximum)
{
    histogram_record(&h, UINT64_MAX);
    cr_assert_eq(h.slot[HISTOGRAM_SLOTS - 1], 1);
    cr_assert_eq(h.max, UINT64_MAX);
}

Test(histogram, an_empty_one_answers_zero)
{
    cr_assert_eq(histogram_count(&h), 0);
    cr_assert_eq(histogram_percentile(&h, 50), 0);
    cr_assert_eq(histogram_min(&h), 0);
    cr_assert_eq(histogram_mean(&h), 0);
}

Test(histogram, one_record_is_every_percentile)
{
    histogram_record(&h, 12345678);
    cr_assert_eq(histogram_percentile(&h, 0), 12345678);
    cr_assert_eq(histogram_percentile(&h, 50), 12345678);
    cr_assert_eq(histogram_percentile(&h, 100), 12345678);
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Log-uniform from 1 ns to 10 s, from a fixed seed. */
static uint64_t sample(uint64_t *state)
{
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint64_t)pow(10, (double)(*state >> 40) / (double)(1 << 24) * 10);
}

Test(histogram, percentiles_agree_with_a_sorted_array)
{
    static const double percents[] = {0, 1, 50, 75, 90, 99, 99.9, 99.99, 100};
    static uint64_t all[SAMPLES];
    uint64_t state = 1;
    double sum = 0;
    for (int i = 0; i < SAMPLES; i++) {
        all[i] = sample(&state);
        sum += (double)all[i];
        histogram_record(&h, all[i]);
    }
    qsort(all, SAMPLES, sizeof *all, by_value);
    for (size_t i = 0; i < sizeof percents / sizeof *percents; i++) {
        double rank = ceil(percents[i] / 100 * SAMPLES);
        double exact = (double)all[rank < 1 ? 0 : (size_t)rank - 1];
        double got = (double)histogram_percentile(&h, percents[i]);
        cr_assert_leq(fabs(got - exact), exact / HISTOGRAM_STEPS, "p%g: %g for %g", percents[i], got, exact);
    }
    cr_assert_leq(fabs(histogram_mean(&h) - sum / SAMPLES), sum / SAMPLES / HISTOGRAM_STEPS);
    cr_assert_eq(histogram_count(&h), SAMPLES);
    cr_assert_eq(h.max, all[SAMPLES - 1]);
}

Test(histogram, sums_and_differences_undo_each_other)
{
    uint64_t state = 7;
    for (int i = 0; i < 1000; i++)
        histogram_record(&h, sample(&state));
    histogram_add(&other, &h);
    histogram_record(&other, 777);
    histogram_difference(&difference, &other, &h);
    cr_assert_eq(histogram_count(&difference), 1);
    cr_assert_eq(histogram_percentile(&difference, 50), 777);
    histogram_difference(&difference, &other, &other);
    cr_assert_eq(histogram_count(&difference), 0);
}

Test(histogram, the_percentile_log_counts_up_to_the_last_record)
{
    char *text = NULL, *line, *save = NULL;
    size_t size;
    unsigned long long before = 0;
    uint64_t state = 3;
    for (int i = 0; i < 1000; i++)
        histogram_record(&h, sample(&state));
    FILE *f = open_memstream(&text, &size);
    histogram_write_hgrm(&h, f);
    fclose(f);
    cr_assert_not_null(strstr(text, "Percentile"));
    cr_assert_not_null(strstr(text, "#[Max     ="));
    for (line = strtok_r(text, "\n", &save); line && *line != '#'; line = strtok_r(NULL, "\n", &save)) {
        double value, percentile;
        unsigned long long total;
        if (sscanf(line, "%lf %lf %llu", &value, &percentile, &total) != 3)
            continue;
        cr_assert_geq(total, before);
        before = total;
    }
    cr_assert_eq(before, 1000);
    free(text);
}
