/*
 * Messages with numbers. Each time one is sent again that is a message of its own here, with an id and a body
 * of its own: so it is seen which of them was kept. A run is what is between two starts of the broker.
 */
#include "model_producer.h"

#include <stdlib.h>

#include "model_history.h"
#include "model_leave.h"
#include "model_stream.h"

enum { MODEL_NUMBERS = 64 }; /* the latest of a producer, which come in any order */

#define U(n) ((unsigned long long)(n))

/* ---- which belong together
 * ------------------------------------------------------------------------------------------ */

static struct known_number *number_of(struct model *model, const struct text *producer, int64_t seq)
{
    for (unsigned i = 0; i < model->number_count; i++)
        if (model->numbers[i]->seq == seq && same(&model->numbers[i]->producer, producer))
            return model->numbers[i];
    struct known_number *n = model_make(sizeof *n);
    n->producer = *producer;
    n->seq = seq;
    ADD(model->numbers, model->number_count, n);
    return n;
}

void model_number(struct model *model, struct known_message *m)
{
    const struct table_field *producer = NULL, *seq = NULL;
    m->run = model->runs;
    for (unsigned i = 0; i < m->header_count; i++) {
        if (is(&m->headers[i].name, "x-producer-id"))
            producer = &m->headers[i];
        if (is(&m->headers[i].name, "x-producer-seq"))
            seq = &m->headers[i];
    }
    if (!producer || !seq)
        return;
    m->own = number_of(model, &producer->text, seq->number);
    ADD(m->own->messages, m->own->count, m);
    history_note("model: m%llu is number %lld of '%s', for the %u. time", U(m->number),
                 (long long)seq->number, producer->text.s, m->own->count);
}

void model_numbers_free(struct model *model)
{
    for (unsigned i = 0; i < model->number_count; i++) {
        free(model->numbers[i]->messages);
        free(model->numbers[i]);
    }
    free(model->numbers);
}

/* Another's entry in the queue, in any life of it: its router is told by its name. */
static struct known_entry *entry_in(const struct known_message *m, const struct known_queue *queue)
{
    struct known_entry *found = NULL;
    for (unsigned i = 0; i < m->entry_count; i++) {
        struct known_entry *e = m->entries[i];
        if (same(&e->queue->name, &queue->name) && (!found || e->seen_run >= found->seen_run))
            found = e;
    }
    return found;
}

/* ---- may it have been taken
 * ----------------------------------------------------------------------------------------------- */

/* A full queue has refused it, and there was no other. */
static bool found_no_room(const struct model *model, const struct known_message *m)
{
    return m->refused && !model->failed && !m->races && !m->loose && m->entry_count == 1 &&
           m->entries[0]->full && !m->entries[0]->queue->perhaps_other && m->run == model->runs;
}

/* A restart forgets what was not for the disk. */
static bool is_forgotten(const struct model *model, const struct known_message *m)
{
    return m->run < model->runs && !m->persistent && !model_is_kept(m);
}

/* So far behind that its router, or some router, may count it as taken. */
static bool is_old(const struct model *model, const struct known_message *m)
{
    for (unsigned i = 0; i < model->number_count; i++) {
        const struct known_number *n = model->numbers[i];
        if (n->seq >= m->own->seq + MODEL_NUMBERS && same(&n->producer, &m->own->producer))
            return true;
    }
    return false;
}

/* No queue has it, and no exchange remembers it: its number is free. */
static bool was_unwanted(const struct model *model, const struct known_message *m)
{
    bool nobodys = m->nowhere || (m->accepted && m->unroutable && !m->entry_count);
    return nobodys && !((m->returned || !m->nowhere) && model_is_remembered(model, m));
}

bool model_may_be_again(const struct model *model, const struct known_message *m)
{
    if (!m->own)
        return false;
    for (unsigned i = 0; i < m->own->count; i++) {
        const struct known_message *o = m->own->messages[i];
        if (o != m && !was_unwanted(model, o) && !found_no_room(model, o) && !is_forgotten(model, o))
            return true;
    }
    return is_old(model, m);
}

bool model_is_undecided(const struct known_message *m)
{
    bool again = m->original ? model_may_insist(m->parent->queue) : m->own && !m->confirmed;
    return again && model_may_be_full(m);
}

/* What an exchange remembered comes to a queue whatever its number. */
static const struct known_number *number_in_queue(const struct known_entry *e)
{
    return e->queue->remembered ? NULL : e->message->own;
}

/* What such a queue refuses has not taken its number, and waits in it until its target takes it; a start
 * begins with it as with any other. */
static bool keeps_refused(const struct known_queue *q)
{
    const struct known_settings *s = &q->settings;
    return model_may_insist(q) && (q->varied || s->overflow == MODEL_REFUSES_TO_TARGET);
}

static bool was_refused(const struct known_entry *e)
{
    return keeps_refused(e->queue) && e->full;
}

void model_number_enters(const struct model *model, struct known_entry *e)
{
    const struct known_number *n = number_in_queue(e);
    for (unsigned i = 0; n && i < n->count; i++) {
        const struct known_entry *o =
            n->messages[i] == e->message ? NULL : entry_in(n->messages[i], e->queue);
        if (!o || keeps_refused(e->queue))
            continue;
        bool there = o->message->run == model->runs && o->present == YES && o->queue->thing.there == YES;
        if (there || o->remembered || (o->seen && o->seen_run == model->runs))
            e->present = NO;
        if (e->present == NO)
            history_note("model: m%llu can't get to '%s': m%llu has its number", U(e->message->number),
                         e->queue->name.s, U(o->message->number));
    }
}

/* ---- what comes out
 * ------------------------------------------------------------------------------------------------------ */

/* e is in the queue now, o was there in another run, or this one. */
static void check_pair(const struct model *model, const struct known_entry *e, const struct known_entry *o)
{
    if (!o->seen || was_refused(e) || was_refused(o))
        return;
    bool together = e->message->run <= o->seen_run;
    if (!together && !o->remembered)
        return;
    history_fail(
        "m%llu was delivered from '%s', and so was m%llu in run %llu%s (now it is run %llu): both are "
        "number %lld of '%s'",
        U(e->message->number), e->queue->name.s, U(o->message->number), U(o->seen_run),
        o->remembered ? ", which was safe" : "", U(model->runs), (long long)e->message->own->seq,
        e->message->own->producer.s);
}

void model_number_seen(const struct model *model, struct known_entry *e)
{
    const struct known_number *n = number_in_queue(e);
    for (unsigned i = 0; n && i < n->count; i++) {
        struct known_entry *o = n->messages[i] == e->message ? NULL : entry_in(n->messages[i], e->queue);
        if (!o)
            continue;
        check_pair(model, e, o);
        o->owed = false;
        if (was_refused(e) || was_refused(o))
            continue;
        if (o->present != NO)
            history_note("model: then m%llu isn't in '%s'", U(o->message->number), o->queue->name.s);
        o->present = NO;
    }
    e->owed = false;
    e->seen = true;
    e->seen_run = model->runs;
}

/* ---- what is owed
 * -------------------------------------------------------------------------------------------------------- */

/* Nothing but a delivery has made it leave, if it was kept. */
static bool is_untouched(const struct known_entry *e)
{
    return e->must && e->present != NO && e->where == WHERE_READY && !e->seen && !e->mortal && !e->crowded &&
           !e->full && !e->queue->perhaps_other && e->queue->thing.there == YES;
}

/* One of all those with its number must be in the queue: none has gone anywhere else. */
static bool is_certain(const struct model *model, const struct known_entry *e)
{
    const struct known_number *n = e->message->own;
    for (unsigned i = 0; i < n->count; i++) {
        const struct known_message *o = n->messages[i];
        const struct known_entry *there = model_entry(o, e->queue);
        bool nowhere = o->nowhere || is_forgotten(model, o);
        if (!nowhere && (!there || !is_untouched(there) || o->loose || o->delay_ms))
            return false;
    }
    return !is_old(model, e->message);
}

void model_number_owed(const struct model *model, struct known_message *m)
{
    for (unsigned i = 0; m->own && i < m->entry_count; i++) {
        struct known_entry *e = m->entries[i];
        if (e->present != MAYBE || m->refused || model_is_undecided(m) || model_keeps(e->queue) ||
            !is_certain(model, e))
            continue;
        history_note("model: m%llu or another with its number is in '%s'", U(m->number), e->queue->name.s);
        e->owed = true;
    }
}

void model_number_parts(const struct known_entry *e)
{
    const struct known_number *n = e->message->own;
    for (unsigned i = 0; n && i < n->count; i++) {
        struct known_entry *o = model_entry(n->messages[i], e->queue);
        if (o)
            o->owed = false;
    }
}

void model_numbers_whole(const struct known_queue *queue)
{
    for (unsigned i = 0; !queue->gone && i < queue->entry_count; i++) {
        const struct known_entry *e = queue->entries[i];
        if (e->owed)
            history_fail(
                "m%llu was taken, or another with its number (%lld of '%s'), but none came out of '%s'",
                U(e->message->number), (long long)e->message->own->seq, e->message->own->producer.s,
                queue->name.s);
    }
}

/* ---- crashes
 * -------------------------------------------------------------------------------------------------------------
 */

static bool is_on_disk(const struct known_entry *e)
{
    const struct known_message *m = e->message;
    const struct known_queue *q = e->queue;
    return m->safe && m->accepted && !m->refused && (m->persistent || model_stores(q)) && q->durable &&
           !q->exclusive && !q->perhaps_other;
}

/* It is what another was taken for, and that one is safe. */
static bool is_vouched(const struct model *model, const struct known_entry *e)
{
    const struct known_number *n = e->message->own;
    for (unsigned i = 0; i < n->count; i++) {
        const struct known_entry *o = model_entry(n->messages[i], e->queue);
        if (o && o != e && o->must && o->message->run == model->runs && is_on_disk(o) &&
            o->message->persistent == e->message->persistent)
            return true;
    }
    return false;
}

void model_numbers_down(struct model *model)
{
    for (unsigned n = 0; n < model->number_count; n++)
        for (unsigned i = 0; i < model->numbers[n]->count; i++) {
            const struct known_message *m = model->numbers[n]->messages[i];
            for (unsigned k = 0; k < m->entry_count; k++) {
                struct known_entry *e = m->entries[k];
                bool was_seen = e->seen && e->seen_run == model->runs;
                e->remembered |= (was_seen && m->run < model->runs) ||
                                 ((was_seen || e->present == YES) && (is_on_disk(e) || is_vouched(model, e)));
                e->vouched = e->present == YES && is_vouched(model, e);
                e->owed &= is_on_disk(e);
            }
        }
    model->runs++;
}

void model_numbers_lost(const struct model *model)
{
    for (unsigned n = 0; n < model->number_count; n++)
        for (unsigned i = 0; i < model->numbers[n]->count; i++) {
            const struct known_message *m = model->numbers[n]->messages[i];
            for (unsigned k = 0; k < m->entry_count; k++) {
                struct known_entry *e = m->entries[k];
                if (e->owed && e->queue->thing.there != YES)
                    model_number_parts(e);
            }
        }
}
