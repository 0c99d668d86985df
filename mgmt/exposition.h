/* The exposition format of Prometheus, version 0.0.4: lines of text. */
#pragma once

#include <stdint.h>
#include <stdio.h>

#include "dataplane/base/histogram.h"

#define EXPOSITION_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* # HELP and # TYPE: before the first value of that name. */
void exposition_head(FILE *out, const char *name, const char *type, const char *help);
/* A value without labels, and its head. */
void exposition_value(FILE *out, const char *name, const char *type, const char *help, uint64_t value);
/* What stands between a label's quotes. What isn't UTF-8 is shown byte by byte as '?'. */
void exposition_label(FILE *out, const char *value);
/* The values of a histogram, whose head has been written: buckets for bounds of 2^first to 2^last, and
 * beyond. label: NAME="VALUE", or "". scale: of the unit shown to that of the values, as 1e-9 for seconds of
 * ns. */
void exposition_histogram(FILE *out, const char *name, const char *label, const struct histogram *h,
                          unsigned first, unsigned last, double scale);
/* Who tells all this, and what it is: RabbitMQ's dashboards join every panel on these. endpoint: aggregated,
 * per-object or detailed. */
void exposition_identity(FILE *out, const char *node, const char *endpoint);
