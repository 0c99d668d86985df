/* The broker is gone: what must be there when it comes back, what may be, and what must not. */
#include <stdlib.h>

#include "model_delay.h"
#include "model_history.h"
#include "model_leave.h"
#include "model_producer.h"
#include "model_sequence.h"
#include "model_stream.h"

/* ---- what stays
 * ------------------------------------------------------------------------------------------------------- */

/* Whether the record of what happened to the thing is on the disk. */
static void thing_down(struct thing *thing, bool durable)
{
    bool unknown = thing->changing || thing->clash || (thing->unsafe && durable);
    enum sure there = !durable ? NO : unknown ? MAYBE : thing->there;
    *thing = (struct thing){.there = there, .before = there};
}

static void bindings_down(struct model *model)
{
    for (unsigned i = 0; i < model->binding_count; i++) {
        struct known_binding *b = model->bindings[i];
        bool durable = (b->source->durable || b->source->perhaps_durable) &&
                       (b->queue ? b->queue->durable || b->queue->perhaps_durable
                                 : b->exchange->durable || b->exchange->perhaps_durable);
        thing_down(&b->thing, durable);
    }
}

/* Whether a binding of the exchange surely comes back with it: else it waits for a first one again. */
static bool is_bound_again(const struct model *model, const struct known_exchange *e)
{
    for (unsigned i = 0; i < model->binding_count; i++) {
        const struct known_binding *b = model->bindings[i];
        const struct thing *to = b->queue ? &b->queue->thing : &b->exchange->thing;
        if (b->source == e && b->thing.there == YES && to->there == YES && !to->changing && !to->unsafe)
            return true;
    }
    return false;
}

static void exchanges_down(struct model *model)
{
    for (unsigned i = 0; i < model->exchange_count; i++) {
        struct known_exchange *e = model->exchanges[i];
        bool settled = e->thing.there != MAYBE;
        thing_down(&e->thing, e->durable || e->perhaps_durable);
        e->suspect = false;
        e->was_bound = e->was_bound && settled && e->thing.there == YES && is_bound_again(model, e);
    }
}

static bool may_have_left(const struct known_entry *e)
{
    int64_t limit = e->queue->least.deliveries;
    return e->mortal || e->crowded || e->rejected || e->leaving ||
           (limit >= 0 && e->returns_most > (uint64_t)limit);
}

/* Rejected, with nowhere to go: it waits, and a start begins with it as if nobody had rejected it. */
static bool comes_back(struct model *model, const struct known_entry *e)
{
    const struct known_message *m = e->message, *heir = e->heir[REASON_REJECTED];
    bool stays = e->queue->told_count <= 1 && e->leaving && e->reason == REASON_REJECTED &&
                 e->queue->settings.at_least_once && heir && heir->due && !e->relapsed && !e->mortal &&
                 !e->crowded && e->present == YES;
    if (!stays || model->failed || !m->safe || !m->accepted || m->refused)
        return false;
    enum sure *to = model_make((model->queue_count + 1) * sizeof *to);
    model_route_ever(model, heir, to);
    for (unsigned i = 0; i < model->queue_count; i++)
        stays &= to[i] == NO;
    free(to);
    return stays;
}

/* What was with consumers, or on its way back, is in the queue again, marked if it wasn't a clean end. */
static void entry_down(struct model *model, struct known_entry *e, bool clean)
{
    const struct known_message *m = e->message;
    bool settled = e->where == WHERE_DONE || e->where == WHERE_ACKED;
    bool safely_settled = e->where == WHERE_DONE && e->safe;
    e->returns_least = e->returns_least < e->returns_safe ? e->returns_least : e->returns_safe;
    bool stored = m->persistent || model_stores(e->queue);
    bool on_disk =
        m->safe || (m->safe_but_ram && e->queue->declared.level != MODEL_RAM && !e->queue->perhaps_other);
    model_policy_times_down(model, e);
    if (!stored || safely_settled || m->nowhere) {
        e->present = NO;
        e->where = WHERE_DONE;
        e->safe = true;
        return;
    }
    if (comes_back(model, e))
        history_note("model: m%llu is in '%s' again", (unsigned long long)m->number, e->queue->name.s);
    else if (e->kept)
        e->present = YES;
    else if (settled || e->copied || m->refused || ((!on_disk || !m->accepted) && !e->vouched))
        e->present = e->present == NO && !settled ? NO : MAYBE;
    e->where = WHERE_READY;
    if (e->mortal)
        model_doubt_entry(e);
    e->since = model->clock;
    e->may_redeliver |= !clean || may_have_left(e); /* on its way to the dead letters, it was out */
    e->recovered = true;
    e->relapsed |= may_have_left(e);
    e->dead = model->now_ms > e->dead_ms ? e->dead : 0; /* the count of its returns may be lost */
    e->leaving = false;
    model->counts.sure += e->present == YES;
    model->counts.unsure += e->present == MAYBE;
}

static void queue_down(struct model *model, struct known_queue *queue, bool clean)
{
    bool durable = (queue->durable || queue->perhaps_durable) && !queue->exclusive;
    if (queue->gone && !(durable && queue->thing.unsafe))
        return;
    thing_down(&queue->thing, durable);
    queue->suspect = queue->had_consumer = false;
    queue->touched = true;
    queue->used_ns = model->now_ns;
    if (queue->thing.there == NO) {
        queue->gone = queue->gone ? queue->gone : model->clock;
        for (unsigned i = 0; i < queue->entry_count; i++)
            queue->entries[i]->present = NO;
        return;
    }
    for (unsigned i = 0; queue->gone && i < queue->entry_count; i++)
        queue->entries[i]->present = MAYBE; /* it was deleted, but the disk didn't hear of it */
    queue->gone = 0;
    model_stream_down(model, queue);
    if (queue->settings.last_value.s[0])
        model_image_down(model, queue);
    for (unsigned i = 0; i < queue->entry_count; i++)
        entry_down(model, queue->entries[i], clean);
    queue->holes = true;
    if (queue->settings.last_value.s[0] || (!model_keeps(queue) && !clean))
        model_sequence_down(queue);
    model_crowd(model, queue);
}

/* Two lives of one name, of which it isn't known which the disk has: the later one gets all that may be
 * there. */
static void merge(struct known_queue *into, struct known_queue *from)
{
    for (unsigned i = 0; i < from->entry_count; i++) {
        struct known_entry *e = from->entries[i], *there = model_entry(e->message, into);
        if (!there) {
            e->queue = into;
            ADD(into->entries, into->entry_count, e);
        }
    }
    from->entry_count = 0;
    model_stream_forgets(into);
    from->shown_count = 0;
    if (!model_settings_equal(&into->declared, &from->declared))
        model_become_other(into);
    for (unsigned i = 0; i < into->entry_count; i++) {
        model_doubt_entry(into->entries[i]);
        into->entries[i]->returns_most = UINT32_MAX;
    }
}

static void merge_lives(struct model *model)
{
    for (unsigned i = 0; i < model->queue_count; i++) {
        struct known_queue *queue = model->queues[i], *last = model_queue(model, &queue->name);
        if (queue->gone || queue == last)
            continue;
        merge(last, queue);
        for (unsigned b = 0; b < model->binding_count; b++)
            if (model->bindings[b]->queue == queue && model->bindings[b]->thing.there != NO) {
                struct known_binding *old = model->bindings[b];
                model_binding(model, old->source, last, NULL, &old->key, &old->arguments, true)->thing.there =
                    MAYBE;
                old->thing.there = NO;
            }
        queue->gone = model->clock;
        queue->thing.there = NO;
    }
}

/* ---- what goes
 * ----------------------------------------------------------------------------------------------------------
 */

static void conns_down(struct model *model)
{
    for (unsigned i = 0; i < model->conn_count; i++)
        model->conns[i]->there = false;
    for (unsigned i = 0; i < model->channel_count; i++) {
        struct known_channel *channel = model->channels[i];
        model_release(model, channel);
        for (unsigned r = 0; r < channel->request_count; r++) {
            const struct known_request *q = channel->requests[r];
            model_unanswered(q);
            if (q->method == QUEUE_PURGE && q->queue)
                model_purged(model, q->queue, q, channel->conn->stream, false);
            model_request_free(channel->requests[r]);
        }
        channel->request_count = channel->unacked_count = channel->open_count = channel->tx_count = 0;
        channel->confirm_count = 0;
        channel->life = LIFE_GONE;
    }
    for (unsigned i = 0; i < model->consumer_count; i++)
        if (model->consumers[i]->state != CONSUMER_GONE) {
            model->consumers[i]->state = CONSUMER_GONE;
            model->consumers[i]->gone = model->clock;
        }
}

void model_down(struct model *model, bool clean)
{
    model->clock++;
    model->ending = clean;
    if (clean)
        model_idle(model);
    model->ending = false;
    for (unsigned i = model->routing_count; i-- > 0;)
        model_message_closed(model, model->routing[i]);
    if (!clean)
        model_twins(model);
    conns_down(model);
    model_settle_lost(model);
    model_delays_down(model);
    model_history_down(model);
    model_numbers_down(model);
    bindings_down(model);
    exchanges_down(model);
    for (unsigned i = 0; i < model->queue_count; i++)
        queue_down(model, model->queues[i], clean && !model->failed);
    merge_lives(model);
    model_numbers_lost(model);
    model_letters_down(model);
    model->failed = false;
    model->clock++;
}

void model_may_mark(struct model *model)
{
    for (unsigned q = 0; q < model->queue_count; q++)
        for (unsigned i = 0; i < model->queues[q]->entry_count; i++)
            model->queues[q]->entries[i]->may_redeliver = true;
}

/* ---- the end
 * ----------------------------------------------------------------------------------------------------------------
 */

unsigned model_queues(const struct model *model)
{
    return model->queue_count;
}

const char *model_queue_name(const struct model *model, unsigned i)
{
    const struct known_queue *queue = model->queues[i];
    return queue->gone || queue->thing.there == NO || queue->exclusive ? NULL : queue->name.s;
}

static bool is_left(const struct known_entry *e)
{
    return e->present == YES && e->where != WHERE_DONE;
}

bool model_something_left(const struct model *model)
{
    for (unsigned q = 0; q < model->queue_count; q++) {
        const struct known_queue *queue = model->queues[q];
        for (unsigned i = 0; !model_keeps(queue) && !queue->gone && i < queue->entry_count; i++)
            if (is_left(queue->entries[i]))
                return true;
    }
    return false;
}

void model_all_empty(const struct model *model)
{
    for (unsigned q = 0; q < model->queue_count; q++) {
        const struct known_queue *queue = model->queues[q];
        if (model_keeps(queue))
            continue;
        model_sequence_whole(queue);
        model_numbers_whole(queue);
        for (unsigned i = 0; !queue->gone && i < queue->entry_count; i++) {
            const struct known_entry *e = queue->entries[i];
            if (e->twin)
                history_fail("m%llu was rejected in '%s' when the broker was killed, and then it was neither "
                             "there nor "
                             "in '%s'",
                             (unsigned long long)e->message->number, queue->name.s, e->twin->queue->name.s);
            if (is_left(e))
                history_fail("m%llu was in '%s' and never came out of it",
                             (unsigned long long)e->message->number, queue->name.s);
        }
    }
}
