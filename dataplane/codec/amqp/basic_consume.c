/* basic.qos, consume, cancel and get: what asks for messages. */
#include "base/limits.h"
#include "codec/amqp/consumer.h"
#include "codec/amqp/exclusive.h"
#include "codec/amqp/handlers.h"
#include "codec/amqp/permission.h"
#include "codec/amqp/reply_to.h"

/* ---- qos --------------------------------------------------------------------------------------------------
 */

bool on_basic_qos(struct amqp *c, struct channel *ch, const union value *args)
{
    const struct args_BASIC_QOS *m = (const void *)args;
    if (m->prefetch_size.n) {
        amqp_fail(c, ch, ERR_NOT_IMPLEMENTED, "prefetch_size!=0 (%lu)", m->prefetch_size.n);
        return true;
    }
    if (m->global.n) {
        ch->limit = m->prefetch_count.n ? (uint32_t)m->prefetch_count.n : UNACKED_MAX;
        consumers_allow(c, ch);
        consumers_resume(c, ch);
    } else {
        ch->prefetch = (uint32_t)m->prefetch_count.n;
    }
    SEND(c, ch->number, BASIC_QOS_OK);
    return true;
}

/* ---- consume ----------------------------------------------------------------------------------------------
 */

static struct consumer *consumer_for(struct amqp *c, struct channel *ch, const struct args_BASIC_CONSUME *m,
                                     struct span queue)
{
    struct name tag;
    if (m->consumer_tag.s.len)
        name_set(&tag, m->consumer_tag.s);
    else
        random_name(c, "amq.ctag-", &tag);
    struct consumer *consumer = consumer_new(c, ch, name_span(&tag), queue);
    if (consumer) {
        consumer->no_ack = m->no_ack.n;
        consumer->alone = m->exclusive.n;
        consumer->arguments = name_keep(m->arguments.s);
    }
    return consumer;
}

bool on_basic_consume(struct amqp *c, struct channel *ch, const union value *args)
{
    const struct args_BASIC_CONSUME *m = (const void *)args;
    struct span queue = m->queue.s;
    bool direct_reply = reply_to_named(queue);
    if ((direct_reply && !reply_to_allowed(c, ch, m)) || !queue_name(c, ch, &queue) ||
        (!direct_reply && !queue_permitted(c, ch, RIGHT_READ, queue)))
        return true;
    struct consumer *consumer = consumer_for(c, ch, m, queue);
    if (!consumer)
        return true;
    if (direct_reply) {
        reply_to_begin(c, consumer, m->nowait.n);
        return true;
    }
    struct op *op = request_new(c, ch, OP_CONSUME, m->nowait.n);
    op->flags = (m->no_ack.n ? OP_NO_ACK : 0) | (m->exclusive.n ? OP_EXCLUSIVE : 0) |
                (ch->prefetch ? 0 : OP_NO_PREFETCH) | (ch->limit != UNACKED_MAX ? OP_LIMITED : 0);
    name_set(&op->name, queue);
    op_arguments(op, m->arguments.s);
    consumer_op(c, consumer, op);
    op_send(c, op);
    return true;
}

void consume_answered(struct amqp *c, struct channel *ch, unsigned router, struct op *op)
{
    (void)router;
    struct consumer *consumer = slots_get(&c->consumers, op->tag);
    if (op->error != ERR_NONE) {
        consumer_free(c, consumer);
        amqp_fail_method(c, ch, ch->request, op->error, "%s", op->text);
        return;
    }
    consumer->id = op->consumer;
    consumer->exclusive = exclusive_find(c, name_span(&op->name));
    if (consumer->exclusive)
        consumer->exclusive->consumers++;
    if (!ch->nowait)
        SEND(c, ch->number, BASIC_CONSUME_OK, .consumer_tag = str(consumer_tag(consumer)));
    if (ch->flow_off)
        consumer_pause(c, consumer);
}

/* ---- cancel
 * ------------------------------------------------------------------------------------------------ */

bool on_basic_cancel(struct amqp *c, struct channel *ch, const union value *args)
{
    const struct args_BASIC_CANCEL *m = (const void *)args;
    struct consumer *consumer = consumer_find(c, ch, m->consumer_tag.s);
    if (!consumer) {
        if (!m->nowait.n)
            SEND(c, ch->number, BASIC_CANCEL_OK, .consumer_tag = m->consumer_tag);
        return true;
    }
    consumer->cancelling = true;
    struct op *op = request_new(c, ch, OP_CANCEL, m->nowait.n);
    op->consumer = consumer->id;
    op->tag = consumer->handle;
    op_send_to(c, consumer->router, op);
    return true;
}

/* The consumer may have been cancelled from the other side meanwhile: that is no error. */
void cancel_answered(struct amqp *c, struct channel *ch, unsigned router, struct op *op)
{
    (void)router;
    struct consumer *consumer = slots_get(&c->consumers, op->tag);
    if (!ch->nowait)
        SEND(c, ch->number, BASIC_CANCEL_OK, .consumer_tag = str(consumer_tag(consumer)));
    consumer_free(c, consumer);
}

/* The answer to our own basic.cancel, which asks for none. */
bool on_basic_cancel_ok(struct amqp *c, struct channel *ch, const union value *args)
{
    (void)c, (void)ch, (void)args;
    return true;
}

/* ---- get
 * ----------------------------------------------------------------------------------------------------- */

bool on_basic_get(struct amqp *c, struct channel *ch, const union value *args)
{
    const struct args_BASIC_GET *m = (const void *)args;
    struct span queue = m->queue.s;
    if (!queue_name(c, ch, &queue) || !queue_permitted(c, ch, RIGHT_READ, queue))
        return true;
    if (!m->no_ack.n && ch->unacked.live >= UNACKED_MAX) {
        amqp_fail(c, ch, ERR_PRECONDITION_FAILED,
                  "more than %u deliveries on this channel are not acknowledged", UNACKED_MAX);
        return true;
    }
    struct op *op = request_new(c, ch, OP_GET, false);
    op->flags = m->no_ack.n ? OP_NO_ACK : 0;
    ch->get_no_ack = m->no_ack.n;
    name_set(&op->name, queue);
    op_send(c, op);
    return true;
}

void get_answered(struct amqp *c, struct channel *ch, unsigned router, struct op *op)
{
    (void)router;
    if (op->error != ERR_NONE)
        amqp_fail_method(c, ch, ch->request, op->error, "%s", op->text);
    else if (!op->got)
        SEND(c, ch->number, BASIC_GET_EMPTY);
}
