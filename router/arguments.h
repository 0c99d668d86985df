/* What the arguments of a declaration say, and whether a second declaration says the same. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "router/errors.h"
#include "router/table.h"

/* Whether an argument is the same in both declarations; NULL: it isn't there. Else false, with text filled in
 * as below. */
bool argument_equivalent(struct span name, const struct field *received, const struct field *current,
                         const char *what, char *text, size_t text_size);
/* Looks at every argument of an exchange that must be equal: those whose names begin
 * with "x-", and alternate-exchange. Returns false and fills in text ("inequivalent arg 'x-y' for queue 'q'
 * in vhost '/': received ... but current is ...") where they differ. what: "queue 'q' in vhost '/'". */
bool arguments_equivalent(struct span received, struct span current, const char *what, char *text,
                          size_t text_size);
/* The same for a flag. */
bool flag_equivalent(const char *name, bool received, bool current, const char *what, char *text,
                     size_t text_size);
