/*
 * What the queues of a seed are told by the arguments of their declarations: drawn by the plan, written by
 * the deeds.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/prng.h"
#include "wire.h"

struct plan;

enum { SHAPE_UNSAID = -1, SHAPE_NAME_BYTES = 32 };

/* Numbers: as in the argument, or SHAPE_UNSAID. */
struct shape_plan {
    bool stream, sequence, single;
    int32_t timeout;        /* ms, of consumers */
    int32_t conflation;     /* ms, of a last-value queue */
    const char *last_value; /* NULL: unsaid */
    int32_t segment, age;   /* of a stream: bytes, seconds */
    bool quorum, at_least_once;
    int32_t ttl, expires; /* ms */
    int32_t length, bytes, highest, deliveries;
    int32_t reservation;           /* bytes */
    const char *overflow;          /* NULL: unsaid */
    const char *level;             /* of confirms; NULL: unsaid */
    bool dead, rekeyed;            /* there is a target, a key */
    char target[SHAPE_NAME_BYTES]; /* exchange */
    char key[SHAPE_NAME_BYTES];
};

/* After names were drawn: the plan's queues get shapes, or stay plain. */
void shapes_draw(struct plan *plan, struct prng *prng);
/* Some seeds have streams (deeds_stream.c). */
struct shape_plan shape_none(void);
void sequences_draw(struct plan *plan, struct prng *prng);
void delays_draw(struct plan *plan, struct prng *prng);
void histories_draw(struct plan *plan, struct prng *prng);
void delays_write(struct prng *prng, struct buffer *headers);
void levels_draw(struct plan *plan, struct prng *prng);
void consumers_draw(struct plan *plan, struct prng *prng);
void producers_draw(struct plan *plan, struct prng *prng);
void images_draw(struct plan *plan, struct prng *prng);
void reservations_draw(struct plan *plan, struct prng *prng);
void intervals_draw(struct plan *plan, struct prng *prng);
void streams_draw(struct plan *plan, struct prng *prng);
void streams_write(const struct shape_plan *shape, struct buffer *arguments);
/* Adds the fields of the arguments. wrong: one of them can't be. */
void shapes_write(const struct shape_plan *shape, struct prng *prng, bool wrong, struct buffer *arguments);
