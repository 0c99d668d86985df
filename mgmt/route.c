#include "route.h"

#include <string.h>

#include "handlers.h"

static const struct route routes[] = {
#define API(method, path, who, handler, what) {METHOD_##method, who, path, handler},
#include "api.def"
#undef API
};

enum { ROUTES = sizeof routes / sizeof *routes };

/* Of ours, piece by piece: the next one, and how long it is. */
static bool next_piece(const char **at, size_t *len)
{
    if (**at != '/')
        return false;
    *len = strcspn(++*at, "/");
    return true;
}

static bool fits(const char *ours, const struct path *path, const char **argument)
{
    unsigned i = 0, arguments = 0;
    for (size_t len; next_piece(&ours, &len); ours += len, i++) {
        if (i == path->count)
            return false;
        const char *name = path->segment[i];
        if (*ours == '{')
            argument[arguments++] = name;
        else if (strlen(name) != len || memcmp(name, ours, len) != 0)
            return false;
    }
    return i == path->count;
}

/* Rows of one path stand together: the first that fits says which path it is. */
const struct route *route_find(enum method method, const struct path *path, const char **argument,
                               unsigned *known)
{
    size_t i = 0;
    *known = 0;
    while (i < ROUTES && !fits(routes[i].path, path, argument))
        i++;
    for (const char *ours = i < ROUTES ? routes[i].path : NULL; i < ROUTES; i++) {
        if (strcmp(routes[i].path, ours) != 0)
            break;
        *known |= 1u << routes[i].method;
        if (routes[i].method == method)
            return &routes[i];
    }
    return NULL;
}

const char *route_argument(const struct route *route, const struct call *call, const char *name)
{
    unsigned arguments = 0;
    const char *ours = route->path;
    for (size_t len; next_piece(&ours, &len); ours += len) {
        if (*ours != '{')
            continue;
        if (len == strlen(name) + 2 && memcmp(ours + 1, name, len - 2) == 0)
            return call->argument[arguments];
        arguments++;
    }
    return NULL;
}

const struct route *route_at(size_t i)
{
    return i < ROUTES ? &routes[i] : NULL;
}
