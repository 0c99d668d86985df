/* Which function answers a call: the rows of api.def. */
#pragma once

#include "call.h"

typedef void handler(const struct call *call, struct reply *reply);

struct route {
    enum method method;
    const char *path;
    handler *handler;
};

/* The row of a path, as it came, without query. NULL: *known says which methods it has, a bit each; 0: there
 * is no such path. */
const struct route *route_find(enum method method, const char *path, unsigned *known);
