/* What a request may come to, as things are known to be; and how much may be in a queue. */
#include <stdlib.h>

#include "model_consumer.h"
#include "model_leave.h"
#include "model_stream.h"

/* ---- bounds
 * ------------------------------------------------------------------------------------------------------ */

static bool asks(const struct known_request *q, const struct known_queue *queue)
{
    return q->queue == queue && (q->method == BASIC_GET || q->method == QUEUE_PURGE);
}

/* Whether somebody else's answer is still to come: another stream's, or one on another channel of this one.
 */
static bool asked_for(const struct model *model, const struct known_queue *queue, uint64_t but)
{
    unsigned own = 0;
    for (unsigned i = 0; i < model->channel_count; i++) {
        const struct known_channel *ch = model->channels[i];
        for (unsigned r = 0; r < ch->request_count; r++) {
            if (!asks(ch->requests[r], queue))
                continue;
            if (ch->conn->stream != but)
                return true;
            own += r == 0;
        }
    }
    return own > 1;
}

/* Somebody else may have got messages, or purged them, since. */
static bool was_asked(const struct model *model, const struct known_queue *queue, uint64_t since,
                      uint64_t but)
{
    return asked_for(model, queue, but) || queue->asked >= since ||
           (queue->asker != but && queue->asked_by_asker >= since);
}

bool model_interest(const struct model *model, const struct known_queue *queue, uint64_t since, uint64_t but)
{
    for (unsigned i = 0; i < model->consumer_count; i++) {
        const struct known_consumer *c = model->consumers[i];
        if (c->queue == queue && c->stream != but && !model_waits_in_line(model, c) &&
            (c->state != CONSUMER_GONE || c->gone >= since))
            return true;
    }
    return was_asked(model, queue, since, but);
}

/* It is there, unless the one who asks deletes it. */
static bool is_sure(const struct thing *thing)
{
    return thing->there == YES ||
           (thing->there == MAYBE && thing->changing == 1 && !thing->clash && thing->before == YES);
}

/* Some may have come by ways that were there when they began to, and are not known. */
static unsigned count_strays(const struct model *model, const struct known_queue *queue)
{
    enum sure *to = model_make((model->queue_count + 1) * sizeof *to);
    unsigned strays = 0, at = 0;
    while (model->queues[at] != queue)
        at++;
    for (unsigned i = 0; i < model->message_count; i++) {
        const struct known_message *m = model->messages[i];
        if (!m || !m->loose || !m->closed || m->nowhere || model_entry(m, queue))
            continue;
        model_route_ever(model, m, to);
        strays += to[at] != NO;
    }
    free(to);
    return strays;
}

/* What the one who asks has been sent before the answer has been seen: it isn't ready any more. */
struct model_bounds model_ready(struct model *model, const struct known_queue *queue, uint64_t since,
                                uint64_t asker)
{
    if (queue->settings.last_value.s[0]) {
        bool purged = was_asked(model, queue, model_idle_before(model, since), asker);
        struct model_bounds values =
            model_values(queue, since, is_sure(&queue->thing) && !purged && !queue->remembered);
        for (unsigned i = 0; i < model->routing_count; i++)
            values.most += model->routing[i]->loose;
        values.most += count_strays(model, queue);
        if (model_receives(model, queue))
            values.most = UINT64_MAX;
        return values;
    }
    struct model_bounds b = {0};
    bool receives = model_receives(model, queue);
    bool taken = !is_sure(&queue->thing) || model_is_shortened(queue);
    if (!model_keeps(queue))
        taken |= model_interest(model, queue, model_idle_before(model, since), asker);
    for (unsigned i = 0; i < queue->entry_count; i++) {
        const struct known_entry *e = queue->entries[i];
        bool settled = e->where == WHERE_DONE && e->since >= since; /* purged, perhaps: it may still count */
        bool out = e->where == WHERE_DONE || e->where == WHERE_OUT;
        out &= e->since < since;
        b.most += (e->present != NO || settled) && !out;
        b.least += !taken && e->present == YES && e->where == WHERE_READY && e->since < since;
    }
    for (unsigned i = 0; i < model->routing_count; i++)
        b.most += model->routing[i]->loose;
    b.most += count_strays(model, queue);
    if (receives)
        b.most = UINT64_MAX;
    const struct known_settings *s = &queue->settings;
    bool sure = !queue->perhaps_other && !queue->flux && since >= queue->reshaped;
    if (s->length >= 0 && s->overflow == MODEL_DROPS_HEAD && sure && b.most > (uint64_t)s->length) {
        b.most = (uint64_t)s->length;
        b.capped = true;
    }
    return b;
}

struct model_bounds model_consumers_of(const struct model *model, const struct known_queue *queue,
                                       uint64_t since)
{
    struct model_bounds b = {0};
    uint64_t from = model_idle_before(model, since);
    for (unsigned i = 0; i < model->consumer_count; i++) {
        const struct known_consumer *c = model->consumers[i];
        if (c->queue != queue)
            continue;
        b.most += c->state != CONSUMER_GONE || c->gone >= from;
        b.least += c->state == CONSUMER_ACTIVE && !c->unsure && c->since < since && is_sure(&queue->thing);
    }
    return b;
}

/* ---- outcomes
 * ---------------------------------------------------------------------------------------------------- */

static unsigned on_thing(enum sure there, unsigned if_there, unsigned if_not)
{
    return there == YES ? if_there : there == NO ? if_not : if_there | if_not;
}

static enum sure there(const struct known_exchange *e)
{
    return e ? e->thing.there : NO;
}

static bool equal_exchange(const struct known_exchange *e, const struct known_request *q)
{
    return same(&e->type, &q->type) && same(&e->alternate, &q->alternate) && e->durable == q->durable &&
           e->delays == q->delays && e->auto_delete == q->auto_delete && e->internal == q->internal;
}

static unsigned expect_exchange_declare(struct model *model, const struct known_request *q)
{
    const struct known_exchange *e = model_exchange(model, &q->name, false);
    unsigned fresh = MAY_OK | (q->durable && model->failed ? MAY_541 : 0);
    if (q->passive)
        return on_thing(there(e), MAY_OK, MAY_404);
    unsigned again = e && e->perhaps_durable     ? MAY_OK | MAY_406
                     : e && equal_exchange(e, q) ? MAY_OK
                                                 : MAY_406;
    return on_thing(there(e), again, fresh);
}

static unsigned expect_exchange_delete(struct model *model, const struct known_request *q)
{
    const struct known_exchange *e = model_exchange(model, &q->name, false);
    enum sure bound = NO;
    for (unsigned i = 0; e && q->if_unused && i < model->binding_count; i++) {
        const struct known_binding *b = model->bindings[i];
        enum sure is = b->queue ? b->queue->thing.there : b->exchange->thing.there;
        is = b->thing.there < is ? b->thing.there : is;
        if (b->source == e && is > bound)
            bound = is;
    }
    return on_thing(there(e), on_thing(bound, MAY_406, MAY_OK), MAY_OK);
}

static unsigned expect_exchange_binding(struct model *model, const struct known_request *q)
{
    const struct known_exchange *source = model_exchange(model, &q->other, false);
    unsigned then = source && !model_takes_key(source, &q->key) ? MAY_406 : MAY_OK;
    return on_thing(there(source), on_thing(there(model_exchange(model, &q->name, false)), then, MAY_404),
                    MAY_404);
}

static bool locked(const struct known_queue *queue, const struct known_channel *channel)
{
    return queue->exclusive && queue->owner != channel->conn->stream;
}

/* What a declaration that is under way makes of it if it comes first; then: what comes of it if the queue is
 * there. */
static unsigned after(const struct known_request *first, bool mine, const struct known_request *q,
                      unsigned then)
{
    if (first == q || first->method != QUEUE_DECLARE || first->passive || !same(&first->name, &q->name))
        return 0;
    if (first->exclusive && !mine)
        return MAY_405;
    if (q->method != QUEUE_DECLARE || q->passive)
        return first->may & MAY_OK ? then : 0;
    if (first->exclusive != q->exclusive)
        return MAY_405;
    bool equal = first->durable == q->durable && first->auto_delete == q->auto_delete &&
                 model_settings_equal(&first->settings, &q->settings);
    return equal ? 0 : MAY_406;
}

static unsigned after_others(const struct model *model, const struct known_channel *channel,
                             const struct known_request *q, unsigned then)
{
    unsigned may = 0;
    for (unsigned i = 0; i < model->channel_count; i++) {
        const struct known_channel *ch = model->channels[i];
        for (unsigned r = 0; r < ch->request_count; r++)
            may |= after(ch->requests[r], ch->conn == channel->conn, q, then);
    }
    return may;
}

/* What comes of asking for a queue that must be there. */
static unsigned with_queue(const struct model *model, const struct known_channel *channel,
                           const struct known_request *q, unsigned then, unsigned if_not)
{
    const struct known_queue *queue = model_queue(model, &q->name);
    unsigned may = after_others(model, channel, q, then);
    if (!queue)
        return may | if_not;
    return may | on_thing(queue->thing.there, locked(queue, channel) ? MAY_405 : then, if_not);
}

static unsigned expect_queue_declare(const struct model *model, const struct known_channel *channel,
                                     const struct known_request *q)
{
    const struct known_queue *queue = model_queue(model, &q->name);
    unsigned fresh =
        (model_settings_wrong(q) ? MAY_406 : MAY_OK) | (q->durable && model->failed ? MAY_541 : 0);
    if (q->settings.reservation >= 0 && model->now_ns < model->room_ns)
        fresh |= MAY_406; /* a full disk has nothing to reserve */
    if (q->passive)
        return with_queue(model, channel, q, MAY_OK, MAY_404);
    if (!queue || !q->name.s[0])
        return fresh | after_others(model, channel, q, MAY_OK);
    bool equal = queue->durable == q->durable && queue->auto_delete == q->auto_delete &&
                 model_settings_equal(&queue->declared, &q->settings);
    unsigned again = queue->exclusive != q->exclusive ? MAY_405 : equal ? MAY_OK : MAY_406;
    if (queue->perhaps_durable || queue->perhaps_other)
        again |= MAY_OK | MAY_406;
    return with_queue(model, channel, q, again, fresh);
}

static unsigned expect_queue_delete(struct model *model, const struct known_channel *channel,
                                    const struct known_request *q)
{
    const struct known_queue *queue = model_queue(model, &q->name);
    unsigned then = MAY_OK;
    if (!queue)
        return MAY_OK;
    struct model_bounds consumers = model_consumers_of(model, queue, q->begun);
    struct model_bounds ready = model_ready(model, queue, q->begun, 0);
    bool must_fail = (q->if_unused && consumers.least) || (q->if_empty && ready.least);
    if ((q->if_unused && consumers.most) || (q->if_empty && ready.most))
        then = must_fail ? MAY_406 : MAY_OK | MAY_406;
    return with_queue(model, channel, q, then, MAY_OK);
}

static unsigned expect_queue_bind(struct model *model, const struct known_channel *channel,
                                  const struct known_request *q)
{
    const struct known_exchange *source = model_exchange(model, &q->other, false);
    unsigned then = source && !model_takes_key(source, &q->key) ? MAY_406 : MAY_OK;
    return with_queue(model, channel, q, on_thing(there(source), then, MAY_404), MAY_404);
}

/* Another consumer is exclusive, or this one wants to be. */
static unsigned expect_consume(const struct model *model, const struct known_channel *channel,
                               const struct known_request *q)
{
    const struct known_queue *queue = model_queue(model, &q->name);
    uint64_t from = model_idle_before(model, q->begun);
    bool alone = queue && queue->settings.single && q->exclusive && !queue->settings.quorum;
    enum sure in_use = !alone ? NO : queue->perhaps_other ? MAYBE : YES;
    for (unsigned i = 0; queue && i < model->consumer_count; i++) {
        const struct known_consumer *c = model->consumers[i];
        bool never = queue->settings.quorum || model_stores(queue);
        bool exclusive = (q->exclusive && !never) || c->exclusive;
        bool in_the_way = c->queue == queue && c != q->consumer && exclusive;
        if (!in_the_way || (c->state == CONSUMER_GONE && c->gone < from))
            continue;
        enum sure is = c->state == CONSUMER_ACTIVE && !c->unsure && !queue->perhaps_other ? YES : MAYBE;
        in_use = is > in_use ? is : in_use;
    }
    unsigned then = model_expect_stream(queue, q, on_thing(in_use, MAY_403, MAY_OK));
    return with_queue(model, channel, q, then, MAY_404);
}

static unsigned expect_commit(struct model *model, const struct known_channel *channel,
                              const struct known_request *q)
{
    unsigned may = MAY_OK | (model->failed ? MAY_406 : 0);
    struct known_message **messages = q->messages ? q->messages : channel->tx;
    unsigned count = q->messages ? q->message_count : channel->tx_count;
    if (channel->mode != MODEL_TX)
        return MAY_406;
    for (unsigned i = 0; i < count; i++) {
        enum sure is = there(model_exchange(model, &messages[i]->exchange, false));
        if (is != YES)
            may = is == NO ? MAY_404 : may | MAY_404;
        if (messages[i]->races || model_may_be_full(messages[i]))
            may |= MAY_406;
    }
    return may;
}

static unsigned expect_mode(const struct known_channel *channel, uint32_t method)
{
    if (method == CONFIRM_SELECT)
        return channel->mode == MODEL_TX ? MAY_406 : MAY_OK;
    if (method == TX_SELECT)
        return channel->mode == MODEL_CONFIRM ? MAY_406 : MAY_OK;
    return channel->mode == MODEL_TX ? MAY_OK : MAY_406;
}

static unsigned expect(struct model *model, const struct known_channel *channel,
                       const struct known_request *q)
{
    switch (q->method) {
    case EXCHANGE_DECLARE:
        return expect_exchange_declare(model, q);
    case EXCHANGE_DELETE:
        return expect_exchange_delete(model, q);
    case EXCHANGE_BIND:
        return expect_exchange_binding(model, q);
    case QUEUE_DECLARE:
        return expect_queue_declare(model, channel, q);
    case QUEUE_DELETE:
        return expect_queue_delete(model, channel, q);
    case QUEUE_BIND:
        return expect_queue_bind(model, channel, q);
    case EXCHANGE_UNBIND:
        return MAY_OK;
    case QUEUE_UNBIND:
        return with_queue(model, channel, q, MAY_OK, MAY_OK);
    case QUEUE_PURGE:
    case BASIC_GET:
        return with_queue(model, channel, q, model_expect_stream(model_queue(model, &q->name), q, MAY_OK),
                          MAY_404);
    case BASIC_CONSUME:
        return expect_consume(model, channel, q);
    case TX_COMMIT:
        return expect_commit(model, channel, q);
    case CONFIRM_SELECT:
    case TX_SELECT:
    case TX_ROLLBACK:
        return expect_mode(channel, q->method);
    default:
        return MAY_OK;
    }
}

void model_reconsider(struct model *model, struct known_channel *channel, struct known_request *q)
{
    unsigned may = expect(model, channel, q);
    q->may |= may;
    channel->conn->may_540 |= (may & MAY_540) != 0;
    if (q->entered || !(may & MAY_OK))
        return;
    q->entered = true;
    model_request_begin(model, channel, q);
}

unsigned model_code_bit(unsigned code)
{
    switch (code) {
    case 403:
        return MAY_403;
    case 404:
        return MAY_404;
    case 405:
        return MAY_405;
    case 406:
        return MAY_406;
    case 530:
        return MAY_530;
    case 540:
        return MAY_540;
    case 541:
        return MAY_541;
    default:
        return 0;
    }
}
