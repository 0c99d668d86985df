/* Messages that wait: which exchanges let them, and for how long. */
#include <stdio.h>

#include "plan.h"

/* Dead letters go straight to queues: the model doesn't know those that wait. */
static void keep_letters_off(struct plan *plan)
{
    for (unsigned i = 0; i < PLAN_QUEUES; i++) {
        struct shape_plan *s = &plan->queues[i].shape;
        if (!s->dead || s->target[0] != 'e')
            continue;
        s->target[0] = 0;
        s->rekeyed = true;
        snprintf(s->key, sizeof s->key, "q%u", i % plan->queue_count);
    }
}

void delays_draw(struct plan *plan, struct prng *prng)
{
    static const char *const types[] = {"direct", "fanout", "topic"};
    if (prng_below(prng, 5))
        return;
    plan->delay_ppm = prng_below(prng, 2) ? 800000 : 300000;
    plan->exchange_count =
        plan->exchange_count < 3 ? plan->exchange_count : 1 + (unsigned)prng_below(prng, 3);
    plan->wide_ppm /= 4;
    plan->deeds[DEED_QUEUE_BIND] += 60;
    plan->deeds[DEED_EXCHANGE_DECLARE] += 40;
    if (plan->deed_ppm > 60000 && prng_below(prng, 4))
        plan->deed_ppm = 60000;
    keep_letters_off(plan);
    for (unsigned i = 0; i < 2; i++) {
        struct exchange_plan *e = &plan->exchanges[i];
        e->delays = true;
        e->auto_delete = e->internal = false;
        snprintf(e->type, sizeof e->type, "%s", types[prng_below(prng, 3)]);
    }
}

void delays_write(struct prng *prng, struct buffer *headers)
{
    static const int32_t ms[] = {-3, 0, 1, 2, 5, 10, 30, 100, 300};
    add_int_field(headers, "x-delay", ms[prng_below(prng, sizeof ms / sizeof *ms)]);
}
