/*
 * The log: one line per event on stderr, "2026-11-22T13:00:00.123Z level agent: text". Never blocks the
 * message path: lines go into a bounded buffer that a thread of its own writes out; when it is full, lines
 * are counted and the count is reported. Any thread.
 *
 * Where stderr is systemd's journal (JOURNAL_STREAM) a line begins with its priority, "<4>", instead of the
 * time: both are kept beside it there.
 *
 * A process that never calls log_start (simulator, unit tests) has no such thread: lines are written at once,
 * and carry no time, so that two runs of one seed say the same.
 */
#pragma once

#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

/* Starts the writer. most: lines above this level are dropped. wall_ns: nanoseconds since 1970, callable on
 * any thread. The rest of the buffer is written when the process exits. */
void log_start(enum log_level most, uint64_t (*wall_ns)(void));
/* Lines above this level are dropped from now on. Any thread. */
void log_set_level(enum log_level most);
/* Writes what is left and ends the writer. From then on lines are written at once. */
void log_stop(void);

/* agent: a literal such as "front 0". Control characters in the text become '?': peers choose some of it, and
 * a line stays one line. */
void log_line(enum log_level level, const char *agent, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
