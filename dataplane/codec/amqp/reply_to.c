#include "codec/amqp/reply_to.h"

#include "base/check.h"
#include "codec/amqp/exclusive.h"
#include "codec/amqp/queue.h"

#define PSEUDO "amq.rabbitmq.reply-to"

bool reply_to_named(struct span name)
{
    return span_is(name, PSEUDO);
}

/* ---- consuming
 * --------------------------------------------------------------------------------------------- */

bool reply_to_allowed(struct amqp *c, struct channel *ch, const struct args_BASIC_CONSUME *m)
{
    if (ch->reply_queue.len)
        amqp_fail(c, ch, ERR_PRECONDITION_FAILED, "reply consumer already set");
    else if (!m->no_ack.n)
        amqp_fail(c, ch, ERR_PRECONDITION_FAILED, "reply consumer cannot acknowledge");
    else
        return true;
    return false;
}

void reply_to_begin(struct amqp *c, struct consumer *consumer, bool nowait)
{
    struct channel *ch = consumer->channel;
    consumer->direct_reply = true;
    ch->request = METHOD_BASIC_CONSUME;
    ch->nowait = nowait;
    struct op *op = op_new(c, ch, OP_QUEUE_DECLARE, PURPOSE_REPLY_QUEUE);
    op->flags = OP_EXCLUSIVE | OP_AUTO_DELETE;
    op->tag = consumer->handle;
    random_name(c, PSEUDO ".", &op->name);
    op_send(c, op);
}

void reply_queue_declared(struct amqp *c, struct channel *ch, unsigned router, struct op *op)
{
    (void)router;
    struct consumer *consumer = slots_get(&c->consumers, op->tag);
    CHECK(consumer);
    if (op->error != ERR_NONE) {
        consumer_free(c, consumer);
        amqp_fail_method(c, ch, ch->request, op->error, "%s", op->text);
        return;
    }
    exclusive_add(c, name_span(&op->name), true);
    ch->reply_queue = name_keep(name_span(&op->name));
    struct op *consume = op_new(c, ch, OP_CONSUME, PURPOSE_METHOD);
    consume->flags = OP_NO_ACK | OP_EXCLUSIVE;
    consume->name = op->name;
    consumer_op(c, consumer, consume);
    op_send(c, consume);
}

/* ---- asking whether a replier's queue is there
 * ----------------------------------------------------------------- */

bool reply_to_declare(struct amqp *c, struct channel *ch, const struct args_QUEUE_DECLARE *m)
{
    struct span name = m->queue.s;
    if (reply_to_named(name)) {
        ch->nowait = m->nowait.n;
        queue_declare_ok(c, ch, name, 0, 1);
        return true;
    }
    if (!span_starts(name, PSEUDO "."))
        return false;
    struct op *op = request_new(c, ch, OP_QUEUE_DECLARE, m->nowait.n);
    op->flags = OP_PASSIVE;
    name_set(&op->name, name);
    op_send(c, op);
    return true;
}

/* That it is another connection's is as it should be. */
bool reply_to_exists(const struct op *op)
{
    return span_starts(name_span(&op->name), PSEUDO ".") && op->kind == OP_QUEUE_DECLARE &&
           (op->error == ERR_NONE || op->error == ERR_RESOURCE_LOCKED);
}
