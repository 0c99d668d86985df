/* What a seed decides about MQTT: how many clients there are, and what they are like. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/prng.h"

struct plan;

#define MQTT_DEEDS(X)                                                                                        \
    X(REST)                                                                                                  \
    X(PUBLISH)                                                                                               \
    X(BURST)                                                                                                 \
    X(SUBSCRIBE)                                                                                             \
    X(UNSUBSCRIBE)                                                                                           \
    X(REPLY)                                                                                                 \
    X(PING)                                                                                                  \
    X(DISCONNECT)                                                                                            \
    X(RESET)                                                                                                 \
    X(VANISH)                                                                                                \
    X(TAKE_OVER)                                                                                             \
    X(DEAF)                                                                                                  \
    X(HEAR)

enum mqtt_deed {
#define X(name) MQTT_##name,
    MQTT_DEEDS(X)
#undef X
        MQTT_DEED_KINDS
};

enum { MQTT_PLAN_CLIENTS = 4, MQTT_PLAN_AMQP = 3 };

struct mqtt_plan {
    unsigned clients; /* 0: no MQTT in this seed */
    uint32_t deeds[MQTT_DEED_KINDS];
    uint32_t deed_ppm;
    uint32_t retain_ppm, empty_ppm, large_ppm, will_ppm, lazy_ppm, clean_ppm, brief_ppm, five_ppm;
    unsigned topics; /* so many of them */
    unsigned shares; /* the same of shared subscriptions: with one it is known to whom a message was owed */
    uint8_t share_qos;
    bool keeps_alive, limits;
};

/* May take away AMQP clients: each MQTT client has a host. */
void mqtt_plan_draw(struct mqtt_plan *mqtt, struct plan *plan, struct prng *prng);
enum mqtt_deed mqtt_plan_deed(const struct mqtt_plan *plan, struct prng *prng);
/* A topic to publish to, a filter to subscribe to. */
const char *mqtt_plan_topic(const struct mqtt_plan *plan, struct prng *prng);
const char *mqtt_plan_will_topic(struct prng *prng);
const char *mqtt_plan_filter(const struct mqtt_plan *plan, struct prng *prng);
