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
