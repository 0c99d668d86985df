/* The data directory: made if it isn't there, locked by one broker at a time. Main thread, at start; may
 * block. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Returns a descriptor that holds the lock until it is closed, or -1 with one sentence in error. */
int data_dir_open(const char *path, char *error, size_t error_size);
/* How many routers' journals lie in it: 0 in a new one. */
unsigned data_dir_routers(const char *path);
