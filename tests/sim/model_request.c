/* Requests: what the client asks for, what it does to what is known while it is under way, and which answers
 * it may get. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "model_consumer.h"
#include "model_delay.h"
#include "model_history.h"
#include "model_leave.h"
#include "model_stream.h"

/* ---- reading them
 * ------------------------------------------------------------------------------------------------ */

static void read_arguments(struct known_request *q, struct reader *r)
{
    struct reader table = read_table(r), fields = table;
    struct table_field field;
    buffer_add(&q->arguments, table.at, (size_t)(table.end - table.at));
    while (read_field(&fields, &field))
        if (is(&field.name, "alternate-exchange"))
            q->alternate = field.text;
        else if (is(&field.name, "x-recent-history-length"))
            q->remembers = field.number;
        else if (is(&field.name, "x-delayed-type"))
            q->other = field.text;
        else if (q->method == QUEUE_DECLARE)
            model_read_setting(&q->settings, &field);
    if (q->settings.stream) { /* it has a way of its own to be shortened */
        q->settings.stream_bytes = q->settings.bytes;
        q->settings.bytes = -1;
    }
}

static void read_declare(struct known_request *q, struct reader *r, bool exchange)
{
    read_short(r);
    q->name = read_name(r);
    if (exchange)
        q->type = read_name(r);
    uint8_t bits = read_octet(r);
    q->passive = bits & 1;
    q->durable = bits & 2;
    q->exclusive = !exchange && bits & 4;
    q->auto_delete = bits & (exchange ? 4 : 8);
    q->internal = exchange && bits & 8;
    read_arguments(q, r);
    q->delays = exchange && is(&q->type, "x-delayed-message");
    if (q->delays)
        q->type = q->other;
    if (q->exclusive)
        q->durable = false; /* it dies with its connection anyway */
}

static void read_binding(struct known_request *q, struct reader *r)
{
    read_short(r);
    q->name = read_name(r);
    q->other = read_name(r);
    q->key = read_name(r);
    if (q->method != QUEUE_UNBIND)
        read_octet(r);
    read_arguments(q, r);
}

static void read_consume(struct known_request *q, struct reader *r)
{
    read_short(r);
    q->name = read_name(r);
    q->other = read_name(r); /* the tag */
    uint8_t bits = read_octet(r);
    q->no_ack = bits & 2;
    q->exclusive = bits & 4;
    struct reader arguments = read_table(r);
    model_read_cursor(q, arguments);
    model_read_consumer(q, arguments);
}

static void read_delete(struct known_request *q, struct reader *r)
{
    read_short(r);
    q->name = read_name(r);
    uint8_t bits = read_octet(r);
    q->if_unused = bits & 1;
    q->if_empty = bits & 2;
    q->no_ack = bits & 1; /* of basic.get, which has the same form */
}

static void read_request(struct known_request *q, struct reader r)
{
    switch (q->method) {
    case EXCHANGE_DECLARE:
    case QUEUE_DECLARE:
        read_declare(q, &r, q->method == EXCHANGE_DECLARE);
        return;
    case EXCHANGE_DELETE:
    case QUEUE_DELETE:
    case QUEUE_PURGE:
    case BASIC_GET:
        read_delete(q, &r);
        return;
    case EXCHANGE_BIND:
    case EXCHANGE_UNBIND:
    case QUEUE_BIND:
    case QUEUE_UNBIND:
        read_binding(q, &r);
        return;
    case BASIC_CONSUME:
        read_consume(q, &r);
        return;
    case BASIC_CANCEL:
        q->other = read_name(&r);
        return;
    case BASIC_QOS:
        read_long(&r);
        q->count = read_short(&r);
        q->global = read_octet(&r) & 1;
        return;
    case CHANNEL_FLOW:
        q->active = read_octet(&r) & 1;
        return;
    default:
        return;
    }
}

/* ---- what they mean to do
 * -------------------------------------------------------------------------------------------- */

static void change(struct model *model, struct known_request *q, struct thing *thing, enum sure wants)
{
    q->changes = true;
    q->thing = thing;
    q->wants = wants;
    model_thing_begin(model, thing, wants);
}

static void exchange_becomes(const struct model *model, struct known_exchange *e,
                             const struct known_request *q)
{
    e->type = q->type;
    e->alternate = q->alternate;
    e->durable = q->durable;
    e->perhaps_durable = false;
    e->auto_delete = q->auto_delete;
    e->internal = q->internal;
    e->delays = q->delays;
    e->remembers = q->remembers;
    model_history_begins(model, e);
}

void model_queue_becomes(struct model *model, struct known_queue *queue, const struct known_request *q,
                         uint64_t stream)
{
    queue->durable = q->durable;
    queue->exclusive = q->exclusive;
    queue->auto_delete = q->auto_delete;
    queue->owner = stream;
    queue->declared = q->settings;
    model_policy_declared(model, queue);
    queue->used_ns = q->begun_ns;
}

static void begin_exchange(struct model *model, struct known_request *q)
{
    q->exchange = model_exchange(model, &q->name, !q->passive);
    if (!q->exchange || q->passive)
        return;
    struct known_exchange *e = q->exchange;
    if (q->method == EXCHANGE_DELETE) {
        model_delays_doubt(model, e);
        model_history_begins(model, e);
        model_suspect_sources(model, NULL, e);
        change(model, q, &e->thing, NO);
        return;
    }
    if (e->thing.there == NO)
        exchange_becomes(model, e, q);
    change(model, q, &e->thing, YES);
}

/* A queue named by the broker gets its name with the answer. */
static void begin_queue(struct model *model, const struct known_channel *channel, struct known_request *q)
{
    if (q->method == QUEUE_DECLARE && !q->name.s[0])
        return;
    q->queue = model_queue(model, &q->name);
    bool fresh = q->method == QUEUE_DECLARE && !q->passive && (!q->queue || q->queue->gone);
    if (fresh) {
        q->queue = model_new_queue(model, &q->name);
        model_queue_becomes(model, q->queue, q, channel->conn->stream);
        model_meet_deletes(model, q->queue);
    }
    if (!q->queue || q->passive)
        return;
    if (q->method == QUEUE_PURGE)
        model_asked(model, q->queue, channel->conn->stream);
    if (q->method == QUEUE_DECLARE)
        change(model, q, &q->queue->thing, YES);
    if (fresh)
        model_meet_deletes(model, q->queue);
    if (q->method == QUEUE_DELETE && !q->queue->gone) {
        model_suspect_sources(model, q->queue, NULL);
        change(model, q, &q->queue->thing, NO);
    }
    if (q->changes && (q->thing->clash || q->thing->before == MAYBE))
        model_doubt_content(model, q->queue); /* it may go, and be made anew */
}

static void begin_binding(struct model *model, struct known_request *q)
{
    bool to_queue = q->method == QUEUE_BIND || q->method == QUEUE_UNBIND;
    bool bind = q->method == QUEUE_BIND || q->method == EXCHANGE_BIND;
    struct known_exchange *destination = to_queue ? NULL : model_exchange(model, &q->name, false);
    q->queue = to_queue ? model_queue(model, &q->name) : NULL;
    q->exchange = model_exchange(model, &q->other, false);
    if (!q->exchange || (!q->queue && !destination) || (q->queue && q->queue->gone))
        return;
    q->binding = model_binding(model, q->exchange, q->queue, destination, &q->key, &q->arguments, true);
    if (!q->binding)
        return;
    if (q->binding->thing.changing || (!bind && q->binding->thing.there != NO))
        model_suspect_exchange(model, q->exchange);
    bool fresh = q->binding->thing.there == NO && model_thing_rests(model, &q->binding->thing);
    change(model, q, &q->binding->thing, bind ? YES : NO);
    if (q->method == QUEUE_BIND)
        model_history_asked(model, q, fresh);
}

static void begin_consume(struct model *model, struct known_channel *channel, struct known_request *q)
{
    q->queue = model_queue(model, &q->name);
    if (!q->queue)
        return;
    struct known_consumer *c = model_make(sizeof *c);
    c->queue = q->queue;
    c->channel = channel;
    c->stream = channel->conn->stream;
    c->tag = q->other;
    c->no_ack = q->no_ack;
    c->exclusive =
        q->exclusive && !q->queue->settings.quorum && !model_stores(q->queue); /* those never are */
    c->prefetch = channel->prefetch;
    model_consumer_begins(c, q);
    model_stream_joins(model, c, q);
    c->unsure = true;
    q->consumer = c;
    ADD(model->consumers, model->consumer_count, c);
}

static void begin_cancel(struct model *model, struct known_channel *channel, struct known_request *q)
{
    for (unsigned i = 0; i < model->consumer_count; i++) {
        struct known_consumer *c = model->consumers[i];
        if (c->channel != channel || !same(&c->tag, &q->other) || c->state >= CONSUMER_CANCELLING)
            continue;
        c->state = CONSUMER_CANCELLING;
        model_used(c->queue, model->now_ns);
        q->consumer = c;
        if (c->queue->auto_delete)
            model_suspect_queue(model, c->queue);
    }
}

void model_asked(const struct model *model, struct known_queue *queue, uint64_t stream)
{
    if (queue->asker != stream && queue->asked_by_asker > queue->asked)
        queue->asked = queue->asked_by_asker;
    queue->asker = stream;
    queue->asked_by_asker = model->clock;
}

static void begin_get(struct model *model, const struct known_channel *channel, struct known_request *q)
{
    q->queue = model_queue(model, &q->name);
    if (q->queue)
        model_asked(model, q->queue, channel->conn->stream);
}

static void begin_commit(struct model *model, struct known_channel *channel, struct known_request *q)
{
    model_commit_acks(model, channel);
    q->messages = channel->tx;
    q->message_count = channel->tx_count;
    channel->tx = NULL;
    channel->tx_count = 0;
}

static void begin_rollback(struct model *model, struct known_channel *channel)
{
    for (unsigned i = 0; i < channel->tx_count; i++)
        model_message_nowhere(model, channel->tx[i]);
    channel->tx_count = 0;
    model_rollback_acks(model, channel);
}

static void begin_qos(struct known_channel *channel, const struct known_request *q)
{
    if (!q->global) {
        channel->prefetch = q->count;
        return;
    }
    /* Until the answer either may hold; 0 is no limit at all. */
    channel->limit_before = !channel->limit || !channel->limit_before ? 0
                            : channel->limit_before > channel->limit  ? channel->limit_before
                                                                      : channel->limit;
    channel->limit = q->count;
}

static void begin_flow(struct known_channel *channel, const struct known_request *q)
{
    channel->flow_off &= !q->active;
    channel->flowed = true;
}

void model_request_begin(struct model *model, struct known_channel *channel, struct known_request *q)
{
    switch (q->method) {
    case EXCHANGE_DECLARE:
    case EXCHANGE_DELETE:
        begin_exchange(model, q);
        return;
    case QUEUE_DECLARE:
    case QUEUE_DELETE:
    case QUEUE_PURGE:
        begin_queue(model, channel, q);
        return;
    case EXCHANGE_BIND:
    case EXCHANGE_UNBIND:
    case QUEUE_BIND:
    case QUEUE_UNBIND:
        begin_binding(model, q);
        return;
    case BASIC_CONSUME:
        begin_consume(model, channel, q);
        return;
    case BASIC_CANCEL:
        begin_cancel(model, channel, q);
        return;
    case BASIC_GET:
        begin_get(model, channel, q);
        return;
    case BASIC_RECOVER:
        model_recover(model, channel);
        return;
    case TX_COMMIT:
        begin_commit(model, channel, q);
        return;
    case TX_ROLLBACK:
        begin_rollback(model, channel);
        return;
    case BASIC_QOS:
        begin_qos(channel, q);
        return;
    case CHANNEL_FLOW:
        begin_flow(channel, q);
        return;
    case CONFIRM_SELECT:
        channel->mode = MODEL_CONFIRM;
        return;
    case TX_SELECT:
        channel->mode = MODEL_TX;
        return;
    }
}

/* ---- the queue of them
 * ---------------------------------------------------------------------------------------------- */

static void note_settings(const struct known_settings *s)
{
    static const char *const overflows[] = {"", ", refuses", ", refuses to target"};
    history_note("model: ttl %lld, expires %lld, length %lld, bytes %lld, priority %lld, deliveries %lld%s%s",
                 (long long)s->ttl, (long long)s->expires, (long long)s->length, (long long)s->bytes,
                 (long long)s->highest, (long long)s->deliveries, overflows[s->overflow],
                 s->wrong ? ", wrong" : "");
    if (s->quorum || s->has_target)
        history_note("model: %s, target '%s' key '%s'%s", s->quorum ? "quorum" : "classic",
                     s->has_target ? s->target.s : "(none)", s->has_key ? s->key.s : "(kept)",
                     s->at_least_once ? ", at least once" : "");
}

static void note(const struct known_request *q)
{
    struct known_settings none;
    model_no_settings(&none);
    if (q->method == QUEUE_DECLARE && !q->passive && !model_settings_equal(&none, &q->settings))
        note_settings(&q->settings);
    if (q->method == BASIC_QOS)
        history_note("model: basic.qos %u%s", q->count, q->global ? " global" : "");
    else if (q->method == CHANNEL_FLOW)
        history_note("model: channel.flow %s", q->active ? "on" : "off");
    else
        history_note("model: %s '%s' '%s' '%s'%s%s%s%s%s%s%s, may come to %x", method_text(q->method),
                     q->name.s, q->other.s, q->key.s, q->passive ? " passive" : "",
                     q->durable ? " durable" : "", q->no_ack ? " no-ack" : "",
                     q->exclusive ? " exclusive" : "", q->auto_delete ? " auto-delete" : "",
                     q->if_unused ? " if-unused" : "", q->if_empty ? " if-empty" : "", q->may);
}

/* A request may use a queue even if it is refused. */
static void touch(const struct model *model, const struct known_request *q)
{
    bool uses = q->method == QUEUE_DECLARE || q->method == BASIC_GET || q->method == BASIC_CONSUME;
    for (unsigned i = 0; uses && i < model->queue_count; i++)
        if (same(&model->queues[i]->name, &q->name))
            model_touched(model->queues[i]);
}

void model_request(struct model *model, struct known_channel *channel, const struct said *said)
{
    if (channel->doomed)
        return; /* it won't be looked at */
    struct known_request *q = model_make(sizeof *q);
    q->method = said->method;
    q->begun = model->clock;
    q->begun_ns = model->now_ns;
    model_no_settings(&q->settings);
    read_request(q, said->args);
    model_stream_asked(channel, q);
    ADD(channel->requests, channel->request_count, q);
    touch(model, q);
    model_reconsider(model, channel, q);
    q->disturbed = false;
    note(q);
}

void model_request_free(struct known_request *q)
{
    buffer_free(&q->arguments);
    free(q->messages);
    free(q);
}

void model_unanswered(const struct known_request *q)
{
    if (q->method == EXCHANGE_DECLARE && q->changes && q->durable && !q->exchange->durable)
        q->exchange->perhaps_durable = true;
    if (q->method == QUEUE_DECLARE && q->changes && q->durable && !q->queue->durable)
        q->queue->perhaps_durable = true;
    if (q->method == QUEUE_DECLARE && q->changes && !model_settings_equal(&q->settings, &q->queue->declared))
        model_become_other(q->queue);
    /* It may have gone with its last consumer just before: then this is a life that has had none. */
    if (q->method == QUEUE_DECLARE && q->changes)
        q->queue->had_consumer &= !q->queue->suspect;
}

/* Whatever a thing was on its way to: it may have got there, or not. */
static void leave_unknown(struct model *model, struct known_channel *channel, struct known_request *q)
{
    model_unanswered(q);
    if (q->changes) {
        q->thing->clash |= q->thing->there == MAYBE;
        q->thing->left = model->clock;
        model_thing_end(model, q->thing, q->wants, false);
    }
    if (q->consumer && q->method == BASIC_CONSUME)
        model_consumer_gone(model, q->consumer);
    if (q->method == QUEUE_PURGE && q->queue)
        model_purged(model, q->queue, q, channel->conn->stream, false);
    if (q->method == QUEUE_DECLARE && q->exclusive && q->queue)
        model_suspect_queue(model, q->queue);
}

static void undo(struct model *model, struct known_request *q)
{
    if (q->changes)
        model_thing_end(model, q->thing, q->wants, false);
    if (q->consumer && q->method == BASIC_CONSUME)
        q->consumer->state = CONSUMER_GONE;
}

void model_drop_requests(struct model *model, struct known_channel *channel, bool unknown)
{
    struct known_request **requests = channel->requests;
    unsigned count = channel->request_count;
    channel->requests = NULL; /* first: what follows looks at all that are under way */
    channel->request_count = 0;
    for (unsigned i = 0; i < count; i++) {
        if (unknown)
            leave_unknown(model, channel, requests[i]);
        else
            undo(model, requests[i]);
        model_request_free(requests[i]);
    }
    free(requests);
}
