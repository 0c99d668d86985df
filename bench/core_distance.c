/*
 * core-distance A B: nanoseconds for a word to go from one core to another and back, the median of many.
 * Figures of two processes that speak through memory hang on it, and a host may move virtual cores at any
 * time: 50 to 100 with a cache in common, several times that without.
 */
#include "clock.h"

#include <err.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { SAMPLES = 101, TRIPS = 1000 };

static _Alignas(128) atomic_uint word; /* odd: it is the other core's turn */
static atomic_bool over;

static void pin(const char *core)
{
    char *end;
    cpu_set_t set;
    unsigned long number = strtoul(core, &end, 10);
    CPU_ZERO(&set);
    CPU_SET(number, &set);
    if (end == core || *end || sched_setaffinity(0, sizeof set, &set))
        errx(2, "%s is no core that we may use", core);
}

static void *answer(void *core)
{
    pin(core);
    while (!over)
        if (word & 1)
            word++;
    return NULL;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    double sample[SAMPLES];
    pthread_t other;
    if (argc != 3)
        errx(2, "usage: core-distance CORE CORE");
    if (pthread_create(&other, NULL, answer, argv[2]))
        errx(2, "no thread");
    pin(argv[1]);
    for (unsigned i = 0; i < SAMPLES; i++) {
        uint64_t begin = now_ns();
        for (unsigned n = 0; n < TRIPS; n++) {
            word++;
            while (word & 1)
                ;
        }
        sample[i] = (double)(now_ns() - begin) / TRIPS;
    }
    over = true;
    pthread_join(other, NULL);
    qsort(sample, SAMPLES, sizeof *sample, by_size);
    printf("%.0f\n", sample[SAMPLES / 2]);
}
