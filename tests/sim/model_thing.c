/* What is declared: exchanges, queues, bindings, and how sure it is that each is there. */
#include <stdlib.h>
#include <string.h>

#include "model_leave.h"

/* ---- finding ---------------------------------------------------------------------------------------- */

struct known_exchange *model_exchange(struct model *model, const struct text *name, bool make)
{
    for (unsigned i = 0; i < model->exchange_count; i++)
        if (same(&model->exchanges[i]->name, name))
            return model->exchanges[i];
    if (!make)
        return NULL;
    struct known_exchange *e = model_make(sizeof *e);
    e->name = *name;
    ADD(model->exchanges, model->exchange_count, e);
    return e;
}

struct known_queue *model_queue(const struct model *model, const struct text *name)
{
    struct known_queue *last = NULL;
    for (unsigned i = model->queue_count; i-- > 0;) {
        struct known_queue *queue = model->queues[i];
        if (!same(&queue->name, name))
            continue;
        if (!queue->gone)
            return queue;
        last = last ? last : queue;
    }
    return last;
}

struct known_queue *model_new_queue(struct model *model, const struct text *name)
{
    struct known_queue *q = model_make(sizeof *q);
    q->name = *name;
    q->touched = true;
    q->used_ns = model->now_ns;
    model_no_settings(&q->declared);
    model_policy_declared(model, q);
    ADD(model->queues, model->queue_count, q);
    return q;
}

static bool same_bytes(const struct buffer *a, const struct buffer *b)
{
    return a->len == b->len && (a->len == 0 || memcmp(a->at, b->at, a->len) == 0);
}

struct known_binding *model_binding(struct model *model, struct known_exchange *source,
                                    struct known_queue *queue, struct known_exchange *exchange,
                                    const struct text *key, const struct buffer *arguments, bool make)
{
    for (unsigned i = 0; i < model->binding_count; i++) {
        struct known_binding *b = model->bindings[i];
        if (b->source == source && b->queue == queue && b->exchange == exchange && same(&b->key, key) &&
            same_bytes(&b->arguments, arguments))
            return b;
    }
    if (!make)
        return NULL;
    struct known_binding *b = model_make(sizeof *b);
    b->source = source;
    b->queue = queue;
    b->exchange = exchange;
    b->key = *key;
    buffer_add(&b->arguments, arguments->at, arguments->len);
    ADD(model->bindings, model->binding_count, b);
    return b;
}

static enum sure less(enum sure a, enum sure b)
{
    return a < b ? a : b;
}

static enum sure destination_there(const struct known_binding *b)
{
    return b->queue ? b->queue->thing.there : b->exchange->thing.there;
}

enum sure model_bound(const struct known_binding *b)
{
    return less(b->thing.there, less(b->source->thing.there, destination_there(b)));
}

/* ---- changing ---------------------------------------------------------------------------------------- */

void model_thing_set(struct model *model, struct thing *thing, enum sure there)
{
    thing->doubtful &= there == MAYBE;
    if (thing->there == there)
        return;
    thing->there = there;
    thing->unsafe |= model->failed;
    model_reroute(model);
}

void model_thing_begin(struct model *model, struct thing *thing, enum sure wants)
{
    if (thing->changing++ == 0)
        thing->before = thing->there;
    else
        thing->clash |= thing->wants != wants;
    thing->wants = wants;
    thing->changed = model->clock;
    if (thing->there != wants)
        model_thing_set(model, thing, MAYBE);
}

void model_thing_end(struct model *model, struct thing *thing, enum sure wants, bool done)
{
    thing->changing--;
    thing->unsafe |= model->failed;
    if (thing->clash) {
        thing->clash = thing->changing > 0;
        thing->doubtful = true;
        model_thing_set(model, thing, MAYBE);
    } else if (done) {
        model_thing_set(model, thing, wants);
    } else if (thing->changing == 0 && thing->there == MAYBE) {
        model_thing_set(model, thing, thing->before);
    }
}

bool model_thing_rests(const struct model *model, const struct thing *thing)
{
    return thing->changing == 0 && thing->left < model->idle;
}

/* ---- ends ---------------------------------------------------------------------------------------------- */

static void binding_ends(const struct model *model, struct thing *thing)
{
    bool unsafe = thing->unsafe || (model->failed && thing->there != NO);
    *thing = (struct thing){.changing = thing->changing,
                            .clash = thing->changing > 0,
                            .changed = thing->changed,
                            .unsafe = unsafe};
}

static void entries_end(struct known_queue *queue)
{
    for (unsigned i = 0; i < queue->entry_count; i++) {
        queue->entries[i]->present = NO;
        model_part_twins(queue->entries[i]);
    }
}

void model_queue_ends(struct model *model, struct known_queue *queue)
{
    if (queue->gone)
        return;
    queue->gone = ++model->clock;
    history_note("model: '%s' is gone", queue->name.s);
    model_suspect_sources(model, queue, NULL);
    entries_end(queue);
    for (unsigned i = 0; i < model->binding_count; i++)
        if (model->bindings[i]->queue == queue)
            binding_ends(model, &model->bindings[i]->thing);
    for (unsigned i = 0; i < model->consumer_count; i++)
        if (model->consumers[i]->queue == queue)
            model->consumers[i]->unsure = true;
    model_thing_set(model, &queue->thing, NO);
    model_reroute(model);
}

void model_exchange_ends(struct model *model, struct known_exchange *exchange)
{
    model_suspect_sources(model, NULL, exchange);
    for (unsigned i = 0; i < model->binding_count; i++)
        if (model->bindings[i]->source == exchange || model->bindings[i]->exchange == exchange)
            binding_ends(model, &model->bindings[i]->thing);
    exchange->was_bound = exchange->suspect = exchange->perhaps_durable = false;
    history_note("model: exchange '%s' is gone", exchange->name.s);
    model_thing_set(model, &exchange->thing, NO);
    model_reroute(model);
}

/* ---- suspects ------------------------------------------------------------------------------------------ */

void model_suspect_exchange(struct model *model, struct known_exchange *exchange)
{
    if (!exchange->auto_delete || exchange->thing.there == NO)
        return;
    bool known = exchange->suspect && exchange->thing.there == MAYBE;
    exchange->suspect = true;
    exchange->thing.before = MAYBE;
    model_thing_set(model, &exchange->thing, MAYBE);
    if (!known)
        model_suspect_sources(model, NULL, exchange); /* with it goes what they had bound to it */
}

void model_suspect_sources(struct model *model, const struct known_queue *queue,
                           const struct known_exchange *exchange)
{
    for (unsigned i = 0; i < model->binding_count; i++) {
        const struct known_binding *b = model->bindings[i];
        if (b->thing.there != NO && ((queue && b->queue == queue) || (exchange && b->exchange == exchange)))
            model_suspect_exchange(model, b->source);
    }
}

void model_suspect_queue(struct model *model, struct known_queue *queue)
{
    if (queue->thing.there == NO)
        return;
    queue->suspect = true;
    queue->thing.before = MAYBE;
    model_suspect_sources(model, queue, NULL);
    model_thing_set(model, &queue->thing, MAYBE);
}

static bool owner_left(const struct model *model, const struct known_queue *queue)
{
    for (unsigned i = 0; queue->exclusive && i < model->conn_count; i++)
        if (model->conns[i]->stream == queue->owner)
            return model->conns[i]->ending || !model->conns[i]->there;
    return false;
}

enum sure model_consumed(const struct model *model, const struct known_queue *queue)
{
    enum sure any = NO;
    for (unsigned i = 0; i < model->consumer_count; i++) {
        const struct known_consumer *c = model->consumers[i];
        if (c->queue != queue || c->state == CONSUMER_GONE)
            continue;
        any = c->unsure || c->state != CONSUMER_ACTIVE ? (any == NO ? MAYBE : any) : YES;
    }
    return any;
}

static void settle_queue(struct model *model, struct known_queue *queue)
{
    if (!queue->suspect || queue->thing.changing)
        return;
    enum sure any = model_consumed(model, queue);
    if (owner_left(model, queue) || model_outlived(model, queue) == YES ||
        (queue->auto_delete && any == NO && queue->had_consumer)) {
        model_queue_ends(model, queue);
        queue->suspect = false;
    } else if (any == YES && !queue->thing.doubtful) {
        model_thing_set(model, &queue->thing, YES);
        queue->suspect = false;
    }
}

static enum sure has_bindings(const struct model *model, const struct known_exchange *exchange)
{
    enum sure any = NO;
    for (unsigned i = 0; i < model->binding_count; i++) {
        const struct known_binding *b = model->bindings[i];
        enum sure there = less(b->thing.there, destination_there(b));
        if (b->source == exchange && there > any)
            any = there;
    }
    return any;
}

static bool settle_exchange(struct model *model, struct known_exchange *exchange)
{
    if (!exchange->suspect || exchange->thing.changing)
        return false;
    enum sure any = has_bindings(model, exchange);
    if (any == MAYBE || (any == NO ? !exchange->was_bound : exchange->thing.doubtful))
        return false;
    exchange->suspect = false;
    if (any == NO)
        model_exchange_ends(model, exchange);
    else
        model_thing_set(model, &exchange->thing, YES);
    return true;
}

/* One that goes may be the last binding of another. */
void model_settle_suspects(struct model *model)
{
    bool again = true;
    for (unsigned i = 0; i < model->queue_count; i++)
        settle_queue(model, model->queues[i]);
    while (again) {
        again = false;
        for (unsigned i = 0; i < model->exchange_count; i++)
            again |= settle_exchange(model, model->exchanges[i]);
    }
}
