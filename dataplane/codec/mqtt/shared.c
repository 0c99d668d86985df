/*
 * Shared subscriptions (MQTT 5.0, 4.8.2): a queue for each group and filter, from which all who are in it
 * consume. That a session takes part is kept as a binding of the session's own queue, on an exchange where
 * nobody publishes such keys.
 */
#include "base/check.h"
#include "codec/mqtt/connection.h"
#include "codec/mqtt/permission.h"
#include "codec/mqtt/topic.h"

#define SHARED_PREFIX "mqtt-shared-"
#define MEMBER_PREFIX "$share/"
#define MEMBERS       "amq.direct"

/* Prefix, group, a slash, filter. False: that is too long for a name. */
static bool join_names(const char *prefix, struct span group, struct span filter, struct name *name)
{
    size_t len = strlen(prefix) + group.len + 1 + filter.len;
    if (len > NAME_MAX_BYTES)
        return false;
    name->len = (uint8_t)len;
    uint8_t *at = put_span((uint8_t *)name->bytes, span_str(prefix));
    put_span(put_u8(put_span(at, group), '/'), filter);
    return true;
}

static void remember(struct mqtt *c, enum op_kind kind, const struct subscription *s, int32_t i)
{
    struct name key;
    CHECK(join_names(MEMBER_PREFIX, subscription_group(s), subscription_filter(s), &key));
    struct wish wish = s->wish;
    wish.shared = true;
    if (c->persistent)
        mqtt_bind(c, mqtt_bind_op(c, kind, c->queue), MEMBERS, name_span(&key), &wish, i);
}

static void consume(struct mqtt *c, struct subscription *s, int32_t i)
{
    struct name queue;
    CHECK(join_names(SHARED_PREFIX, subscription_group(s), subscription_filter(s), &queue));
    struct span name = name_span(&queue);
    mqtt_declare(c, name, true, i);
    mqtt_bind(c, mqtt_bind_op(c, OP_QUEUE_BIND, name), mqtt_exchange(c), subscription_filter(s), NULL, i);
    mqtt_request_send(c, source_op(c, source_new(c, s), name, PURPOSE_CONSUME), i);
}

enum reason shared_join(struct mqtt *c, struct span group, struct span filter, const struct wish *wish,
                        int32_t i)
{
    struct name name;
    if (!join_names(SHARED_PREFIX, group, filter, &name))
        return REASON_IMPLEMENTATION;
    if (!subscribe_permitted(c, name_span(&name), filter))
        return REASON_NOT_AUTHORIZED;
    struct subscription *s = subscription_find(&c->subs, group, filter);
    if (s)
        remember(c, OP_QUEUE_UNBIND, s, i);
    s = subscription_set(&c->subs, group, filter, wish);
    remember(c, OP_QUEUE_BIND, s, i);
    if (!s->source)
        consume(c, s, i);
    return REASON_SUCCESS;
}

/* The last who leaves takes the queue with him. */
void shared_leave(struct mqtt *c, struct subscription *s, int32_t i)
{
    struct name queue;
    struct source *source = s->source;
    CHECK(join_names(SHARED_PREFIX, subscription_group(s), subscription_filter(s), &queue));
    remember(c, OP_QUEUE_UNBIND, s, i);
    if (source && source->id) {
        struct op *op = mqtt_op(c, OP_CANCEL, PURPOSE_RELEASE, c->queue);
        op->consumer = source->id;
        mqtt_send_to(c, source->router, op);
        op = mqtt_op(c, OP_QUEUE_DELETE, PURPOSE_RELEASE, name_span(&queue));
        op->flags = OP_IF_UNUSED;
        mqtt_send(c, op);
    }
    if (source)
        source_free(c, source);
    subscription_remove(&c->subs, s);
}

void shared_restore(struct mqtt *c, struct span key, const struct wish *wish)
{
    struct span group, filter;
    if (filter_split(key, &group, &filter) && group.len)
        consume(c, subscription_set(&c->subs, group, filter, wish), NO_REQUEST);
}
