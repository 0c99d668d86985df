/* What clients of STOMP do. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "history.h"
#include "stomp_client.h"

enum { LARGE_MAX = 6000, SMALL_MAX = 60, NUMBER_BYTES = 8, INLINE_MAX = 1000 };

static uint64_t below(struct stomp_client *c, uint64_t n)
{
    return prng_below(&c->party->prng, n);
}

static bool chance(struct stomp_client *c, uint32_t ppm)
{
    return prng_chance(&c->party->prng, ppm);
}

static bool receipt(struct stomp_client *c)
{
    return chance(c, c->party->plan->receipt_ppm);
}

void stomp_draw_connection(struct stomp_client *c)
{
    c->version = 10 + (unsigned)below(c, 3);
    c->beat_ms = c->party->plan->beats && c->version > 10 && below(c, 2) && !c->party->calm ? 1000 : 0;
}

/* ---- sending
 * ------------------------------------------------------------------------------------------------ */

/* The place of an open transaction that what is said is to be part of; -1: of none. */
static int some_transaction(struct stomp_client *c)
{
    int place = (int)below(c, ST_TRANSACTIONS);
    return c->open[place].number && chance(c, c->party->plan->transaction_ppm) ? place : -1;
}

static struct stomp_message *draw_message(struct stomp_client *c)
{
    const struct stomp_plan *plan = c->party->plan;
    struct stomp_message *m = stomp_model_message(c->party->model);
    m->queue = (unsigned)below(c, plan->queues);
    m->persistent = chance(c, plan->persistent_ppm);
    m->len = NUMBER_BYTES + (uint32_t)below(c, chance(c, plan->large_ppm) ? LARGE_MAX : SMALL_MAX);
    m->text = m->len < INLINE_MAX && below(c, 4) == 0;
    return m;
}

static void send(struct stomp_client *c)
{
    struct stomp_message *m = draw_message(c);
    int transaction = some_transaction(c);
    stomp_say_send(c, m, transaction, receipt(c));
}

static void burst(struct stomp_client *c)
{
    for (uint64_t n = 2 + below(c, 8); n; n--)
        send(c);
}

/* ---- subscribing
 * -------------------------------------------------------------------------------------------- */

static void subscribe(struct stomp_client *c)
{
    const struct stomp_plan *plan = c->party->plan;
    unsigned queue = (unsigned)below(c, plan->queues), there = 0;
    for (unsigned i = 0; i < c->sub_count; i++) {
        there += !c->subs[i].gone;
        if (!c->subs[i].gone && c->version == 10 && c->subs[i].queue == queue)
            return;
    }
    if (there >= ST_SUBS)
        return;
    enum stomp_mode mode = chance(c, plan->auto_ppm) ? ST_AUTO : below(c, 2) ? ST_CUMULATIVE : ST_INDIVIDUAL;
    unsigned prefetch = chance(c, plan->prefetch_ppm) ? 1 + (unsigned)below(c, 5) : 0;
    stomp_say_subscribe(c, queue, mode, mode == ST_AUTO ? 0 : prefetch, receipt(c));
}

static void unsubscribe(struct stomp_client *c)
{
    if (!c->sub_count)
        return;
    struct stomp_sub *s = &c->subs[below(c, c->sub_count)];
    if (!s->quit)
        stomp_say_unsubscribe(c, s, receipt(c));
}

/* ---- answering
 * ---------------------------------------------------------------------------------------------- */

static void answer(struct stomp_client *c, bool positive)
{
    if (!c->hold_count || (!positive && c->version == 10))
        return;
    unsigned hold = (unsigned)below(c, c->hold_count);
    bool drops = !positive && chance(c, c->party->plan->drop_ppm);
    int transaction = some_transaction(c);
    stomp_say_answer(c, hold, positive ? ST_ACK : drops ? ST_DROP : ST_NACK, transaction, receipt(c));
}

static void begin(struct stomp_client *c)
{
    unsigned place = (unsigned)below(c, ST_TRANSACTIONS);
    if (!c->open[place].number)
        stomp_say_begin(c, place, receipt(c));
}

/* Perhaps something without a receipt, and the next receipt speaks for it: if the broker is killed then, that
 * must have been true. Returns whether that receipt is wanted. */
static bool before_the_receipt(struct stomp_client *c)
{
    if (below(c, 2))
        return receipt(c);
    for (uint64_t n = below(c, 3); n; n--) {
        struct stomp_message *m = draw_message(c);
        m->persistent = true;
        stomp_say_send(c, m, -1, false);
    }
    if (c->hold_count)
        stomp_say_answer(c, (unsigned)below(c, c->hold_count), ST_ACK, -1, false);
    return true;
}

static void end(struct stomp_client *c, bool commits)
{
    unsigned place = (unsigned)below(c, ST_TRANSACTIONS);
    if (!c->open[place].number)
        return;
    if (commits)
        stomp_say_commit(c, place, before_the_receipt(c));
    else
        stomp_say_abort(c, place, receipt(c));
}

/* Once the receipt of the first is awaited, no more is said before it has come: what is held may grow. */
void stomp_finish(struct stomp_client *c)
{
    if (c->out.len || c->awaited_count)
        return;
    for (unsigned i = 0; i < ST_TRANSACTIONS; i++)
        if (c->open[i].number)
            stomp_say_commit(c, i, true);
    while (c->hold_count)
        stomp_say_answer(c, c->hold_count - 1, ST_ACK, -1, true);
}

/* ---- deeds
 * -------------------------------------------------------------------------------------------------- */

/* On a connection that is there. */
static void act(struct stomp_client *c, enum stomp_deed deed)
{
    switch (deed) {
    case STOMP_SEND:
        send(c);
        return;
    case STOMP_BURST:
        burst(c);
        return;
    case STOMP_SUBSCRIBE:
        subscribe(c);
        return;
    case STOMP_UNSUBSCRIBE:
        unsubscribe(c);
        return;
    case STOMP_ACK:
    case STOMP_NACK:
        answer(c, deed == STOMP_ACK);
        return;
    case STOMP_BEGIN:
        begin(c);
        return;
    case STOMP_COMMIT:
    case STOMP_ABORT:
        end(c, deed == STOMP_COMMIT);
        return;
    case STOMP_WRONG:
        stomp_say_wrong(c);
        return;
    case STOMP_DISCONNECT:
        stomp_say_disconnect(c, before_the_receipt(c));
        return;
    default:
        return;
    }
}

void stomp_act(struct stomp_client *c)
{
    enum stomp_deed deed = stomp_plan_deed(c->party->plan, &c->party->prng);
    c->party->all->deeds++;
    if (c->state == ST_AWAY)
        stomp_client_connect(c);
    else if (deed == STOMP_RESET)
        stomp_client_reset(c);
    else if (deed == STOMP_VANISH)
        stomp_client_vanish(c);
    else if (deed == STOMP_DEAF || deed == STOMP_HEAR)
        stomp_client_deafen(c, deed == STOMP_DEAF);
    else if (c->state == ST_CONNECTED && c->out.len < LARGE_MAX)
        act(c, deed);
}
