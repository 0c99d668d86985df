/* Paths of the HTTP API: which row answers, and what stood in the braces. */
#include <criterion/criterion.h>
#include <string.h>

#include "mgmt/handlers.h"

static struct call call;
static char room[256];
static unsigned known;

static const struct route *find(const char *path)
{
    memset(&call, 0, sizeof call);
    return route_find(METHOD_GET, path, &call, room, &known);
}

void answer_alarms(const struct call *c, struct reply *reply)
{
    (void)c, (void)reply;
}

void answer_in_service(const struct call *c, struct reply *reply)
{
    (void)c, (void)reply;
}

void answer_metrics(const struct call *c, struct reply *reply)
{
    (void)c, (void)reply;
}

Test(route, a_path_is_a_row)
{
    const struct route *route = find("/metrics");
    cr_assert(route && route->handler == answer_metrics && known == 1u << METHOD_GET);
    route = find("/api/health/checks/alarms");
    cr_assert(route && route->handler == answer_alarms);
    cr_assert(!find("/metric") && !known && !find("/metrics/") && !find("") && !find("/api//health"));
}

Test(route, another_method_is_known_to_be_one)
{
    cr_assert(!route_find(METHODS, "/metrics", &call, room, &known));
    cr_assert_eq(known, 1u << METHOD_GET);
}

static bool fits(const char *pattern, const char *path)
{
    memset(&call, 0, sizeof call);
    return route_fits(pattern, path, &call, room);
}

Test(route, what_stands_in_braces_is_decoded)
{
    cr_assert(fits("/api/queues/{vhost}/{name}", "/api/queues/%2F/a%20b%c3%a9"));
    cr_assert_str_eq(call.argument[0], "/");
    cr_assert_str_eq(call.argument[1], "a b\xc3\xa9");
    cr_assert(fits("/api/queues/{vhost}/{name}/get", "/api/queues/v/%67et/get"));
    cr_assert_str_eq(call.argument[1], "get");
    cr_assert(!fits("/api/queues/{vhost}/{name}", "/api/queues/v/a/get"));
    cr_assert(!fits("/api/queues/{vhost}/{name}", "/api/queues/v/"));
    cr_assert(!fits("/api/queues/{vhost}/{name}", "/api/queues//q"));
}

Test(route, a_wrong_encoding_fits_nothing)
{
    static const char *const wrong[] = {"/%", "/%2", "/%2g", "/%g2", "/a%", "/%00", "/a%2"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_assert(!fits("/{name}", wrong[i]), "%s", wrong[i]);
}
