/* The channel class, and what all the classes on a channel share: one request under way, its answer, its
 * failure. */
#include "codec/amqp/channel.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/limits.h"
#include "codec/amqp/consumer.h"
#include "codec/amqp/handlers.h"

/* ---- opening ------------------------------------------------------------------------------------------- */

/* The table of channels grows with the numbers that are used, not to channel_max at once. */
static void make_room(struct amqp *c, uint16_t number)
{
    uint32_t room = c->channel_room ? c->channel_room : 4;
    while (room <= number)
        room *= 2;
    if (room == c->channel_room)
        return;
    c->channels = realloc(c->channels, room * sizeof(struct channel *));
    CHECK(c->channels);
    memset(c->channels + c->channel_room, 0, (room - c->channel_room) * sizeof(struct channel *));
    c->channel_room = room;
}

bool on_channel_open(struct amqp *c, struct channel *ch, const union value *args)
{
    (void)args;
    uint16_t number = c->frame_channel;
    char text[HOST_REFUSAL_BYTES];
    if (number > c->channel_max) {
        amqp_fail(c, NULL, ERR_NOT_ALLOWED, "channel %u is above the negotiated channel_max (%u)", number,
                  c->channel_max);
        return true;
    }
    if (!host_open_channel(c->host, text)) {
        amqp_fail(c, NULL, ERR_NOT_ALLOWED, "%s", text);
        return true;
    }
    make_room(c, number);
    ch = calloc(1, sizeof *ch);
    CHECK(ch);
    ch->number = number;
    ch->limit = UNACKED_MAX;
    c->channels[number] = ch;
    c->channel_count++;
    SEND(c, number, CHANNEL_OPEN_OK);
    return true;
}

/* ---- closing ------------------------------------------------------------------------------------------- */

/* Oldest first, so that the router can put them back in one go. Returns the routers that were told. */
static uint64_t requeue_all(struct amqp *c, struct channel *ch)
{
    uint64_t routers = 0;
    struct delivery *d;
    while ((d = unacked_oldest(&ch->unacked))) {
        settle_add(&c->settle, c->host, d->router, d->queue, d->seq, SETTLE_REQUEUE, d->consumer);
        routers |= 1ull << d->router;
        unacked_remove(&ch->unacked, d);
    }
    unacked_free(&ch->unacked);
    return routers;
}

/* An op that does nothing but come back: what was given back before it is then in its queue. */
static void fence(struct amqp *c, struct channel *ch, uint64_t routers)
{
    for (unsigned router = 0; routers; router++, routers >>= 1)
        if (routers & 1)
            op_send_to(c, router, op_new(c, ch, OP_CANCEL, PURPOSE_RELEASE));
}

static uint64_t cancel_all(struct amqp *c, struct channel *ch)
{
    uint64_t routers = 0;
    while (ch->consumers) {
        struct consumer *consumer = ch->consumers;
        if (consumer->id && !consumer->cancelling) {
            routers |= 1ull << consumer->router;
            consumer_end(c, consumer);
        }
        consumer_free(c, consumer);
    }
    return routers;
}

void channel_release(struct amqp *c, struct channel *ch)
{
    uint64_t told = requeue_all(c, ch);
    told &= ~cancel_all(c, ch);
    fence(c, ch, told);
    publisher_release(c, ch);
    name_drop(&ch->last_queue);
    name_drop(&ch->reply_queue);
}

static void undirty(struct amqp *c, struct channel *ch)
{
    struct channel **link = &c->dirty;
    while (ch->dirty && *link != ch)
        link = &(*link)->next_dirty;
    if (ch->dirty)
        *link = ch->next_dirty;
    ch->dirty = false;
}

void channel_free(struct amqp *c, struct channel *ch)
{
    undirty(c, ch);
    c->channels[ch->number] = NULL;
    c->channel_count--;
    host_close_channel(c->host);
    free(ch);
}

void channel_dirty(struct amqp *c, struct channel *ch)
{
    if (ch->dirty)
        return;
    ch->dirty = true;
    ch->next_dirty = c->dirty;
    c->dirty = ch;
}

void channel_fail(struct amqp *c, struct channel *ch, enum method method, enum error error, const char *text)
{
    if (ch->state != CHANNEL_OPEN)
        return;
    host_log(c->host, "channel %u closed: %s", ch->number, text);
    channel_confirm(c, ch);
    SEND(c, ch->number, CHANNEL_CLOSE, .reply_code = num(error_code(error)),
         .reply_text = str(span_str(text)), .class_id = num(methods[method].class_id),
         .method_id = num(methods[method].method_id));
    ch->state = CHANNEL_CLOSING;
    channel_release(c, ch);
}

static void end_if_done(struct amqp *c, struct channel *ch)
{
    if (ch->state != CHANNEL_ENDING || ch->ops)
        return;
    SEND(c, ch->number, CHANNEL_CLOSE_OK);
    channel_free(c, ch);
}

void channel_op_back(struct amqp *c, struct channel *ch)
{
    tx_progress(c, ch);
    end_if_done(c, ch);
}

bool on_channel_close(struct amqp *c, struct channel *ch, const union value *args)
{
    (void)args;
    if (ch->state == CHANNEL_CLOSING) { /* both at once: ours is still to be answered */
        SEND(c, ch->number, CHANNEL_CLOSE_OK);
        return true;
    }
    channel_confirm(c, ch);
    ch->state = CHANNEL_ENDING;
    channel_release(c, ch);
    end_if_done(c, ch);
    return true;
}

bool on_channel_close_ok(struct amqp *c, struct channel *ch, const union value *args)
{
    (void)args;
    if (ch->state == CHANNEL_CLOSING)
        channel_free(c, ch);
    else
        amqp_fail(c, ch, ERR_COMMAND_INVALID, "channel.close-ok without channel.close");
    return true;
}

/* ---- flow, access ----------------------------------------------------------------------------------------
 */

bool on_channel_flow(struct amqp *c, struct channel *ch, const union value *args)
{
    const struct args_CHANNEL_FLOW *m = (const void *)args;
    bool off = !m->active.n;
    if (off && !ch->flow_off)
        for (struct consumer *consumer = ch->consumers; consumer; consumer = consumer->next)
            consumer_pause(c, consumer);
    ch->flow_off = off;
    if (!off)
        consumers_resume(c, ch);
    SEND(c, ch->number, CHANNEL_FLOW_OK, .active = m->active);
    return true;
}

/* We never ask for it: nothing to do. */
bool on_channel_flow_ok(struct amqp *c, struct channel *ch, const union value *args)
{
    (void)c, (void)ch, (void)args;
    return true;
}

/* Of AMQP 0-8, and still sent by old clients: any ticket will do. */
bool on_access_request(struct amqp *c, struct channel *ch, const union value *args)
{
    (void)args;
    SEND(c, ch->number, ACCESS_REQUEST_OK, .ticket = num(1));
    return true;
}

/* ---- requests ---------------------------------------------------------------------------------------------
 */

struct op *request_new(struct amqp *c, struct channel *ch, enum op_kind kind, bool nowait)
{
    ch->request = (uint8_t)c->method;
    ch->nowait = nowait;
    return op_new(c, ch, kind, PURPOSE_METHOD);
}

static op_handler *const answered[] = {
    [OP_EXCHANGE_DECLARE] = exchange_declared,
    [OP_EXCHANGE_DELETE] = exchange_deleted,
    [OP_EXCHANGE_BIND] = exchange_bound,
    [OP_EXCHANGE_UNBIND] = exchange_unbound,
    [OP_QUEUE_DECLARE] = queue_declared,
    [OP_QUEUE_DELETE] = queue_deleted,
    [OP_QUEUE_PURGE] = queue_purged,
    [OP_QUEUE_BIND] = queue_bound,
    [OP_QUEUE_UNBIND] = queue_unbound,
    [OP_CONSUME] = consume_answered,
    [OP_CANCEL] = cancel_answered,
    [OP_GET] = get_answered,
};

void request_back(struct amqp *c, struct channel *ch, unsigned router, struct op *op)
{
    CHECK(op->kind < sizeof answered / sizeof *answered && answered[op->kind]);
    answered[op->kind](c, ch, router, op);
}
