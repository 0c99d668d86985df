#include "plan.h"

#include <stdio.h>
#include <string.h>

#include "overseer.h"

static const uint32_t usual[DEED_KINDS] = {
    [DEED_REST] = 40,
    [DEED_CHANNEL_OPEN] = 40,
    [DEED_CHANNEL_CLOSE] = 6,
    [DEED_CLOSE] = 3,
    [DEED_EXCHANGE_DECLARE] = 20,
    [DEED_EXCHANGE_DELETE] = 4,
    [DEED_EXCHANGE_BIND] = 8,
    [DEED_EXCHANGE_UNBIND] = 4,
    [DEED_QUEUE_DECLARE] = 40,
    [DEED_QUEUE_CHECK] = 15,
    [DEED_QUEUE_DELETE] = 4,
    [DEED_QUEUE_BIND] = 30,
    [DEED_QUEUE_UNBIND] = 6,
    [DEED_QUEUE_PURGE] = 2,
    [DEED_PUBLISH] = 120,
    [DEED_PUBLISH_BURST] = 40,
    [DEED_CONSUME] = 25,
    [DEED_CANCEL] = 6,
    [DEED_GET] = 30,
    [DEED_ACK] = 100,
    [DEED_ACK_MULTIPLE] = 30,
    [DEED_REQUEUE] = 20,
    [DEED_REJECT] = 8,
    [DEED_RECOVER] = 3,
    [DEED_QOS] = 10,
    [DEED_FLOW] = 3,
    [DEED_SELECT] = 20,
    [DEED_COMMIT] = 12,
    [DEED_ROLLBACK] = 8,
    [DEED_WRONG] = 3,
    [DEED_DEAF] = 3,
    [DEED_HEAR] = 6,
    [DEED_RESET] = 2,
    [DEED_VANISH] = 1,
};

static const uint32_t usual_trouble[TROUBLE_KINDS] = {
    [TROUBLE_KILL] = 700,        [TROUBLE_POWER_CUT] = 700,  [TROUBLE_STOP] = 300,
    [TROUBLE_STALL] = 2000,      [TROUBLE_SLOW_DISK] = 1500, [TROUBLE_FULL_DISK] = 500,
    [TROUBLE_WRITE_FAILS] = 100, [TROUBLE_HUSH] = 6000,
};

/* Seldom, usually or often; a seed that draws 0 never sees it. */
static uint32_t scale(struct prng *prng, uint32_t usually)
{
    static const uint32_t percent[] = {0, 20, 60, 100, 100, 100, 200, 500};
    return (uint32_t)((uint64_t)usually * percent[prng_below(prng, sizeof percent / sizeof *percent)] / 100);
}

/* The types, those that give a message to one of their bindings last. */
enum { PLAN_PLAIN = 4, PLAN_PICKING = 3 };
static const char *const plan_types[PLAN_PLAIN + PLAN_PICKING] = {
    "direct", "fanout", "topic", "headers", "x-consistent-hash", "x-random", "x-modulus-hash"};

static void draw_names(struct plan *plan, struct prng *prng)
{
    for (unsigned i = 0; i < PLAN_EXCHANGES; i++) {
        struct exchange_plan *e = &plan->exchanges[i];
        snprintf(e->name, sizeof e->name, "e%u", i);
        snprintf(e->type, sizeof e->type, "%s", plan_types[prng_below(prng, PLAN_PLAIN + PLAN_PICKING)]);
        e->durable = prng_below(prng, 3) != 0;
        e->auto_delete = prng_below(prng, 4) == 0;
        e->internal = prng_below(prng, 10) == 0;
        if (prng_below(prng, 4) == 0)
            snprintf(e->alternate, sizeof e->alternate, "e%u", (unsigned)prng_below(prng, PLAN_EXCHANGES));
    }
    for (unsigned i = 0; i < PLAN_QUEUES; i++) {
        struct queue_plan *q = &plan->queues[i];
        snprintf(q->name, sizeof q->name, "q%u", i);
        q->durable = prng_below(prng, 4) != 0;
        q->auto_delete = prng_below(prng, 6) == 0;
        q->exclusive = prng_below(prng, 8) == 0;
    }
    plan->exchange_count = 1 + (unsigned)prng_below(prng, PLAN_EXCHANGES);
    plan->queue_count = 1 + (unsigned)prng_below(prng, PLAN_QUEUES);
}

static uint32_t some_ppm(struct prng *prng)
{
    static const uint32_t ppm[] = {0, 50000, 200000, 500000, 900000, 1000000};
    return ppm[prng_below(prng, sizeof ppm / sizeof *ppm)];
}

/* Segments are filled, emptied, and filled again. */
static void make_heavy(struct plan *plan)
{
    plan->deeds[DEED_PUBLISH_BURST] += 400;
    plan->persistent_ppm = 900000;
    plan->deed_ppm = 800000;
}

/* Many queues on few exchanges that give each message to one of them. */
static void make_picky(struct plan *plan, struct prng *prng)
{
    plan->exchange_count = 1 + (unsigned)prng_below(prng, 2);
    for (unsigned i = 0; i < plan->exchange_count; i++) {
        struct exchange_plan *e = &plan->exchanges[i];
        e->auto_delete = e->internal = false;
        snprintf(e->type, sizeof e->type, "%s", plan_types[PLAN_PLAIN + prng_below(prng, PLAN_PICKING)]);
    }
    plan->deeds[DEED_EXCHANGE_BIND] = 0;
    plan->deeds[DEED_QUEUE_DECLARE] += 60;
    plan->deeds[DEED_QUEUE_BIND] += 120;
    plan->deeds[DEED_PUBLISH] += 200;
    plan->deeds[DEED_EXCHANGE_DECLARE] += 20;
    plan->wide_ppm = 100000; /* to the default exchange */
}

/* Troubles come with deeds, not with steps: a busy broker meets as many as an idle one. */
static void scale_troubles(struct plan *plan)
{
    for (unsigned i = 0; i < TROUBLE_KINDS; i++)
        plan->troubles[i] =
            (uint32_t)((uint64_t)plan->troubles[i] * 10 * plan->clients * plan->deed_ppm / 1000000);
}

/* What is new goes last: the seeds before it stay what they were. */
static void draw_features(struct plan *plan, struct prng *prng)
{
    shapes_draw(plan, prng);
    streams_draw(plan, prng);
    images_draw(plan, prng);
    delays_draw(plan, prng);
    sequences_draw(plan, prng);
    policies_draw(plan, prng);
    histories_draw(plan, prng);
    producers_draw(plan, prng);
    consumers_draw(plan, prng);
    mqtt_plan_draw(&plan->mqtt, plan, prng);
    levels_draw(plan, prng);
    stomp_plan_draw(&plan->stomp, plan, prng);
    intervals_draw(plan, prng);
    targets_draw(plan, prng);
    guard_plan_draw(&plan->guard, plan, prng);
    reservations_draw(plan, prng);
}

void plan_draw(struct plan *plan, struct prng *prng)
{
    *plan = (struct plan){0};
    draw_names(plan, prng);
    for (unsigned i = 0; i < DEED_KINDS; i++)
        plan->deeds[i] = scale(prng, usual[i]);
    plan->deeds[DEED_CHANNEL_OPEN] += 20;
    plan->deeds[DEED_QUEUE_DECLARE] += 5;
    plan->deeds[DEED_PUBLISH] += 5;
    plan->deeds[DEED_HEAR] += 2;
    for (unsigned i = 0; i < TROUBLE_KINDS; i++)
        plan->troubles[i] = scale(prng, usual_trouble[i]);
    plan->clients = 1 + (unsigned)prng_below(prng, PLAN_CLIENTS);
    plan->deed_ppm = 20000 + (uint32_t)prng_below(prng, 500000);
    plan->persistent_ppm = some_ppm(prng);
    plan->mandatory_ppm = some_ppm(prng) / 2;
    plan->large_ppm = some_ppm(prng) / 4;
    plan->empty_ppm = some_ppm(prng) / 8;
    plan->no_ack_ppm = some_ppm(prng) / 2;
    plan->wrong_ppm = prng_below(prng, 2) ? 20000 : 0;
    plan->wide_ppm = some_ppm(prng);
    plan->heavy_ppm = some_ppm(prng);
    if (prng_below(prng, 3) == 0)
        make_heavy(plan);
    if (prng_below(prng, 4) == 0)
        make_picky(plan, prng);
    scale_troubles(plan);
    plan->step_ns_max = 100000;
    plan->disk_steps = (1u << prng_below(prng, 7)) - 1;
    plan->network.delay_max_ns = 10000u << prng_below(prng, 8);
    plan->network.window_max = 256u << prng_below(prng, 7);
    plan->network.piece_max = 16u << prng_below(prng, 9);
    plan->network.idle_ppm = some_ppm(prng) / 2;
    struct prng apart = *prng; /* so that a seed without shapes is what it was */
    prng_seed(&apart, prng_next(&apart));
    draw_features(plan, &apart);
}

unsigned plan_pick(const uint32_t *weights, unsigned count, struct prng *prng)
{
    uint64_t sum = 0, at;
    unsigned i = 0;
    for (unsigned w = 0; w < count; w++)
        sum += weights[w];
    for (at = prng_below(prng, sum); at >= weights[i]; i++)
        at -= weights[i];
    return i;
}

enum deed plan_deed(const struct plan *plan, struct prng *prng)
{
    return (enum deed)plan_pick(plan->deeds, DEED_KINDS, prng);
}

uint32_t plan_party_scale(struct prng *prng, uint32_t usually)
{
    static const uint32_t percent[] = {0, 30, 100, 100, 100, 300};
    return usually * percent[prng_below(prng, 6)] / 100;
}

uint32_t plan_party_ppm(struct prng *prng)
{
    static const uint32_t ppm[] = {0, 50000, 200000, 500000, 800000, 1000000};
    return ppm[prng_below(prng, 6)];
}

void plan_key(struct prng *prng, bool pattern, char key[PLAN_NAME_BYTES])
{
    static const char *const words[] = {"a", "b", "c", "*", "#"};
    unsigned n = (unsigned)prng_below(prng, 4);
    size_t len = 0;
    key[0] = 0;
    for (unsigned i = 0; i < n; i++)
        len += (size_t)snprintf(key + len, PLAN_NAME_BYTES - len, "%s%s", i ? "." : "",
                                words[prng_below(prng, pattern ? 5 : 3)]);
}

bool plan_is_weighted(const struct plan *plan, const char *exchange)
{
    for (unsigned i = 0; i < plan->exchange_count; i++)
        if (strcmp(plan->exchanges[i].name, exchange) == 0)
            return strcmp(plan->exchanges[i].type, "x-consistent-hash") == 0;
    return false;
}
