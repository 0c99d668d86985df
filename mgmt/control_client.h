/* Asking a broker through its control socket (dataplane/control.h has the protocol). May block for seconds.
 */
#pragma once

#include <stddef.h>

/* What one line of a request may have: the socket's own bound. */
enum { CONTROL_REQUEST_BYTES = 16384 };

/* Sends the request, a line without its end, to the socket at path. Returns what follows "ok", malloc'd: the
 * columns' names and rows; NULL with one sentence in error: nobody answers, or the broker says that. */
char *control_client_ask(const char *path, const char *request, char *error, size_t error_size);
