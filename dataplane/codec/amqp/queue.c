/*
 * The queue class: the queue's router does the work; here stand the rules about names, and which queues die
 * with the connection.
 */
#include <stdlib.h>

#include "base/check.h"
#include "codec/amqp/channel.h"
#include "codec/amqp/exclusive.h"
#include "codec/amqp/handlers.h"
#include "codec/amqp/permission.h"
#include "codec/amqp/queue.h"
#include "codec/amqp/reply_to.h"

bool queue_name(struct amqp *c, struct channel *ch, struct span *name)
{
    if (name->len)
        return true;
    if (!ch->last_queue.len) {
        amqp_fail(c, ch, ERR_NOT_FOUND, "no previously declared queue");
        return false;
    }
    *name = ch->last_queue;
    return true;
}

static void answer(struct amqp *c, struct channel *ch, const struct op *op, enum method ok, const void *args)
{
    if (op->error != ERR_NONE)
        amqp_fail_method(c, ch, ch->request, op->error, "%s", op->text);
    else if (!ch->nowait)
        send_method(c, ch->number, ok, args);
}

/* ---- declare ------------------------------------------------------------------------------------------- */

static void remember(struct channel *ch, struct span name)
{
    name_drop(&ch->last_queue);
    ch->last_queue = name_keep(name);
}

void queue_declare_ok(struct amqp *c, struct channel *ch, struct span name, uint32_t messages,
                      uint32_t consumers)
{
    remember(ch, name);
    if (!ch->nowait)
        SEND(c, ch->number, QUEUE_DECLARE_OK, .queue = str(name), .message_count = num(messages),
             .consumer_count = num(consumers));
}

/* False: the client has been told what is wrong with the name. */
static bool declarable(struct amqp *c, struct channel *ch, const struct args_QUEUE_DECLARE *m)
{
    struct span name = m->queue.s;
    if (m->passive.n && !name.len)
        amqp_fail(c, ch, ERR_NOT_FOUND, "no queue '' in vhost '%.*s'", TEXT_OF(name_span(&c->vhost_name)));
    else if (!m->passive.n && span_starts(name, "amq."))
        amqp_fail(c, ch, ERR_ACCESS_REFUSED, "queue name '%.*s' contains reserved prefix 'amq.*'",
                  TEXT_OF(name));
    else
        return true;
    return false;
}

/* An exclusive queue doesn't outlive its connection, so it can't be durable (RabbitMQ sees it so too). */
static uint32_t declare_flags(const struct args_QUEUE_DECLARE *m)
{
    uint32_t flags = (m->passive.n ? OP_PASSIVE : 0) | (m->auto_delete.n ? OP_AUTO_DELETE : 0);
    if (m->exclusive.n)
        return flags | OP_EXCLUSIVE;
    return flags | (m->durable.n ? OP_DURABLE : 0);
}

bool on_queue_declare(struct amqp *c, struct channel *ch, const union value *args)
{
    const struct args_QUEUE_DECLARE *m = (const void *)args;
    if (reply_to_declare(c, ch, m) || !declarable(c, ch, m))
        return true;
    struct name name;
    if (m->queue.s.len)
        name_set(&name, m->queue.s);
    else
        random_name(c, "amq.gen-", &name);
    if (!m->passive.n && !queue_permitted(c, ch, RIGHT_CONFIGURE, name_span(&name)))
        return true;
    struct op *op = request_new(c, ch, OP_QUEUE_DECLARE, m->nowait.n);
    op->name = name;
    op->flags = declare_flags(m) | (m->queue.s.len ? 0 : OP_UNNAMED);
    op_arguments(op, m->arguments.s);
    passing_on_permitted(c, op);
    op_send(c, op);
    return true;
}

void queue_declared(struct amqp *c, struct channel *ch, unsigned router, struct op *op)
{
    (void)router;
    if (reply_to_exists(op)) {
        queue_declare_ok(c, ch, name_span(&op->name), 0, 1);
        return;
    }
    if (op->error != ERR_NONE) {
        amqp_fail_method(c, ch, ch->request, op->error, "%s", op->text);
        return;
    }
    if ((op->flags & OP_EXCLUSIVE) && !(op->flags & OP_PASSIVE))
        exclusive_add(c, name_span(&op->name), op->flags & OP_AUTO_DELETE);
    queue_declare_ok(c, ch, name_span(&op->name), op->messages, op->consumers);
}

/* ---- delete, purge ---------------------------------------------------------------------------------------
 */

bool on_queue_delete(struct amqp *c, struct channel *ch, const union value *args)
{
    const struct args_QUEUE_DELETE *m = (const void *)args;
    struct span name = m->queue.s;
    if (!queue_name(c, ch, &name) || !queue_permitted(c, ch, RIGHT_CONFIGURE, name))
        return true;
    struct op *op = request_new(c, ch, OP_QUEUE_DELETE, m->nowait.n);
    op->flags = (m->if_unused.n ? OP_IF_UNUSED : 0) | (m->if_empty.n ? OP_IF_EMPTY : 0);
    name_set(&op->name, name);
    op_send(c, op);
    return true;
}

void queue_deleted(struct amqp *c, struct channel *ch, unsigned router, struct op *op)
{
    (void)router;
    struct exclusive_queue *exclusive = exclusive_find(c, name_span(&op->name));
    if (op->error == ERR_NONE && exclusive)
        exclusive_remove(c, exclusive);
    answer(c, ch, op, METHOD_QUEUE_DELETE_OK, &(struct args_QUEUE_DELETE_OK){num(op->messages)});
}

bool on_queue_purge(struct amqp *c, struct channel *ch, const union value *args)
{
    const struct args_QUEUE_PURGE *m = (const void *)args;
    struct span name = m->queue.s;
    if (!queue_name(c, ch, &name) || !queue_permitted(c, ch, RIGHT_READ, name))
        return true;
    struct op *op = request_new(c, ch, OP_QUEUE_PURGE, m->nowait.n);
    name_set(&op->name, name);
    op_send(c, op);
    return true;
}

void queue_purged(struct amqp *c, struct channel *ch, unsigned router, struct op *op)
{
    (void)router;
    answer(c, ch, op, METHOD_QUEUE_PURGE_OK, &(struct args_QUEUE_PURGE_OK){num(op->messages)});
}

/* ---- bind, unbind -----------------------------------------------------------------------------------------
 */

/* Without a queue's name and a key, the key is the queue's name too (section 1.7.2.3, "routing-key"). */
static bool binding(struct amqp *c, struct channel *ch, struct op *op, struct span queue,
                    struct span exchange, struct span key, struct span arguments)
{
    if (!queue.len && !key.len)
        key = ch->last_queue;
    name_set(&op->name, queue.len ? queue : ch->last_queue);
    name_set(&op->other, exchange);
    name_set(&op->key, key);
    op_arguments(op, arguments);
    op_send(c, op);
    return true;
}

/* False: told the client that it can't be bound. */
static bool bindable(struct amqp *c, struct channel *ch, struct span queue, struct span exchange,
                     struct span key)
{
    if (!queue_name(c, ch, &queue) || !queue_permitted(c, ch, RIGHT_WRITE, queue))
        return false;
    if (exchange.len)
        return exchange_permitted(c, ch, RIGHT_READ, exchange) &&
               topic_permitted(c, ch, RIGHT_READ, exchange, key);
    amqp_fail(c, ch, ERR_ACCESS_REFUSED, "operation not permitted on the default exchange");
    return false;
}

bool on_queue_bind(struct amqp *c, struct channel *ch, const union value *args)
{
    const struct args_QUEUE_BIND *m = (const void *)args;
    return !bindable(c, ch, m->queue.s, m->exchange.s, m->routing_key.s) ||
           binding(c, ch, request_new(c, ch, OP_QUEUE_BIND, m->nowait.n), m->queue.s, m->exchange.s,
                   m->routing_key.s, m->arguments.s);
}

bool on_queue_unbind(struct amqp *c, struct channel *ch, const union value *args)
{
    const struct args_QUEUE_UNBIND *m = (const void *)args;
    return !bindable(c, ch, m->queue.s, m->exchange.s, m->routing_key.s) ||
           binding(c, ch, request_new(c, ch, OP_QUEUE_UNBIND, false), m->queue.s, m->exchange.s,
                   m->routing_key.s, m->arguments.s);
}

void queue_bound(struct amqp *c, struct channel *ch, unsigned router, struct op *op)
{
    (void)router;
    answer(c, ch, op, METHOD_QUEUE_BIND_OK, NULL);
}

void queue_unbound(struct amqp *c, struct channel *ch, unsigned router, struct op *op)
{
    (void)router;
    answer(c, ch, op, METHOD_QUEUE_UNBIND_OK, NULL);
}
