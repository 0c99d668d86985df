/*
 * Guarded clients: AMQP under users whose permissions change while they are at it, and the operator who
 * changes them. They have queues of their own, which no other model knows, and one thing under way each, so
 * that what it is answered is all that is judged: what may be done is done, what may not is refused with 403.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/prng.h"

struct clients;
struct guard_party;
struct plan;
struct site;

struct guard_plan {
    unsigned clients; /* 0: there are none in this seed */
    uint32_t deed_ppm, change_ppm;
};

/* May take away other clients: each has a host. */
void guard_plan_draw(struct guard_plan *guard, struct plan *plan, struct prng *prng);

/* NULL: there are none in this seed. All others take NULL, and do nothing then. */
struct guard_party *guard_party_new(const struct guard_plan *plan, struct clients *all, uint64_t seed);
void guard_party_free(struct guard_party *party);
/* Perhaps they do something. */
void guard_party_act(struct guard_party *party);
/* A step; the operator asks front 0, and is answered there. */
void guard_party_move(struct guard_party *party, struct site *site);
/* The broker has had nothing to do. */
void guard_party_idle(struct guard_party *party);

/* ---- the end: no faults any more --------------------------------------------------------------------------
 */

void guard_party_calm(struct guard_party *party);
/* Nothing is under way. */
bool guard_party_done(const struct guard_party *party);
void guard_party_leave(struct guard_party *party);
