/*
 * What a client has subscribed to. The routers know it as bindings of the session's queue; here it says how a
 * message is to be sent: with which QoS, which subscription identifiers, whether with its RETAIN flag, and
 * whether at all, if it is the client's own.
 *
 * A message that comes from the session's queue was matched by a binding already. Where all subscriptions say
 * the same, that is all there is to know; else it is matched once more, by a topic exchange's index.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/map.h"
#include "router/exchange.h"

struct source;

/* When what has been retained is sent: a wish's handling. */
enum { RETAINED_SENT, RETAINED_IF_NEW, RETAINED_NOT_SENT };

/* How a subscription wants its messages: MQTT 5.0, 3.8.3.1. */
struct wish {
    uint8_t qos;
    bool no_local, as_published;
    uint8_t handling; /* of retained messages */
    bool shared;      /* kept with a binding that only says that the session takes part in a group */
    uint32_t id;      /* 0: none */
};

struct subscription {
    struct map_node by_name;
    struct destination destination; /* in subscription_index.exchange */
    struct wish wish;
    struct source *source; /* of a shared one: its queue */
    uint8_t group_len, filter_len;
    uint8_t name[]; /* group, then filter as a binding key */
};

/* Who of several wants a message: made when that is first asked, most connections never do. */
struct subscription_index {
    struct exchange exchange; /* shared ones aren't in it */
    struct match match;
};

struct subscriptions {
    struct map by_name;
    uint32_t of_qos[3], special; /* how many there are; with anything but a QoS */
    bool strays;                 /* the queue may have messages of one that isn't there any more */
    struct subscription_index *index;
    uint32_t *ids; /* of the last verdict; room for VERDICT_IDS_MAX, made when first needed */
};

/* Of more subscriptions with identifiers that fit one message, some aren't told. */
enum { VERDICT_IDS_MAX = 1024 };

/* What is to be done with a message. Valid until the next one is asked for. */
struct verdict {
    bool wanted;
    uint8_t qos; /* the highest that a subscription grants */
    bool as_published;
    unsigned ids;
    const uint32_t *id;
};

void subscriptions_init(struct subscriptions *subs);
void subscriptions_free(struct subscriptions *subs);
struct subscription *subscription_find(const struct subscriptions *subs, struct span group,
                                       struct span filter);
/* Adds it, or changes its wish. */
struct subscription *subscription_set(struct subscriptions *subs, struct span group, struct span filter,
                                      const struct wish *wish);
void subscription_remove(struct subscriptions *subs, struct subscription *subscription);
/* Of a message from the session's queue. own: the client has published it. */
struct verdict subscriptions_judge(struct subscriptions *subs, struct span key, bool own);
/* Of one from a shared subscription's queue. */
struct verdict subscription_judge(const struct subscription *subscription, struct span key);

static inline struct span subscription_group(const struct subscription *s)
{
    return span_of(s->name, s->group_len);
}

static inline struct span subscription_filter(const struct subscription *s)
{
    return span_of(s->name + s->group_len, s->filter_len);
}

/* The binding's arguments that keep a wish: a table. Returns its length; room: WISH_BYTES. */
enum { WISH_BYTES = 128 };
size_t wish_put(uint8_t *to, const struct wish *wish);
void wish_read(struct span table, struct wish *wish);
