#include "lone_router.h"

#include "base/check.h"

void lone_router_begin(struct lone_router *lone, struct router_options options)
{
    const char *vhosts[] = {"/"};
    char error[100];
    lone->access = access_new(vhosts, 1, "u", "p", true, error, sizeof error);
    CHECK(lone->access);
    lone->from_front = ring_new();
    lone->to_front = ring_new();
    lone->to_journal = ring_new();
    lone->from_journal = ring_new();
    options.routers = options.fronts = 1;
    options.access = lone->access;
    options.from_front[0] = lone->from_front;
    options.to_front[0] = lone->to_front;
    options.to_journal = lone->to_journal;
    options.from_journal = lone->from_journal;
    lone->router = router_new(&options);
}

void lone_router_end(struct lone_router *lone)
{
    router_free(lone->router);
    ring_free(lone->from_front);
    ring_free(lone->to_front);
    ring_free(lone->to_journal);
    ring_free(lone->from_journal);
    access_free(lone->access);
}
