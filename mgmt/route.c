#include "route.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "handlers.h"

static const struct route routes[] = {
#define API(method, path, handler, help) {METHOD_##method, path, handler, help},
#include "api.def"
#undef API
};

/* A segment up to '/' or the end, decoded: %XX only, and no NUL. Returns where it ended, NULL if it is none.
 */
static const char *decode(const char *from, char **to)
{
    for (; *from && *from != '/'; from++) {
        char c = *from;
        if (c == '%') {
            char digits[3] = {from[1], from[1] ? from[2] : '\0', '\0'};
            if (!isxdigit((unsigned char)digits[0]) || !isxdigit((unsigned char)digits[1]))
                return NULL;
            c = (char)strtol(digits, NULL, 16);
            from += 2;
        }
        if (!c)
            return NULL;
        *(*to)++ = c;
    }
    *(*to)++ = '\0';
    return from;
}

bool route_fits(const char *pattern, const char *path, struct call *call, char *room)
{
    unsigned n = 0;
    for (;;) {
        if (*pattern == '{') {
            call->argument[n++] = room;
            path = decode(path, &room);
            if (!path || !*call->argument[n - 1])
                return false;
            pattern = strchr(pattern, '}') + 1;
        }
        if (*pattern != *path)
            return false;
        if (!*pattern)
            return true;
        pattern++, path++;
    }
}

const struct route *route_find(enum method method, const char *path, struct call *call, char *room,
                               unsigned *known)
{
    *known = 0;
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        if (!route_fits(routes[i].path, path, call, room))
            continue;
        *known |= 1u << routes[i].method;
        if (routes[i].method == method)
            return &routes[i];
    }
    return NULL;
}
