/*
 * A session: a queue named after the client, bound to what it has subscribed to. The router that owns the
 * queue sees to it that one connection has it at a time (router/session.h); this is the connection's side.
 */
#include <stdlib.h>

#include "base/check.h"
#include "codec/mqtt/connection.h"
#include "codec/mqtt/permission.h"
#include "codec/mqtt/topic.h"
#include "codec/mqtt/will.h"

#define SECOND_NS    1000000000ull
#define QUEUE_PREFIX "mqtt-subscription-"
#define QUEUE_SUFFIX "qos1" /* as RabbitMQ names them */

/* ---- coming ----------------------------------------------------------------------------------------- */

static void name_queue(struct mqtt *c)
{
    uint8_t name[NAME_MAX_BYTES], *end = put_span(name, span_str(QUEUE_PREFIX));
    end = put_span(put_span(end, c->client_id), span_str(QUEUE_SUFFIX));
    c->queue = bytes_keep(span_of(name, (size_t)(end - name)));
}

static void name_sender(struct mqtt *c, uint32_t session)
{
    uint8_t name[NAME_MAX_BYTES], *end = put_be32(put_span(name, c->queue), session);
    c->sender = bytes_keep(span_of(name, (size_t)(end - name)));
}

void mqtt_attach(struct mqtt *c)
{
    name_queue(c);
    struct op *op = mqtt_op(c, OP_SESSION_ATTACH, PURPOSE_ATTACH, c->queue);
    op->flags = c->clean ? OP_SESSION_ANEW : 0;
    op->expiry_s = c->expiry_s;
    c->stage = STAGE_ATTACHING;
    mqtt_send(c, op);
}

/* What the router remembers of the session: its bindings, one behind the other. */
static void restore(struct mqtt *c, struct span list)
{
    struct session_binding b;
    c->subs.strays = true;
    while (session_binding_next(&list, &b)) {
        struct wish wish;
        wish_read(b.arguments, &wish);
        if (wish.shared) {
            shared_restore(c, b.key, &wish);
            continue;
        }
        subscription_set(&c->subs, span_of("", 0), b.key, &wish);
        c->stamped |= wish.no_local;
    }
}

void mqtt_attached(struct mqtt *c, struct op *op)
{
    if (op->error != ERR_NONE) {
        c->stage = STAGE_NEW;
        mqtt_fail(c, op->error == ERR_PRECONDITION_FAILED ? REASON_QUOTA : REASON_UNAVAILABLE, "%s",
                  op->text);
        return;
    }
    c->stage = STAGE_OPEN;
    c->persistent |= op->got; /* one that was kept so far is served as such, though it ends now */
    c->queue_there = c->persistent;
    if (c->persistent)
        name_sender(c, op->number);
    if (op->got)
        restore(c, op->arguments);
    connect_answer(c, op->got);
    c->heard_ns = host_now(c->host);
    host_wake_at(c->host, c->keep_alive_s ? c->heard_ns + c->keep_alive_s * SECOND_NS * 3 / 2 : 0);
    if (c->queue_there) {
        struct source *source = source_new(c, NULL);
        mqtt_request_send(c, source_op(c, source, c->queue, PURPOSE_CONSUME), NO_REQUEST);
    }
    mqtt_access_changed(c); /* since the session was subscribed */
}

/* ---- going ------------------------------------------------------------------------------------------ */

void mqtt_cancelled(struct mqtt *c, const struct event_cancel *event)
{
    if (event->flags & CANCEL_SESSION) {
        mqtt_fail(c, REASON_TAKEN_OVER, "another connection has come with the client identifier '%.*s'",
                  (int)c->client_id.len, (const char *)c->client_id.at);
        return;
    }
    struct source *source = slots_get(&c->sources, event->tag);
    if (!source)
        return;
    if (source == c->own)
        mqtt_fail(c, REASON_UNSPECIFIED, "the session's queue has been deleted");
    else
        source_free(c, source);
}

/* What a member of a group has said that it has goes to no other ([MQTT-4.8.2-5]). */
static void give_back(void *owner, uint16_t id, struct sent *sent)
{
    struct mqtt *c = owner;
    const struct source *source = slots_get(&c->sources, sent->consumer);
    bool had = sent->state == INFLIGHT_COMP && (!source || source->shared);
    (void)id;
    settle_add(&c->settle, c->host, sent->router, sent->queue, sent->seq, had ? SETTLE_ACK : SETTLE_REQUEUE,
               source ? source->id : 0);
}

static void abort_rest(struct mqtt *c)
{
    if (!c->rest.left)
        return;
    struct command_part part = {.flags = PART_ABORT, .conn = host_conn(c->host)};
    host_part(c->host, c->rest.routers, &part, NULL);
    c->rest.left = 0;
}

static void leave_queues(struct mqtt *c)
{
    while (c->first_source) {
        struct source *source = c->first_source;
        if (source->id) {
            struct op *op = mqtt_op(c, OP_CANCEL, PURPOSE_RELEASE, c->queue);
            op->consumer = source->id;
            mqtt_send_to(c, source->router, op);
        }
        source_free(c, source);
    }
}

/* In this order: who takes the session over finds in the queue what this client hasn't answered for. */
void mqtt_release(struct mqtt *c)
{
    if (c->stage == STAGE_OPEN) {
        abort_rest(c);
        inflight_each(&c->inflight, give_back, c);
        held_give_back(c);
        settle_flush(&c->settle, c->host);
        leave_queues(c);
        struct op *op = mqtt_op(c, OP_SESSION_DETACH, PURPOSE_RELEASE, c->queue);
        op->expiry_s = c->expiry_s;
        op->will = c->will;
        c->will = NULL;
        mqtt_send(c, op);
        c->stage = STAGE_CLOSED;
    }
    will_drop(c);
    free(c->alias_in);
    free(c->alias_out);
    c->alias_in = NULL;
    c->alias_out = NULL;
}
