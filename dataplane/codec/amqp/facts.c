#include "codec/amqp/facts.h"

#include "codec/amqp/consumer.h"
#include "codec/amqp/publisher.h"

void amqp_about(const void *state, struct connection_facts *facts)
{
    const struct amqp *c = state;
    facts->channels = c->channel_count;
    facts->channel_max = c->channel_max;
    facts->frame_max = c->frame_max;
    facts->heartbeat_s = c->heartbeat_s;
    facts->client_properties = c->properties;
}

static void tell_channel(const struct channel *ch, struct channel_facts *facts)
{
    *facts = (struct channel_facts){
        .number = ch->number,
        .consumers = ch->consumer_count,
        .prefetch = ch->prefetch,
        .global_prefetch = ch->limit == UNACKED_MAX ? 0 : ch->limit,
        .unacknowledged = ch->unacked.live,
        .unconfirmed = ch->publisher && ch->mode == MODE_CONFIRM ? ch->publisher->unconfirmed.unanswered : 0,
        .confirm = ch->mode == MODE_CONFIRM,
        .transactional = ch->mode == MODE_TX,
    };
}

bool amqp_channel(const void *state, uint64_t *at, unsigned *steps, struct channel_facts *facts)
{
    const struct amqp *c = state;
    while (*at < c->channel_room && *steps) {
        const struct channel *ch = c->channels[(*at)++];
        --*steps;
        if (ch) {
            tell_channel(ch, facts);
            return true;
        }
    }
    return false;
}

bool amqp_consumer(const void *state, uint64_t *at, unsigned *steps, struct consumer_facts *facts)
{
    const struct amqp *c = state;
    const struct consumer *consumer;
    while ((consumer = slots_walk(&c->consumers, at, steps))) {
        if (!consumer->id || consumer->direct_reply)
            continue;
        *facts = (struct consumer_facts){
            .channel = consumer->channel->number,
            .prefetch = consumer->prefetch,
            .ack_required = !consumer->no_ack,
            .exclusive = consumer->alone,
            .queue = consumer_queue(consumer),
            .tag = consumer_tag(consumer),
            .arguments = consumer->arguments,
        };
        return true;
    }
    return false;
}

/* Of the channel; NULL: the message was got, or its consumer has been cancelled. */
static const struct consumer *consumer_of(const struct channel *ch, uint64_t id, unsigned *steps)
{
    const struct consumer *consumer = id ? ch->consumers : NULL;
    for (; consumer && consumer->id != id; consumer = consumer->next)
        *steps -= *steps > 0;
    return consumer;
}

/* *at: the channel's number, and in it the tag, of which so many bits are enough. */
enum { TAG_BITS = 48 };

bool amqp_delivery(const void *state, const struct delivery_wish *wish, uint64_t *at, unsigned *steps,
                   struct delivery_facts *facts)
{
    const struct amqp *c = state;
    for (uint64_t number = *at >> TAG_BITS; number < c->channel_room && *steps; --*steps, number++) {
        const struct channel *ch = c->channels[number];
        uint64_t tag = *at & ((UINT64_C(1) << TAG_BITS) - 1);
        const struct delivery *d = ch ? unacked_walk(&ch->unacked, wish, &tag, steps) : NULL;
        if (d || (ch && !*steps)) {
            *at = number << TAG_BITS | tag;
        } else {
            *at = (number + 1) << TAG_BITS;
            continue;
        }
        if (!d)
            return false;
        const struct consumer *consumer = consumer_of(ch, d->consumer, steps);
        *facts = (struct delivery_facts){.channel = ch->number, .number = d->tag, .seq = d->seq};
        if (consumer)
            facts->tag = consumer_tag(consumer);
        return true;
    }
    return false;
}
