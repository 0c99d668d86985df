/* What a confirm is to say: that the message is in memory, or on the disk (x-confirm). */
#include "client.h"

static const char *some_level(struct prng *prng)
{
    return prng_below(prng, 3) ? "ram" : "disk";
}

void levels_draw(struct plan *plan, struct prng *prng)
{
    if (plan->mqtt.clients || prng_below(prng, 6))
        return;
    plan->level_ppm = prng_below(prng, 3) ? 100000 + (uint32_t)prng_below(prng, 500000) : 0;
    plan->levels = prng_below(prng, 2);
    plan->deeds[DEED_SELECT] += 100;
    plan->deeds[DEED_PUBLISH] += 200;
    plan->deeds[DEED_CONSUME] /= 2;
    if (prng_below(prng, 2)) { /* what is confirmed takes a while to get to the disk */
        plan->disk_steps |= 31;
        plan->troubles[TROUBLE_KILL] *= 3;
        plan->troubles[TROUBLE_POWER_CUT] *= 3;
    }
    plan->persistent_ppm = plan->persistent_ppm < 700000 ? 700000 : plan->persistent_ppm;
    for (unsigned i = 0; i < PLAN_QUEUES; i++)
        if (prng_below(prng, 2))
            plan->queues[i].shape.level = some_level(prng);
}

void level_write(struct client *client, struct buffer *headers)
{
    add_text_field(headers, "x-confirm", some_level(client->all->prng));
}
