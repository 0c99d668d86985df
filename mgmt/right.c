#include "right.h"

#include <string.h>

#include "ask.h"

static bool vhosts_used_read(struct vhosts_seen *seen, const struct call *call, struct reply *reply)
{
    *seen = (struct vhosts_seen){0};
    return ask(call, reply, &seen->permissions, "list_user_permissions", call->caller.name, NULL);
}

bool vhosts_seen_read(struct vhosts_seen *seen, const struct call *call, struct reply *reply)
{
    if (!(call->caller.rights & MAY_MONITOR))
        return vhosts_used_read(seen, call, reply);
    *seen = (struct vhosts_seen){.all = true};
    return true;
}

bool vhosts_seen_has(const struct vhosts_seen *seen, const char *vhost)
{
    for (size_t row = 1; row < seen->permissions.rows; row++)
        if (strcmp(table_cell(&seen->permissions, row, "vhost"), vhost) == 0)
            return true;
    return seen->all;
}

void vhosts_seen_free(struct vhosts_seen *seen)
{
    table_free(&seen->permissions);
}

static bool is_there(const struct call *call, const char *vhost, struct reply *reply)
{
    struct table vhosts;
    bool there = false;
    if (!ask(call, reply, &vhosts, "list_vhosts", NULL))
        return false;
    for (size_t row = 1; row < vhosts.rows && !there; row++)
        there = strcmp(table_cell(&vhosts, row, "name"), vhost) == 0;
    table_free(&vhosts);
    if (!there)
        reply_error(reply, 404, "virtual host '%s' does not exist", vhost);
    return there;
}

/* Who may only look at all looks at all; what he changes is in virtual hosts that he may use. */
static bool sees(const struct call *call, const char *vhost, struct reply *reply)
{
    struct vhosts_seen seen;
    if (call->caller.rights & MAY_ADMINISTER)
        return true;
    bool read = call->method == METHOD_GET ? vhosts_seen_read(&seen, call, reply)
                                           : vhosts_used_read(&seen, call, reply);
    if (!read)
        return false;
    bool ok = vhosts_seen_has(&seen, vhost);
    vhosts_seen_free(&seen);
    if (!ok)
        reply_forbidden(reply, "User not authorised to access virtual host");
    return ok;
}

bool right_check(const struct route *route, const struct call *call, struct reply *reply)
{
    const char *vhost = route_argument(route, call, "vhost");
    if (!(call->caller.rights & route->who)) {
        reply_forbidden(reply, route->who == MAY_ADMINISTER ? "Not administrator user"
                               : route->who == MAY_MONITOR  ? "Not monitor user"
                                                            : "User not authorised to access object");
        return false;
    }
    /* What is made or deleted is named in the path, too: its handler says whether it is there. */
    return !vhost || route->who == MAY_ADMINISTER ||
           (is_there(call, vhost, reply) && sees(call, vhost, reply));
}
