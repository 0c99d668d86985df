#include "router/pattern.h"

#include <stdio.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/check.h"

/* Of one pattern against one name: steps, and KiB of memory. What needs more doesn't fit. Names are short: an
 * honest pattern needs a few hundred steps. */
enum { STEPS_MAX = 10000, MATCH_KIB_MAX = 1024 };

static const uint8_t *bytes_of(struct span s)
{
    return s.at ? s.at : (const uint8_t *)"";
}

struct pattern *pattern_compile(struct span source, char *text, size_t text_size)
{
    int error;
    PCRE2_SIZE at;
    uint32_t options = PCRE2_NEVER_UTF | PCRE2_NEVER_UCP | PCRE2_NEVER_BACKSLASH_C;
    pcre2_code *code = pcre2_compile(bytes_of(source), source.len, options, &error, &at, NULL);
    if (code)
        return (struct pattern *)code;
    PCRE2_UCHAR why[128] = "";
    pcre2_get_error_message(error, why, sizeof why);
    snprintf(text, text_size, "the pattern '%.*s' is not a regular expression: %s, at offset %zu",
             (int)source.len, (const char *)source.at, (const char *)why, (size_t)at);
    return NULL;
}

void pattern_free(struct pattern *pattern)
{
    pcre2_code_free((pcre2_code *)pattern);
}

void pattern_scratch_free(struct pattern_scratch *scratch)
{
    pcre2_match_data_free(scratch->data);
    pcre2_match_context_free(scratch->context);
    *scratch = (struct pattern_scratch){0};
}

static void make(struct pattern_scratch *scratch)
{
    scratch->data = pcre2_match_data_create(1, NULL);
    scratch->context = pcre2_match_context_create(NULL);
    CHECK(scratch->data && scratch->context);
    pcre2_set_match_limit(scratch->context, STEPS_MAX);
    pcre2_set_heap_limit(scratch->context, MATCH_KIB_MAX);
}

enum pattern_match pattern_match(const struct pattern *pattern, struct pattern_scratch *scratch,
                                 struct span name)
{
    if (!scratch->data)
        make(scratch);
    int found = pcre2_match((const pcre2_code *)pattern, bytes_of(name), name.len, 0, 0, scratch->data,
                            scratch->context);
    return found >= 0 ? PATTERN_FITS : found == PCRE2_ERROR_NOMATCH ? PATTERN_MISSES : PATTERN_COSTLY;
}
