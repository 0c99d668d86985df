/* gannetctl's verbs about a broker's beginning and end: wait, stop, drain. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <time.h>
#include <unistd.h>

#include "control_client.h"
#include "patience.h"
#include "verb.h"

enum {
    LOOK_MS = 100,     /* between two looks at the broker */
    WAIT_MS = 300000,  /* without --timeout, for its start, */
    DRAIN_MS = 60000,  /* and for the end of its connections */
    GRACE_MS = 5000,   /* clients get their confirms before they are told to go */
    DRAIN_RATE = 1000, /* connections told in a second, without --rate */
    DRAIN_RATE_MAX = 1000000,
};

static long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Until when; LONG_MAX: for ever. */
static long until_ms(const struct line *line, long without)
{
    long most = patience_take();
    if (line->flag[FLAG_TIMEOUT] && most < 0)
        return INT64_MAX;
    return now_ms() + (most < 0 ? without : most);
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* ---- the beginning ----------------------------------------------------------------------------------- */

int await_startup(const struct line *line)
{
    char error[1024], *answer;
    long until = until_ms(line, WAIT_MS);
    while (!(answer = control_client_ask(line->socket, "limits", NULL, error, sizeof error))) {
        if (now_ms() >= until)
            return complain("the broker has not started in that time: %s", error);
        pause_ms(LOOK_MS);
    }
    free(answer);
    return 0;
}

/* ---- the end ----------------------------------------------------------------------------------------- */

static int await_end(const struct line *line, int process, pid_t pid)
{
    long left = until_ms(line, WAIT_MS) - now_ms();
    struct pollfd end = {.fd = process, .events = POLLIN};
    int n = poll(&end, 1, left > INT32_MAX ? -1 : (int)left);
    if (n > 0)
        return 0;
    return complain("process %d has been told to end, and has not yet", (int)pid);
}

int stop(const struct line *line)
{
    struct table version;
    if (!ask_broker(line, "version", &version))
        return 1;
    pid_t pid = (pid_t)strtol(table_cell(&version, 1, "pid"), NULL, 10);
    table_free(&version);
    int process = pidfd_open(pid, 0);
    if (process < 0 || pidfd_send_signal(process, SIGTERM, NULL, 0) < 0)
        return complain("process %d cannot be told to end: %s", (int)pid, strerror(errno));
    int status = await_end(line, process, pid);
    close(process);
    return status;
}

/* ---- draining ---------------------------------------------------------------------------------------- */

static long connections_of(const struct table *drained)
{
    return strtol(table_cell(drained, 1, "connections"), NULL, 10);
}

/* -1: that has been said. */
static long drain_some(const struct line *line, unsigned long most, bool now)
{
    struct table drained;
    char request[64];
    snprintf(request, sizeof request, "drain\t%lu%s", most, now ? "\tnow" : "");
    if (!ask_broker(line, request, &drained))
        return -1;
    long left = connections_of(&drained);
    table_free(&drained);
    return left;
}

static unsigned long rate_of(const struct line *line)
{
    const char *text = line->flag[FLAG_RATE];
    char *end;
    unsigned long rate = text ? strtoul(text, &end, 10) : DRAIN_RATE;
    if (text && (*text < '1' || *text > '9' || *end || rate > DRAIN_RATE_MAX))
        rate = 0;
    return rate;
}

/* So many were told at every look, and so long were they given for what they were owed: others come later. */
int drain(const struct line *line)
{
    unsigned long rate = rate_of(line), most = (rate * LOOK_MS + 999) / 1000;
    if (!rate)
        return complain("--rate is a number of connections a second, from 1 to %d", DRAIN_RATE_MAX);
    long until = until_ms(line, DRAIN_MS), begun = now_ms(), before = -1, moved = begun;
    for (;;) {
        long now = now_ms(), left = drain_some(line, most, now - moved >= GRACE_MS);
        if (left < 0)
            return 1;
        if (left == 0)
            break;
        if (left != before)
            moved = now;
        before = left;
        if (now >= until)
            return complain(
                "%ld connections are still open; no new ones are taken (gannetctl undrain ends that)", left);
        pause_ms(LOOK_MS);
    }
    if (!line->flag[FLAG_QUIET] && !line->flag[FLAG_SILENT])
        puts("Drained: no connection is open, and no new ones are taken until undrain, or the next start");
    return 0;
}

/* The broker knows one word for it. */
static int ask_silently(const struct line *line, const char *request)
{
    struct table table;
    if (!ask_broker(line, request, &table))
        return 1;
    table_free(&table);
    return 0;
}

int undrain(const struct line *line)
{
    return ask_silently(line, "resume_listeners");
}

int suspend_listeners(const struct line *line)
{
    return ask_silently(line, "suspend_listeners");
}
