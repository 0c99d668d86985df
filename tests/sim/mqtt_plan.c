#include "mqtt_plan.h"

#include "plan.h"

static const uint32_t usual[MQTT_DEED_KINDS] = {
    [MQTT_REST] = 30,       [MQTT_PUBLISH] = 120, [MQTT_BURST] = 20,    [MQTT_SUBSCRIBE] = 40,
    [MQTT_UNSUBSCRIBE] = 8, [MQTT_REPLY] = 100,   [MQTT_PING] = 10,     [MQTT_DISCONNECT] = 6,
    [MQTT_RESET] = 5,       [MQTT_VANISH] = 2,    [MQTT_TAKE_OVER] = 4, [MQTT_DEAF] = 3,
    [MQTT_HEAR] = 6,
};

static const char *const topics[] = {"a", "a/b", "b", "a/c", "b/a", "a/b/c", "/a", "c//d", "a/b/c/d", "$x/a"};
static const char *const filters[] = {"#",     "a/#",   "+",     "a/+", "a/b", "+/b",   "b",  "+/+",
                                      "a/b/#", "+/b/#", "c/+/d", "/+",  "+/a", "a/b/c", "b/a"};
static const char *const wills[] = {"w/0", "w/1", "w/2"};
static const char *const will_filters[] = {"w/#", "w/+", "w/1"};
static const char *const shared[] = {"$share/g0/$x/a", "$share/g1/$x/a", "$share/g0/$x/#"};

enum { TOPICS = sizeof topics / sizeof *topics - 1 }; /* the last one is for shared subscriptions */

void mqtt_plan_draw(struct mqtt_plan *mqtt, struct plan *plan, struct prng *prng)
{
    *mqtt = (struct mqtt_plan){0};
    if (prng_below(prng, 3))
        return;
    mqtt->clients = 1 + (unsigned)prng_below(prng, MQTT_PLAN_CLIENTS);
    unsigned others = (unsigned)prng_below(prng, MQTT_PLAN_AMQP + 1);
    plan->clients = plan->clients < others ? plan->clients : others;
    plan->policy_ppm = 0; /* sessions' queues would get them too */
    for (unsigned i = 0; i < MQTT_DEED_KINDS; i++)
        mqtt->deeds[i] = plan_party_scale(prng, usual[i]);
    mqtt->deeds[MQTT_PUBLISH] += 10;
    mqtt->deeds[MQTT_SUBSCRIBE] += 5;
    mqtt->deeds[MQTT_REPLY] += 10;
    mqtt->deeds[MQTT_HEAR] += 2;
    mqtt->deed_ppm = 20000 + (uint32_t)prng_below(prng, 500000);
    mqtt->retain_ppm = plan_party_ppm(prng) / 3;
    mqtt->empty_ppm = plan_party_ppm(prng) / 4;
    mqtt->large_ppm = plan_party_ppm(prng) / 4;
    mqtt->will_ppm = plan_party_ppm(prng);
    mqtt->lazy_ppm = plan_party_ppm(prng);
    mqtt->clean_ppm = plan_party_ppm(prng) / 4;
    mqtt->brief_ppm = plan_party_ppm(prng) / 2;
    mqtt->five_ppm = plan_party_ppm(prng);
    mqtt->topics = 1 + (unsigned)prng_below(prng, TOPICS);
    mqtt->keeps_alive = prng_below(prng, 3) == 0;
    mqtt->share_qos = (uint8_t[]){0, 1, 1, 2}[prng_below(prng, 4)];
    mqtt->shares = (unsigned[]){0, 0, 1, 3}[prng_below(prng, 4)];
    mqtt->limits = prng_below(prng, 2);
}

enum mqtt_deed mqtt_plan_deed(const struct mqtt_plan *plan, struct prng *prng)
{
    return (enum mqtt_deed)plan_pick(plan->deeds, MQTT_DEED_KINDS, prng);
}

const char *mqtt_plan_topic(const struct mqtt_plan *plan, struct prng *prng)
{
    if (plan->shares && prng_below(prng, 4) == 0)
        return topics[TOPICS];
    return topics[prng_below(prng, plan->topics)];
}

const char *mqtt_plan_will_topic(struct prng *prng)
{
    return wills[prng_below(prng, 3)];
}

const char *mqtt_plan_filter(const struct mqtt_plan *plan, struct prng *prng)
{
    uint64_t kind = prng_below(prng, 8);
    if (plan->shares && kind < 2)
        return shared[prng_below(prng, plan->shares)];
    if (plan->will_ppm && kind == 2)
        return will_filters[prng_below(prng, 3)];
    return filters[prng_below(prng, sizeof filters / sizeof *filters)];
}
