/*
 * DELIVER: a message for a consumer or a basic.get becomes output, and an entry among the unacknowledged
 * unless the client wants none.
 */
#include "base/check.h"
#include "codec/amqp/consumer.h"
#include "codec/amqp/write_message.h"
#include "codec/body.h"

static void give_back(struct amqp *c, unsigned router, const struct event_deliver *event, uint64_t consumer)
{
    settle_add(&c->settle, c->host, router, event->queue, event->seq, SETTLE_UNSEEN, consumer);
    body_drop(c->host, router, event);
}

/* Whether the channel's limit or channel.flow holds this delivery back; and once one was held back, so are
 * those that the router had sent before it was told to go on: they stand behind it. What needs no
 * acknowledgement is gone from its queue already, so it passes. */
static bool held_back(struct amqp *c, struct channel *ch, struct consumer *consumer,
                      const struct event_deliver *event)
{
    if (consumer->no_ack)
        return false;
    if (consumer->paused || (uint16_t)event->ready != consumer->round)
        return true;
    if (!ch->flow_off && ch->counted < ch->limit)
        return false;
    consumer_pause(c, consumer);
    ch->limit_met = true;
    return true;
}

static bool remember(struct channel *ch, unsigned router, const struct event_deliver *event,
                     const struct consumer *consumer)
{
    struct delivery d = {
        .tag = ch->delivery_tag + 1,
        .queue = event->queue,
        .seq = event->seq,
        .consumer = consumer ? consumer->id : 0,
        .router = (uint8_t)router,
        .state = UNACKED_LIVE,
        .counted = consumer != NULL,
    };
    if (!unacked_push(&ch->unacked, &d))
        return false;
    ch->counted += d.counted;
    return true;
}

/* The bytes count against the consumer's window, written or given back, until half of it is used up; then it
 * gets them back in one go. */
static void owe(struct amqp *c, struct consumer *consumer, uint32_t bytes)
{
    consumer->debt += bytes;
    if (consumer->in_debt || consumer->debt < consumer->window / 2)
        return;
    consumer->in_debt = true;
    consumer->next_in_debt = c->in_debt;
    c->in_debt = consumer;
}

static void deliver_to_consumer(struct amqp *c, unsigned router, const struct event_deliver *event)
{
    struct consumer *consumer = slots_get(&c->consumers, event->tag);
    if (!consumer) {
        give_back(c, router, event, 0);
        return;
    }
    struct channel *ch = consumer->channel;
    owe(c, consumer, message_bytes(event));
    bool held = held_back(c, ch, consumer, event);
    if (!held && !consumer->no_ack && !remember(ch, router, event, consumer)) {
        /* Nothing may overtake it: an acknowledgement, which makes room, lets the consumer go on. */
        consumer_pause(c, consumer);
        ch->limit_met = held = true;
    }
    if (held) {
        give_back(c, router, event, consumer->id);
        return;
    }
    ch->delivery_tag++;
    consumer->seen = event->seq;
    write_deliver(c, consumer, router, event);
}

static void deliver_to_get(struct amqp *c, unsigned router, const struct event_deliver *event)
{
    struct channel *ch = channel_of(c, event->channel);
    if (!ch || ch->state != CHANNEL_OPEN || (!ch->get_no_ack && !remember(ch, router, event, NULL))) {
        give_back(c, router, event, 0);
        return;
    }
    ch->delivery_tag++;
    write_get_ok(c, ch, router, event);
}

void deliver(struct amqp *c, unsigned router, const struct event_deliver *event)
{
    if (event->flags & DELIVER_GET)
        deliver_to_get(c, router, event);
    else
        deliver_to_consumer(c, router, event);
}
