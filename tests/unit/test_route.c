/* Paths of the HTTP API: which row answers. */
#include "mgmt/handlers.h"

#include <criterion/criterion.h>

static unsigned known;

static const struct route *find(const char *path)
{
    return route_find(METHOD_GET, path, &known);
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
    cr_assert(!route_find(METHODS, "/metrics", &known));
    cr_assert_eq(known, 1u << METHOD_GET);
}
