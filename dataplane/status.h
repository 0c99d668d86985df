/* What gannetctl status shows: the agents' counters, as stats.def describes them. Any thread. */
#pragma once

#include <stdio.h>

struct broker;

/* Writes an answer of the control socket: "ok", the columns' names, a row for each counter. */
void status_write(const struct broker *broker, FILE *out);
