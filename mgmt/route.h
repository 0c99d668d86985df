/* Which function answers a call: the rows of api.def. */
#pragma once

#include "call.h"

typedef void handler(const struct call *call, struct reply *reply);

struct route {
    enum method method;
    const char *path; /* "/api/queues/{vhost}/{name}" */
    handler *handler;
    const char *help;
};

/* Whether a path as it came (percent-encoded, without query) is one of the pattern: puts into call->argument
 * what stands in the braces, decoded into room, which is as long as the path, and one more. Nothing in braces
 * is empty, or holds a NUL. */
bool route_fits(const char *pattern, const char *path, struct call *call, char *room);
/* The first row that the path fits. NULL: *known says which methods it has, a bit each; 0: there is none. */
const struct route *route_find(enum method method, const char *path, struct call *call, char *room,
                               unsigned *known);
