/* What options mean together: defaults that depend on others, and what cannot be. */
#ifndef BENCH_OPTION_CHECKS_H
#define BENCH_OPTION_CHECKS_H

#include "options.h"

/* subscribe_qos before it is known. */
#define OPTIONS_AS_QOS 3

/* Completes what was parsed. Explains itself and exits (status 2) when it cannot be. */
void options_check(struct options *o);

#endif
