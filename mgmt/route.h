/* Which function answers a call, and who may make it: the rows of api.def. */
#pragma once

#include "call.h"

typedef void handler(const struct call *call, struct reply *reply);

struct route {
    enum method method;
    unsigned who;     /* enum right: one of them is enough */
    const char *path; /* {this} stands for any name */
    handler *handler;
};

/* The row of a path; what stands in it for {names} goes to argument, in their order. NULL: *known says which
 * methods the path has, a bit each; 0: there is no such path. */
const struct route *route_find(enum method method, const struct path *path, const char **argument,
                               unsigned *known);
/* What stands for {name}, NULL: nothing does. */
const char *route_argument(const struct route *route, const struct call *call, const char *name);
/* For tests: the i-th row, NULL behind the last. */
const struct route *route_at(size_t i);
