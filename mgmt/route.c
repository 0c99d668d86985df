#include "route.h"

#include <string.h>

#include "handlers.h"

static const struct route routes[] = {
#define API(method, path, handler, what) {METHOD_##method, path, handler},
#include "api.def"
#undef API
};

const struct route *route_find(enum method method, const char *path, unsigned *known)
{
    *known = 0;
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        if (strcmp(routes[i].path, path) != 0)
            continue;
        *known |= 1u << routes[i].method;
        if (routes[i].method == method)
            return &routes[i];
    }
    return NULL;
}
