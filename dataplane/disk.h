/* The disk bill: how large the file systems under the journals must be, so that routers whose queues are
 * emptied always come to have room again. Main thread, at start. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "config.h"

/* For each file system one line in the log. Returns false, with one sentence in error, when one is too small
 * for the configuration whatever is removed from it. The routers' directories exist. */
bool disk_check(const struct config *config, unsigned routers, char *error, size_t error_size);
