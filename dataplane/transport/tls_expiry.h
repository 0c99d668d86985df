/* Until when certificates are good. */
#pragma once

#include <stdint.h>

/* When the first of a PEM file's certificates ends, in seconds since 1970; 0: the file can't be read, or has
 * none. Reads the file: may block. */
int64_t tls_expiry(const char *file);
