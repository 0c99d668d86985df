/* The broker's answers: to which request, may it be so, and what is known from it. */
#include <stdlib.h>
#include <string.h>

#include "model_history.h"
#include "model_leave.h"
#include "model_stream.h"

#define U(n) ((unsigned long long)(n))

/* ---- queues
 * -------------------------------------------------------------------------------------------------------- */

/* For whoever has to find out what is wrong. */
static void note_content(const struct known_queue *queue)
{
    for (unsigned i = 0; i < queue->entry_count; i++) {
        const struct known_entry *e = queue->entries[i];
        if (e->present != NO && e->where != WHERE_DONE)
            history_note("model: '%s' holds m%llu%s%s", queue->name.s, U(e->message->number),
                         e->present == YES ? "" : ", perhaps", e->where == WHERE_READY ? "" : ", not ready");
    }
}

static void check_count(const char *what, const struct known_queue *queue, uint64_t count,
                        struct model_bounds b)
{
    if (count >= b.least && count <= b.most)
        return;
    note_content(queue);
    history_fail("'%s' has %llu %s, says the broker, but it must be %llu to %llu", queue->name.s, U(count),
                 what, U(b.least), U(b.most));
}

/* Nothing of what was in it is sure to be there. */
void model_doubt_content(struct model *model, struct known_queue *queue)
{
    for (unsigned i = 0; i < queue->entry_count; i++) {
        struct known_entry *e = queue->entries[i];
        if (e->where != WHERE_DONE)
            model_doubt_entry(e);
        else if (e->leaving && e->present == YES)
            e->present = MAYBE; /* a start need not bring it back */
    }
    model_stream_forgets(queue);
    for (unsigned i = 0; i < model->binding_count; i++)
        if (model->bindings[i]->queue == queue && model->bindings[i]->thing.there == YES)
            model_thing_set(model, &model->bindings[i]->thing, MAYBE);
    for (unsigned i = 0; i < model->consumer_count; i++)
        if (model->consumers[i]->queue == queue)
            model->consumers[i]->unsure = true;
}

static bool lasts_as_long(const struct known_queue *queue, const struct known_request *q)
{
    return queue->durable == q->durable && queue->auto_delete == q->auto_delete &&
           queue->exclusive == q->exclusive;
}

static bool equal(const struct known_queue *queue, const struct known_request *q)
{
    return lasts_as_long(queue, q) && model_settings_equal(&queue->declared, &q->settings);
}

/* Whether it can't be the queue that was known by the name. Of two lives of which it wasn't known which the
 * disk had, the answer says which. */
static bool is_another(const struct known_queue *queue, const struct known_request *q, uint64_t stream)
{
    bool may_be = queue->perhaps_other ? lasts_as_long(queue, q) : equal(queue, q);
    return queue->gone || !may_be || (queue->exclusive && queue->owner != stream);
}

/* The new life may have begun at any moment since it was asked for: what has been routed since then, bound,
 * or asked for, by the queue's name, may be the new life's. */
static void inherit(struct model *model, struct known_queue *from, struct known_queue *to, uint64_t since)
{
    for (unsigned i = 0; i < from->entry_count; i++) {
        struct known_message *m = from->entries[i]->message;
        if ((!m->closed || m->closed >= since || m->delay_ms) && !model_entry(m, to))
            model_add_entry(model, m, to)->returns_most = UINT32_MAX;
    }
    for (unsigned i = 0; i < model->binding_count; i++) {
        struct known_binding *b = model->bindings[i];
        if (b->queue != from || b->thing.changed < since)
            continue;
        b->queue = to;
        b->thing.clash |= b->thing.changing > 0;
        b->thing.there = b->thing.before = MAYBE;
    }
    for (unsigned i = 0; i < model->consumer_count; i++) {
        struct known_consumer *c = model->consumers[i];
        if (c->queue != from || c->state == CONSUMER_GONE || (c->since && c->since < since))
            continue;
        c->queue = to;
        c->unsure = true;
    }
}

static void set_adrift(struct model *model, const struct known_queue *from, struct known_queue *to)
{
    for (unsigned i = 0; i < model->channel_count; i++)
        for (unsigned r = 0; r < model->channels[i]->request_count; r++) {
            struct known_request *q = model->channels[i]->requests[r];
            if (q->queue != from || q->changes)
                continue;
            q->queue = to;
            q->adrift = q->disturbed = true;
        }
}

/* A delete that found nothing to delete when it was asked for may find this life, or may have been before it.
 */
void model_meet_deletes(struct model *model, struct known_queue *life)
{
    for (unsigned i = 0; i < model->channel_count; i++)
        for (unsigned r = 0; r < model->channels[i]->request_count; r++) {
            struct known_request *q = model->channels[i]->requests[r];
            if (q->method != QUEUE_DELETE || q->queue == life || !same(&q->name, &life->name))
                continue;
            if (q->changes)
                q->thing->changing--;
            q->queue = life;
            q->disturbed = q->adrift = true;
            q->changes = true;
            q->thing = &life->thing;
            q->wants = NO;
            model_thing_begin(model, q->thing, NO);
            life->thing.clash = true;
        }
}

/* NULL: it isn't known which life that was. */
static struct known_queue *declared(struct model *model, struct known_request *q, const struct text *name,
                                    uint64_t stream)
{
    struct known_queue *queue = q->queue;
    if (q->changes) {
        bool doubt = queue->thing.before == MAYBE || queue->thing.clash || queue->perhaps_other;
        bool another = is_another(queue, q, stream);
        model_thing_end(model, &queue->thing, YES, !another);
        if (!another) {
            queue->had_consumer &= !queue->suspect;
            if (queue->suspect)
                model_thing_set(model, &queue->thing, MAYBE);
            if (!equal(queue, q))
                model_queue_becomes(model, queue, q, stream);
            queue->perhaps_durable = queue->perhaps_other = false;
            if (doubt)
                model_doubt_content(model, queue);
            return queue;
        }
    }
    bool late = queue && queue->gone; /* it may have been declared before that */
    struct known_queue *now = model_queue(model, name);
    if (late && !now->gone)
        return NULL;
    struct known_queue *life = model_new_queue(model, name);
    model_queue_becomes(model, life, q, stream);
    if (queue) {
        inherit(model, queue, life, q->begun);
        set_adrift(model, queue, life);
        model_queue_ends(model, queue);
    }
    model_thing_set(model, &life->thing, late ? MAYBE : YES);
    model_meet_deletes(model, life);
    return life;
}

static void queue_declared(struct model *model, struct known_channel *channel, struct known_request *q,
                           struct reader r)
{
    struct text name = read_name(&r);
    uint32_t messages = read_long(&r), consumers = read_long(&r);
    if (q->name.s[0] && !same(&name, &q->name))
        history_fail("'%s' was declared, the answer names '%s'", q->name.s, name.s);
    struct known_queue *queue = q->passive ? q->queue : declared(model, q, &name, channel->conn->stream);
    if (!queue)
        return;
    model_used(queue, q->begun_ns);
    struct model_bounds ready = model_ready(model, queue, q->begun, channel->conn->stream);
    struct model_bounds users = model_consumers_of(model, queue, q->begun);
    if (q->passive && queue->thing.there == MAYBE && model_thing_rests(model, &queue->thing) &&
        !queue->suspect && !q->disturbed)
        model_thing_set(model, &queue->thing, YES);
    if (queue->thing.there == NO || q->adrift)
        return; /* and has been deleted since, or it was another life */
    check_count("messages", queue, messages, ready);
    check_count("consumers", queue, consumers, users);
}

static void queue_deleted(struct model *model, struct known_channel *channel, struct known_request *q,
                          struct reader r)
{
    uint32_t messages = read_long(&r);
    if (!q->changes)
        return;
    struct model_bounds b = model_ready(model, q->queue, q->begun, channel->conn->stream);
    if (q->disturbed || q->thing->before != YES)
        b.least = 0; /* another may have been faster, or it wasn't there */
    if (!q->queue->gone && !q->adrift)
        check_count("messages", q->queue, messages, b);
    model_thing_end(model, q->thing, NO, true);
    if (q->thing->there == NO)
        model_queue_ends(model, q->queue);
    else if (!q->queue->gone)
        model_doubt_content(model, q->queue); /* it may have been made anew since */
}

/* It may be leaving for the queue's target, and then a purge doesn't find it; if the target doesn't take it,
 * it is there again after the next start. */
static bool may_be_dying(const struct known_queue *queue, const struct known_entry *e)
{
    return model_may_have_target(queue) &&
           (e->mortal || e->crowded || e->full || e->rejected || e->returns_most > 0);
}

/* What was surely ready and nobody else wanted is gone; what may have been ready may be. */
void model_purged(struct model *model, struct known_queue *queue, const struct known_request *q,
                  uint64_t stream, bool surely)
{
    uint64_t from = model_idle_before(model, q->begun);
    bool alone = surely && queue->thing.there == YES && !model_interest(model, queue, from, stream);
    queue->holes = true;
    for (unsigned i = 0; i < queue->entry_count; i++) {
        struct known_entry *e = queue->entries[i];
        const struct known_message *m = e->message;
        bool ready = e->where == WHERE_READY && alone;
        if ((e->where != WHERE_READY && e->where != WHERE_BACK) || e->present == NO)
            continue;
        bool routed = e->present == YES || (m->closed && m->closed < q->begun && !m->delay_ms);
        if (ready && routed && e->since < q->begun && !may_be_dying(queue, e)) {
            e->present = NO;
            model_done(model, e);
            e->safe = !model->failed;
        } else {
            model_doubt_entry(e);
        }
    }
}

static void queue_purged(struct model *model, struct known_channel *channel, struct known_request *q,
                         struct reader r)
{
    uint64_t stream = channel->conn->stream;
    uint32_t messages = read_long(&r);
    if (q->queue->gone)
        return;
    if (!q->adrift)
        check_count("messages", q->queue, messages, model_ready(model, q->queue, q->begun, stream));
    model_purged(model, q->queue, q, stream, !q->adrift);
    model_asked(model, q->queue, stream);
}

/* ---- exchanges, bindings
 * ---------------------------------------------------------------------------------------------- */

static void exchange_declared(struct model *model, struct known_request *q)
{
    struct known_exchange *e = q->exchange;
    if (q->passive) {
        if (e->thing.there == MAYBE && model_thing_rests(model, &e->thing) && !e->suspect && !q->disturbed)
            model_thing_set(model, &e->thing, YES);
        return;
    }
    e->type = q->type;
    e->alternate = q->alternate;
    e->durable = q->durable;
    e->perhaps_durable = false;
    e->auto_delete = q->auto_delete;
    e->internal = q->internal;
    e->delays = q->delays;
    bool doubt = e->thing.before == MAYBE || e->thing.clash;
    model_thing_end(model, &e->thing, YES, true);
    e->was_bound &= !e->suspect;
    if (e->suspect)
        model_thing_set(model, &e->thing, MAYBE);
    for (unsigned i = 0; doubt && i < model->binding_count; i++) {
        struct known_binding *b = model->bindings[i];
        if ((b->source == e || b->exchange == e) && b->thing.there == YES)
            model_thing_set(model, &b->thing, MAYBE);
    }
}

static void exchange_deleted(struct model *model, struct known_request *q)
{
    if (!q->changes)
        return;
    model_thing_end(model, q->thing, NO, true);
    if (q->thing->there == NO)
        model_exchange_ends(model, q->exchange);
}

static void bound(struct model *model, struct known_request *q)
{
    struct known_binding *b = q->binding;
    if (!q->changes)
        return;
    model_thing_end(model, q->thing, q->wants, true);
    model_history_bound(model, q);
    if (q->wants == YES && model_bound(b) == YES)
        b->source->was_bound = true;
}

/* ---- messages
 * -----------------------------------------------------------------------------------------------------------
 */

static void consuming(struct model *model, struct known_request *q)
{
    struct known_consumer *c = q->consumer;
    struct known_queue *now = model_queue(model, &q->name);
    if (c->state == CONSUMER_GONE)
        return; /* with its channel, before the answer was seen */
    c->unsure = c->lapsed || q->adrift || c->queue != now || now->thing.there != YES;
    if (c->state == CONSUMER_STARTING)
        c->state = CONSUMER_ACTIVE;
    c->since = model->clock;
    model_cursor_joined(c, model->now_ms);
    c->queue->had_consumer |= !c->unsure;
    model_used(c->queue, q->begun_ns);
}

static void got(struct model *model, struct known_channel *channel, struct known_request *q,
                const struct said *said)
{
    uint64_t stream = channel->conn->stream;
    if (said->method == BASIC_GET_OK)
        model_on_get_ok(model, channel, q, said);
    else if (model_ready(model, q->queue, q->begun, stream).least && !q->disturbed)
        history_fail("basic.get-empty from '%s', but a message must have been ready", q->queue->name.s);
    model_asked(model, q->queue, stream);
    model_used(q->queue, q->begun_ns);
}

static void committed(struct model *model, struct known_channel *channel, struct known_request *q)
{
    for (unsigned i = 0; i < q->message_count; i++) {
        q->messages[i]->in_tx = false;
        model_confirmed(model, q->messages[i]);
        model_message_accepted(model, q->messages[i]);
        model_check_return(model, q->messages[i]);
    }
    for (unsigned n = 0; n < model->queue_count; n++)
        for (unsigned i = 0; i < model->queues[n]->entry_count; i++) {
            struct known_entry *e = model->queues[n]->entries[i];
            if (e->where != WHERE_ACKED || e->holder != channel || e->since > q->begun)
                continue;
            model_done(model, e);
            e->safe = !e->drops || !model_may_have_target(e->queue);
            e->leaving = e->drops;
            e->reason = REASON_REJECTED;
        }
}

static bool outstanding(const struct known_channel *channel, uint32_t method)
{
    for (unsigned i = 1; i < channel->request_count; i++)
        if (channel->requests[i]->method == method)
            return true;
    return false;
}

static void flowing(struct known_channel *channel, const struct known_request *q, struct reader r)
{
    if ((read_octet(&r) & 1) != q->active)
        history_fail("channel.flow-ok says something else than channel.flow asked for");
    if (!outstanding(channel, CHANNEL_FLOW))
        channel->flow_off = !q->active;
}

/* ---- matching
 * --------------------------------------------------------------------------------------------------------------
 */

static bool answers(uint32_t answer, uint32_t request)
{
    if (request == EXCHANGE_UNBIND)
        return answer == EXCHANGE_UNBIND_OK;
    if (request == BASIC_GET)
        return answer == BASIC_GET_OK || answer == BASIC_GET_EMPTY;
    return answer == request + 1;
}

static void apply(struct model *model, struct known_channel *channel, struct known_request *q,
                  const struct said *said)
{
    switch (q->method) {
    case EXCHANGE_DECLARE:
        exchange_declared(model, q);
        return;
    case EXCHANGE_DELETE:
        exchange_deleted(model, q);
        return;
    case EXCHANGE_BIND:
    case EXCHANGE_UNBIND:
    case QUEUE_BIND:
    case QUEUE_UNBIND:
        bound(model, q);
        return;
    case QUEUE_DECLARE:
        queue_declared(model, channel, q, said->args);
        return;
    case QUEUE_DELETE:
        queue_deleted(model, channel, q, said->args);
        return;
    case QUEUE_PURGE:
        queue_purged(model, channel, q, said->args);
        return;
    case BASIC_CONSUME:
        consuming(model, q);
        return;
    case BASIC_CANCEL:
        if (q->consumer)
            model_consumer_gone(model, q->consumer);
        return;
    case BASIC_GET:
        got(model, channel, q, said);
        return;
    case BASIC_QOS:
        if (!outstanding(channel, BASIC_QOS))
            channel->limit_before = channel->limit;
        return;
    case CHANNEL_FLOW:
        flowing(channel, q, said->args);
        return;
    case BASIC_RECOVER:
        channel->recovering--;
        return;
    case TX_COMMIT:
        committed(model, channel, q);
        return;
    }
}

static struct known_request *take_oldest(struct known_channel *channel)
{
    struct known_request *q = channel->requests[0];
    channel->request_count--;
    memmove(channel->requests, channel->requests + 1, channel->request_count * sizeof *channel->requests);
    return q;
}

void model_answer(struct model *model, struct known_channel *channel, const struct said *said)
{
    struct known_request *q = channel->request_count ? channel->requests[0] : NULL;
    if (!q || !answers(said->method, q->method) || channel->life == LIFE_FAILED)
        history_fail("%s on channel %u of stream %llu answers nothing that was asked%s%s",
                     method_text(said->method), channel->number, U(channel->conn->stream),
                     q ? ", but before it " : "", q ? method_text(q->method) : "");
    model_reconsider(model, channel, q);
    if (!(q->may & MAY_OK))
        history_fail("%s %s '%s' '%s': it had to be refused", method_text(said->method), q->name.s,
                     q->other.s, q->key.s);
    apply(model, channel, q, said);
    model_request_free(take_oldest(channel));
}

/* What isn't there, though it was thought that it may be. */
static void learn_absence(struct model *model, struct known_request *q)
{
    if (!q->passive || q->disturbed)
        return;
    if (q->method == EXCHANGE_DECLARE && q->exchange && q->exchange->thing.there == MAYBE &&
        model_thing_rests(model, &q->exchange->thing))
        model_exchange_ends(model, q->exchange);
    if (q->method == QUEUE_DECLARE && q->queue && q->queue->thing.there == MAYBE &&
        model_thing_rests(model, &q->queue->thing))
        model_queue_ends(model, q->queue);
}

void model_refused(struct model *model, struct known_channel *channel, unsigned code, uint32_t method)
{
    struct known_request *q = channel->request_count ? channel->requests[0] : NULL;
    unsigned may = channel->doomed | channel->may_end;
    bool settles =
        method == BASIC_PUBLISH || method == BASIC_ACK || method == BASIC_NACK || method == BASIC_REJECT;
    if (method == BASIC_PUBLISH && channel->halfway)
        may |= model_publish_may_come_to(model, channel->halfway);
    if (!settles && q && q->method == method) {
        model_reconsider(model, channel, q);
        may = q->may;
    } else if (!settles) {
        may = 0;
    }
    if (!(may & model_code_bit(code)))
        history_fail("channel %u of stream %llu was closed with %u for %s without a reason", channel->number,
                     U(channel->conn->stream), code, method_text(method));
    if (!settles && code == 404)
        learn_absence(model, q);
    model_drop_requests(model, channel, false);
}
