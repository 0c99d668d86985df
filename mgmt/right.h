/* Who may make which call, as RabbitMQ has it: by his tags, and in which virtual host. */
#pragma once

#include "route.h"
#include "table.h"

/* False: the reply says with 401 why the caller may not, or with 404 that there is no such virtual host. A
 * path with {vhost} is for those who may use that one, and those who may monitor. */
bool right_check(const struct route *route, const struct call *call, struct reply *reply);

/* The virtual hosts whose things a list may show to the caller. */
struct vhosts_seen {
    bool all;
    struct table permissions; /* of the caller, if not */
};

bool vhosts_seen_read(struct vhosts_seen *seen, const struct call *call, struct reply *reply);
bool vhosts_seen_has(const struct vhosts_seen *seen, const char *vhost);
void vhosts_seen_free(struct vhosts_seen *seen);
