#include "router/gate.h"

#include "base/log.h"
#include "router/agent.h"

/* What is logged when an alarm is raised, and when it is cleared: behind "router N ". */
static const struct alarm_text {
    uint8_t gate;
    const char *raised, *cleared;
} texts[] = {
    {GATE_DURABLE, "has no room on disk: publishers of persistent messages wait until there is some",
     "has room on disk again: publishers of persistent messages go on"},
    {GATE_ALL, "is out of memory for messages: publishers wait until consumers or the disk catch up",
     "has memory for messages again: publishers go on"},
};

static void wake_queue(struct map_node *node, void *owner)
{
    queue_wake(owner, container_of(node, struct queue, by_name));
}

static void tell(struct router *router, uint8_t gate)
{
    uint8_t changed = gate ^ router->gate;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (!(changed & texts[i].gate))
            continue;
        bool raised = gate & texts[i].gate;
        stat_add(&router->stats.alarms_raised, raised);
        log_line(LOG_WARNING, "router", "router %u %s", router->options.index,
                 raised ? texts[i].raised : texts[i].cleared);
    }
    stat_set(&router->stats.alarm_disk, (gate & GATE_DURABLE) != 0);
    stat_set(&router->stats.alarm_memory, (gate & GATE_ALL) != 0);
}

/* Dead letters, too, wait for room on disk. */
void gate_look(struct router *router)
{
    struct store *store = &router->store;
    bool reserved = store->full && store->aside && router->reservations.first;
    uint8_t gate = (store->full ? GATE_DURABLE : 0) | (store_pressed(store) ? GATE_ALL : 0) |
                   (reserved ? GATE_RESERVED : 0);
    if (gate == router->gate)
        return;
    if ((router->gate & ~gate) & GATE_DURABLE)
        map_each(&router->catalog.queues, wake_queue, router);
    tell(router, gate);
    router->gate = gate;
    for (unsigned f = 0; f < router->options.fronts; f++)
        router_event(router, f)->gate = (struct event_gate){.kind = EVENT_GATE, .shut = gate};
}
