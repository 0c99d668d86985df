/* The agents' counters, as stats.def describes them: for other processes, and for gannetctl status. Any
 * thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct broker;
struct shm;

/* The counter of that name over all agents. */
uint64_t status_value(const struct broker *broker, const char *name);
/* Writes an answer of the control socket: "ok", the columns' names, a row for each counter. */
void status_write(const struct broker *broker, FILE *out);
/* Another: a row for each router that is short of something, or whose journal has failed. */
void status_write_alarms(const struct broker *broker, FILE *out);

/* Makes the file in which other processes find them (base/shm.h). Returns false with one sentence in error.
 */
bool status_share(struct shm *shm, const struct broker *broker, const char *directory, uint64_t now_ms,
                  char *error, size_t error_size);
/* Writes into it what they are now. now_ms: since 1970. */
void status_tell(struct shm *shm, const struct broker *broker, uint64_t now_ms);
