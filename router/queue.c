#include "router/queue.h"

#include <stdlib.h>

#include "base/check.h"
#include "router/agent.h"
#include "router/consumer.h"
#include "router/deliver.h"
#include "router/large.h"
#include "router/persist.h"
#include "router/shape.h"
#include "router/stream.h"
#include "router/trace.h"

struct queue *queue_new(struct router *router, uint32_t vhost, struct span name)
{
    struct queue *queue = calloc(1, sizeof *queue);
    CHECK(queue);
    queue->vhost = vhost;
    name_set(&queue->name, name);
    queue->destination.identity = destination_identity(name, false);
    index_init(&queue->index);
    queue->getters_end = &queue->getters;
    queue->fetching.waiter.wake = deliver_wake;
    queue->handle = slots_add(&router->queues, queue);
    stat_add(&router->stats.queues, 1);
    return queue;
}

void queue_wake(struct router *router, struct queue *queue)
{
    bool wanted =
        queue->getters || (queue->ready && queue->index.ready) || (queue->shape && shape_due(router, queue));
    if (queue->runnable || queue->waiting || queue->early || !wanted)
        return;
    queue->runnable = true;
    queue->run_next = NULL;
    *router->run_end = queue;
    router->run_end = &queue->run_next;
}

void queues_wake_early(struct router *router)
{
    struct queue *queue = router->early;
    router->early = NULL;
    for (struct queue *next; queue; queue = next) {
        next = queue->run_next;
        queue->early = false;
        queue_wake(router, queue);
    }
}

/* Inline: called, it would cost each message 20 instructions more. */
__attribute__((always_inline)) static inline void pushed(struct router *router, struct queue *queue,
                                                         uint64_t seq, const struct entry *entry)
{
    store_keep(&router->store, entry_position(entry), entry->share);
    queue->published++;
    router->turn.queued++;
    if (__builtin_expect(queue->traced, 0))
        trace_published(router, seq, entry_position(entry), entry->body);
    queue_wake(router, queue);
}

uint64_t queue_push(struct router *router, struct queue *queue, struct entry entry)
{
    uint64_t seq = index_push(&queue->index, entry);
    pushed(router, queue, seq, &entry);
    return seq;
}

uint64_t queue_push_noted(struct router *router, struct queue *queue, struct entry entry,
                          struct entry_note note)
{
    uint64_t seq = index_push_noted(&queue->index, entry, note);
    pushed(router, queue, seq, &entry);
    return seq;
}

void queue_kill(struct router *router, struct queue *queue, uint64_t seq, struct entry *entry)
{
    struct entry gone = *entry;
    uint64_t position = entry_position(&gone);
    index_kill(&queue->index, seq, entry);
    if (queue->shape)
        shape_killed(queue, seq);
    if (queue->number && !(position & POSITION_TRANSIENT))
        persist_settled(router, queue->number, seq);
    if (gone.large)
        large_unref(&router->large, &router->store, large_find(&router->large, position));
    store_drop(&router->store, position, gone.share);
    router->turn.removed++;
    if (gone.state != ENTRY_OUT)
        router->turn.out++;
}

void queue_settle(struct router *router, struct queue *queue, uint64_t seq, uint32_t count, enum settle how)
{
    if (__builtin_expect(queue->traced, 0))
        trace_settled(router, seq, count, how);
    if (queue->stream) { /* it gives its consumer credit, and that is all */
        queue->acknowledged += how == SETTLE_ACK ? count : 0;
        return;
    }
    bool back = false;
    for (uint64_t end = seq + count; seq < end; seq++) {
        struct entry *entry = index_at(&queue->index, seq);
        if (!entry || entry->state != ENTRY_OUT)
            continue;
        if (how == SETTLE_ACK || how == SETTLE_DROP) {
            queue->acknowledged++;
            if (how == SETTLE_DROP && queue->shape)
                shape_shed(router, queue, seq, entry, DEATH_REJECTED);
            else
                queue_kill(router, queue, seq, entry);
            continue;
        }
        if (how == SETTLE_RECEIVED) {
            shape_received(router, queue, seq, entry);
            continue;
        }
        if (how == SETTLE_REQUEUE)
            entry->redelivered = 1;
        if (how == SETTLE_REQUEUE && queue->shape && !shape_returned(router, queue, seq, entry))
            continue;
        index_requeue(&queue->index, seq, entry);
        router->turn.out--;
        back = true;
    }
    if (back && queue->shape)
        shape_pushed(router, queue, 0);
    queue_wake(router, queue);
}

uint64_t queue_purge(struct router *router, struct queue *queue)
{
    uint64_t seq = index_first(&queue->index), purged = 0;
    deliver_reset(router, queue);
    for (struct entry *entry; (entry = index_ready_from(&queue->index, &seq)); seq++, purged++)
        queue_kill(router, queue, seq, entry);
    if (queue->shape)
        shape_watch(router, queue);
    return purged;
}

/* ---- the end --------------------------------------------------------------------------------- */

static void kill_all(struct router *router, struct queue *queue)
{
    struct index *index = &queue->index;
    uint32_t number = queue->number;
    queue->number = 0; /* that the queue is gone says enough of its messages */
    uint64_t seq = 0;
    for (struct entry *entry; (entry = index_alive_from(index, &seq)); seq++)
        queue_kill(router, queue, seq, entry);
    queue->number = number;
}

static void stop_running(struct router *router, struct queue *queue)
{
    struct queue **at = &router->run;
    while (*at && *at != queue)
        at = &(*at)->run_next;
    if (*at)
        *at = queue->run_next;
    if (router->run_end == &queue->run_next)
        router->run_end = at;
}

static void stop_waiting(struct router *router, const struct queue *queue)
{
    struct queue **at = &router->early;
    while (*at != queue)
        at = &(*at)->run_next;
    *at = queue->run_next;
}

void queue_delete(struct router *router, struct queue *queue)
{
    deliver_reset(router, queue);
    if (queue->traced)
        trace_gone(router);
    queue->traced = false;
    consumers_end(router, queue);
    while (queue->getters) {
        struct op *op = queue->getters;
        queue->getters = op->next;
        router_answer_now(router, op);
    }
    exchange_forget(&queue->destination, NULL, NULL);
    kill_all(router, queue);
    catalog_queue_remove(&router->catalog, queue);
    slots_remove(&router->queues, queue->handle);
    if (queue->runnable)
        stop_running(router, queue);
    if (queue->early)
        stop_waiting(router, queue);
    stat_add(&router->stats.queues, -1);
    shape_free(router, queue);
    free((void *)(uintptr_t)queue->arguments.at);
    index_free(&queue->index);
    if (queue->waiting)
        fetch_abandon(router, &queue->fetching);
    free(queue);
}
