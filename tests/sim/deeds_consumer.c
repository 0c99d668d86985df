/* What consumers ask for: to be one at a time, to go first, to have so much time. */
#include "client.h"

static uint64_t below(struct client *client, uint64_t bound)
{
    return prng_below(client->all->prng, bound);
}

enum { SINGLE = 1, RANKED = 2, TIMED = 4 };

static int32_t some_time(struct prng *prng)
{
    static const int32_t ms[] = {2, 5, 20, 60, 200};
    return ms[prng_below(prng, sizeof ms / sizeof *ms)];
}

/* Several consumers for each queue, which are there for a while, as are the queues; moments of rest. */
static void make_consuming(struct plan *plan, struct prng *prng)
{
    plan->deeds[DEED_CONSUME] += 120;
    plan->deeds[DEED_CANCEL] += 20;
    plan->deeds[DEED_PUBLISH] += 200;
    plan->deeds[DEED_ACK] += 100;
    plan->deeds[DEED_QOS] += 40;
    plan->deeds[DEED_CHANNEL_OPEN] += 100;
    plan->deeds[DEED_QUEUE_DECLARE] += 100;
    plan->deeds[DEED_QUEUE_DELETE] /= 2;
    plan->deeds[DEED_GET] /= 4;
    plan->deeds[DEED_FLOW] /= 2;
    plan->troubles[TROUBLE_WRITE_FAILS] /= 4;
    plan->troubles[TROUBLE_HUSH] *= 2;
    plan->wide_ppm = plan->wide_ppm < 600000 ? 600000 : plan->wide_ppm;
    if (plan->deed_ppm > 60000 && prng_below(prng, 4))
        plan->deed_ppm = 60000;
    plan->queue_count = plan->queue_count < 3 ? plan->queue_count : 1 + (unsigned)prng_below(prng, 3);
    for (unsigned i = 0; i < PLAN_QUEUES; i++) {
        plan->queues[i].auto_delete &= prng_below(prng, 3) == 0;
        plan->queues[i].exclusive &= prng_below(prng, 4) == 0;
    }
}

/* Of these a more urgent consumer takes over. */
static void make_quorum(struct queue_plan *q)
{
    q->durable = q->shape.quorum = true;
    q->exclusive = q->auto_delete = false;
    q->shape.highest = SHAPE_UNSAID;
}

void consumers_draw(struct plan *plan, struct prng *prng)
{
    static const unsigned kinds[] = {SINGLE, SINGLE,         RANKED,          RANKED,
                                     TIMED,  TIMED | SINGLE, SINGLE | RANKED, SINGLE | RANKED | TIMED};
    unsigned kind = kinds[prng_below(prng, sizeof kinds / sizeof *kinds)];
    if (prng_below(prng, 4))
        return;
    make_consuming(plan, prng);
    plan->ranked = kind & RANKED;
    plan->timed = kind & TIMED;
    if (plan->timed && prng_below(prng, 2)) {
        plan->deeds[DEED_SELECT] += 60;
        plan->deeds[DEED_ROLLBACK] += 30;
    }
    for (unsigned i = 0; i < PLAN_QUEUES; i++) {
        struct shape_plan *s = &plan->queues[i].shape;
        if (s->stream || s->last_value)
            continue;
        s->single = kind & SINGLE && prng_below(prng, 4);
        if (kind & RANKED && s->single && prng_below(prng, 3))
            make_quorum(&plan->queues[i]);
        s->timeout = kind & TIMED && prng_below(prng, 3) ? some_time(prng) : SHAPE_UNSAID;
    }
}

void consumer_write(struct client *client, const char *queue, struct buffer *arguments)
{
    const struct plan *plan = client->all->plan;
    if ((!plan->ranked && !plan->timed && !plan->policy_ppm) || plan_keeps(plan, queue))
        return;
    if (client->auto_ack) {
        add_int_field(arguments, "x-consumer-timeout", 0);
        return;
    }
    if (plan->ranked && below(client, 4))
        add_int_field(arguments, "x-priority", (int32_t)below(client, 4) - 1);
    if (plan->timed && below(client, 3) == 0)
        add_int_field(arguments, "x-consumer-timeout", below(client, 6) ? some_time(client->all->prng) : 0);
}
