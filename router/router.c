/*
 * The router's turn. It takes from each ring no more than its own rings have room to answer; what it can't
 * take waits where it is, and the front that sent it goes on with its acknowledgements' way: publishes are
 * held back by the gate, not by the ring.
 */
#include "router/router.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "journal/journal.h"
#include "router/access_ops.h"
#include "router/agent.h"
#include "router/consumer.h"
#include "router/gate.h"
#include "router/lapse.h"
#include "router/large.h"
#include "router/shape.h"
#include "router/stream.h"

enum { COMMANDS_AT_ONCE = 32, DELIVERIES_AT_ONCE = 64 };

/* ---- making one ----------------------------------------------------------------------------------- */

struct router *router_new(const struct router_options *options)
{
    struct router *router = calloc(1, sizeof *router);
    CHECK(router && options->routers <= ROUTERS_MAX && options->fronts <= FRONTS_MAX);
    router->options = *options;
    store_init(&router->store, options->to_journal, options->index, options->memory_budget);
    store_watermarks(&router->store, options->memory_high, options->memory_low);
    stat_set(&router->stats.memory_limit, store_limit(&router->store));
    catalog_init(&router->catalog);
    reservations_init(router);
    map_init(&router->large);
    map_init(&router->sessions);
    map_init(&router->open);
    producers_init(&router->producers);
    senders_init(&router->senders);
    router->waiting_end = &router->waiting;
    router->run_end = &router->run;
    for (unsigned f = 0; f < options->fronts; f++)
        link_init(&router->front[f], options->to_front[f]);
    for (unsigned i = 0; i < options->routers; i++)
        if (i != options->index)
            link_init(&router->peer[i], options->to_router[i]);
    access_begin(router);
    return router;
}

const char *router_vhost_name(const struct router *router, uint32_t vhost)
{
    return access_vhost_name(router->access, vhost);
}

/* ---- the message path ----------------------------------------------------------------------------- */

static void router_on_settle(struct router *router, const struct command_settle *settle)
{
    struct queue *queue = slots_get(&router->queues, settle->queue);
    struct consumer *consumer = slots_get(&router->consumers, settle->consumer);
    if (settle->how == SETTLE_ACK || settle->how == SETTLE_DROP)
        router->turn.acknowledged += settle->count;
    if (queue && consumer && consumer->lapse)
        lapse_end(consumer, queue, settle->seq, settle->count);
    if (queue)
        queue_settle(router, queue, settle->seq, settle->count, settle->how);
    if (consumer && consumer->credit != INT64_MAX) {
        consumer->credit += settle->count;
        consumer->most += settle->queue ? 0 : settle->count;
        consumer_update(router, consumer);
    }
}

static void router_on_credit(struct router *router, const struct command_credit *credit)
{
    struct consumer *consumer = slots_get(&router->consumers, credit->consumer);
    if (!consumer)
        return;
    consumer->window += credit->bytes;
    if (credit->flags & CREDIT_PAUSE)
        consumer->held |= HELD_PAUSED;
    else if (credit->flags)
        consumer->held &= (uint8_t)~HELD_PAUSED;
    if (credit->flags & CREDIT_RESUME) {
        consumer->round = credit->round;
        stream_resume(router, consumer, credit->seen);
    }
    consumer_update(router, consumer);
}

static void router_on_command(struct router *router, unsigned front, const union command *command)
{
    switch ((enum command_kind)command->kind) {
    case COMMAND_PUBLISH:
        router_on_publish(router, front, &command->publish);
        return;
    case COMMAND_PART:
        router_on_part(router, front, &command->part);
        return;
    case COMMAND_SETTLE:
        router_on_settle(router, &command->settle);
        return;
    case COMMAND_CREDIT:
        router_on_credit(router, &command->credit);
        return;
    case COMMAND_DONE:
        store_unpin(&router->store, command->done.page, command->done.count);
        return;
    case COMMAND_OP:
        router_on_op(router, command->op.op);
        return;
    case COMMAND_KNOWN:
        registrar_applied(router, command->known.update);
        return;
    case COMMAND_KINDS:
        break;
    }
    UNREACHABLE();
}

/* A command is answered by two events at most: a batch is taken only if all answers would fit. It is read in
 * the ring, where its place tells the front that what it has lent is still looked at. */
static unsigned take_commands(struct router *router, unsigned front)
{
    struct ring *ring = router->options.from_front[front];
    unsigned most = RING_SLOTS / 4 < COMMANDS_AT_ONCE ? RING_SLOTS / 4 : COMMANDS_AT_ONCE;
    const void *entries;
    if (!link_open(&router->front[front], 2 * most))
        return 0;
    unsigned n = ring_peek(ring, most, &entries);
    const union command *commands = entries;
    for (unsigned i = 0; i < n; i++)
        router_on_command(router, front, &commands[i]);
    if (n)
        ring_release(ring, n);
    return n;
}

static unsigned take_all(struct router *router)
{
    unsigned work = 0;
    for (unsigned f = 0; f < router->options.fronts; f++)
        for (unsigned n, total = 0; total < RING_SLOTS && (n = take_commands(router, f)); total += n)
            work += n;
    return work;
}

static unsigned take_peers(struct router *router)
{
    struct peer_message messages[COMMANDS_AT_ONCE];
    unsigned work = 0;
    for (unsigned i = 0; i < router->options.routers; i++) {
        if (i == router->options.index)
            continue;
        unsigned n = ring_take(router->options.from_router[i], messages, COMMANDS_AT_ONCE);
        for (unsigned m = 0; m < n; m++)
            router_on_peer(router, i, &messages[m]);
        work += n;
    }
    return work;
}

void router_wake(struct router *router, struct waiter *waiters)
{
    while (waiters) {
        struct waiter *waiter = waiters;
        waiters = waiters->next;
        waiter->wake(router, waiter);
    }
}

static unsigned take_journal(struct router *router)
{
    struct journal_event events[COMMANDS_AT_ONCE];
    unsigned n = ring_take(router->options.from_journal, events, COMMANDS_AT_ONCE);
    for (unsigned i = 0; i < n; i++) {
        router_wake(router, store_on_journal(&router->store, &events[i]));
        if (events[i].kind == JOURNAL_SET)
            reservation_on_set(router, events[i].lsn);
    }
    if (n)
        streams_release(router);
    if (n && router->early)
        queues_wake_early(router);
    return n;
}

/* Each runnable queue gets a turn; those with more to do go to the end. */
static unsigned run_each(struct router *router)
{
    unsigned sent = 0;
    struct queue *queue = router->run, *next;
    router->run = NULL;
    router->run_end = &router->run;
    for (; queue; queue = next) {
        next = queue->run_next;
        queue->runnable = false;
        sent += queue_run(router, queue, DELIVERIES_AT_ONCE);
        queue_wake(router, queue);
    }
    return sent;
}

/* No less goes out in a turn than can have come in: a queue that is emptied as fast as it is filled stays
 * short. */
static unsigned run_queues(struct router *router)
{
    unsigned sent = 0, some;
    do
        sent += some = run_each(router);
    while (some && sent < RING_SLOTS);
    return sent;
}

/* ---- a failed journal ------------------------------------------------------------------------------ */

static void tell_failure(struct router *router)
{
    if (!router->store.failed || router->told_failed)
        return;
    router->told_failed = true;
    stat_set(&router->stats.failed, router->store.error);
    log_line(LOG_ERROR, "router",
             "the journal of router %u has failed (%s): persistent messages are refused until the broker is "
             "restarted on a "
             "sound disk; what is in memory is still delivered",
             router->options.index, strerror((int)router->store.error));
}

/* ---- the turn ------------------------------------------------------------------------------------- */

static unsigned flush_links(struct router *router)
{
    unsigned moved = 0;
    for (unsigned f = 0; f < router->options.fronts; f++)
        moved += link_flush(&router->front[f]);
    for (unsigned i = 0; i < router->options.routers; i++)
        if (i != router->options.index)
            moved += link_flush(&router->peer[i]);
    return moved;
}

unsigned router_poll(struct router *router, uint64_t now_ns)
{
    router->now_ns = router->store.now_ns = now_ns;
    router->wall_ms = (router->options.epoch_ns + now_ns) / 1000000;
    if (!router->awake) {
        router->producers.since_ns = now_ns;
        shapes_wake(router);
    }
    unsigned work = take_journal(router) + start_poll(router);
    work += take_peers(router);
    work += take_all(router);
    work += run_queues(router);
    if (!router->stopping) /* what its time makes of a message is made after the next start */
        work += alarm_poll(router);
    work += confirm_poll(router);
    if (is_registrar(router))
        work += registrar_poll(router);
    else
        work += access_poll(router);
    work += router_answer_waiting(router);
    work += checkpoint_poll(router);
    work += compact_poll(router);
    if (router->stopping && !router->stopped && !router->checkpoint.running)
        work += checkpoint_last(router);
    persist_settled_flush(router);
    work += store_flush(&router->store);
    router->store.index_bytes = router->stats.messages * sizeof(struct entry);
    store_shrink(&router->store, now_ns);
    reservation_poll(router);
    gate_look(router);
    tell_failure(router);
    stat_set(&router->stats.page_bytes, router->store.resident * PAGE_BYTES);
    stat_set(&router->stats.log_bytes, store_log_bytes(&router->store));
    if (is_registrar(router))
        stat_set(&router->stats.exchanges, router->catalog.exchanges.count);
    turn_end(router);
    return work + flush_links(router);
}

void router_stop(struct router *router)
{
    router->stopping = true;
    if (router->store.failed)
        router->stopped = true;
}

bool router_stopped(const struct router *router)
{
    return router->stopped && store_idle(&router->store);
}

/* A queue that can go on only when a front has taken something, and a log that waits for a busy journal, are
 * looked at again. */
uint64_t router_deadline(const struct router *router)
{
    uint64_t store = store_deadline(&router->store), alarm = timers_next(&router->timers);
    if (router->run || (router->stopping && !router->stopped))
        return 0;
    return alarm < store ? alarm : store;
}

const struct router_stats *router_stats(const struct router *router)
{
    return &router->stats;
}
