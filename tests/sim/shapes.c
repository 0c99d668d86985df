#include "shapes.h"

#include <stdio.h>

#include "base/limits.h"
#include "plan.h"

enum { USUAL_MS = 40 }; /* a run of 800 deeds lasts about a second */

static bool one_in(struct prng *prng, unsigned n)
{
    return prng_below(prng, n) == 0;
}

static int32_t some_ms(struct prng *prng)
{
    static const int32_t ms[] = {0, 1, 3, 10, USUAL_MS, 150, 600};
    return ms[prng_below(prng, sizeof ms / sizeof *ms)];
}

static void draw_target(const struct plan *plan, struct shape_plan *s, struct prng *prng)
{
    s->dead = true;
    s->rekeyed = prng_below(prng, 2);
    if (one_in(prng, 12))
        snprintf(s->target, sizeof s->target, "nowhere");
    else if (prng_below(prng, 2))
        snprintf(s->target, sizeof s->target, "e%u", (unsigned)prng_below(prng, plan->exchange_count));
    else
        s->rekeyed = true; /* the default exchange: to a queue */
    if (s->target[0])
        plan_key(prng, false, s->key);
    else
        snprintf(s->key, sizeof s->key, "q%u", (unsigned)prng_below(prng, plan->queue_count));
}

static void draw_limits(struct shape_plan *s, struct prng *prng)
{
    static const char *const overflows[] = {NULL, "drop-head", "reject-publish", "reject-publish-dlx"};
    if (one_in(prng, 4))
        s->bytes = (int32_t)prng_below(prng, 300);
    if (s->bytes == SHAPE_UNSAID || prng_below(prng, 2))
        s->length = (int32_t)prng_below(prng, 9);
    s->overflow = overflows[prng_below(prng, 4)];
}

static void draw_type(struct queue_plan *q, struct shape_plan *s, struct prng *prng)
{
    if (one_in(prng, 2)) {
        s->quorum = q->durable = true;
        q->exclusive = q->auto_delete = false;
        if (prng_below(prng, 4))
            s->deliveries = (int32_t)prng_below(prng, 4);
    } else if (one_in(prng, 3)) {
        s->highest = 1 + (int32_t)prng_below(prng, 5);
    }
}

enum { DEAD = 1, LIMIT = 2, TIME = 4, TYPE = 8, EXPIRY = 16 };

/* kinds: bits of what the seed is about; a run with few of them is judged more sharply. */
static void draw_shape(const struct plan *plan, struct queue_plan *q, unsigned kinds, struct prng *prng)
{
    struct shape_plan *s = &q->shape;
    if (kinds & DEAD && prng_below(prng, 4))
        draw_target(plan, s, prng);
    if (kinds & LIMIT && prng_below(prng, 3))
        draw_limits(s, prng);
    if (kinds & TIME && prng_below(prng, 3))
        s->ttl = some_ms(prng);
    if (kinds & TYPE && prng_below(prng, 5))
        draw_type(q, s, prng);
    if (kinds & EXPIRY && prng_below(prng, 2))
        s->expires = 1 + some_ms(prng);
    if (s->dead && s->highest == SHAPE_UNSAID && one_in(prng, 4)) {
        s->quorum = q->durable = true;
        q->exclusive = q->auto_delete = false;
    }
    s->at_least_once = s->quorum && s->dead && prng_below(prng, 4);
    if (s->at_least_once && one_in(prng, 3))
        snprintf(s->target, sizeof s->target, "nowhere");
}

/* So often in 800 deeds, if at all. */
static void set_trouble(struct plan *plan, enum trouble trouble, uint32_t times)
{
    uint64_t ppm = (uint64_t)times * plan->clients * plan->deed_ppm / 800;
    if (plan->troubles[trouble] > ppm)
        plan->troubles[trouble] = (uint32_t)ppm;
}

/* deadly: crashes come while dead letters are on their way. */
static void make_calm(struct plan *plan, bool deadly)
{
    static const enum deed deeds[] = {DEED_CLOSE, DEED_RESET, DEED_CHANNEL_CLOSE, DEED_VANISH, DEED_DEAF};
    plan->deed_ppm = plan->deed_ppm < 60000 ? plan->deed_ppm : 60000;
    set_trouble(plan, TROUBLE_KILL, deadly ? 6 : 2);
    set_trouble(plan, TROUBLE_POWER_CUT, deadly ? 4 : 1);
    set_trouble(plan, TROUBLE_STOP, 2);
    set_trouble(plan, TROUBLE_WRITE_FAILS, 1);
    set_trouble(plan, TROUBLE_FULL_DISK, 3);
    set_trouble(plan, TROUBLE_SLOW_DISK, 10);
    set_trouble(plan, TROUBLE_STALL, 20);
    for (size_t i = 0; i < sizeof deeds / sizeof *deeds; i++)
        plan->deeds[deeds[i]] /= 4;
}

/* What shapes do shows when messages come and go, most of them in a few queues, and the broker lives for a
 * while. */
static void make_busy(struct plan *plan, unsigned kinds, struct prng *prng)
{
    static const struct {
        enum deed deed;
        uint32_t least;
    } rows[] = {
        {DEED_QUEUE_DECLARE, 120}, {DEED_PUBLISH, 250}, {DEED_PUBLISH_BURST, 60},
        {DEED_CONSUME, 60},        {DEED_GET, 60},      {DEED_ACK, 120},
        {DEED_REQUEUE, 40},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (plan->deeds[rows[i].deed] < rows[i].least)
            plan->deeds[rows[i].deed] = rows[i].least;
    plan->deeds[DEED_REJECT] += kinds & DEAD ? 100 + (uint32_t)prng_below(prng, 300) : 0;
    plan->deeds[DEED_REQUEUE] += kinds & TYPE ? 40 + (uint32_t)prng_below(prng, 200) : 0;
    plan->deeds[DEED_QUEUE_BIND] += kinds & DEAD ? 60 : 0;
    plan->deeds[DEED_EXCHANGE_DECLARE] += kinds & DEAD ? 40 : 0;
    plan->queue_count = plan->queue_count < 4 ? plan->queue_count : 2 + (unsigned)prng_below(prng, 4);
    plan->wide_ppm = plan->wide_ppm < 500000 ? 500000 : plan->wide_ppm;
    plan->no_ack_ppm /= 2;
    if (kinds & DEAD) {
        plan->persistent_ppm = plan->persistent_ppm < 500000 ? 500000 : plan->persistent_ppm;
        plan->no_ack_ppm /= 4;
        plan->deeds[DEED_ACK] /= 4;
        plan->deeds[DEED_ACK_MULTIPLE] /= 8;
    }
    for (unsigned i = 0; i < PLAN_EXCHANGES; i++)
        plan->exchanges[i].internal &= one_in(prng, 4);
    for (unsigned i = 0; i < PLAN_QUEUES; i++) {
        plan->queues[i].exclusive &= one_in(prng, 4);
        plan->queues[i].auto_delete &= one_in(prng, 4);
    }
    if (prng_below(prng, 6))
        make_calm(plan, plan->deadly);
}

struct shape_plan shape_none(void)
{
    return (struct shape_plan){.timeout = SHAPE_UNSAID,
                               .conflation = SHAPE_UNSAID,
                               .segment = SHAPE_UNSAID,
                               .age = SHAPE_UNSAID,
                               .ttl = SHAPE_UNSAID,
                               .expires = SHAPE_UNSAID,
                               .length = SHAPE_UNSAID,
                               .bytes = SHAPE_UNSAID,
                               .highest = SHAPE_UNSAID,
                               .deliveries = SHAPE_UNSAID,
                               .reservation = SHAPE_UNSAID};
}

void shapes_draw(struct plan *plan, struct prng *prng)
{
    plan->shaped = prng_below(prng, 3) != 0;
    unsigned kinds = (unsigned)prng_below(prng, 32);
    if (one_in(prng, 3))
        kinds = 1u << prng_below(prng, 5);
    plan->deadly = plan->shaped && kinds & DEAD && prng_below(prng, 2);
    if (plan->deadly && prng_below(prng, 3))
        kinds = DEAD;
    if (plan->shaped)
        make_busy(plan, kinds, prng);
    for (unsigned i = 0; i < PLAN_QUEUES; i++) {
        struct queue_plan *q = &plan->queues[i];
        q->shape = shape_none();
        if (plan->shaped && prng_below(prng, 5))
            draw_shape(plan, q, kinds, prng);
    }
    plan->mortal_ppm = plan->shaped && one_in(prng, 2) ? 200000 : 0;
}

/* ---- writing --------------------------------------------------------------------------------------------
 */

static void add_number(struct buffer *arguments, const char *name, int32_t value)
{
    if (value != SHAPE_UNSAID)
        add_int_field(arguments, name, value);
}

static void add_wrong(struct prng *prng, struct buffer *arguments)
{
    switch (prng_below(prng, 5)) {
    case 0:
        add_int_field(arguments, "x-message-ttl", -1);
        return;
    case 1:
        add_text_field(arguments, "x-max-length", "many");
        return;
    case 2:
        add_text_field(arguments, "x-overflow", "spill");
        return;
    case 3:
        add_int_field(arguments, "x-expires", 0);
        return;
    default:
        add_text_field(arguments, "x-queue-type", "round");
    }
}

void shapes_write(const struct shape_plan *s, struct prng *prng, bool wrong, struct buffer *arguments)
{
    if (wrong) {
        add_wrong(prng, arguments);
        return;
    }
    if (s->sequence)
        add_bool_field(arguments, "x-sequence", true);
    if (s->level)
        add_text_field(arguments, "x-confirm", s->level);
    if (s->last_value)
        add_text_field(arguments, "x-last-value-key", s->last_value);
    add_number(arguments, "x-disk-reservation", s->reservation);
    if (s->stream) {
        streams_write(s, arguments);
        return;
    }
    if (s->quorum)
        add_text_field(arguments, "x-queue-type", "quorum");
    if (s->single)
        add_bool_field(arguments, "x-single-active-consumer", true);
    add_number(arguments, "x-consumer-timeout", s->timeout);
    add_number(arguments, "x-conflation-interval-ms", s->conflation);
    add_number(arguments, "x-message-ttl", s->ttl);
    add_number(arguments, "x-expires", s->expires);
    add_number(arguments, "x-max-length", s->length);
    add_number(arguments, "x-max-length-bytes", s->bytes);
    add_number(arguments, "x-max-priority", s->highest);
    add_number(arguments, "x-delivery-limit", s->deliveries);
    if (s->overflow)
        add_text_field(arguments, "x-overflow", s->overflow);
    if (s->dead)
        add_text_field(arguments, "x-dead-letter-exchange", s->target);
    if (s->dead && s->rekeyed)
        add_text_field(arguments, "x-dead-letter-routing-key", s->key);
    if (s->at_least_once)
        add_text_field(arguments, "x-dead-letter-strategy", "at-least-once");
}

/* Seldom one that a queue can't have, because it isn't durable or is exclusive. */
void reservations_draw(struct plan *plan, struct prng *prng)
{
    static const uint32_t most[] = {4 * PAGE_BYTES, 8 * SEGMENT_BYTES, 24 * SEGMENT_BYTES};
    bool some = plan->shaped && one_in(prng, 3);
    if (some) {
        plan->troubles[TROUBLE_FULL_DISK] *= 8;
        plan->persistent_ppm = plan->persistent_ppm < 500000 ? 500000 : plan->persistent_ppm;
    }
    for (unsigned i = 0; some && i < PLAN_QUEUES; i++) {
        struct queue_plan *q = &plan->queues[i];
        bool may = q->durable && !q->exclusive;
        if (may ? prng_below(prng, 3) != 0 : one_in(prng, 8))
            q->shape.reservation = (int32_t)(PAGE_BYTES + prng_below(prng, most[prng_below(prng, 3)]));
    }
}

void sequences_draw(struct plan *plan, struct prng *prng)
{
    bool some = plan->shaped && prng_below(prng, 2);
    for (unsigned i = 0; some && i < PLAN_QUEUES; i++) {
        struct shape_plan *s = &plan->queues[i].shape;
        if (s->stream || s->last_value)
            continue;
        s->sequence = prng_below(prng, 3);
        if (s->sequence && s->length == SHAPE_UNSAID && one_in(prng, 2))
            s->length = 1 + (int32_t)prng_below(prng, 4);
        if (s->sequence && s->ttl == SHAPE_UNSAID && one_in(prng, 2))
            s->ttl = some_ms(prng);
    }
}
