/* The memory bill: what each bound of limits.h and options.def can cost, times how many there are. */
#pragma once

#include <stdint.h>

#include "config.h"
#include "placement.h"

/* One line in the log for each, and a total. ring_count: rings between agents. */
void bill_print(const struct config *config, const struct placement *placement, unsigned ring_count);
