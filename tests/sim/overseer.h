/*
 * The one who sets policies, changes them and clears them, as gannetctl does: by the ops of the control
 * socket, which front 0 takes and answers. One at a time; what a kill leaves unanswered is asked again.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/prng.h"
#include "model_policy.h"

struct plan;
struct site;

struct overseer {
    struct prng prng, more;    /* more: of what only some seeds with policies have */
    struct said_policy policy; /* the last that was asked for */
    bool sure;                 /* it hasn't been asked for before: what comes of it is known */
    bool there[2 * MODEL_POLICIES];
    uint64_t tag;    /* of the op */
    uint64_t starts; /* of the site, when it was asked last */
    enum { OVERSEER_RESTS, OVERSEER_WANTS, OVERSEER_WAITS, OVERSEER_TRIES } state; /* TRIES: what can't be */
};

/* Whether the seed has policies, and how often they change. */
void policies_draw(struct plan *plan, struct prng *prng);
/* Of such a seed: whether they say where dead letters go. */
void targets_draw(struct plan *plan, struct prng *prng);
/* acts: a change may be asked for. */
void overseer_step(struct overseer *o, const struct plan *plan, struct site *site, struct model *model,
                   bool acts);
