#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

/* What the test writes to stderr goes to a file meanwhile. */
static FILE *captured;
static int real_stderr;

static void begin_capture(void)
{
    captured = tmpfile();
    real_stderr = dup(STDERR_FILENO);
    dup2(fileno(captured), STDERR_FILENO);
}

static void end_capture(void)
{
    dup2(real_stderr, STDERR_FILENO);
    rewind(captured);
}

static uint64_t half_past_one(void)
{
    return UINT64_C(1795267800) * 1000000000u + 123456789u;
}

Test(log, without_a_writer_lines_are_written_at_once_and_without_time)
{
    char line[200];
    begin_capture();
    log_line(LOG_WARNING, "front 0", "%d of %s", 7, "them");
    end_capture();
    cr_assert(fgets(line, sizeof line, captured));
    cr_assert_str_eq(line, "warning front 0: 7 of them\n");
}

Test(log, a_line_has_its_time_and_stays_one_line)
{
    char line[200];
    begin_capture();
    log_start(LOG_INFO, half_past_one);
    log_line(LOG_DEBUG, "router 0", "not asked for");
    log_line(LOG_ERROR, "router 0", "queue '%s'", "a\nb\x1b");
    log_stop();
    end_capture();
    cr_assert(fgets(line, sizeof line, captured));
    cr_assert_str_eq(line, "2026-11-21T13:30:00.123Z error router 0: queue 'a?b?'\n");
    cr_assert_null(fgets(line, sizeof line, captured));
}

/* Told what stderr is, or what it no longer is. */
static void log_for_the_journal(unsigned long long inode_off, const char *expected)
{
    char line[200], told[64];
    struct stat file;
    begin_capture();
    fstat(STDERR_FILENO, &file);
    snprintf(told, sizeof told, "%llu:%llu", (unsigned long long)file.st_dev,
             (unsigned long long)file.st_ino + inode_off);
    setenv("JOURNAL_STREAM", told, 1);
    log_start(LOG_DEBUG, half_past_one);
    log_line(LOG_WARNING, "front 0", "slow");
    log_stop();
    end_capture();
    cr_assert(fgets(line, sizeof line, captured));
    cr_assert_str_eq(line, expected);
}

Test(log, the_journal_gets_a_priority_and_no_time)
{
    log_for_the_journal(0, "<4>warning front 0: slow\n");
}

Test(log, where_stderr_leads_elsewhere_meanwhile_it_is_not_the_journal)
{
    log_for_the_journal(1, "2026-11-21T13:30:00.123Z warning front 0: slow\n");
}

Test(log, long_texts_are_cut)
{
    static char text[5000], line[8000];
    memset(text, 'x', sizeof text - 1);
    begin_capture();
    log_line(LOG_INFO, "an agent with a name that is longer than anyone would ever give one", "%s", text);
    end_capture();
    cr_assert(fgets(line, sizeof line, captured));
    cr_assert_gt(strlen(line), 400);
    cr_assert_lt(strlen(line), 600);
}

#define THREADS 4
#define LINES   5000

static void *talk(void *name)
{
    for (int i = 0; i < LINES; i++)
        log_line(LOG_INFO, name, "line %d", i);
    return NULL;
}

/* Each line is there once, whole and in its thread's order, or is among those counted as lost. */
Test(log, lines_of_many_threads_are_written_or_counted)
{
    static char names[THREADS][16];
    pthread_t threads[THREADS];
    begin_capture();
    log_start(LOG_DEBUG, half_past_one);
    for (int t = 0; t < THREADS; t++) {
        snprintf(names[t], sizeof names[t], "t%d", t);
        pthread_create(&threads[t], NULL, talk, names[t]);
    }
    for (int t = 0; t < THREADS; t++)
        pthread_join(threads[t], NULL);
    log_stop();
    end_capture();
    unsigned long written = 0, lost = 0, more;
    int last[THREADS], t, n;
    char line[200];
    memset(last, -1, sizeof last);
    while (fgets(line, sizeof line, captured)) {
        if (sscanf(line, "%*s warning log: %lu lines lost", &more) == 1) {
            lost += more;
            continue;
        }
        cr_assert_eq(sscanf(line, "2026-11-21T13:30:00.123Z info t%d: line %d\n", &t, &n), 2, "%s", line);
        cr_assert_gt(n, last[t]);
        last[t] = n;
        written++;
    }
    cr_assert_eq(written + lost, THREADS * LINES);
}
