/* The broker's log, in place of base/log.c: its lines are events of the run. */
#include "sim_log.h"

#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

#include "history.h"

static struct {
    void (*dropped)(void *owner, uint64_t stream);
    void *owner;
} watcher;

void sim_log_watch(void (*dropped)(void *owner, uint64_t stream), void *owner)
{
    watcher.dropped = dropped;
    watcher.owner = owner;
}

/* "127.0.0.1:STREAM: connection dropped" or "closed": said when it is done, which clients may see much later.
 */
static void look(const char *text)
{
    unsigned long long stream;
    int end = 0;
    if (watcher.dropped && sscanf(text, "127.0.0.1:%llu: connection %n", &stream, &end) == 1 && end)
        watcher.dropped(watcher.owner, stream);
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
