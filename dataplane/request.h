/* The control socket's requests: words with tabs between, and what is said of them. Control thread. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "router/command.h"

/* "error", and what is wrong with which word, as one line: clients choose some of it. */
void request_error(FILE *out, const char *what, const char *word);
/* What a router says of an op that it refused: "missing" and why, if what it is about isn't there; "failed",
 * if the broker can't; else "error". */
void request_refused(FILE *out, const struct op *op);
/* Takes the next word. False: it isn't there or too long for a name, and that is said. */
bool request_name(char **rest, const char *what, struct name *name, FILE *out);
/* "missing", likewise. */
void request_missing(FILE *out, const char *what, const char *word);
/* What is said when control_ask has no answer. */
void request_too_late(FILE *out);
