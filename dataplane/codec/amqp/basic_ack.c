/* basic.ack, reject, nack, recover: how deliveries end. In a transaction the end is only noted until the
 * commit. */
#include "codec/amqp/consumer.h"
#include "codec/amqp/handlers.h"

static enum unacked_state held(enum settle how)
{
    return how == SETTLE_ACK    ? UNACKED_HELD_ACK
           : how == SETTLE_DROP ? UNACKED_HELD_DROP
                                : UNACKED_HELD_REQUEUE;
}

void channel_settle(struct amqp *c, struct channel *ch, struct delivery *d, enum settle how)
{
    settle_add(&c->settle, c->host, d->router, d->queue, d->seq, how, d->consumer);
    ch->counted -= d->counted;
    unacked_remove(&ch->unacked, d);
}

void channel_lapse(struct amqp *c, struct channel *ch, struct delivery *d)
{
    if (d->tag > ch->lapsed_tag)
        ch->lapsed_tag = d->tag;
    channel_settle(c, ch, d, SETTLE_REQUEUE);
}

/* d: live. */
static void settle(struct amqp *c, struct channel *ch, struct delivery *d, enum settle how)
{
    if (ch->mode == MODE_TX)
        d->state = (uint8_t)held(how);
    else
        channel_settle(c, ch, d, how);
}

/* The deliveries before `tag`'s that are held by a transaction stay; so the oldest may have to be passed
 * over. */
static void settle_up_to(struct amqp *c, struct channel *ch, uint64_t tag, enum settle how)
{
    for (uint32_t i = 0; i < ch->unacked.count;) {
        struct delivery *d = unacked_at(&ch->unacked, i);
        if (d->tag > tag)
            break;
        uint32_t count = ch->unacked.count;
        if (d->state == UNACKED_LIVE)
            settle(c, ch, d, how);
        i += count == ch->unacked.count; /* it is still there: the next one is one further */
    }
}

/* What was given back in the client's place may still be answered by it, in vain. Which tags these were isn't
 * kept: none up to the last of them is called unknown. */
static bool has_lapsed(const struct channel *ch, uint64_t tag)
{
    return tag && tag <= ch->lapsed_tag;
}

/* multiple: all up to the tag; with tag 0 all there are. */
static bool answer(struct amqp *c, struct channel *ch, uint64_t tag, bool multiple, enum settle how)
{
    struct delivery *d = unacked_find(&ch->unacked, tag);
    if (!d && !(multiple && tag == 0) && !has_lapsed(ch, tag))
        amqp_fail(c, ch, ERR_PRECONDITION_FAILED, "unknown delivery tag %lu", tag);
    else if (multiple)
        settle_up_to(c, ch, tag ? tag : UINT64_MAX, how);
    else if (d)
        settle(c, ch, d, how);
    if (ch->limit_met)
        consumers_resume(c, ch);
    return true;
}

bool on_basic_ack(struct amqp *c, struct channel *ch, const union value *args)
{
    const struct args_BASIC_ACK *m = (const void *)args;
    return answer(c, ch, m->delivery_tag.n, m->multiple.n, SETTLE_ACK);
}

bool on_basic_nack(struct amqp *c, struct channel *ch, const union value *args)
{
    const struct args_BASIC_NACK *m = (const void *)args;
    return answer(c, ch, m->delivery_tag.n, m->multiple.n, m->requeue.n ? SETTLE_REQUEUE : SETTLE_DROP);
}

bool on_basic_reject(struct amqp *c, struct channel *ch, const union value *args)
{
    const struct args_BASIC_REJECT *m = (const void *)args;
    return answer(c, ch, m->delivery_tag.n, false, m->requeue.n ? SETTLE_REQUEUE : SETTLE_DROP);
}

/* ---- recover
 * ----------------------------------------------------------------------------------------------- */

/* At once, transaction or not: what is answered in it is no longer unacknowledged. Deliveries can't be sent
 * again to the same consumer only: RabbitMQ refuses that too. */
static bool recover(struct amqp *c, struct channel *ch, bool requeue)
{
    if (!requeue) {
        amqp_fail(c, ch, ERR_NOT_IMPLEMENTED, "requeue=false");
        return false;
    }
    for (uint32_t i = 0; i < ch->unacked.count;) {
        uint32_t count = ch->unacked.count;
        struct delivery *d = unacked_at(&ch->unacked, i);
        if (d->state == UNACKED_LIVE)
            channel_settle(c, ch, d, SETTLE_REQUEUE);
        i += count == ch->unacked.count;
    }
    if (ch->limit_met)
        consumers_resume(c, ch);
    return true;
}

bool on_basic_recover(struct amqp *c, struct channel *ch, const union value *args)
{
    const struct args_BASIC_RECOVER *m = (const void *)args;
    if (recover(c, ch, m->requeue.n))
        SEND(c, ch->number, BASIC_RECOVER_OK);
    return true;
}

bool on_basic_recover_async(struct amqp *c, struct channel *ch, const union value *args)
{
    const struct args_BASIC_RECOVER_ASYNC *m = (const void *)args;
    recover(c, ch, m->requeue.n);
    return true;
}
