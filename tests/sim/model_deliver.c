/* Deliveries: is it what was published, may it come from that queue to that client now, and in this order? */
#include <stdlib.h>
#include <string.h>

#include "model_consumer.h"
#include "model_delay.h"
#include "model_leave.h"
#include "model_producer.h"
#include "model_sequence.h"
#include "model_stream.h"
#include "tap.h"

#define NUMBER(m) ((unsigned long long)(m)->number)

/* ---- what is it
 * ---------------------------------------------------------------------------------------------- */

static struct text id_of(struct reader r)
{
    struct reader table;
    uint16_t flags = read_short(&r);
    if (flags & 1 << 15)
        read_name(&r);
    if (flags & 1 << 13)
        table = read_table(&r), (void)table;
    if (flags & 1 << 12)
        read_octet(&r);
    if (flags & 1 << 11)
        read_octet(&r);
    if (flags & 1 << 10)
        read_name(&r);
    if (flags & 1 << 8)
        read_name(&r);
    return flags & 1 << 7 ? read_name(&r) : (struct text){{0}};
}

static bool bytes_are(const struct buffer *b, struct reader r)
{
    size_t n = (size_t)(r.end - r.at);
    return b->len == n && (n == 0 || memcmp(b->at, r.at, n) == 0);
}

struct known_message *model_recognise(struct model *model, const struct text *exchange,
                                      const struct text *key, const struct said *said)
{
    struct text id = id_of(said->properties);
    uint64_t number = id.s[0] == 'm' ? strtoull(id.s + 1, NULL, 10) : 0;
    struct known_message *m = number && number <= model->message_count ? model->messages[number - 1] : NULL;
    if (!m)
        history_fail("%s of a message that was never published: '%s'", method_text(said->method), id.s);
    struct known_message *letter = said->method == BASIC_RETURN ? NULL : model_letter(model, m, said);
    m = letter ? letter : m;
    /* The router that returns it may not know the name of an exchange that is gone. */
    const struct known_exchange *e = model_exchange(model, &m->exchange, false);
    bool nameless = said->method == BASIC_RETURN && is(exchange, "") && e && e->thing.there != YES;
    if (!model_is_way(m, nameless ? &m->exchange : exchange, key))
        history_fail("m%llu came with exchange '%s' and key '%s', but was published with '%s' and '%s'",
                     NUMBER(m), exchange->s, key->s, m->exchange.s, m->key.s);
    struct known_message *root = m->original ? m->original : m; /* whose properties they are */
    bool left = root->delay_ms && said->method != BASIC_RETURN;
    if (left)
        model_delay_turn(root, true);
    model_check_properties(m, said->properties, said->method != BASIC_RETURN);
    if (left)
        model_delay_turn(root, false);
    if (!bytes_are(&m->body, said->body))
        history_fail("m%llu came with another body (%zu bytes) than it was published with (%zu)", NUMBER(m),
                     (size_t)(said->body.end - said->body.at), m->body.len);
    return m;
}

/* ---- may it come
 * ------------------------------------------------------------------------------------------------ */

/* Its entry in the queue. */
static struct known_entry *entry_of(struct model *model, struct known_message *m, struct known_queue *q,
                                    const struct known_conn *conn)
{
    struct known_entry *e = model_entry(m, q);
    if (!e && m->loose && m->original) {
        e = model_letter_entry(model, m, q);
    } else if (!e && m->loose) {
        e = model_add_entry(model, m, q);
        e->may_redeliver = true; /* it may have been there for long */
        e->copied = m->recent;
        e->returns_most = UINT32_MAX;
    }
    if (!e)
        history_fail("m%llu was delivered from '%s', but was never routed there", NUMBER(m), q->name.s);
    if (q->gone && conn->flushed > q->gone)
        history_fail("m%llu was delivered from '%s', which is gone", NUMBER(m), q->name.s);
    return e;
}

/* A settlement that the broker has heard: the channel has not failed, or that would have been seen. */
static bool surely_settled(const struct model *model, const struct known_entry *e)
{
    return e->where == WHERE_ACKED && e->holder->life == LIFE_OPEN && !e->holder->conn->ending &&
           taps_flushed(model->taps, e->holder->conn->stream);
}

static void check_place(const struct model *model, const struct known_entry *e)
{
    const struct known_message *m = e->message;
    const char *queue = e->queue->name.s;
    if (m->nowhere)
        history_fail("m%llu was delivered from '%s', but was %s", NUMBER(m), queue,
                     m->returned ? "returned" : "rolled back or refused");
    if (e->where == WHERE_DONE || surely_settled(model, e))
        history_fail("m%llu was delivered from '%s' again after it had been settled", NUMBER(m), queue);
    if (e->present == NO && !e->queue->gone)
        history_fail("m%llu was delivered from '%s', but can't be there any more", NUMBER(m), queue);
    if (e->where == WHERE_OUT)
        history_fail("m%llu was delivered from '%s', but is still with stream %llu, channel %u", NUMBER(m),
                     queue, (unsigned long long)e->holder->conn->stream, e->holder->number);
}

static void check_mark(const struct known_entry *e, bool redelivered)
{
    if (redelivered && !e->may_redeliver && !e->must_redeliver)
        history_fail("m%llu came from '%s' marked redelivered, but can't have been delivered before",
                     NUMBER(e->message), e->queue->name.s);
    if (!redelivered && e->must_redeliver)
        history_fail("m%llu came from '%s' again without being marked redelivered", NUMBER(e->message),
                     e->queue->name.s);
}

/* ---- is it its turn
 * ------------------------------------------------------------------------------------------------ */

/* Whether a surely stands before b in their queue. */
bool model_before(const struct known_queue *queue, const struct known_message *a,
                  const struct known_message *b)
{
    unsigned first = model_priority(queue, a), second = model_priority(queue, b);
    if (first != second)
        return first > second;
    if (a->late || b->late || a->delay_ms || b->delay_ms)
        return false;
    if (a->channel == b->channel && a->channel)
        return a->order < b->order;
    return a->closed && a->closed < b->begun;
}

/* Nobody else may have taken from the queue since the stamp. Another consumer of the same connection may have
 * been sent messages that its channel's limit, or channel.flow, held back: unseen, but out of turn. */
static bool alone(const struct model *model, const struct known_queue *q, uint64_t since,
                  const struct known_conn *conn, const struct known_consumer *consumer)
{
    for (unsigned i = 0; i < model->consumer_count; i++) {
        const struct known_consumer *c = model->consumers[i];
        if (c->queue == q && c != consumer && !model_waits_in_line(model, c) &&
            (c->state != CONSUMER_GONE || c->gone >= since))
            return false;
    }
    return !model_interest(model, q, since, conn->stream);
}

/* The client itself has asked for what is in the queue, on another channel, and isn't answered yet. */
static bool asks_besides(const struct known_conn *conn, const struct known_queue *q)
{
    for (unsigned n = 0; n < TALK_CHANNELS; n++)
        for (unsigned i = 0; conn->channels[n] && i < conn->channels[n]->request_count; i++) {
            const struct known_request *r = conn->channels[n]->requests[i];
            if (r->queue == q && (r->method == QUEUE_PURGE || r->method == BASIC_GET))
                return true;
        }
    return false;
}

/* Alone since the last idle moment, when nothing was on its way to this client: what was ready then and
 * stands before it goes before it. */
static void check_older(const struct model *model, const struct known_entry *e, const struct known_conn *conn,
                        const struct known_consumer *consumer)
{
    const struct known_queue *q = e->queue;
    if (q->gone || conn->flushed != model->idle || !alone(model, q, model->idle, conn, consumer) ||
        (consumer && asks_besides(conn, q)))
        return;
    for (unsigned i = 0; i < q->entry_count; i++) {
        const struct known_entry *o = q->entries[i];
        if (o->present == YES && o->where == WHERE_READY && o->since <= model->idle &&
            model_before(q, o->message, e->message))
            history_fail("m%llu was delivered from '%s' before m%llu, which stands before it",
                         NUMBER(e->message), q->name.s, NUMBER(o->message));
    }
}

/* What hasn't been anywhere yet comes in the order of its channel, if only one consumer has ever been
 * interested. */
static void check_fresh(const struct model *model, const struct known_entry *e, const struct known_conn *conn,
                        const struct known_consumer *consumer)
{
    const struct known_queue *q = e->queue;
    if (!alone(model, q, model_idle_before(model, e->message->begun), conn, consumer))
        return;
    for (unsigned i = 0; i < q->entry_count; i++) {
        const struct known_entry *o = q->entries[i];
        bool comparable = !o->message->recent && !e->message->recent && !o->message->delay_ms &&
                          !e->message->delay_ms && o->message->channel &&
                          o->message->channel == e->message->channel &&
                          model_priority(q, o->message) == model_priority(q, e->message);
        if (o->stream == conn->stream && comparable && o->message->order > e->message->order)
            history_fail("m%llu was delivered from '%s' after m%llu, which was published after it",
                         NUMBER(e->message), q->name.s, NUMBER(o->message));
    }
}

/* ---- it has come
 * ------------------------------------------------------------------------------------------------------ */

/* The channel is over, or all it had has gone back: the client may not keep it. */
static bool is_void(const struct known_channel *channel)
{
    return channel->life != LIFE_OPEN || channel->conn->ending || channel->recovering;
}

/* By a consumer that may be of a life of the queue that has been deleted meanwhile, nothing is learned. */
static void hold(struct model *model, struct known_channel *channel, struct known_entry *e,
                 const struct known_consumer *consumer)
{
    if (e->queue->gone)
        e->present = NO;
    else if (e->queue->thing.there == YES && !(consumer && consumer->unsure))
        e->present = YES;
    e->where = WHERE_OUT;
    e->holder = channel;
    e->since = model->clock;
}

static void remember(struct known_channel *channel, struct known_entry *e, struct known_consumer *consumer,
                     uint64_t now_ns)
{
    channel->unacked = model_room(channel->unacked, channel->unacked_count, sizeof *channel->unacked);
    channel->unacked[channel->unacked_count++] =
        (struct known_unacked){.tag = channel->last_tag,
                               .entry = e,
                               .consumer = consumer,
                               .sent_ns = consumer ? model_sent_ns(consumer) : 0,
                               .seen_ns = now_ns};
    if (consumer)
        consumer->out++;
}

static void check_order(const struct model *model, const struct known_channel *channel,
                        const struct known_entry *e, const struct known_consumer *consumer, bool redelivered)
{
    if (!is_void(channel))
        check_older(model, e, channel->conn, consumer);
    if (!redelivered)
        check_fresh(model, e, channel->conn, consumer);
}

/* It was to go to one queue only. */
static void check_alone(const struct known_entry *e)
{
    const struct known_message *m = e->message;
    for (unsigned i = 0; i < m->entry_count; i++)
        if (m->entries[i] != e && m->entries[i]->stream)
            history_fail("m%llu was to go to one of several queues, but '%s' and '%s' have it", NUMBER(m),
                         e->queue->name.s, m->entries[i]->queue->name.s);
}

/* A dead letter may have been sent twice over a crash: of each of the two the other hides what would be
 * known. */
static bool is_another_copy(struct known_entry *e, bool redelivered)
{
    bool taken = (e->must_redeliver && !redelivered) || e->where == WHERE_OUT || e->where == WHERE_DONE ||
                 e->where == WHERE_ACKED;
    if (e->manifold || !e->message->late || !(taken || (e->present == NO && !e->queue->gone)))
        return e->manifold;
    e->manifold = true;
    e->present = MAYBE;
    e->must = false;
    e->where = WHERE_READY;
    return true;
}

/* It had left by an idle moment since which nothing can have been on its way to this client. */
static void check_time(const struct known_entry *e, const struct known_conn *conn)
{
    if (e->dead && conn->flushed > e->dead)
        history_fail("m%llu was delivered from '%s' though its time was over", NUMBER(e->message),
                     e->queue->name.s);
}

/* What the delivery says besides. */
struct marks {
    bool redelivered;
    int64_t attempts; /* x-delivery-count */
    int64_t offset;   /* x-stream-offset */
    struct said_sequence sequence;
};

static void check_attempts(const struct known_entry *e, int64_t attempts)
{
    uint64_t most = e->queue->settings.quorum ? e->returns_most : 0;
    uint64_t least = e->queue->settings.quorum ? e->returns_least : 0;
    if (e->queue->perhaps_other || e->message->late || e->queue->gone)
        return;
    if (attempts < 0 || (uint64_t)attempts < least || (uint64_t)attempts > most)
        history_fail("m%llu came from '%s' with a delivery count of %lld, but it must be %llu to %llu",
                     NUMBER(e->message), e->queue->name.s, (long long)attempts, (unsigned long long)least,
                     (unsigned long long)most);
}

/* What the client gets may have been sent when the queue was told something else. */
static bool is_reshaped(const struct known_queue *q, const struct known_conn *conn)
{
    return q->varied && conn->flushed < q->reshaped;
}

static void take_number(struct known_entry *e, const struct known_conn *conn,
                        const struct said_sequence *number, bool unsure)
{
    struct known_queue *q = e->queue;
    if (is_reshaped(q, conn))
        q->holes = true;
    else
        model_sequence_takes(e, number, unsure || q->thing.there != YES);
}

static void take_value(struct model *model, struct known_entry *e, struct known_consumer *c,
                       const struct marks *marks)
{
    model_image_takes(model, e, c, marks->redelivered, marks->offset);
    if (is_reshaped(e->queue, c->channel->conn))
        e->queue->holes = true;
    else
        model_sequence_value(model, c, &marks->sequence);
}

static void take(struct model *model, struct known_channel *channel, struct known_queue *q,
                 struct known_message *m, struct known_consumer *consumer, bool no_ack,
                 const struct marks *marks)
{
    struct known_conn *conn = channel->conn;
    model_delay_check(model, m);
    struct known_entry *e = entry_of(model, m, q, conn);
    bool lapsed = consumer && consumer->lapsed;
    bool back = (is_void(channel) || lapsed) && !no_ack; /* it was on its way when it was taken back */
    model->counts.delivered++;
    model_part_twins(e);
    model_number_seen(model, e);
    if (!back && !no_ack)
        remember(channel, e, consumer, model->now_ns);
    if (q->settings.last_value.s[0] && consumer) {
        take_value(model, e, consumer, marks);
        return;
    }
    if (model_keeps(q) && consumer) {
        model_stream_takes(model, e, consumer, marks->redelivered, marks->offset);
        return;
    }
    if ((back && e->where != WHERE_READY) || is_another_copy(e, marks->redelivered)) {
        q->holes = true; /* its number isn't looked at */
        return;
    }
    check_place(model, e);
    take_number(e, conn, &marks->sequence, back || (consumer && consumer->unsure));
    check_time(e, conn);
    bool redelivered = marks->redelivered;
    if (!back) { /* else it may have been on its way since long ago */
        check_mark(e, redelivered);
        check_attempts(e, marks->attempts);
        check_order(model, channel, e, consumer, redelivered);
    }
    if (!redelivered && !e->stream)
        e->stream = conn->stream;
    if (m->one)
        check_alone(e);
    e->must_redeliver = e->may_redeliver = true; /* the next time */
    if (back)
        e->where = WHERE_BACK;
    else if (no_ack)
        model_done(model, e);
    else
        hold(model, channel, e, consumer);
}

/* It may be a consumer of another life of the queue. */
static struct known_queue *queue_for(const struct model *model, struct known_queue *queue,
                                     const struct known_message *m, bool unsure)
{
    if (!unsure || model_entry(m, queue) || (m->recent && !queue->gone))
        return queue;
    for (unsigned i = model->queue_count; i-- > 0;)
        if (same(&model->queues[i]->name, &queue->name) && model_entry(m, model->queues[i]))
            return model->queues[i];
    return queue;
}

static void check_tag(struct known_channel *channel, uint64_t tag)
{
    if (tag != channel->last_tag + 1)
        history_fail("delivery tag %llu follows %llu", (unsigned long long)tag,
                     (unsigned long long)channel->last_tag);
    channel->last_tag = tag;
}

static struct known_consumer *find_consumer(const struct model *model, const struct known_channel *channel,
                                            const struct text *tag)
{
    for (unsigned i = model->consumer_count; i-- > 0;) {
        struct known_consumer *c = model->consumers[i];
        if (c->channel == channel && same(&c->tag, tag))
            return c;
    }
    return NULL;
}

static unsigned counted(const struct known_channel *channel)
{
    unsigned n = 0;
    for (unsigned i = 0; i < channel->unacked_count; i++)
        n += channel->unacked[i].consumer != NULL;
    return n;
}

static void check_windows(const struct known_channel *channel, const struct known_consumer *c)
{
    uint32_t limit = channel->limit_before > channel->limit ? channel->limit_before : channel->limit;
    if (c->no_ack || is_void(channel) || c->lapsed)
        return;
    if (c->prefetch && c->out >= c->prefetch)
        history_fail("consumer '%s' has %u unacknowledged, and gets more: its prefetch count is %u", c->tag.s,
                     c->out, c->prefetch);
    if (channel->limit && channel->limit_before && counted(channel) >= limit)
        history_fail("channel %u has %u unacknowledged, and gets more: its prefetch count is %u",
                     channel->number, counted(channel), limit);
    if (channel->flow_off)
        history_fail("consumer '%s' gets a delivery though channel.flow has stopped it", c->tag.s);
}

void model_on_deliver(struct model *model, struct known_channel *channel, const struct said *said)
{
    struct reader r = said->args;
    struct text name = read_name(&r);
    uint64_t tag = read_longlong(&r);
    bool redelivered = read_octet(&r) & 1;
    struct text exchange = read_name(&r), key = read_name(&r);
    struct known_message *m = model_recognise(model, &exchange, &key, said);
    struct known_consumer *c = find_consumer(model, channel, &name);
    history_note("model: m%llu from '%s' tag %llu%s", NUMBER(m), c ? c->queue->name.s : "?",
                 (unsigned long long)tag, redelivered ? " redelivered" : "");
    if (!c || c->state == CONSUMER_STARTING || (c->state == CONSUMER_GONE && !is_void(channel)))
        history_fail("m%llu was delivered to consumer '%s', which %s", NUMBER(m), name.s,
                     c && c->state == CONSUMER_STARTING ? "hasn't been confirmed" : "isn't there");
    check_tag(channel, tag);
    check_windows(channel, c);
    if (c->lapsed)
        channel->lapsed_tag = tag;
    model_check_turn(model, c, (uint32_t)m->body.len);
    take(model, channel, queue_for(model, c->queue, m, c->unsure), m, c, c->no_ack,
         &(struct marks){redelivered, model_attempts(said), model_offset(said), model_sequence(said)});
}

void model_on_get_ok(struct model *model, struct known_channel *channel, struct known_request *request,
                     const struct said *said)
{
    struct reader r = said->args;
    uint64_t tag = read_longlong(&r);
    bool redelivered = read_octet(&r) & 1;
    struct text exchange = read_name(&r), key = read_name(&r);
    uint32_t left = read_long(&r);
    struct known_message *m = model_recognise(model, &exchange, &key, said);
    struct known_queue *q = request->queue;
    history_note("model: m%llu got from '%s' tag %llu%s", NUMBER(m), q->name.s, (unsigned long long)tag,
                 redelivered ? " redelivered" : "");
    check_tag(channel, tag);
    struct model_bounds ready = model_ready(model, q, request->begun, channel->conn->stream);
    /* One that waits for the disk gets, like a consumer, what comes before it counts for the limit. */
    ready.most += ready.capped && model_consumers_of(model, q, request->begun).most;
    if (!q->gone && (left + UINT64_C(1) > ready.most || left + UINT64_C(1) < ready.least))
        history_fail(
            "basic.get-ok says that %u messages are left in '%s', but %llu to %llu must have been ready",
            left, q->name.s, (unsigned long long)ready.least, (unsigned long long)ready.most);
    take(model, channel, queue_for(model, q, m, request->disturbed), m, NULL, request->no_ack,
         &(struct marks){redelivered, model_attempts(said), model_offset(said), model_sequence(said)});
}
