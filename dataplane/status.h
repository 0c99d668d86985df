/* What gannetctl status shows: the agents' counters, as stats.def describes them. Any thread. */
#pragma once

#include <stdint.h>
#include <stdio.h>

struct broker;

/* The counter of that name over all agents. */
uint64_t status_value(const struct broker *broker, const char *name);
/* Writes an answer of the control socket: "ok", the columns' names, a row for each counter. */
void status_write(const struct broker *broker, FILE *out);
