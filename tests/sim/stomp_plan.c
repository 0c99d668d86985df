#include "stomp_plan.h"

#include "plan.h"

static const uint32_t usual[STOMP_DEED_KINDS] = {
    [STOMP_REST] = 30,       [STOMP_SEND] = 120, [STOMP_BURST] = 20, [STOMP_SUBSCRIBE] = 30,
    [STOMP_UNSUBSCRIBE] = 6, [STOMP_ACK] = 120,  [STOMP_NACK] = 20,  [STOMP_BEGIN] = 15,
    [STOMP_COMMIT] = 12,     [STOMP_ABORT] = 6,  [STOMP_WRONG] = 2,  [STOMP_DISCONNECT] = 5,
    [STOMP_RESET] = 3,       [STOMP_VANISH] = 2, [STOMP_DEAF] = 3,   [STOMP_HEAR] = 6,
};

/* Where MQTT is spoken there are no hosts left. */
void stomp_plan_draw(struct stomp_plan *stomp, struct plan *plan, struct prng *prng)
{
    *stomp = (struct stomp_plan){0};
    if (plan->mqtt.clients || prng_below(prng, 4))
        return;
    stomp->clients = 1 + (unsigned)prng_below(prng, STOMP_PLAN_CLIENTS);
    unsigned others = (unsigned)prng_below(prng, STOMP_PLAN_AMQP + 1);
    plan->clients = plan->clients < others ? plan->clients : others;
    plan->policy_ppm = 0; /* STOMP's queues would get them too */
    for (unsigned i = 0; i < STOMP_DEED_KINDS; i++)
        stomp->deeds[i] = plan_party_scale(prng, usual[i]);
    stomp->deeds[STOMP_SEND] += 10;
    stomp->deeds[STOMP_SUBSCRIBE] += 5;
    stomp->deeds[STOMP_ACK] += 10;
    stomp->deeds[STOMP_HEAR] += 2;
    stomp->queues = 1 + (unsigned)prng_below(prng, STOMP_PLAN_QUEUES);
    stomp->deed_ppm = 20000 + (uint32_t)prng_below(prng, 500000);
    stomp->persistent_ppm = 200000 + plan_party_ppm(prng);
    stomp->receipt_ppm = plan_party_ppm(prng);
    stomp->large_ppm = plan_party_ppm(prng) / 4;
    stomp->auto_ppm = plan_party_ppm(prng) / 2;
    stomp->prefetch_ppm = plan_party_ppm(prng);
    stomp->transaction_ppm = plan_party_ppm(prng);
    stomp->drop_ppm = plan_party_ppm(prng) / 2;
    stomp->beats = prng_below(prng, 3) == 0;
}

enum stomp_deed stomp_plan_deed(const struct stomp_plan *plan, struct prng *prng)
{
    return (enum stomp_deed)plan_pick(plan->deeds, STOMP_DEED_KINDS, prng);
}
