#include "router/consumer.h"

#include <stdlib.h>

#include "base/check.h"
#include "router/agent.h"
#include "router/shape.h"

static void unlink_ready(struct consumer *consumer)
{
    struct queue *queue = consumer->queue;
    if (!consumer->next)
        return;
    if (queue->ready == consumer)
        queue->ready = consumer->next == consumer ? NULL : consumer->next;
    consumer->prev->next = consumer->next;
    consumer->next->prev = consumer->prev;
    consumer->next = consumer->prev = NULL;
}

/* Behind all others: just before the one whose turn is next. */
static void link_ready(struct consumer *consumer)
{
    struct queue *queue = consumer->queue;
    if (consumer->next)
        return;
    if (!queue->ready) {
        consumer->next = consumer->prev = queue->ready = consumer;
        return;
    }
    consumer->next = queue->ready;
    consumer->prev = queue->ready->prev;
    consumer->prev->next = consumer->next->prev = consumer;
}

void consumer_update(struct router *router, struct consumer *consumer)
{
    if (consumer->credit > 0 && consumer->window > 0 && !consumer->paused) {
        link_ready(consumer);
        queue_wake(router, consumer->queue);
    } else {
        unlink_ready(consumer);
    }
}

struct consumer *queue_consume(struct router *router, struct queue *queue, const struct op *op)
{
    struct consumer *consumer = calloc(1, sizeof *consumer);
    CHECK(consumer);
    consumer->queue = queue;
    consumer->front = op->front;
    consumer->conn = op->conn;
    consumer->channel = op->channel;
    consumer->tag = op->tag;
    consumer->no_ack = op->flags & OP_NO_ACK;
    consumer->exclusive = op->flags & OP_EXCLUSIVE;
    consumer->credit = consumer->no_ack ? INT64_MAX : op->prefetch;
    consumer->window = op->window;
    consumer->handle = slots_add(&router->consumers, consumer);
    consumer->all_next = queue->all;
    if (queue->all)
        queue->all->all_prev = consumer;
    queue->all = consumer;
    queue->consumers++;
    queue->had_consumer = true;
    stat_add(&router->stats.consumers, 1);
    consumer_update(router, consumer);
    return consumer;
}

static void forget(struct router *router, struct consumer *consumer)
{
    struct queue *queue = consumer->queue;
    unlink_ready(consumer);
    *(consumer->all_prev ? &consumer->all_prev->all_next : &queue->all) = consumer->all_next;
    if (consumer->all_next)
        consumer->all_next->all_prev = consumer->all_prev;
    queue->consumers--;
    stat_add(&router->stats.consumers, -1);
    slots_remove(&router->consumers, consumer->handle);
    free(consumer);
}

bool queue_cancel(struct router *router, struct consumer *consumer)
{
    struct queue *queue = consumer->queue;
    forget(router, consumer);
    if (queue->shape)
        shape_used(router, queue);
    return queue->auto_delete && queue->consumers == 0;
}

void consumers_end(struct router *router, struct queue *queue)
{
    while (queue->all) {
        struct consumer *c = queue->all;
        router_event(router, c->front)->cancel = (struct event_cancel){
            .kind = EVENT_CANCEL, .channel = c->channel, .conn = c->conn, .tag = c->tag};
        forget(router, c);
    }
}
