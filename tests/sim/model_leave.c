/* How messages leave a queue that nobody takes them from: their time is over, the queue is full, they have
 * been given back too often. And how a queue leaves that nobody uses. */
#include <stdlib.h>

#include "model_delay.h"
#include "model_leave.h"
#include "model_stream.h"
#include "tap.h"

/* ---- time
 * --------------------------------------------------------------------------------------------------- */

/* Where policies have changed it is of the moment at which the message came. */
static int64_t lifetime(const struct known_entry *e, int64_t ttl_then)
{
    const struct known_queue *q = e->queue;
    return model_lower(q->varied ? ttl_then : q->settings.ttl, e->message->expiration);
}

static bool is_alive(const struct known_entry *e)
{
    return e->present != NO && e->where != WHERE_DONE;
}

static bool is_waiting(const struct known_entry *e)
{
    return is_alive(e) && (e->where == WHERE_READY || e->where == WHERE_BACK);
}

static void may_expire(struct model *model, struct known_entry *e)
{
    e->mortal = true;
    if (!is_waiting(e))
        return;
    model_dies(model, e, REASON_EXPIRED);
    model_doubt_entry(e);
}

void model_set_times(struct model *model, struct known_entry *e)
{
    const struct known_message *m = e->message;
    bool keeps = model_keeps(e->queue);
    int64_t ms = keeps ? -1 : lifetime(e, e->ttl_least), most_ms = keeps ? -1 : lifetime(e, e->ttl_most);
    e->mortal_ms = e->dead_ms = UINT64_MAX;
    if (e->queue->perhaps_other)
        e->mortal_ms = 0;
    else if (ms >= 0)
        e->mortal_ms = m->begun_ms + m->delay_ms + (uint64_t)ms;
    uint64_t closed_ms = m->delay_ms ? m->left_ms : m->closed_ms;
    if (most_ms >= 0 && closed_ms != UINT64_MAX && !m->late && !e->queue->perhaps_other)
        e->dead_ms = closed_ms + (uint64_t)most_ms;
    if (!e->mortal && e->mortal_ms <= model->now_ms)
        may_expire(model, e);
    else if (!e->mortal && e->mortal_ms < model->next_ms)
        model->next_ms = e->mortal_ms;
}

void model_time(struct model *model, uint64_t now_ns)
{
    model->now_ns = now_ns;
    model->now_ms = now_ns / 1000000;
    model_delays_due(model);
    for (unsigned q = 0; q < model->queue_count; q++) {
        struct known_queue *queue = model->queues[q];
        if (queue->thing.there == NO || model_outlived(model, queue) == NO)
            continue;
        if (queue->thing.there == YES || !queue->suspect)
            model_suspect_queue(model, queue);
        else
            model_suspect_sources(model, queue, NULL); /* there may be new ones */
    }
    if (model->now_ms < model->next_ms)
        return;
    model->next_ms = UINT64_MAX;
    for (unsigned q = 0; q < model->queue_count; q++)
        for (unsigned i = 0; i < model->queues[q]->entry_count; i++) {
            struct known_entry *e = model->queues[q]->entries[i];
            if (e->mortal || !is_alive(e) || e->mortal_ms == UINT64_MAX)
                continue;
            if (model->now_ms >= e->mortal_ms)
                may_expire(model, e);
            else if (e->mortal_ms < model->next_ms)
                model->next_ms = e->mortal_ms;
        }
}

/* Only the head is looked at. What came before a message whose time is the queue's is over before it. */
static bool is_head(const struct known_entry *e)
{
    const struct known_settings *s = &e->queue->settings;
    int64_t own = e->message->expiration;
    return !e->queue->varied && s->highest < 0 && s->ttl >= 0 && (own < 0 || s->ttl <= own);
}

/* Whether some of the queue may be on its way to a client, unseen, if only behind what ended its channel. */
static bool hidden(const struct model *model, const struct known_queue *queue)
{
    for (unsigned i = 0; i < model->consumer_count; i++) {
        const struct known_consumer *c = model->consumers[i];
        bool over = c->state == CONSUMER_GONE && c->gone < c->channel->conn->flushed;
        if (c->queue == queue && !over && c->channel->conn->there &&
            !taps_flushed(model->taps, c->channel->conn->stream))
            return true;
    }
    for (unsigned i = 0; i < model->channel_count; i++)
        for (unsigned r = 0; r < model->channels[i]->request_count; r++)
            if (model->channels[i]->requests[r]->queue == queue)
                return true;
    return false;
}

static void leaves(struct model *model, struct known_entry *e, enum reason reason)
{
    history_note("model: m%llu has left '%s': %s", (unsigned long long)e->message->number, e->queue->name.s,
                 reason == REASON_EXPIRED ? "expired" : "delivered too often");
    e->present = NO;
    model_done(model, e);
    e->leaving = true;
    e->reason = reason;
    model_died(model, e);
}

void model_leave_settled(struct model *model, struct known_entry *e)
{
    int64_t limit = model_limit_most(e->queue);
    if (e->where == WHERE_DONE && e->leaving)
        model_died(model, e);
    if (model->ending || e->where != WHERE_READY || e->present == NO || e->manifold ||
        e->queue->perhaps_other)
        return;
    bool again = e->message->recent && e->queue->remembered; /* another copy may not have come back yet */
    if (limit >= 0 && e->returns_least > (uint64_t)limit && !again && !(e->queue->varied && e->recovered)) {
        e->dead = e->dead ? e->dead : model->clock;
        if (!e->recovered) /* else when it comes to the head */
            leaves(model, e, REASON_LIMIT);
        return;
    }
    if (model->now_ms <= e->dead_ms || e->message->late || hidden(model, e->queue))
        return;
    e->dead = e->dead ? e->dead : model->clock;
    if (e->message->closed && is_head(e))
        leaves(model, e, REASON_EXPIRED);
}

/* ---- limits
 * ------------------------------------------------------------------------------------------------- */

/* What may be READY besides, and may be behind it when it is at the head. */
static bool presses(const struct known_entry *o, const struct known_entry *e, bool drops)
{
    if (o == e || !is_alive(o) || o->where == WHERE_OUT || o->where == WHERE_ACKED)
        return false;
    return !drops || !model_before(e->queue, o->message, e->message);
}

static bool may_be_over(const struct model *model, const struct known_entry *e,
                        const struct known_settings *s, bool receives)
{
    const struct known_queue *q = e->queue;
    uint64_t count = 1, bytes = e->message->body.len;
    for (unsigned i = 0; i < q->entry_count; i++)
        if (presses(q->entries[i], e, s->overflow == MODEL_DROPS_HEAD)) {
            count++;
            bytes += q->entries[i]->message->body.len;
        }
    for (unsigned i = 0; i < model->routing_count; i++)
        receives |= model->routing[i]->loose;
    return receives || (s->length >= 0 && count > (uint64_t)s->length) ||
           (s->bytes >= 0 && bytes > (uint64_t)s->bytes);
}

static void crowd(struct model *model, struct known_queue *queue, const struct known_settings *s)
{
    if (!model_is_limited(s))
        return;
    bool receives = model_receives(model, queue), drops = s->overflow == MODEL_DROPS_HEAD;
    for (unsigned i = 0; i < queue->entry_count; i++) {
        struct known_entry *e = queue->entries[i];
        bool settled = drops ? e->crowded && e->present == MAYBE && !e->must
                             : (e->message->accepted && !e->message->delay_ms) || e->full;
        if (!is_waiting(e) || settled || !may_be_over(model, e, s, receives))
            continue;
        if (drops) {
            e->crowded = true;
            model_doubt_entry(e);
        } else {
            e->crowded = e->full = true;
        }
    }
}

void model_crowd(struct model *model, struct known_queue *queue)
{
    crowd(model, queue, &queue->settings);
    if (queue->flux)
        crowd(model, queue, &queue->other);
}

/* ---- given back
 * ----------------------------------------------------------------------------------------------- */

void model_returns(struct model *model, struct known_entry *e, bool counted)
{
    int64_t limit = model_limit_least(e->queue);
    e->returns_most++;
    e->returns_least += counted;
    e->recovered &= !counted;
    if (limit >= 0 && e->returns_most > (uint64_t)limit) {
        model_dies(model, e, REASON_LIMIT);
        model_doubt_entry(e);
    }
    if (e->where == WHERE_BACK && e->mortal)
        may_expire(model, e);
    if (e->where == WHERE_BACK)
        model_crowd(model, e->queue);
}

/* ---- a queue that isn't used
 * ------------------------------------------------------------------------------------- */

void model_touched(struct known_queue *queue)
{
    queue->touched = true;
}

void model_used(struct known_queue *queue, uint64_t at_ns)
{
    queue->touched = true;
    if (at_ns > queue->used_ns)
        queue->used_ns = at_ns;
}

enum sure model_outlived(const struct model *model, const struct known_queue *queue)
{
    int64_t expires = queue->settings.expires;
    if (queue->flux)
        expires = model_lower(expires, queue->other.expires);
    uint64_t ns = (uint64_t)expires * 1000000;
    if (expires < 0 || queue->gone)
        return NO;
    enum sure used = model_consumed(model, queue);
    if (used == NO && !queue->touched && !model->ending && model->now_ns >= queue->unused_ns + ns &&
        !queue->perhaps_other && !queue->flux)
        return YES;
    return used != YES && model->now_ns >= queue->used_ns + ns ? MAYBE : NO;
}

void model_uses_settled(const struct model *model)
{
    for (unsigned i = 0; i < model->queue_count; i++) {
        struct known_queue *q = model->queues[i];
        if (q->touched || model_consumed(model, q) != NO)
            q->unused_ns = model->now_ns;
        q->touched = false;
    }
}
