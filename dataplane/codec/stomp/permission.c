#include "codec/stomp/permission.h"

#include "router/table.h"

static bool permitted(struct stomp *c, const struct stomp_frame *f, enum access_right right,
                      enum host_thing thing, struct span name)
{
    char text[HOST_REFUSAL_BYTES];
    if (host_may(c->host, right, thing, name))
        return true;
    host_refusal(c->host, right, thing, name, text);
    stomp_fail(c, f, "%s", text);
    return false;
}

static bool topic_permitted(struct stomp *c, const struct stomp_frame *f, enum access_right right,
                            const struct stomp_destination *d)
{
    char text[HOST_REFUSAL_BYTES];
    if (host_may_topic(c->host, right, d->exchange, d->key, span_of(NULL, 0)))
        return true;
    host_refusal_topic(c->host, right, d->exchange, d->key, text);
    stomp_fail(c, f, "%s", text);
    return false;
}

/* What is committed was looked at when COMMIT came. */
bool stomp_may_send(struct stomp *c, const struct stomp_frame *f, const struct stomp_destination *d)
{
    return c->committing || (permitted(c, f, RIGHT_WRITE, THING_EXCHANGE, d->exchange) &&
                             topic_permitted(c, f, RIGHT_WRITE, d));
}

/* Dead letters leave the queue for an exchange on the user's account. */
bool stomp_queue_permitted(struct stomp *c, const struct stomp_frame *f, struct span name,
                           const struct stomp_queue *queue)
{
    struct field to;
    return permitted(c, f, RIGHT_CONFIGURE, THING_QUEUE, name) &&
           (!table_find(queue->arguments, "x-dead-letter-exchange", &to) || to.type != 'S' ||
            (permitted(c, f, RIGHT_READ, THING_QUEUE, name) &&
             permitted(c, f, RIGHT_WRITE, THING_EXCHANGE, to.value)));
}

/* A queue that is declared takes configure, one that is bound write too, and read on what it is bound to. */
bool stomp_subscribe_permitted(struct stomp *c, const struct stomp_frame *f,
                               const struct stomp_destination *d, struct span queue,
                               const struct stomp_queue *how)
{
    bool own = stomp_has_own_queue(d), declares = own || d->kind == STOMP_TO_QUEUE;
    return (!declares || stomp_queue_permitted(c, f, queue, how)) &&
           (!own || (permitted(c, f, RIGHT_WRITE, THING_QUEUE, queue) &&
                     permitted(c, f, RIGHT_READ, THING_EXCHANGE, d->exchange) &&
                     topic_permitted(c, f, RIGHT_READ, d))) &&
           permitted(c, f, RIGHT_READ, THING_QUEUE, queue);
}

bool stomp_still_permitted(struct stomp *c, const struct stomp_subscription *s)
{
    struct stomp_destination d;
    if (s->temporary)
        return true;
    if (!permitted(c, NULL, RIGHT_READ, THING_QUEUE, s->queue))
        return false;
    return !stomp_destination_read(s->to, &d) || !stomp_has_own_queue(&d) ||
           (permitted(c, NULL, RIGHT_READ, THING_EXCHANGE, d.exchange) &&
            topic_permitted(c, NULL, RIGHT_READ, &d));
}
