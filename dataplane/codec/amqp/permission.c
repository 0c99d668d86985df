#include "codec/amqp/permission.h"

#include <stdio.h>

#include "codec/amqp/consumer.h"
#include "router/table.h"

static bool permitted(struct amqp *c, struct channel *ch, enum access_right right, enum host_thing thing,
                      struct span name)
{
    char text[HOST_REFUSAL_BYTES];
    if (host_may(c->host, right, thing, name))
        return true;
    host_refusal(c->host, right, thing, name, text);
    amqp_fail(c, ch, ERR_ACCESS_REFUSED, "%s", text);
    return false;
}

bool queue_permitted(struct amqp *c, struct channel *ch, enum access_right right, struct span queue)
{
    return permitted(c, ch, right, THING_QUEUE, queue);
}

bool exchange_permitted(struct amqp *c, struct channel *ch, enum access_right right, struct span exchange)
{
    return permitted(c, ch, right, THING_EXCHANGE, exchange);
}

bool topic_permitted(struct amqp *c, struct channel *ch, enum access_right right, struct span exchange,
                     struct span key)
{
    char text[HOST_REFUSAL_BYTES];
    if (host_may_topic(c->host, right, exchange, key, span_of(NULL, 0)))
        return true;
    host_refusal_topic(c->host, right, exchange, key, text);
    amqp_fail(c, ch, ERR_ACCESS_REFUSED, "%s", text);
    return false;
}

void passing_on_permitted(struct amqp *c, struct op *op)
{
    bool queue = op->kind == OP_QUEUE_DECLARE;
    enum host_thing thing = queue ? THING_QUEUE : THING_EXCHANGE;
    struct span name = name_span(&op->name);
    char text[HOST_REFUSAL_BYTES];
    struct field to;
    if (!table_find(op->arguments, queue ? "x-dead-letter-exchange" : "alternate-exchange", &to) ||
        to.type != 'S')
        return;
    if (!host_may(c->host, RIGHT_READ, thing, name))
        host_refusal(c->host, RIGHT_READ, thing, name, text);
    else if (!host_may(c->host, RIGHT_WRITE, THING_EXCHANGE, to.value))
        host_refusal(c->host, RIGHT_WRITE, THING_EXCHANGE, to.value, text);
    else
        return;
    snprintf(op->text, sizeof op->text, "%.*s", (int)sizeof op->text - 1, text);
    op->flags |= OP_MAY_NOT_MAKE;
}

static void channel_permitted(struct amqp *c, struct channel *ch)
{
    char text[HOST_REFUSAL_BYTES];
    for (const struct consumer *consumer = ch->consumers; consumer; consumer = consumer->next) {
        struct span queue = consumer_queue(consumer);
        if (consumer->direct_reply || host_may(c->host, RIGHT_READ, THING_QUEUE, queue))
            continue;
        host_refusal(c->host, RIGHT_READ, THING_QUEUE, queue, text);
        amqp_fail_method(c, ch, METHOD_BASIC_CONSUME, ERR_ACCESS_REFUSED, "%s", text);
        return;
    }
}

void consumers_permitted(struct amqp *c)
{
    c->look_again = false;
    for (uint32_t i = 0; i < c->channel_room; i++) {
        struct channel *ch = c->channels[i];
        if (!ch || ch->state != CHANNEL_OPEN)
            continue;
        if (channel_busy(ch))
            c->look_again = true;
        else
            channel_permitted(c, ch);
    }
}
