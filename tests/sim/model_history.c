#include "model_history.h"

#include <stdlib.h>

#include "model_leave.h"
#include "model_stream.h"

#define U(n) ((unsigned long long)(n))

bool model_remembers(const struct known_exchange *e)
{
    return is(&e->type, "x-recent-history");
}

static bool reaches_one(const struct model *model, const struct known_message *m)
{
    for (unsigned i = 0; i < model->exchange_count; i++)
        if (model_remembers(model->exchanges[i]) && model_reaches_ever(model, m, model->exchanges[i]))
            return true;
    return false;
}

bool model_is_remembered(const struct model *model, const struct known_message *m)
{
    if (!m->original)
        return reaches_one(model, m);
    struct known_way *ways = model_make(MODEL_WAYS * sizeof *ways);
    struct known_message *as_if = model_make(sizeof *as_if);
    bool found = false;
    *as_if = *m;
    for (unsigned n = model_ways(m, ways); !found && n-- > 0;) {
        as_if->exchange = ways[n].exchange;
        as_if->key = ways[n].key;
        found = reaches_one(model, as_if);
    }
    free(as_if);
    free(ways);
    return found;
}

void model_history_begins(const struct model *model, struct known_exchange *e)
{
    e->remembers_since = model->clock;
}

/* ---- what it may have ------------------------------------------------------------------------------------
 */

static bool is_stored(const struct known_message *m)
{
    for (unsigned i = 0; i < m->header_count; i++)
        if (is(&m->headers[i].name, "x-recent-history-no-store") && m->headers[i].number)
            return false;
    return !m->nowhere || m->returned;
}

/* What died once may die once more, in the same way. */
static void letters_may_come(struct known_message *m)
{
    struct known_message *original = m->original ? m->original : m;
    for (unsigned i = 0; i < original->letter_count; i++)
        original->letters[i]->late = original->letters[i]->loose = true;
}

/* It may come to the queue now, or once more, however old it is. */
static void may_come(struct model *model, struct known_message *m, struct known_exchange *e,
                     struct known_queue *q)
{
    if (!is_stored(m) || !model_reaches_ever(model, m, e))
        return;
    m->recent |= !m->late;
    m->late = m->loose = true;
    m->nowhere = false; /* it had no queue, and now it may have this one */
    letters_may_come(m);
    struct known_entry *entry = model_entry(m, q);
    for (unsigned i = 0; i < m->entry_count; i++)
        model_part_twins(m->entries[i]);
    if (!entry)
        return;
    if (model_keeps(q) && entry->present == NO) {
        entry->present = MAYBE;
        entry->where = WHERE_READY;
    }
    entry->copied = entry->crowded = true;
    entry->dead_ms = UINT64_MAX;
    entry->dead = 0;
    entry->may_redeliver = true;
    entry->returns_most = UINT32_MAX;
}

static void all_may_come(struct model *model, struct known_exchange *e, struct known_queue *q)
{
    for (unsigned i = 0; i < model->message_count; i++) {
        struct known_message *m = model->messages[i];
        for (unsigned l = 0; m && l < m->letter_count; l++)
            may_come(model, m->letters[l], e, q);
        if (m)
            may_come(model, m, e, q);
    }
    q->receives = q->remembered = true;
    model_crowd(model, q);
}

/* ---- what it must have --------------------------------------------------------------------------------- */

static bool surely_before(const struct known_message *a, const struct known_message *b)
{
    if (a->channel == b->channel)
        return a->order < b->order;
    return a->closed && a->closed < b->begun;
}

/* One that may come at any time may push others out. */
static bool is_restless(const struct known_message *m)
{
    return m->original || m->delay_ms || (m->late && !m->recent);
}

/* Whether the exchange still has it: so many have not come since. */
static bool is_among_last(const struct model *model, const struct known_message *m,
                          const struct known_exchange *e)
{
    int64_t newer = 0;
    for (unsigned i = model->message_count; i-- > 0 && newer < e->remembers;) {
        const struct known_message *o = model->messages[i];
        if (!o || !model_reaches_ever(model, o, e))
            continue;
        if (is_restless(o) || o->letter_count)
            return false;
        newer += o != m && !surely_before(o, m);
    }
    return newer < e->remembers;
}

static bool is_remembered(const struct model *model, const struct known_message *m,
                          const struct known_exchange *e)
{
    bool taken = m->accepted && !m->refused && !m->again && same(&m->exchange, &e->name) &&
                 m->begun > e->remembers_since;
    bool lasts = m->begun > model->history_down || (e->durable && m->persistent && m->safe);
    bool first = !m->own || m->own->messages[0] == m; /* of its number, else it may have been taken before */
    return taken && lasts && first && is_stored(m) && !is_restless(m) && m->expiration < 0 &&
           is_among_last(model, m, e);
}

static bool takes_all(const struct known_queue *q)
{
    return q->thing.there == YES && !q->thing.changing && !q->gone && !q->perhaps_other && !q->varied &&
           q->settings.ttl < 0 && !model_is_limited(&q->settings) && !model_keeps(q) &&
           q->settings.expires < 0;
}

static void promise(struct model *model, const struct known_request *request)
{
    struct known_queue *q = request->queue;
    const struct known_exchange *e = request->exchange;
    for (unsigned i = 0; i < model->message_count; i++) {
        struct known_message *m = model->messages[i];
        if (!m || model_entry(m, q) || !is_remembered(model, m, e))
            continue;
        struct known_entry *entry = model_add_entry(model, m, q);
        entry->may_redeliver = entry->copied = true;
        entry->returns_most = UINT32_MAX;
        model->promises = model_room(model->promises, model->promise_count, sizeof *model->promises);
        model->promises[model->promise_count++] =
            (struct known_promise){entry, NULL, NULL, request->begun, false};
        history_note("model: '%s' has m%llu for '%s'", e->name.s, U(m->number), q->name.s);
    }
}

void model_history_asked(struct model *model, const struct known_request *request, bool fresh)
{
    struct known_exchange *e = request->exchange;
    bool rests = e->thing.there == YES && !e->thing.changing && !e->suspect && !model->failed;
    if (!model_remembers(e) || !request->queue)
        return;
    all_may_come(model, e, request->queue);
    model->promises = model_room(model->promises, model->promise_count, sizeof *model->promises);
    model->promises[model->promise_count++] =
        (struct known_promise){NULL, e, request->queue, request->begun, false};
    if (fresh && rests && takes_all(request->queue))
        promise(model, request);
}

/* Its exchange may have it already when it is asked what it remembers. */
void model_history_published(struct model *model, struct known_message *m)
{
    for (unsigned i = 0; i < model->promise_count; i++) {
        const struct known_promise *p = &model->promises[i];
        if (!p->entry)
            may_come(model, m, p->exchange, p->queue);
    }
}

void model_history_bound(struct model *model, const struct known_request *request)
{
    for (unsigned i = 0; i < model->promise_count; i++)
        model->promises[i].answered |= model->promises[i].begun == request->begun;
}

/* Somebody may have got it already, unseen. */
static void keep(struct model *model, const struct known_promise *p)
{
    struct known_entry *e = p->entry;
    const struct known_queue *q = e->queue;
    uint64_t since = model_idle_before(model, p->begun);
    if (e->present != MAYBE || e->where != WHERE_READY || e->stream || e->manifold || model->failed ||
        !takes_all(q) || model_interest(model, q, since, 0))
        return;
    e->present = YES;
    e->since = model->clock;
    history_note("model: m%llu is in '%s'", U(e->message->number), q->name.s);
}

void model_history_settled(struct model *model)
{
    if (model->now_ns < model->room_ns || model->ending)
        return;
    for (unsigned i = model->promise_count; i-- > 0;)
        if (model->promises[i].answered) {
            if (model->promises[i].entry)
                keep(model, &model->promises[i]);
            model->promises[i] = model->promises[model->promise_count - 1];
            model->promise_count--;
        }
}

void model_history_down(struct model *model)
{
    model->promise_count = 0;
    model->history_down = model->clock;
}
