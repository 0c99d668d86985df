/* How deliveries end: settled, given back, or void because their channel is. */
#include <stdlib.h>
#include <string.h>

#include "model_consumer.h"
#include "model_leave.h"
#include "model_producer.h"
#include "model_stream.h"
#include "tap.h"

void model_done(struct model *model, struct known_entry *e)
{
    e->where = WHERE_DONE;
    e->since = model->clock;
    e->safe = false;
    model_number_parts(e);
}

void model_doubt_entry(struct known_entry *e)
{
    e->must = false;
    if (e->present == YES)
        e->present = MAYBE;
    model_part_twins(e);
}

/* ---- by the client
 * --------------------------------------------------------------------------------------------- */

static void drop_unacked(struct known_channel *channel, unsigned i)
{
    struct known_consumer *c = channel->unacked[i].consumer;
    if (c)
        c->out--;
    if (c)
        model_answered(c, channel->unacked[i].sent_ns);
    channel->unacked_count--;
    memmove(channel->unacked + i, channel->unacked + i + 1,
            (channel->unacked_count - i) * sizeof *channel->unacked);
}

static void settle_one(struct model *model, struct known_channel *channel, unsigned i, int how)
{
    struct known_entry *e = channel->unacked[i].entry;
    if (model_keeps(e->queue)) {
        drop_unacked(channel, i);
        return;
    }
    e->rejected |= how == HELD_DROP;
    e->drops = how == HELD_DROP;
    model->counts.rejected += e->drops;
    if (e->manifold) {
        e->returns_most++;
    } else if (e->holder == channel && e->where == WHERE_OUT) {
        e->where = how == HELD_REQUEUE ? WHERE_BACK : WHERE_ACKED;
        e->since = model->clock;
        if (how == HELD_REQUEUE)
            model_returns(model, e, true);
        else if (how == HELD_DROP)
            model_dies(model, e, REASON_REJECTED);
    } else if (how != HELD_REQUEUE) {
        model_doubt_entry(e); /* it isn't known whose it was */
    }
    drop_unacked(channel, i);
}

static void wrong_tag(struct known_channel *channel)
{
    channel->doomed = MAY_406;
}

void model_settle(struct model *model, struct known_channel *channel, uint64_t tag, bool multiple, int how)
{
    static const char *const what[] = {"", "acked", "dropped", "given back"};
    bool found = false;
    history_note("model: %s%llu %s", multiple ? "up to " : "", (unsigned long long)tag, what[how]);
    if (channel->doomed)
        return;
    for (unsigned i = 0; i < channel->unacked_count; i++)
        found |= channel->unacked[i].tag == tag && channel->unacked[i].held == HELD_NOT;
    if (!found && (tag == 0 || tag > channel->lapsed_tag)) {
        wrong_tag(channel);
        return;
    }
    for (unsigned i = channel->unacked_count; i-- > 0;) {
        struct known_unacked *u = &channel->unacked[i];
        if (u->held != HELD_NOT || !(multiple ? u->tag <= tag : u->tag == tag))
            continue;
        if (channel->mode == MODEL_TX)
            u->held = how;
        else
            settle_one(model, channel, i, how);
    }
}

void model_commit_acks(struct model *model, struct known_channel *channel)
{
    for (unsigned i = channel->unacked_count; i-- > 0;)
        if (channel->unacked[i].held != HELD_NOT)
            settle_one(model, channel, i, channel->unacked[i].held);
}

/* Too late: it goes back. What the client says of it afterwards is passed over. */
static void lapse(struct model *model, struct known_channel *channel, unsigned i)
{
    if (channel->unacked[i].tag > channel->lapsed_tag)
        channel->lapsed_tag = channel->unacked[i].tag;
    settle_one(model, channel, i, HELD_REQUEUE);
}

void model_rollback_acks(struct model *model, struct known_channel *channel)
{
    for (unsigned i = channel->unacked_count; i-- > 0;) {
        if (channel->unacked[i].held != HELD_NOT && channel->unacked[i].lapsed)
            lapse(model, channel, i);
        else
            channel->unacked[i].held = HELD_NOT;
    }
}

/* ---- by what happens to the channel
 * ------------------------------------------------------------------------------- */

/* What may have been sent from the queue without that we have seen it; gone: and what needs no
 * acknowledgement never will be. */
static void unseen(struct model *model, struct known_queue *queue, bool gone)
{
    queue->holes = true;
    gone &= !model_keeps(queue);
    for (unsigned i = 0; i < queue->entry_count; i++) {
        struct known_entry *e = queue->entries[i];
        e->may_redeliver = true;
        if (queue->settings.quorum && (e->where == WHERE_READY || e->where == WHERE_BACK))
            model_returns(model, e, false);
        if (gone && (e->where == WHERE_READY || e->where == WHERE_BACK))
            model_doubt_entry(e);
    }
}

static void all_unseen(struct model *model, const struct known_channel *channel, bool over)
{
    for (unsigned i = 0; i < model->consumer_count; i++) {
        const struct known_consumer *c = model->consumers[i];
        if (c->channel == channel && c->state != CONSUMER_GONE)
            unseen(model, c->queue, over && c->no_ack);
    }
    for (unsigned i = 0; i < channel->request_count; i++) {
        const struct known_request *r = channel->requests[i];
        if (r->method == BASIC_GET && r->queue)
            unseen(model, r->queue, over && r->no_ack);
    }
}

/* held: what a transaction holds, too. */
static void give_back(struct model *model, struct known_channel *channel, bool held)
{
    for (unsigned i = channel->unacked_count; i-- > 0;)
        if (held || channel->unacked[i].held == HELD_NOT)
            settle_one(model, channel, i, HELD_REQUEUE);
}

void model_recover(struct model *model, struct known_channel *channel)
{
    give_back(model, channel, false);
    all_unseen(model, channel, false);
    channel->recovering++;
}

void model_consumer_gone(struct model *model, struct known_consumer *c)
{
    if (c->state == CONSUMER_GONE)
        return;
    /* Cancelled, it may have gone long before the answer. */
    model_used(c->queue, c->state == CONSUMER_CANCELLING ? 0 : model->now_ns);
    c->state = CONSUMER_GONE;
    c->gone = model->clock;
    if (c->queue->auto_delete)
        model_suspect_queue(model, c->queue);
}

void model_take_back(struct model *model, const struct known_consumer *c)
{
    struct known_channel *channel = c->channel;
    for (unsigned i = channel->unacked_count; i-- > 0;) {
        if (channel->unacked[i].consumer != c)
            continue;
        if (channel->unacked[i].held == HELD_NOT)
            lapse(model, channel, i);
        else
            channel->unacked[i].lapsed = true;
    }
    unseen(model, c->queue, false);
}

/* A settlement of which it isn't known whether the broker took it before the channel was over. */
static void doubt_settled(struct model *model, const struct known_channel *channel)
{
    for (unsigned q = 0; q < model->queue_count; q++)
        for (unsigned i = 0; i < model->queues[q]->entry_count; i++) {
            struct known_entry *e = model->queues[q]->entries[i];
            if (e->where != WHERE_ACKED || e->holder != channel)
                continue;
            e->where = WHERE_BACK;
            model_doubt_entry(e);
            model_returns(model, e, false);
        }
}

void model_doubt(struct model *model, struct known_channel *channel)
{
    doubt_settled(model, channel);
    channel->open_count = channel->tx_count = channel->confirm_count = 0;
}

/* A basic.get that is never seen answered is as a consumer that was lost. */
static void lose_getters(struct model *model, struct known_channel *channel)
{
    for (unsigned i = 0; i < channel->request_count; i++) {
        const struct known_request *r = channel->requests[i];
        if (r->method != BASIC_GET || !r->queue || !r->no_ack)
            continue;
        struct known_consumer *c = model_make(sizeof *c);
        *c = (struct known_consumer){.queue = r->queue, .channel = channel, .no_ack = true, .lost = true};
        c->stream = channel->conn->stream;
        c->state = CONSUMER_GONE;
        c->gone = model->clock;
        ADD(model->consumers, model->consumer_count, c);
    }
}

void model_release(struct model *model, struct known_channel *channel)
{
    if (channel->life != LIFE_OPEN)
        return;
    give_back(model, channel, true);
    all_unseen(model, channel, true);
    lose_getters(model, channel);
    for (unsigned i = 0; i < model->consumer_count; i++) {
        struct known_consumer *c = model->consumers[i];
        if (c->channel != channel || c->state == CONSUMER_GONE)
            continue;
        c->lost = true;
        model_consumer_gone(model, c);
    }
}

void model_settle_lost(struct model *model)
{
    for (unsigned i = 0; i < model->consumer_count; i++) {
        struct known_consumer *c = model->consumers[i];
        if (c->lost && c->no_ack)
            unseen(model, c->queue, true);
        c->lost = false;
    }
}

void model_fail_channel(struct model *model, struct known_channel *channel)
{
    model_release(model, channel);
    doubt_settled(model, channel);
    channel->life = LIFE_FAILING;
}

static struct known_consumer *consumer_of(const struct model *model, const struct known_channel *channel,
                                          const struct text *tag)
{
    for (unsigned i = 0; i < model->consumer_count; i++)
        if (model->consumers[i]->channel == channel && same(&model->consumers[i]->tag, tag))
            return model->consumers[i];
    return NULL;
}

void model_on_cancelled(struct model *model, struct known_channel *channel, const struct said *said)
{
    struct reader r = said->args;
    struct text tag = read_name(&r);
    struct known_consumer *c = consumer_of(model, channel, &tag);
    if (!c || (c->state == CONSUMER_GONE && channel->life == LIFE_OPEN))
        history_fail("consumer '%s' was cancelled, but isn't there", tag.s);
    if (c->state == CONSUMER_GONE)
        return; /* it was said before the channel was closed */
    if (c->queue->thing.there == YES && !c->unsure)
        history_fail("consumer '%s' was cancelled though its queue '%s' is there", tag.s, c->queue->name.s);
    model_consumer_gone(model, c);
}
