/* HTTP/1.1 by libmicrohttpd: from bytes to calls, from replies to bytes. */
#pragma once

#include "call.h"

struct http;

enum http_door {
    HTTP_API,     /* all of api.def; who reaches it is an administrator */
    HTTP_METRICS, /* /metrics, for anybody who reaches it */
};

/* Serves what connects to a listening socket, which is taken over, on threads of its own. Returns NULL with
 * one sentence in error. mgmtd must outlive it. */
struct http *http_new(const struct mgmtd *mgmtd, enum http_door door, int listener, char *error,
                      size_t error_size);
/* Waits for the calls under way. */
void http_free(struct http *http);
