#include "codec/mqtt/permission.h"

#include "codec/mqtt/will.h"

static bool permitted(struct mqtt *c, enum access_right right, enum host_thing thing, struct span name,
                      char refusal[HOST_REFUSAL_BYTES])
{
    if (host_may(c->host, right, thing, name))
        return true;
    host_refusal(c->host, right, thing, name, refusal);
    return false;
}

bool publish_permitted(struct mqtt *c, char refusal[HOST_REFUSAL_BYTES])
{
    return permitted(c, RIGHT_WRITE, THING_EXCHANGE, span_str(mqtt_exchange(c)), refusal);
}

static bool topic_permitted(struct mqtt *c, enum access_right right, struct span key,
                            char refusal[HOST_REFUSAL_BYTES])
{
    struct span exchange = span_str(mqtt_exchange(c));
    if (host_may_topic(c->host, right, exchange, key, c->client_id))
        return true;
    host_refusal_topic(c->host, right, exchange, key, refusal);
    return false;
}

bool publish_topic_permitted(struct mqtt *c, struct span key, char refusal[HOST_REFUSAL_BYTES])
{
    return topic_permitted(c, RIGHT_WRITE, key, refusal);
}

/* Messages of what is subscribed may come. */
static bool may_read(struct mqtt *c, struct span queue, char refusal[HOST_REFUSAL_BYTES])
{
    return permitted(c, RIGHT_READ, THING_EXCHANGE, span_str(mqtt_exchange(c)), refusal) &&
           permitted(c, RIGHT_READ, THING_QUEUE, queue, refusal);
}

bool subscribe_permitted(struct mqtt *c, struct span queue, struct span filter)
{
    char refusal[HOST_REFUSAL_BYTES];
    bool may = permitted(c, RIGHT_CONFIGURE, THING_QUEUE, queue, refusal) &&
               permitted(c, RIGHT_WRITE, THING_QUEUE, queue, refusal) && may_read(c, queue, refusal) &&
               topic_permitted(c, RIGHT_READ, filter, refusal);
    if (!may)
        host_log(c->host, "not subscribed: %s", refusal);
    return may;
}

struct subscribed {
    struct mqtt *c;
    char *refusal;
    bool refused;
};

static void look_at(struct map_node *node, void *owner)
{
    struct subscribed *all = owner;
    const struct subscription *s = container_of(node, struct subscription, by_name);
    all->refused = all->refused || !topic_permitted(all->c, RIGHT_READ, subscription_filter(s), all->refusal);
}

static bool will_permitted(struct mqtt *c, char refusal[HOST_REFUSAL_BYTES])
{
    const struct will *will = c->will;
    return publish_permitted(c, refusal) &&
           topic_permitted(c, RIGHT_WRITE, span_of(will->bytes + will->exchange_len, will->key_len), refusal);
}

void mqtt_access_changed(struct mqtt *c)
{
    char refusal[HOST_REFUSAL_BYTES];
    struct subscribed all = {c, refusal, false};
    c->row = NULL;
    if (c->stage != STAGE_OPEN)
        return;
    if (c->will && !will_permitted(c, refusal))
        will_drop(c);
    if (!c->subs.by_name.count)
        return;
    all.refused = !may_read(c, c->queue, refusal);
    if (host_has_topics(c->host))
        map_each(&c->subs.by_name, look_at, &all);
    if (all.refused)
        mqtt_fail(c, REASON_NOT_AUTHORIZED, "%s", refusal);
}
