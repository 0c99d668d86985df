/* The broker's log, in place of base/log.c: its lines are events of the run. */
#include "sim_log.h"

#include "base/check.h"
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

#include "history.h"

enum { HELD_MAX = 64 };

struct closing {
    uint64_t stream;
    unsigned channel;
    char tag[64]; /* of a consumer, or "" */
};

static struct {
    void (*closed)(void *owner, uint64_t stream, unsigned channel);
    void (*lapsed)(void *owner, uint64_t stream, unsigned channel, const char *tag);
    void *owner;
    bool holds;
    struct closing held[HELD_MAX];
    unsigned held_count;
} watcher;

void sim_log_watch(void (*closed)(void *owner, uint64_t stream, unsigned channel), void *owner)
{
    watcher.closed = closed;
    watcher.owner = owner;
    watcher.held_count = 0;
}

void sim_log_watch_lapses(void (*lapsed)(void *owner, uint64_t stream, unsigned channel, const char *tag))
{
    watcher.lapsed = lapsed;
}

static void tell(const struct closing *closing)
{
    if (watcher.closed && closing->tag[0])
        watcher.lapsed(watcher.owner, closing->stream, closing->channel, closing->tag);
    else if (watcher.closed)
        watcher.closed(watcher.owner, closing->stream, closing->channel);
}

void sim_log_hold(bool held)
{
    watcher.holds = held;
    for (unsigned i = 0; !held && i < watcher.held_count; i++)
        tell(&watcher.held[i]);
    watcher.held_count = held ? watcher.held_count : 0;
}

static void hear(const struct closing *closing)
{
    if (!watcher.holds) {
        tell(closing);
        return;
    }
    CHECK(watcher.held_count < HELD_MAX);
    watcher.held[watcher.held_count++] = *closing;
}

/* "127.0.0.1:STREAM: channel N: consumer 'TAG' kept ..." */
static bool is_lapse(const char *text, struct closing *closing)
{
    unsigned long long stream = 0;
    int end = 0;
    if (sscanf(text, "127.0.0.1:%llu: channel %u: consumer '%63[^']' kept%n", &stream, &closing->channel,
               closing->tag, &end) != 3)
        closing->tag[0] = 0;
    closing->stream = stream;
    return end;
}

/* "127.0.0.1:STREAM: channel N closed: ...", "127.0.0.1:STREAM: connection dropped: ..." or "closed". */
static void look(const char *text)
{
    unsigned long long stream;
    unsigned channel = 0;
    int end = 0;
    struct closing closing = {0};
    if (is_lapse(text, &closing)) {
        hear(&closing);
        return;
    }
    if (sscanf(text, "127.0.0.1:%llu: channel %u closed%n", &stream, &channel, &end) != 2 || !end) {
        channel = 0;
        if (sscanf(text, "127.0.0.1:%llu: connection %n", &stream, &end) != 1 || !end)
            return;
    }
    closing = (struct closing){.stream = stream, .channel = channel};
    hear(&closing);
}

void log_start(enum log_level most, uint64_t (*wall_ns)(void))
{
    (void)most, (void)wall_ns;
}

void log_stop(void) {}

void log_line(enum log_level level, const char *agent, const char *format, ...)
{
    char text[400];
    va_list args;
    (void)level;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    history_note("log, %s: %s", agent, text);
    look(text);
}
