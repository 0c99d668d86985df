/* gannetctl's --timeout. */
#pragma once

#include <stdbool.h>

/* From now on the process ends with a sentence and status 1 when so many seconds are over. NULL, or 0: never.
 * False: this is no number of seconds. */
bool patience_begin(const char *seconds);
/* What is left, in ms, for verbs that wait by themselves and say what for: the process isn't ended any more.
 * -1: there is no end. */
long patience_take(void);
