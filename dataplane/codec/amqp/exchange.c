/* The exchange class: the registrar does the work; here stand the rules about names. */
#include "codec/amqp/channel.h"
#include "codec/amqp/handlers.h"
#include "codec/amqp/permission.h"

/* The default exchange is nobody's to touch. False: told the client so. */
static bool not_default(struct amqp *c, struct channel *ch, struct span name)
{
    if (name.len)
        return true;
    amqp_fail(c, ch, ERR_ACCESS_REFUSED, "operation not permitted on the default exchange");
    return false;
}

/* The prefix of the exchanges that are there from the beginning. */
static bool reserved(struct span name)
{
    return span_starts(name, "amq.");
}

static void answer(struct amqp *c, struct channel *ch, const struct op *op, enum method ok)
{
    if (op->error != ERR_NONE)
        amqp_fail_method(c, ch, ch->request, op->error, "%s", op->text);
    else if (!ch->nowait)
        send_method(c, ch->number, ok, NULL);
}

/* ---- declare, delete ------------------------------------------------------------------------------------
 */

bool on_exchange_declare(struct amqp *c, struct channel *ch, const union value *args)
{
    const struct args_EXCHANGE_DECLARE *m = (const void *)args;
    if (!not_default(c, ch, m->exchange.s) ||
        (!m->passive.n && !exchange_permitted(c, ch, RIGHT_CONFIGURE, m->exchange.s)))
        return true;
    if (!m->passive.n && reserved(m->exchange.s) && !host_exchange(c->host, c->vhost, m->exchange.s)) {
        amqp_fail(c, ch, ERR_ACCESS_REFUSED, "exchange name '%.*s' contains reserved prefix 'amq.*'",
                  TEXT_OF(m->exchange.s));
        return true;
    }
    struct op *op = request_new(c, ch, OP_EXCHANGE_DECLARE, m->nowait.n);
    op->flags = (m->passive.n ? OP_PASSIVE : 0) | (m->durable.n ? OP_DURABLE : 0) |
                (m->auto_delete.n ? OP_AUTO_DELETE : 0) | (m->internal.n ? OP_INTERNAL : 0);
    name_set(&op->name, m->exchange.s);
    name_set(&op->type, m->type.s);
    op_arguments(op, m->arguments.s);
    passing_on_permitted(c, op);
    op_send(c, op);
    return true;
}

void exchange_declared(struct amqp *c, struct channel *ch, unsigned router, struct op *op)
{
    (void)router;
    answer(c, ch, op, METHOD_EXCHANGE_DECLARE_OK);
}

bool on_exchange_delete(struct amqp *c, struct channel *ch, const union value *args)
{
    const struct args_EXCHANGE_DELETE *m = (const void *)args;
    if (!not_default(c, ch, m->exchange.s))
        return true;
    if (reserved(m->exchange.s)) {
        amqp_fail(c, ch, ERR_ACCESS_REFUSED, "deletion of system exchange '%.*s' in vhost '%.*s' not allowed",
                  TEXT_OF(m->exchange.s), TEXT_OF(name_span(&c->vhost_name)));
        return true;
    }
    if (!exchange_permitted(c, ch, RIGHT_CONFIGURE, m->exchange.s))
        return true;
    struct op *op = request_new(c, ch, OP_EXCHANGE_DELETE, m->nowait.n);
    op->flags = m->if_unused.n ? OP_IF_UNUSED : 0;
    name_set(&op->name, m->exchange.s);
    op_send(c, op);
    return true;
}

void exchange_deleted(struct amqp *c, struct channel *ch, unsigned router, struct op *op)
{
    (void)router;
    answer(c, ch, op, METHOD_EXCHANGE_DELETE_OK);
}

/* ---- bind, unbind -----------------------------------------------------------------------------------------
 */

/* Both methods have the same fields. */
static bool binding(struct amqp *c, struct channel *ch, const struct args_EXCHANGE_BIND *m, enum op_kind kind)
{
    if (!not_default(c, ch, m->destination.s) || !not_default(c, ch, m->source.s) ||
        !exchange_permitted(c, ch, RIGHT_WRITE, m->destination.s) ||
        !exchange_permitted(c, ch, RIGHT_READ, m->source.s) ||
        !topic_permitted(c, ch, RIGHT_READ, m->source.s, m->routing_key.s))
        return true;
    struct op *op = request_new(c, ch, kind, m->nowait.n);
    name_set(&op->name, m->destination.s);
    name_set(&op->other, m->source.s);
    name_set(&op->key, m->routing_key.s);
    op_arguments(op, m->arguments.s);
    op_send(c, op);
    return true;
}

bool on_exchange_bind(struct amqp *c, struct channel *ch, const union value *args)
{
    return binding(c, ch, (const void *)args, OP_EXCHANGE_BIND);
}

bool on_exchange_unbind(struct amqp *c, struct channel *ch, const union value *args)
{
    return binding(c, ch, (const void *)args, OP_EXCHANGE_UNBIND);
}

void exchange_bound(struct amqp *c, struct channel *ch, unsigned router, struct op *op)
{
    (void)router;
    answer(c, ch, op, METHOD_EXCHANGE_BIND_OK);
}

void exchange_unbound(struct amqp *c, struct channel *ch, unsigned router, struct op *op)
{
    (void)router;
    answer(c, ch, op, METHOD_EXCHANGE_UNBIND_OK);
}
