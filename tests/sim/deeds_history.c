/* Exchanges that remember: which do, and how queues come and go that are bound to them. */
#include <stdio.h>

#include "plan.h"

/* Most bindings are made when something has been published. */
void histories_draw(struct plan *plan, struct prng *prng)
{
    if (prng_below(prng, 6))
        return;
    plan->exchange_count =
        plan->exchange_count < 3 ? plan->exchange_count : 1 + (unsigned)prng_below(prng, 3);
    plan->deeds[DEED_QUEUE_BIND] += 150;
    plan->deeds[DEED_QUEUE_UNBIND] += 30;
    if (prng_below(prng, 4)) { /* a full disk keeps what is remembered waiting for long */
        plan->troubles[TROUBLE_FULL_DISK] = 0;
        plan->troubles[TROUBLE_KILL] /= 4;
        plan->troubles[TROUBLE_POWER_CUT] /= 4;
    }
    plan->deeds[DEED_EXCHANGE_DELETE] /= 4;
    plan->deeds[DEED_EXCHANGE_BIND] /= 4;
    plan->wide_ppm /= 4;
    if (prng_below(prng, 3)) { /* queues are bound, and nobody takes from them for a while */
        plan->deeds[DEED_CONSUME] /= 8;
        plan->deeds[DEED_GET] /= 8;
        plan->deeds[DEED_QUEUE_DELETE] += 20;
        plan->deeds[DEED_QUEUE_DECLARE] += 40;
        for (unsigned i = 0; i < PLAN_QUEUES; i++)
            plan->queues[i].shape = shape_none();
    }
    plan->no_store_ppm = prng_below(prng, 2) ? 200000 : 0;
    if (plan->deed_ppm > 60000 && prng_below(prng, 4))
        plan->deed_ppm = 60000;
    for (unsigned i = 0; i < 2; i++) {
        struct exchange_plan *e = &plan->exchanges[i];
        if (e->delays)
            continue;
        snprintf(e->type, sizeof e->type, "x-recent-history");
        e->remembers = 1 + (int32_t)prng_below(prng, 6);
        e->auto_delete = e->internal = false;
        if (prng_below(prng, 3) == 0) /* of which it has no use */
            snprintf(e->alternate, sizeof e->alternate, "amq.fanout");
    }
}
