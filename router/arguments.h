/* What the arguments of a declaration say, and whether a second declaration says the same. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "router/errors.h"
#include "router/table.h"

/* Looks at one argument that both declarations may have and that must be equal: every one whose name begins
 * with "x-", and alternate-exchange. Returns false and fills in text ("inequivalent arg 'x-y' for queue 'q'
 * in vhost '/': received ... but current is ...") where they differ. what: "queue 'q' in vhost '/'". */
bool arguments_equivalent(struct span received, struct span current, const char *what, char *text,
                          size_t text_size);
/* The same for a flag. */
bool flag_equivalent(const char *name, bool received, bool current, const char *what, char *text,
                     size_t text_size);
