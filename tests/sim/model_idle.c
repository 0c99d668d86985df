/* The broker has nothing to do: what was under way is over, and what is owed must have been given. */
#include <stdlib.h>

#include "model_consumer.h"
#include "model_delay.h"
#include "model_history.h"
#include "model_leave.h"
#include "model_stream.h"
#include "tap.h"

#define U(n) ((unsigned long long)(n))

static bool is_flushed(const struct model *model, const struct known_conn *conn)
{
    return conn->there && taps_flushed(model->taps, conn->stream);
}

/* ---- what is over
 * --------------------------------------------------------------------------------------------------- */

/* A channel that is over isn't told that a failed journal can't keep its message. */
static bool perhaps_refused(const struct model *model, const struct known_message *m)
{
    bool durable = false;
    for (unsigned i = 0; i < m->entry_count; i++)
        durable |= m->entries[i]->queue->durable || m->entries[i]->queue->perhaps_durable;
    bool stored = m->persistent || model_is_kept(m);
    return model->failed && stored && durable && m->channel->mode == MODEL_CONFIRM && !m->confirmed;
}

/* Every publish that a front took has been routed, but for those of open transactions. */
static void end_routing(struct model *model)
{
    for (unsigned i = model->routing_count; i-- > 0;) {
        struct known_message *m = model->routing[i];
        if (m->original)
            continue;
        bool waits =
            m->in_tx && m->channel->life == LIFE_OPEN && !m->channel->conn->ending && m->channel->conn->there;
        if (waits)
            continue;
        model_message_closed(model, m);
        if (!m->taken || perhaps_refused(model, m))
            continue;
        bool stored = m->persistent || model_is_kept(m);
        if (model->failed && stored && !m->confirmed && m->channel->mode == MODEL_CONFIRM)
            m->refused = true; /* perhaps: the channel was over before it could be told */
        model_message_accepted(model, m);
        m->safe |= !model->failed;
    }
}

/* What was confirmed when it was in memory is on the disk by now. */
static void end_writing(struct model *model)
{
    for (unsigned i = 0; i < model->in_ram_count; i++)
        model->in_ram[i]->safe |= !model->failed && model->in_ram[i]->run == model->runs;
    model->in_ram_count = 0;
}

/* What was settled and given back has arrived. */
static void end_settling(struct model *model, struct known_entry *e)
{
    const struct known_channel *holder = e->holder;
    if (e->where == WHERE_BACK) {
        e->where = WHERE_READY;
        e->since = model->clock;
    } else if (e->where == WHERE_ACKED) {
        if (holder->well || (holder->life == LIFE_OPEN && is_flushed(model, holder->conn))) {
            model_done(model, e);
            e->leaving = e->drops;
            e->reason = REASON_REJECTED;
        }
    }
    model_leave_settled(model, e);
    if (model->failed)
        return;
    e->returns_safe = e->returns_least;
    e->copied &= model->now_ns < model->room_ns;
    e->safe |= e->where == WHERE_DONE && !(e->leaving && model_waits(model, e->queue));
}

static void end_all_settling(struct model *model)
{
    for (unsigned q = 0; q < model->queue_count; q++)
        for (unsigned i = 0; i < model->queues[q]->entry_count; i++)
            end_settling(model, model->queues[q]->entries[i]);
}

/* ---- what is owed
 * ----------------------------------------------------------------------------------------------------- */

static void check_channel(struct model *model, struct known_channel *channel)
{
    if (channel->life == LIFE_ENDING)
        history_fail("channel.close of channel %u of stream %llu was never answered", channel->number,
                     U(channel->conn->stream));
    if (channel->life == LIFE_FAILING)
        history_fail("channel %u of stream %llu was closed, but isn't told", channel->number,
                     U(channel->conn->stream));
    if (channel->request_count)
        history_fail("%s on channel %u of stream %llu was never answered",
                     method_text(channel->requests[0]->method), channel->number, U(channel->conn->stream));
    if (channel->life != LIFE_OPEN)
        return;
    model_publishes_settled(model, channel);
}

/* A broker with tiny limits stops sending to a channel that has so many to answer. */
enum { MOST_UNACKED = 1000 };

static bool has_room(const struct model *model, const struct known_consumer *c)
{
    const struct known_channel *channel = c->channel;
    unsigned out = 0;
    if (c->state != CONSUMER_ACTIVE || c->unsure || channel->life != LIFE_OPEN || channel->conn->ending ||
        !is_flushed(model, channel->conn))
        return false;
    for (unsigned i = 0; i < channel->unacked_count; i++)
        out += channel->unacked[i].consumer != NULL;
    if (channel->flow_off || out >= MOST_UNACKED)
        return false;
    return c->no_ack || ((!c->prefetch || c->out < c->prefetch) && (!channel->limit || out < channel->limit));
}

/* Whether some of the queue may be on its way to a client that doesn't take it, or purged by one that isn't
 * told. */
static bool hidden(const struct model *model, const struct known_queue *queue)
{
    for (unsigned i = 0; i < model->consumer_count; i++) {
        const struct known_consumer *c = model->consumers[i];
        if (c->queue == queue && c->state != CONSUMER_GONE && !is_flushed(model, c->channel->conn))
            return true;
    }
    for (unsigned i = 0; i < model->channel_count; i++)
        for (unsigned r = 0; r < model->channels[i]->request_count; r++) {
            const struct known_request *q = model->channels[i]->requests[r];
            if (q->queue == queue && (q->method == BASIC_GET || q->method == QUEUE_PURGE))
                return true;
        }
    return false;
}

/* Each consumer of a queue that keeps what is consumed is owed all that it hasn't got. */
static void check_stream(const struct model *model, const struct known_queue *queue)
{
    bool replaced = queue->remembered; /* what an exchange remembered may be the last that came */
    if (queue->thing.there != YES || (!model_stores(queue) && (replaced || hidden(model, queue))))
        return; /* somebody may have purged it */
    model_image_rests(model, queue);
    for (unsigned i = 0; i < model->consumer_count; i++)
        if (model->consumers[i]->queue == queue && has_room(model, model->consumers[i])) {
            if (model_stores(queue))
                model_stream_owed(model, queue, model->consumers[i]);
            else
                model_image_owed(model, queue, model->consumers[i]);
        }
}

/* Something waits, and somebody waits for it. */
static void check_queue(const struct model *model, const struct known_queue *queue)
{
    const struct known_entry *ready = NULL;
    if (model_keeps(queue)) {
        check_stream(model, queue);
        return;
    }
    for (unsigned i = 0; !ready && i < queue->entry_count; i++)
        if (queue->entries[i]->present == YES && queue->entries[i]->where == WHERE_READY)
            ready = queue->entries[i];
    if (!ready || queue->thing.there != YES || hidden(model, queue))
        return;
    for (unsigned i = 0; i < model->consumer_count; i++)
        if (model->consumers[i]->queue == queue && has_room(model, model->consumers[i]) &&
            model_is_its_turn(model, model->consumers[i]))
            history_fail("m%llu waits in '%s', and consumer '%s' of stream %llu isn't sent it",
                         U(ready->message->number), queue->name.s, model->consumers[i]->tag.s,
                         U(model->consumers[i]->stream));
}

uint64_t model_idle_before(const struct model *model, uint64_t stamp)
{
    unsigned n = model->idle_count;
    while (n && model->idles[n - 1] > stamp)
        n--;
    return n ? model->idles[n - 1] : 0;
}

void model_idle(struct model *model)
{
    model->clock++;
    model->counts.idles++;
    model_settle_lost(model);
    end_routing(model);
    end_writing(model);
    model_policies_settled(model);
    end_all_settling(model);
    model_delays_settled(model);
    model_letters_settled(model);
    model_history_settled(model);
    model_uses_settled(model);
    model_settle_suspects(model);
    for (unsigned i = 0; i < model->conn_count; i++) {
        struct known_conn *conn = model->conns[i];
        if (!is_flushed(model, conn))
            continue;
        if (conn->bye)
            history_fail("connection.close of stream %llu was never answered", U(conn->stream));
        for (unsigned n = 0; !conn->ending && n < TALK_CHANNELS; n++)
            if (conn->channels[n])
                check_channel(model, conn->channels[n]);
    }
    for (unsigned i = 0; i < model->queue_count; i++)
        check_queue(model, model->queues[i]);
    model_ranks_settled(model);
    model_lapses_settled(model);
    model->clock++;
    model->idle = model->clock;
    ADD(model->idles, model->idle_count, model->clock);
    for (unsigned i = 0; i < model->conn_count; i++)
        if (is_flushed(model, model->conns[i]))
            model->conns[i]->flushed = model->clock, model->conns[i]->flushed_ns = model->now_ns;
    model->clock++;
}
