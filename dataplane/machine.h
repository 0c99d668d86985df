/* What the machine (or the container) offers. Main thread, at start. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Bytes of memory: the machine's, or what the control group allows if that is less. */
uint64_t machine_memory(void);
/* CPUs that this process may use, and whether core n is one of them. */
unsigned machine_cpus(void);
bool machine_may_use(unsigned core);
/* Allows as many descriptors as the system lets it; returns how many that is. */
uint64_t machine_raise_descriptors(void);
