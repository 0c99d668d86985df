/* What a seed decides about STOMP: how many clients there are, and what they are like. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/prng.h"

struct plan;

#define STOMP_DEEDS(X)                                                                                       \
    X(REST)                                                                                                  \
    X(SEND)                                                                                                  \
    X(BURST)                                                                                                 \
    X(SUBSCRIBE)                                                                                             \
    X(UNSUBSCRIBE)                                                                                           \
    X(ACK)                                                                                                   \
    X(NACK)                                                                                                  \
    X(BEGIN)                                                                                                 \
    X(COMMIT)                                                                                                \
    X(ABORT)                                                                                                 \
    X(WRONG)                                                                                                 \
    X(DISCONNECT)                                                                                            \
    X(RESET)                                                                                                 \
    X(VANISH)                                                                                                \
    X(DEAF)                                                                                                  \
    X(HEAR)

enum stomp_deed {
#define X(name) STOMP_##name,
    STOMP_DEEDS(X)
#undef X
        STOMP_DEED_KINDS
};

enum { STOMP_PLAN_CLIENTS = 3, STOMP_PLAN_QUEUES = 3, STOMP_PLAN_AMQP = 4 };

struct stomp_plan {
    unsigned clients; /* 0: no STOMP in this seed */
    unsigned queues;
    uint32_t deeds[STOMP_DEED_KINDS];
    uint32_t deed_ppm;
    uint32_t persistent_ppm, receipt_ppm, large_ppm, auto_ppm, prefetch_ppm, transaction_ppm, drop_ppm;
    bool beats; /* some connections have heart-beats */
};

/* May take away AMQP clients: each STOMP client has a host. */
void stomp_plan_draw(struct stomp_plan *stomp, struct plan *plan, struct prng *prng);
enum stomp_deed stomp_plan_deed(const struct stomp_plan *plan, struct prng *prng);
