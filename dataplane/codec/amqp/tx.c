/*
 * Transactions (section 1.9): publishes are kept and acknowledgements noted until the commit, which sends
 * them to the routers and is answered when all of them are safe there. A rollback forgets both; what was
 * delivered stays delivered.
 */
#include <stdlib.h>

#include "base/check.h"
#include "codec/amqp/consumer.h"
#include "codec/amqp/handlers.h"
#include "codec/amqp/publisher.h"

/* Owned by its channel. */
struct tx {
    struct piece *first, *last; /* of what was published */
    uint64_t routers;           /* of the message whose pieces are being sent, */
    uint64_t told;              /* and of all messages of this commit */
    bool sending;               /* the commit under way has sent some */
    bool refused;               /* a router can't keep its acknowledgements */
};

bool on_tx_select(struct amqp *c, struct channel *ch, const union value *args)
{
    (void)args;
    if (ch->mode == MODE_CONFIRM) {
        amqp_fail(c, ch, ERR_PRECONDITION_FAILED, "cannot switch from confirm to tx mode");
        return true;
    }
    if (ch->mode == MODE_PLAIN) {
        ch->tx = calloc(1, sizeof *ch->tx);
        CHECK(ch->tx);
        ch->mode = MODE_TX;
        if (ch->publisher) {
            ch->publisher->unconfirmed.refused_from = ch->publisher->unconfirmed.next;
            ch->publisher->unconfirmed.refused = false;
        }
    }
    SEND(c, ch->number, TX_SELECT_OK);
    return true;
}

void tx_add(struct channel *ch, struct piece *piece)
{
    struct tx *tx = ch->tx;
    piece->next = NULL;
    if (tx->last)
        tx->last->next = piece;
    else
        tx->first = piece;
    tx->last = piece;
}

static struct piece *tx_take(struct tx *tx)
{
    struct piece *piece = tx->first;
    tx->first = piece->next;
    if (!tx->first)
        tx->last = NULL;
    return piece;
}

/* A message of which the beginning has been sent is taken back. */
static void forget_publishes(struct amqp *c, struct channel *ch)
{
    struct tx *tx = ch->tx;
    if (tx->first && !tx->first->first && tx->sending && tx->routers) {
        struct command_part part = {.flags = PART_ABORT, .channel = ch->number, .conn = host_conn(c->host)};
        host_part(c->host, tx->routers, &part, NULL);
    }
    while (tx->first)
        host_buffer_free(c->host, (uint8_t *)tx_take(tx));
}

void tx_free(struct amqp *c, struct channel *ch)
{
    if (!ch->tx)
        return;
    forget_publishes(c, ch);
    free(ch->tx);
    ch->tx = NULL;
    ch->committing = false;
}

static bool is_transactional(struct amqp *c, struct channel *ch)
{
    if (ch->mode == MODE_TX)
        return true;
    amqp_fail(c, ch, ERR_PRECONDITION_FAILED, "channel is not transactional");
    return false;
}

/* ---- commit
 * ------------------------------------------------------------------------------------------------- */

/* Before anything is sent. */
static bool all_allowed(struct amqp *c, struct channel *ch)
{
    for (const struct piece *piece = ch->tx->first; piece; piece = piece->next)
        if (piece->first && !piece_allowed(c, ch, piece))
            return false;
    return true;
}

static bool send_publishes(struct amqp *c, struct channel *ch)
{
    struct tx *tx = ch->tx;
    while (tx->first) {
        struct piece *next = tx->first->next; /* once it is sent, the piece is the host's */
        if (!piece_send(c, ch, tx->first, &tx->routers))
            return false;
        tx->told |= tx->routers;
        tx->first = next;
    }
    tx->last = NULL;
    return true;
}

static const enum settle settle_of[] = {
    [UNACKED_HELD_ACK] = SETTLE_ACK,
    [UNACKED_HELD_DROP] = SETTLE_DROP,
    [UNACKED_HELD_REQUEUE] = SETTLE_REQUEUE,
};

static bool is_held(const struct delivery *d)
{
    return d->state >= UNACKED_HELD_ACK;
}

/* Returns the routers that were told of an acknowledgement. */
static uint64_t send_acks(struct amqp *c, struct channel *ch)
{
    uint64_t routers = 0;
    for (uint32_t i = 0; i < ch->unacked.count;) {
        struct delivery *d = unacked_at(&ch->unacked, i);
        uint32_t count = ch->unacked.count;
        if (is_held(d)) {
            settle_add(&c->settle, c->host, d->router, d->queue, d->seq, settle_of[d->state], d->consumer);
            routers |= 1ull << d->router;
            ch->counted -= d->counted;
            unacked_remove(&ch->unacked, d);
        }
        i += count == ch->unacked.count;
    }
    return routers;
}

/* A barrier's answer comes behind those to the publishes before it. */
static void send_barriers(struct amqp *c, struct channel *ch, uint64_t told, uint64_t acknowledged)
{
    for (uint64_t left = told | acknowledged; left; left &= left - 1) {
        unsigned router = (unsigned)__builtin_ctzll(left);
        struct op *op = op_new(c, ch, OP_BARRIER, PURPOSE_BARRIER);
        op->flags = acknowledged >> router & 1 ? OP_DURABLE : 0;
        op_send_to(c, router, op);
    }
}

void tx_barrier_back(struct amqp *c, struct channel *ch, const struct op *op)
{
    if (ch->tx)
        ch->tx->refused |= op->error != ERR_NONE;
    tx_progress(c, ch);
}

bool on_tx_commit(struct amqp *c, struct channel *ch, const union value *args)
{
    (void)args;
    if (!is_transactional(c, ch))
        return true;
    struct tx *tx = ch->tx;
    if (!tx->sending && tx->first && !all_allowed(c, ch))
        return true;
    tx->sending = true;
    if (!send_publishes(c, ch))
        return false;
    tx->sending = false;
    send_barriers(c, ch, tx->told, send_acks(c, ch));
    tx->told = 0;
    ch->committing = true;
    tx_progress(c, ch);
    return true;
}

void tx_progress(struct amqp *c, struct channel *ch)
{
    struct publisher *p = ch->publisher;
    if (!ch->committing || ch->ops || (p && p->unconfirmed.unanswered))
        return;
    ch->committing = false;
    bool refused = ch->tx->refused || (p && p->unconfirmed.refused);
    ch->tx->refused = false;
    if (p)
        p->unconfirmed.refused = false;
    if (refused)
        amqp_fail_method(c, ch, METHOD_TX_COMMIT, ERR_PRECONDITION_FAILED, "partial tx completion");
    else
        SEND(c, ch->number, TX_COMMIT_OK);
    if (ch->limit_met)
        consumers_resume(c, ch);
}

/* ---- rollback
 * ----------------------------------------------------------------------------------------------- */

/* What is held is unacknowledged again; of a consumer that has lapsed since, it goes back. */
static void forget_acks(struct amqp *c, struct channel *ch)
{
    for (uint32_t i = 0; i < ch->unacked.count;) {
        struct delivery *d = unacked_at(&ch->unacked, i);
        uint32_t count = ch->unacked.count;
        if (is_held(d) && d->lapsed)
            channel_lapse(c, ch, d);
        else if (is_held(d))
            d->state = UNACKED_LIVE;
        i += count == ch->unacked.count;
    }
}

bool on_tx_rollback(struct amqp *c, struct channel *ch, const union value *args)
{
    (void)args;
    if (!is_transactional(c, ch))
        return true;
    forget_publishes(c, ch);
    forget_acks(c, ch);
    SEND(c, ch->number, TX_ROLLBACK_OK);
    if (ch->limit_met)
        consumers_resume(c, ch);
    return true;
}
