/* CPU time and memory of this process and of the broker's, as the kernel counts them in /proc. */
#ifndef BENCH_USAGE_H
#define BENCH_USAGE_H

#include <stdbool.h>
#include <stdint.h>

struct usage {
    uint64_t wall_ns;
    uint64_t client_cpu_ns;       /* this process */
    uint64_t client_busiest_ns;   /* its busiest worker thread */
    bool broker_known;            /* the fields below are valid */
    uint64_t broker_cpu_ns;       /* all threads of the broker */
    uint64_t broker_busiest_ns;   /* its busiest thread */
    uint64_t machine_ns, idle_ns; /* all CPUs of the machine: time passed, and time with nothing to run */
};

struct memory {
    uint64_t rss_kib, rss_peak_kib;
};

/* Fills all but client_busiest_ns, which only the run knows. pid 0 is "no broker". */
void usage_read(struct usage *u, uint64_t pid);
/* False when the process is gone. */
bool memory_read(struct memory *m, uint64_t pid);
/* How many CPUs the process may run on; 0 when it is gone. */
unsigned usage_cpus(uint64_t pid);

#endif
