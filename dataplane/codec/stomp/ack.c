/* ACK and NACK. A message is named by its connection and its number there: "7-12". */
#include "codec/stomp/connection.h"

/* 0: it is no such name. */
static uint64_t tag_of(struct span name)
{
    const uint8_t *dash = name.len ? memrchr(name.at, '-', name.len) : NULL;
    uint64_t tag;
    if (!dash || !stomp_number(span_of(dash + 1, (size_t)(name.at + name.len - dash - 1)), &tag))
        return 0;
    return tag;
}

static void settle_one(struct stomp *c, struct delivery *d, enum settle how)
{
    const struct stomp_subscription *s = slots_get(&c->handles, d->consumer);
    settle_add(&c->settle, c->host, d->router, d->queue, d->seq, how, s ? s->id : 0);
    c->told |= 1ull << d->router;
    unacked_remove(&c->unacked, d);
}

/* All of the subscription up to that one. */
static void settle_up_to(struct stomp *c, uint64_t tag, uint64_t handle, enum settle how)
{
    for (uint32_t i = 0; i < c->unacked.count;) {
        struct delivery *d = unacked_at(&c->unacked, i);
        uint32_t count = c->unacked.count;
        if (d->tag > tag)
            return;
        if (d->state == UNACKED_LIVE && d->consumer == handle)
            settle_one(c, d, how);
        i += count == c->unacked.count;
    }
}

static struct delivery *find(struct stomp *c, const struct stomp_frame *f)
{
    uint64_t tag = tag_of(stomp_value(f, c->version == STOMP_12 ? "id" : "message-id"));
    return tag ? unacked_find(&c->unacked, tag) : NULL;
}

bool stomp_ack_known(struct stomp *c, const struct stomp_frame *f)
{
    if (find(c, f))
        return true;
    struct span name = stomp_value(f, c->version == STOMP_12 ? "id" : "message-id");
    stomp_fail(c, f, "'%.*s' is no message that waits for an answer", (int)(name.len < 128 ? name.len : 128),
               (const char *)name.at);
    return false;
}

/* In a transaction, one that was answered for together with another is so already. */
void stomp_ack(struct stomp *c, const struct stomp_frame *f, bool positive)
{
    struct delivery *d = find(c, f);
    if (!d && c->committing)
        return;
    if (!d && !stomp_ack_known(c, f))
        return;
    uint64_t tag = d->tag, router = 1ull << d->router;
    const struct stomp_subscription *s = slots_get(&c->handles, d->consumer);
    enum settle how = positive ? SETTLE_ACK : stomp_is(f, "requeue", "false") ? SETTLE_DROP : SETTLE_REQUEUE;
    if (s && s->ack == STOMP_ACK_CLIENT)
        settle_up_to(c, tag, d->consumer, how);
    else
        settle_one(c, d, how);
    stomp_receipt_behind(c, f, router, false);
}
