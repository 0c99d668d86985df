/* Dead letters on their way: what leaves a queue is published once more, by the queue. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "model_history.h"
#include "model_leave.h"
#include "model_producer.h"

/* ---- trails
 * ------------------------------------------------------------------------------------------------ */

static bool same_death(const struct known_death *a, const struct text *queue, enum reason reason)
{
    return a->reason == reason && same(&a->queue, queue);
}

/* What x-death says after one death more. Returns how many there are, 0 if that is too many. */
unsigned model_trail(const struct known_message *m, const struct text *queue, enum reason reason,
                     struct known_death *trail)
{
    unsigned n = 1;
    trail[0] = (struct known_death){*queue, reason, 1};
    for (unsigned i = 0; i < m->death_count; i++) {
        if (same_death(&m->deaths[i], queue, reason)) {
            trail[0].count += m->deaths[i].count;
            continue;
        }
        if (n == MODEL_DEATHS)
            return 0;
        trail[n++] = m->deaths[i];
    }
    return n;
}

bool model_same_trail(const struct known_message *m, const struct known_death *trail, unsigned count)
{
    if (m->death_count != count)
        return false;
    for (unsigned i = 0; i < count; i++)
        if (!same_death(&m->deaths[i], &trail[i].queue, trail[i].reason) ||
            m->deaths[i].count != trail[i].count)
            return false;
    return true;
}

/* A queue that a message has been in since a client last rejected it doesn't get it again. */
bool model_is_circle(const struct known_message *letter, const struct known_queue *queue)
{
    for (unsigned i = 0; i < letter->death_count; i++) {
        if (letter->deaths[i].reason == REASON_REJECTED)
            return false;
        if (same(&letter->deaths[i].queue, &queue->name))
            return true;
    }
    return false;
}

void model_break_circles(const struct model *model, const struct known_message *letter, enum sure *to)
{
    for (unsigned i = 0; i < model->queue_count; i++)
        if (to[i] != NO && model_is_circle(letter, model->queues[i]))
            to[i] = NO;
}

/* ---- targets
 * ------------------------------------------------------------------------------------------------ */

const struct known_settings *model_target(const struct known_queue *queue)
{
    const struct known_settings *s = &queue->settings;
    return s->has_target ? s : queue->flux && queue->other.has_target ? &queue->other : NULL;
}

/* Of one that may have left before the target was taken from the queue the last that it had. */
static const struct known_settings *target_then(const struct known_queue *queue)
{
    const struct known_settings *s = model_target(queue);
    for (unsigned i = queue->told_count; !s && i-- > 0;)
        s = queue->told[i].has_target ? &queue->told[i] : NULL;
    return s ? s : &queue->settings;
}

bool model_may_have_target(const struct known_queue *queue)
{
    bool may = queue->settings.has_target;
    for (unsigned i = 0; !may && i < queue->told_count; i++)
        may = queue->told[i].has_target;
    return may;
}

bool model_may_insist(const struct known_queue *queue)
{
    bool may = queue->settings.has_target && queue->settings.at_least_once;
    for (unsigned i = 0; !may && i < queue->told_count; i++)
        may = queue->told[i].has_target && queue->told[i].at_least_once;
    return may;
}

static unsigned add_way(struct known_way *ways, unsigned count, const struct text *exchange,
                        const struct text *key)
{
    for (unsigned i = 0; i < count; i++)
        if (same(&ways[i].exchange, exchange) && same(&ways[i].key, key))
            return count;
    if (count == MODEL_WAYS)
        history_fail("a dead letter has more ways than the model can count");
    ways[count] = (struct known_way){*exchange, *key};
    return count + 1;
}

unsigned model_ways(const struct known_message *m, struct known_way ways[MODEL_WAYS])
{
    struct known_way before[MODEL_WAYS];
    unsigned count = add_way(ways, 0, &m->exchange, &m->key), n;
    if (!m->original || (!m->late && !m->loose))
        return count;
    const struct known_queue *q = m->parent->queue;
    n = model_ways(m->parent->message, before);
    for (unsigned i = 0; i < q->told_count; i++)
        for (unsigned k = 0; q->told[i].has_target && k < (q->told[i].has_key ? 1 : n); k++)
            count = add_way(ways, count, &q->told[i].target,
                            q->told[i].has_key ? &q->told[i].key : &before[k].key);
    return count;
}

bool model_is_way(const struct known_message *m, const struct text *exchange, const struct text *key)
{
    if (same(&m->exchange, exchange) && (!key || same(&m->key, key)))
        return true;
    struct known_way *ways = model_make(MODEL_WAYS * sizeof *ways);
    bool found = false;
    for (unsigned n = model_ways(m, ways); !found && n-- > 0;)
        found = same(&ways[n].exchange, exchange) && (!key || same(&ways[n].key, key));
    free(ways);
    return found;
}

/* ---- making one
 * --------------------------------------------------------------------------------------------- */

struct known_message *model_make_letter(struct model *model, struct known_entry *e, enum reason reason)
{
    const struct known_message *of = e->message;
    const struct known_settings *s = target_then(e->queue);
    struct known_message *original = of->original ? of->original : e->message, *m = model_make(sizeof *m);
    *m = (struct known_message){
        .number = of->number,
        .original = original,
        .parent = e,
        .exchange = s->target,
        .key = s->has_key ? s->key : of->key,
        .properties = original->properties, /* these are the original's own */
        .body = original->body,
        .header_count = of->header_count,
        .persistent = of->persistent,
        .priority = of->priority,
        .expiration = -1,
        .late = of->late || e->relapsed,
        .loose = of->late || e->relapsed,
        .begun = model->clock,
        .begun_ms = model->now_ms,
        .closed_ms = UINT64_MAX,
    };
    memcpy(m->headers, of->headers, sizeof m->headers);
    m->death_count = model_trail(of, &e->queue->name, reason, m->deaths);
    if (m->death_count == 0)
        history_fail("m%llu has died in more queues than the model can count", (unsigned long long)m->number);
    ADD(original->letters, original->letter_count, m);
    return e->heir[reason] = m;
}

static struct known_message *known_letter(const struct known_entry *e, enum reason reason)
{
    const struct known_message *of = e->message, *original = of->original ? of->original : of;
    struct known_death trail[MODEL_DEATHS];
    unsigned n = model_trail(of, &e->queue->name, reason, trail);
    for (unsigned i = 0; i < original->letter_count; i++)
        if (model_same_trail(original->letters[i], trail, n))
            return original->letters[i];
    return NULL;
}

/* One of the same trail that is known already: then this is another copy. */
void model_dies(struct model *model, struct known_entry *e, enum reason reason)
{
    const struct known_queue *queue = e->queue;
    if (!model_target(queue) || e->present == NO || e->manifold)
        return;
    struct known_message *m = e->heir[reason] ? e->heir[reason] : known_letter(e, reason);
    e->heir[reason] = m;
    if (m) {
        m->late = m->loose = true;
        return;
    }
    if (e->present != YES)
        return; /* it is made when it is seen */
    m = model_make_letter(model, e, reason);
    if (queue->flux && !model_same_target(&queue->settings, &queue->other))
        m->late = m->loose = true;
    m->due = !m->late && queue->thing.there == YES && !queue->perhaps_other;
    model_begin_routing(model, m);
    model_history_published(model, m);
    history_note("model: m%llu may leave '%s' for '%s'", (unsigned long long)m->number, queue->name.s,
                 m->exchange.s);
}

bool model_waits(const struct model *model, const struct known_queue *queue)
{
    return model_may_have_target(queue) &&
           (model_may_insist(queue) || model->ending || model->now_ns < model->room_ns);
}

/* With at-least-once it is tried again until it gets somewhere. A router whose journal has failed doesn't say
 * that it has one, and behind those that wait for an answer others may stand in line until the next start. */
void model_died(struct model *model, struct known_entry *e)
{
    struct known_message *m = e->heir[e->reason];
    bool somewhere = false;
    if (model->ending || model->failed || model->now_ns < model->room_ns || !m || m->accepted || !m->due ||
        m->late || e->queue->gone || e->queue->thing.there != YES)
        return;
    model_message_accepted(model, m);
    m->safe |= !model->failed;
    for (unsigned i = 0; i < m->entry_count; i++)
        somewhere |= m->entries[i]->must && !model_is_undecided(m);
    if (e->queue->settings.at_least_once && !somewhere)
        m->late = m->loose = true;
}

/* What has not surely left yet may leave at any later time, by ways that aren't looked at any more. */
void model_letters_settled(struct model *model)
{
    for (unsigned i = model->routing_count; i-- > 0;) {
        struct known_message *m = model->routing[i];
        if (!m->original || (m->parent->leaving && model->now_ns < model->room_ns))
            continue;
        m->late |= !m->accepted && m->due && m->parent->where != WHERE_ACKED;
        m->loose |= m->late;
        model_message_closed(model, m);
    }
}

/* ---- a crash
 * ------------------------------------------------------------------------------------------------- */

static bool keeps_all(const struct known_queue *q)
{
    const struct known_settings *s = &q->settings;
    return q->durable && !q->exclusive && !q->auto_delete && !q->gone && q->thing.there == YES &&
           !q->thing.changing && !q->thing.unsafe && !q->perhaps_durable && !q->perhaps_other && !q->varied &&
           s->ttl < 0 && s->expires < 0 && !model_is_limited(s) && !s->quorum;
}

static void pair(struct known_entry *e)
{
    const struct known_message *m = e->message, *heir = e->heir[REASON_REJECTED];
    bool under_way = e->where == WHERE_ACKED || (e->where == WHERE_DONE && !e->safe);
    if (!heir || !heir->due || heir->late || heir->accepted || !under_way || e->present != YES || e->twin)
        return;
    bool lasts = m->expiration < 0 || m->expiration > 3600000; /* a run is shorter */
    if (!m->persistent || !m->safe || !m->accepted || m->refused || !lasts || !keeps_all(e->queue))
        return;
    for (unsigned i = 0; i < heir->entry_count; i++) {
        struct known_entry *h = heir->entries[i];
        if (!h->must || h->present != MAYBE || h->where != WHERE_READY || !keeps_all(h->queue))
            continue;
        e->twin = h;
        h->twin = e;
        history_note("model: m%llu must be in '%s' or '%s'", (unsigned long long)m->number, e->queue->name.s,
                     h->queue->name.s);
        return;
    }
}

void model_twins(struct model *model)
{
    for (unsigned q = 0; q < model->queue_count; q++)
        for (unsigned i = 0; i < model->queues[q]->entry_count; i++) {
            struct known_entry *e = model->queues[q]->entries[i];
            if (model->failed)
                model_part_twins(e);
            else
                pair(e);
        }
}

void model_part_twins(struct known_entry *e)
{
    if (e->twin)
        e->twin->twin = NULL;
    e->twin = NULL;
    model_number_parts(e);
}

/* What has come back may die once more. */
void model_letters_down(struct model *model)
{
    for (unsigned n = 0; n < model->message_count; n++) {
        struct known_message *m = model->messages[n];
        for (unsigned i = 0; m && i < m->letter_count; i++) {
            struct known_message *letter = m->letters[i];
            if (letter->parent->present == NO && !letter->parent->message->late)
                continue;
            letter->late = letter->loose = true;
            for (unsigned e = 0; e < letter->entry_count; e++) {
                letter->entries[e]->dead_ms = UINT64_MAX;
                letter->entries[e]->dead = 0;
            }
        }
    }
}
