/*
 * Getting messages out of a queue:
 *   queue_run → the head of the index, the consumer whose turn it is
 *   fetch.c → is its page (and each part's) in memory? else the queue waits for it, off the run list
 *   send → DELIVER, the page pinned until the front's DONE
 */
#include "router/deliver.h"

#include "base/log.h"
#include "router/agent.h"
#include "router/consumer.h"
#include "router/lapse.h"
#include "router/shape.h"
#include "router/stream.h"
#include "router/trace.h"

void deliver_wake(struct router *router, struct waiter *waiter)
{
    struct queue *queue = container_of(waiter, struct queue, fetching.waiter);
    queue->waiting = false;
    queue_wake(router, queue);
}

void deliver_damaged(struct router *router, struct queue *queue, const struct head *head)
{
    uint64_t position = entry_position(head->entry), seq = head->seq;
    deliver_reset(router, queue);
    if (head->entry->state == ENTRY_READY) {
        index_deliver(&queue->index, seq, head->entry);
        router->turn.out++;
    }
    queue->damaged++;
    log_line(LOG_ERROR, "router",
             "message %llu of queue '%.*s' is damaged in segment %llu at offset %llu of router %u's journal; "
             "it is kept but "
             "can't be delivered: restore the file from a copy, or delete the queue",
             (unsigned long long)seq, queue->name.len, queue->name.bytes,
             (unsigned long long)(position / SEGMENT_BYTES), (unsigned long long)(position % SEGMENT_BYTES),
             router->options.index);
}

static enum fetch ready_head(struct router *router, struct queue *queue, struct head *head)
{
    enum fetch result = FETCH_THERE;
    while ((head->entry = index_head(&queue->index, &head->seq))) {
        enum death_reason why;
        if (queue->index.has_notes && queue->shape && shape_is_over(router, queue, head->seq, &why)) {
            shape_shed(router, queue, head->seq, head->entry, why);
            continue;
        }
        result = deliver_fetch(router, queue, head);
        if (result != FETCH_DAMAGED)
            break;
        deliver_damaged(router, queue, head);
    }
    return result;
}

/* to: whom and where, filled in but for the message. */
static void send(struct router *router, struct queue *queue, unsigned front, struct event_deliver to,
                 const struct head *head)
{
    store_pin(head->page);
    to.kind = EVENT_DELIVER;
    to.flags |= head->entry->redelivered ? DELIVER_REDELIVERED : 0;
    to.queue = queue->handle;
    to.seq = head->seq;
    to.page = head->page->at;
    to.message = head->message;
    to.parts = head->entry->large ? fetch_parts(router, &queue->fetching) : NULL;
    if (queue->shape && queue->shape->tells)
        shape_annotate(queue, head->seq, 0, &to);
    index_deliver(&queue->index, head->seq, head->entry);
    queue->delivered++;
    router->turn.redelivered += head->entry->redelivered;
    router->turn.to[front]++;
    union event *event = router_event(router, front);
    event->deliver = to;
    if (__builtin_expect(queue->traced, 0)) /* from there: `to` needn't be in memory otherwise */
        trace_delivered(router, &event->deliver, head->entry->body);
}

static void deliver(struct router *router, struct queue *queue, struct consumer *c, const struct head *head,
                    uint8_t flags)
{
    struct event_deliver to = {
        .flags = flags, .channel = c->channel, .conn = c->conn, .tag = c->tag, .ready = c->round};
    uint32_t body = head->entry->body;
    send(router, queue, c->front, to, head);
    if (c->no_ack) {
        router->turn.delivered[DELIVERY_AUTO]++;
        queue_kill(router, queue, head->seq, head->entry);
    } else {
        router->turn.delivered[DELIVERY_MANUAL]++;
        c->credit--;
        if (c->lapse)
            lapse_begin(router, c, head->entry);
    }
    c->window -= body + 1; /* an empty message counts for something */
    queue->ready = c->next;
    if (c->credit <= 0 || c->window <= 0)
        consumer_update(router, c);
}

static void answer_get(struct router *router, struct queue *queue, struct op *op, const struct head *head)
{
    struct event_deliver to = {.flags = DELIVER_GET, .channel = op->channel, .conn = op->conn};
    to.ready = (uint32_t)(queue->index.ready - 1);
    send(router, queue, op->front, to, head);
    router->turn.delivered[op->flags & OP_NO_ACK ? DELIVERY_GOT_AUTO : DELIVERY_GOT_MANUAL]++;
    if (op->flags & OP_NO_ACK)
        queue_kill(router, queue, head->seq, head->entry);
    if (queue->shape)
        shape_watch(router, queue);
    op->got = true;
    op->messages = to.ready;
    router_answer_now(router, op);
}

static void answer_empty(struct router *router, struct op *op)
{
    stat_add(&router->stats.got_empty, 1);
    router_answer_now(router, op);
}

bool queue_get(struct router *router, struct queue *queue, struct op *op)
{
    struct head head;
    enum fetch result = queue->waiting ? FETCH_WAIT : ready_head(router, queue, &head);
    if (result == FETCH_WAIT || result == FETCH_BUSY) {
        queue->waiting |= result == FETCH_WAIT;
        op->next = NULL;
        *queue->getters_end = op;
        queue->getters_end = &op->next;
        queue_wake(router, queue);
        return false;
    }
    if (head.entry)
        answer_get(router, queue, op, &head);
    else
        answer_empty(router, op);
    return true;
}

static struct op *take_getter(struct queue *queue)
{
    struct op *op = queue->getters;
    queue->getters = op->next;
    if (!queue->getters)
        queue->getters_end = &queue->getters;
    return op;
}

/* With MQTT's QoS 2 the client is told a packet identifier that follows from the message's number in the
 * queue, and keeps it. If the message isn't on disk, a crash gives number and identifier to another one,
 * which the client would take for this one; and the publisher sends this one again. So it waits; and if the
 * journal has failed, it isn't delivered as one of QoS 2. */
static bool is_early(const struct router *router, const struct head *head)
{
    uint64_t position = entry_position(head->entry);
    const struct message *m = head->message;
    return position >= router->store.safe && position >= router->store.begin &&
           !(position & POSITION_TRANSIENT) && origin_qos(m->protocol) == 2 && !(m->flags & MESSAGE_MOVED);
}

/* Off the run list until there is news of the disk; in the middle of a publish it may stand there. */
static void wait_for_disk(struct router *router, struct queue *queue)
{
    deliver_reset(router, queue);
    if (queue->runnable || queue->early)
        return;
    queue->early = true;
    queue->run_next = router->early;
    router->early = queue;
}

unsigned queue_deliver(struct router *router, struct queue *queue, unsigned most)
{
    unsigned sent = 0;
    /* It may have become a waiter (by an OP_GET) since it was put on the run list. */
    while (sent < most && !queue->waiting && (queue->ready || queue->getters)) {
        struct head head;
        unsigned front = queue->getters ? queue->getters->front : queue->ready->front;
        if (!link_open(&router->front[front], 2))
            break;
        enum fetch result = ready_head(router, queue, &head);
        if (result == FETCH_WAIT)
            queue->waiting = true;
        if (result == FETCH_WAIT || result == FETCH_BUSY || (!head.entry && !queue->getters))
            break;
        bool early = !queue->getters && is_early(router, &head);
        if (early && !router->store.failed) {
            wait_for_disk(router, queue);
            break;
        }
        if (!queue->getters)
            deliver(router, queue, queue->ready, &head, early ? DELIVER_EARLY : 0);
        else if (head.entry)
            answer_get(router, queue, take_getter(queue), &head);
        else
            answer_empty(router, take_getter(queue));
        sent++;
    }
    return sent;
}

unsigned queue_run(struct router *router, struct queue *queue, unsigned most)
{
    if (!queue->shape)
        return queue_deliver(router, queue, most);
    if (!queue->waiting && !shape_run(router, queue, most))
        return 0;
    if (queue->stream)
        return stream_run(router, queue, most);
    unsigned sent = queue_deliver(router, queue, most);
    shape_watch(router, queue);
    return sent;
}
