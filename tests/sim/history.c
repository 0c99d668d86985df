#include "history.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"

enum { LINES = 1000, LINE_BYTES = 200 };

static struct {
    uint64_t seed, step, sum;
    const char *command;
    bool verbose, again;
    char lines[LINES][LINE_BYTES];
    uint64_t count;   /* lines ever */
    uint64_t *sums;   /* after each line of the run before */
    size_t sums_room; /* of them */
    uint64_t before;  /* lines of the run before */
} history;

static void mix(const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    for (size_t i = 0; i < n; i++)
        history.sum = (history.sum ^ p[i]) * 0x100000001b3u;
    history.sum ^= history.sum >> 29;
}

void history_start(uint64_t seed, const char *command, bool verbose, bool again)
{
    history.seed = seed;
    history.command = command;
    history.verbose = verbose;
    history.again = again;
    history.before = again ? history.count : 0;
    history.step = history.count = 0;
    history.sum = 0xcbf29ce484222325u;
}

uint64_t history_end(void)
{
    if (history.again && history.count != history.before)
        history_fail("the second run of the seed ended after %llu events, the first after %llu",
                     (unsigned long long)history.count, (unsigned long long)history.before);
    return history.sum;
}

void history_step(uint64_t step)
{
    history.step = step;
}

/* The first run leaves its sums behind, the second is held against them. */
static void compare(void)
{
    uint64_t n = history.count - 1;
    if (history.again) {
        if (n >= history.before || history.sums[n] != history.sum)
            history_fail("the second run of the seed parts from the first at this event");
        return;
    }
    if (n == history.sums_room) {
        history.sums_room = history.sums_room ? 2 * history.sums_room : 4096;
        history.sums = realloc(history.sums, history.sums_room * sizeof *history.sums);
        CHECK(history.sums);
    }
    history.sums[n] = history.sum;
}

void history_note(const char *format, ...)
{
    char *line = history.lines[history.count++ % LINES];
    va_list args;
    int n = snprintf(line, LINE_BYTES, "%7llu ", (unsigned long long)history.step);
    va_start(args, format);
    vsnprintf(line + n, LINE_BYTES - (size_t)n, format, args);
    va_end(args);
    mix(line, strlen(line));
    if (history.verbose)
        fprintf(stderr, "%s\n", line);
    compare();
}

void history_bytes(const void *bytes, size_t n)
{
    mix(bytes, n);
}

void history_print(const char *what)
{
    uint64_t first = history.count > LINES ? history.count - LINES : 0;
    if (!history.verbose)
        for (uint64_t i = first; i < history.count; i++)
            fprintf(stderr, "%s\n", history.lines[i % LINES]);
    fprintf(stderr, "\nseed %llu, step %llu%s: %s\nrepeat it with: %s\n", (unsigned long long)history.seed,
            (unsigned long long)history.step, history.again ? ", second run" : "", what, history.command);
}

void history_fail(const char *format, ...)
{
    char what[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    history_print(what);
    fflush(stderr);
    _exit(1);
}
