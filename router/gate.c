#include "router/gate.h"

#include "base/log.h"
#include "router/agent.h"

static void wake_queue(struct map_node *node, void *owner)
{
    queue_wake(owner, container_of(node, struct queue, by_name));
}

static void tell_disk(struct router *router, uint8_t gate)
{
    log_line(LOG_WARNING, "router", "router %u %s", router->options.index,
             !(gate & GATE_DURABLE) ? "has room on disk again: publishers of persistent messages go on"
             : gate & GATE_RESERVED
                 ? "has no room on disk but for queues with a reservation: other publishers of persistent "
                   "messages wait"
                 : "has no room on disk: publishers of persistent messages wait until there is some");
    stat_set(&router->stats.alarm_disk, (gate & GATE_DURABLE) != 0);
}

static void tell_memory(struct router *router, uint8_t gate)
{
    log_line(LOG_WARNING, "router", "router %u %s", router->options.index,
             gate & GATE_ALL
                 ? "is out of memory for messages: publishers wait until consumers or the disk catch up"
                 : "has memory for messages again: publishers go on");
    stat_set(&router->stats.alarm_memory, (gate & GATE_ALL) != 0);
}

static void tell(struct router *router, uint8_t gate)
{
    uint8_t changed = gate ^ router->gate, raised = gate & changed;
    stat_add(&router->stats.alarms_raised, ((raised & GATE_DURABLE) != 0) + ((raised & GATE_ALL) != 0));
    if (changed & (GATE_DURABLE | GATE_RESERVED))
        tell_disk(router, gate);
    if (changed & GATE_ALL)
        tell_memory(router, gate);
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
