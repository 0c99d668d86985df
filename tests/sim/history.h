/*
 * What has happened in the run: the last events as text, to be printed with a failure, and a sum over all of
 * them, to be the same when the seed is run again. One run at a time, one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* command: what repeats the run. again: the same seed has just been run; every event must be as it was then.
 */
void history_start(uint64_t seed, const char *command, bool verbose, bool again);
/* Of all events. */
uint64_t history_end(void);

void history_step(uint64_t step);
/* An event. */
void history_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* An event that isn't worth a line: bytes that moved. */
void history_bytes(const void *bytes, size_t n);

/* The run is over: says what was violated, with seed and history, and ends the process. */
_Noreturn void history_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same for a process that is about to die anyway (signal handler). */
void history_print(const char *what);
