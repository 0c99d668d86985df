/* HTTP/1.1 by libmicrohttpd: from bytes to calls, from replies to bytes. */
#pragma once

#include "call.h"

struct http;

enum http_door {
    HTTP_OWN,     /* mgmtd.sock: all of api.def; who opens it is an administrator */
    HTTP_API,     /* TCP: the same, for users of the broker who log in with each call */
    HTTP_METRICS, /* TCP: /metrics and what is below it, for anybody */
    HTTP_DOORS
};

/* Serves what connects to a listening socket, which is taken over, on threads of its own. tls: over TLS, with
 * what certificate.h has. Returns NULL with one sentence in error. mgmtd must outlive it. */
struct http *http_new(const struct mgmtd *mgmtd, enum http_door door, int listener, bool tls, char *error,
                      size_t error_size);
/* Waits for the calls under way. NULL: does nothing. */
void http_free(struct http *http);
