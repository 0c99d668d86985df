/* The end of a run, for people (a table) and for programs (--json), and the percentile log. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "result.h"
#include "verdict.h"

#define REPORT_PERCENTILES 8
extern const double report_percents[REPORT_PERCENTILES];

/* Messages by which CPU time is divided: those sent or those received, whichever are more. */
uint64_t report_messages(const struct result *r);
/* Nanoseconds of CPU a message cost. */
double report_client_ns(const struct result *r);
double report_broker_ns(const struct result *r);

/* Writes all that the options ask for. 0, or -1 when a file could not be written. */
int report_write(const struct result *r);
void report_json(const struct result *r, const struct verdict *v, FILE *to);

#endif
