#include "overseer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "broker.h"
#include "history.h"
#include "plan.h"
#include "router/access.h"
#include "site.h"

/* ---- what is said ----------------------------------------------------------------------------------------
 */

static bool one_in(struct prng *prng, unsigned n)
{
    return prng_below(prng, n) == 0;
}

void policies_draw(struct plan *plan, struct prng *prng)
{
    if (prng_below(prng, 4))
        return;
    unsigned times = 4 + (unsigned)prng_below(prng, 60); /* in 800 deeds */
    if (plan->deed_ppm > 60000 && prng_below(prng, 4))
        plan->deed_ppm = 60000;
    plan->policy_ppm = (uint32_t)((uint64_t)times * plan->clients * plan->deed_ppm / 800);
    plan->queue_count = plan->queue_count < 4 ? plan->queue_count : 1 + (unsigned)prng_below(prng, 4);
    plan->wide_ppm = plan->wide_ppm < 500000 ? 500000 : plan->wide_ppm;
    for (unsigned i = 0; i < PLAN_QUEUES; i++) {
        plan->queues[i].exclusive &= one_in(prng, 4);
        plan->queues[i].auto_delete &= one_in(prng, 4);
    }
    plan->no_ack_ppm /= 2;
    if (plan->queues[0].shape.stream && prng_below(prng, 2))
        plan->leap_ppm = 400000; /* a policy may say how old messages get */
    if (prng_below(prng, 3)) {
        plan->troubles[TROUBLE_KILL] /= 4;
        plan->troubles[TROUBLE_POWER_CUT] /= 4;
        plan->troubles[TROUBLE_WRITE_FAILS] /= 8;
    }
}

static int32_t some_ms(struct prng *prng)
{
    static const int32_t ms[] = {0, 1, 3, 10, 40, 150, 600};
    return ms[prng_below(prng, sizeof ms / sizeof *ms)];
}

/* One of what a policy may say; an operator's has no words. */
static void draw_key(struct said_policy *p, struct prng *prng)
{
    static const char *const overflows[] = {"drop-head", "reject-publish", "reject-publish-dlx"};
    switch (prng_below(prng, p->is_operator ? 5 : 10)) {
    case 0:
        p->ttl = some_ms(prng);
        return;
    case 1:
        p->expires = 1 + some_ms(prng);
        return;
    case 2:
        p->deliveries = (int32_t)prng_below(prng, 5);
        return;
    case 3:
        p->length = (int32_t)prng_below(prng, 9);
        return;
    case 4:
        p->bytes = (int32_t)prng_below(prng, 300);
        return;
    case 5:
        p->age = 1 + (int32_t)prng_below(prng, 2);
        return;
    case 6:
        p->segment = (int32_t)prng_below(prng, 300);
        return;
    case 7:
        p->timeout = some_ms(prng);
        return;
    case 8:
        p->sequence = prng_below(prng, 3) != 0;
        return;
    default:
        p->overflow = overflows[prng_below(prng, 3)];
        if (p->length < 0)
            p->length = (int32_t)prng_below(prng, 6);
    }
}

static void say_nothing(struct said_policy *p)
{
    p->ttl = p->expires = p->length = p->bytes = p->deliveries = -1;
    p->age = p->segment = p->timeout = p->conflation = p->sequence = -1;
    p->overflow = p->dead_target = p->dead_key = p->dead_strategy = NULL;
}

/* Where exchanges may delay dead letters go straight to queues, as those of arguments (deeds_delay.c). */
static void draw_target(struct said_policy *p, const struct plan *plan, struct prng *prng)
{
    static const char *const exchanges[] = {"e0", "e1", "e2", "amq.fanout", "nowhere"};
    static const char *const queues[] = {"q0", "q1", "q2", "q3"};
    static const char *const keys[] = {"a", "b", "a.b", "q0", "q1"};
    if (prng_below(prng, 8))
        p->dead_target = plan->delay_ppm || prng_below(prng, 2) ? "" : exchanges[prng_below(prng, 5)];
    if (p->dead_target && !*p->dead_target)
        p->dead_key = prng_below(prng, 8) ? queues[prng_below(prng, 4)] : NULL;
    else if (one_in(prng, 2) || !p->dead_target)
        p->dead_key = keys[prng_below(prng, 5)];
    if (one_in(prng, 3))
        p->dead_strategy = prng_below(prng, 4) ? "at-least-once" : "at-most-once";
}

/* Of what only some seeds with policies have; the others draw as if there was nothing of it. Last-value
 * queues don't take much else. */
static void draw_more(struct said_policy *p, const struct plan *plan, struct prng *prng)
{
    bool targets = plan->targets && prng_below(prng, 3), paces = plan->paced && prng_below(prng, 4);
    if ((targets || paces) && prng_below(prng, 4))
        say_nothing(p);
    if (targets)
        draw_target(p, plan, prng);
    if (paces && !targets)
        p->conflation = some_ms(prng);
}

/* Some that policies may say a strategy to, or another target than their own. */
static void draw_queue(struct queue_plan *q, struct prng *prng)
{
    bool quorum = one_in(prng, 4), dead = one_in(prng, 4);
    if (q->shape.stream || q->shape.last_value)
        return;
    if (quorum && q->shape.highest == SHAPE_UNSAID) {
        q->shape.quorum = q->durable = true;
        q->exclusive = q->auto_delete = false;
    }
    if (dead && !q->shape.dead) {
        q->shape.dead = q->shape.rekeyed = true;
        snprintf(q->shape.key, sizeof q->shape.key, "q%u", (unsigned)prng_below(prng, 3));
    }
}

/* Much is rejected while such a policy holds. */
void targets_draw(struct plan *plan, struct prng *prng)
{
    plan->targets = plan->policy_ppm && prng_below(prng, 2);
    if (!plan->targets || one_in(prng, 4))
        return;
    plan->deeds[DEED_REJECT] += 100 + (uint32_t)prng_below(prng, 300);
    plan->deeds[DEED_PUBLISH] += 100;
    plan->deeds[DEED_CONSUME] += 60;
    plan->deeds[DEED_ACK] /= 4;
    plan->deeds[DEED_ACK_MULTIPLE] /= 8;
    plan->no_ack_ppm /= 4;
    plan->troubles[TROUBLE_FULL_DISK] /= 8; /* then they may stand in line for long */
    plan->policy_ppm /= 1 + (uint32_t)prng_below(prng, 4);
    for (unsigned i = 0; i < PLAN_QUEUES; i++)
        draw_queue(&plan->queues[i], prng);
}

static void draw(struct overseer *o, const struct plan *plan)
{
    static const char *const patterns[] = {"^q", "^q", "^q[0-1]$", "q[02]", "^q1", "[^0]$", ".", "^$"};
    static const char *const targets[] = {"all",     "queues",    "classic_queues", "quorum_queues",
                                          "streams", "exchanges", "queues",         "queues"};
    struct prng *prng = &o->prng;
    struct said_policy *p = &o->policy;
    *p = (struct said_policy){0};
    say_nothing(p);
    p->number = (unsigned)prng_below(prng, MODEL_POLICIES);
    p->is_operator = one_in(prng, 3);
    p->pattern = patterns[prng_below(prng, sizeof patterns / sizeof *patterns)];
    p->target = targets[prng_below(prng, sizeof targets / sizeof *targets)];
    p->priority = (int32_t)prng_below(prng, 4) - 1;
    p->there = prng_below(prng, 3) != 0;
    for (unsigned n = 1 + one_in(prng, 3); n; n--)
        draw_key(p, prng);
    if (plan->levels && !p->is_operator && prng_below(prng, 2))
        p->level = prng_below(prng, 3) ? "ram" : "disk";
    if (!p->is_operator)
        draw_more(p, plan, &o->more);
}

/* ---- asking -------------------------------------------------------------------------------------------- */

static void add_number(struct buffer *table, const char *key, int32_t number)
{
    if (number >= 0)
        add_int_field(table, key, number);
}

static void add_words(struct buffer *table, const struct said_policy *p)
{
    if (p->overflow)
        add_text_field(table, "overflow", p->overflow);
    if (p->dead_target)
        add_text_field(table, "dead-letter-exchange", p->dead_target);
    if (p->dead_key)
        add_text_field(table, "dead-letter-routing-key", p->dead_key);
    if (p->dead_strategy)
        add_text_field(table, "dead-letter-strategy", p->dead_strategy);
}

static struct span definition(const struct overseer *o)
{
    const struct said_policy *p = &o->policy;
    struct buffer table = {0};
    char age[16];
    add_number(&table, "message-ttl", p->ttl);
    add_number(&table, "expires", p->expires);
    add_number(&table, "max-length", p->length);
    add_number(&table, "max-length-bytes", p->bytes);
    add_number(&table, "delivery-limit", p->deliveries);
    add_number(&table, "stream-max-segment-size-bytes", p->segment);
    add_number(&table, "consumer-timeout", p->timeout);
    add_number(&table, "conflation-interval-ms", p->conflation);
    snprintf(age, sizeof age, "%ds", p->age);
    if (p->age >= 0)
        add_text_field(&table, "max-age", age);
    if (p->level)
        add_text_field(&table, "confirm", p->level);
    if (p->sequence >= 0)
        add_bool_field(&table, "sequence", p->sequence);
    add_words(&table, p);
    if (o->state == OVERSEER_TRIES && p->is_operator)
        add_text_field(&table, p->number ? "overflow" : "dead-letter-exchange", "drop-head");
    else if (o->state == OVERSEER_TRIES)
        add_int_field(&table, "expires", 0);
    return span_of(table.at, table.len);
}

static struct op *op_of(const struct overseer *o)
{
    const struct said_policy *p = &o->policy;
    struct op *op = calloc(1, sizeof *op);
    CHECK(op);
    op->kind = p->there ? OP_POLICY_SET : OP_POLICY_CLEAR;
    op->flags = p->is_operator ? OP_OPERATOR : 0;
    op->vhost = access_vhost_id(span_str("/"));
    op->tag = o->tag;
    name_set(&op->name, span_str((const char *const[]){"p0", "p1", "p2"}[p->number]));
    if (!p->there)
        return op;
    name_set(&op->key, span_str(p->pattern));
    name_set(&op->type, span_str(p->target));
    op->priority = p->priority;
    op->arguments = definition(o);
    return op;
}

static void ask(struct overseer *o, const struct site *site)
{
    o->tag++;
    o->starts = site->starts;
    front_ask(site->broker->front[0], op_of(o));
}

static bool *known(struct overseer *o)
{
    return &o->there[o->policy.number + (o->policy.is_operator ? MODEL_POLICIES : 0)];
}

/* What can't be is refused, whatever else is the matter. */
static void take(struct overseer *o, struct model *model, const struct op *op)
{
    bool was_there = *known(o), done = op->error == ERR_NONE;
    history_note("the operator is told: %s", done ? "ok" : op->text);
    if (o->state == OVERSEER_TRIES) {
        if (done)
            history_fail("a policy that can't be was taken");
        o->state = OVERSEER_RESTS;
        return;
    }
    bool gone = !o->policy.there && op->error == ERR_NOT_FOUND;
    if (!done && !gone && op->error != ERR_INTERNAL)
        history_fail("a policy was refused: %s", op->text);
    if (o->sure && !o->policy.there && op->error != ERR_INTERNAL && done != was_there)
        history_fail("a policy that was %s is cleared, and the answer is: %s", was_there ? "set" : "not set",
                     done ? "ok" : op->text);
    o->state = OVERSEER_WANTS; /* after the next start */
    o->sure = false;
    if (!done && !gone)
        return;
    *known(o) = o->policy.there;
    model_policy_answered(model);
    o->state = OVERSEER_RESTS;
}

static void begin(struct overseer *o, const struct plan *plan, const struct site *site, struct model *model)
{
    draw(o, plan);
    o->sure = true;
    o->state = o->policy.there && one_in(&o->prng, 16) ? OVERSEER_TRIES : OVERSEER_WAITS;
    if (o->state == OVERSEER_WAITS)
        model_policy_asked(model, &o->policy);
    ask(o, site);
}

/* Of a policy that was asked for before a start nothing is known, but that it may hold. */
static void start_anew(struct overseer *o)
{
    if (o->state == OVERSEER_WAITS)
        o->state = OVERSEER_WANTS;
    if (o->state == OVERSEER_TRIES)
        o->state = OVERSEER_RESTS;
    o->sure = false;
}

void overseer_step(struct overseer *o, const struct plan *plan, struct site *site, struct model *model,
                   bool acts)
{
    if (site->state != SITE_UP || !plan->policy_ppm)
        return;
    if (o->starts != site->starts)
        start_anew(o);
    if (o->state == OVERSEER_RESTS && acts && prng_chance(&o->prng, plan->policy_ppm)) {
        begin(o, plan, site, model);
    } else if (o->state == OVERSEER_WANTS && o->starts != site->starts) {
        o->state = OVERSEER_WAITS;
        ask(o, site);
    } else if (o->state == OVERSEER_WAITS || o->state == OVERSEER_TRIES) {
        struct op *op = front_take_answer(site->broker->front[0]);
        if (op && op->tag == o->tag)
            take(o, model, op);
        front_free_answer(op);
    }
}
