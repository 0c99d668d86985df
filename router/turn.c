#include "router/turn.h"

#include "router/agent.h"

static void tell_deliveries(struct router *router, const struct turn *turn)
{
    struct router_stats *stats = &router->stats;
    const uint64_t *delivered = turn->delivered;
    stat_add(&stats->delivered_manual, (int64_t)delivered[DELIVERY_MANUAL]);
    stat_add(&stats->delivered_auto, (int64_t)delivered[DELIVERY_AUTO]);
    stat_add(&stats->got_manual, (int64_t)delivered[DELIVERY_GOT_MANUAL]);
    stat_add(&stats->got_auto, (int64_t)delivered[DELIVERY_GOT_AUTO]);
    stat_add(&stats->redelivered, (int64_t)turn->redelivered);
    for (unsigned i = 0; i < DELIVERY_KINDS; i++)
        stat_add(&stats->delivered, (int64_t)delivered[i]);
    for (unsigned f = 0; f < router->options.fronts; f++)
        if (turn->to[f])
            link_stamp(&router->front[f], router->now_ns, turn->to[f]);
}

void turn_end(struct router *router)
{
    struct turn *turn = &router->turn;
    struct router_stats *stats = &router->stats;
    uint64_t delivered = 0;
    for (unsigned i = 0; i < DELIVERY_KINDS; i++)
        delivered += turn->delivered[i];
    if (!(turn->published | turn->queued | turn->removed | turn->acknowledged | (uint64_t)turn->out |
          delivered))
        return;
    stat_add(&stats->published, (int64_t)turn->published);
    stat_add(&stats->routed, (int64_t)turn->queued);
    stat_add(&stats->dropped, (int64_t)turn->dropped);
    stat_add(&stats->messages, (int64_t)(turn->queued - turn->removed));
    stat_add(&stats->acknowledged, (int64_t)turn->acknowledged);
    stat_add(&stats->unacked, (int64_t)(delivered - turn->removed) + turn->out);
    if (delivered)
        tell_deliveries(router, turn);
    *turn = (struct turn){0};
}

void router_turned(struct router *router, uint64_t now_ns)
{
    struct ring_stamp stamp;
    for (unsigned f = 0; f < router->options.fronts; f++)
        if (ring_stamped(router->options.from_front[f], &stamp))
            histogram_add(&router->stats.route, elapsed_ns(stamp.ns, now_ns), stamp.count);
}
