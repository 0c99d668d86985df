/* What operators are shown of a connection, its subscriptions and what they have: codec.h. */
#include "codec/stomp/connection.h"

void stomp_about(const void *state, struct connection_facts *facts)
{
    const struct stomp *c = state;
    facts->heartbeat_s = c->hear_ms / 1000;
}

bool stomp_consumer(const void *state, uint64_t *at, unsigned *steps, struct consumer_facts *facts)
{
    const struct stomp *c = state;
    const struct stomp_subscription *s;
    while ((s = slots_walk(&c->handles, at, steps)))
        if (s->id) {
            *facts = (struct consumer_facts){
                .ack_required = s->ack != STOMP_ACK_AUTO, .queue = s->queue, .tag = s->name};
            return true;
        }
    return false;
}

bool stomp_delivery(const void *state, const struct delivery_wish *wish, uint64_t *at, unsigned *steps,
                    struct delivery_facts *facts)
{
    const struct stomp *c = state;
    const struct delivery *d = unacked_walk(&c->unacked, wish, at, steps);
    const struct stomp_subscription *s = d ? slots_get(&c->handles, d->consumer) : NULL;
    if (!d)
        return false;
    *facts = (struct delivery_facts){.number = d->tag, .seq = d->seq};
    if (s)
        facts->tag = s->name;
    return true;
}
