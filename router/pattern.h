/*
 * Regular expressions that an operator gives, on names that clients choose: as RabbitMQ's, of bytes, found
 * anywhere in the name. What they cost is bounded by counting, not by time: every agent finds the same.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

struct pattern; /* compiled */

/* What matching needs, once for each owner of patterns; made with the first match. Zeroed: none. */
struct pattern_scratch {
    void *data, *context;
};

/* NULL: it isn't a regular expression; text says why, in one sentence. */
struct pattern *pattern_compile(struct span source, char *text, size_t text_size);
void pattern_free(struct pattern *pattern);
void pattern_scratch_free(struct pattern_scratch *scratch);

enum pattern_match { PATTERN_MISSES, PATTERN_FITS, PATTERN_COSTLY };

/* COSTLY: it takes too many steps to find out; whoever asks takes it not to fit. */
enum pattern_match pattern_match(const struct pattern *pattern, struct pattern_scratch *scratch,
                                 struct span name);
