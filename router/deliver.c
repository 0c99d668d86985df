/*
 * Getting messages out of a queue:
 *   queue_run → the head of the index, the consumer whose turn it is
 *   fetch → is its page (and each part's) in memory? else the queue waits for it, off the run list
 *   send → DELIVER, the page pinned until the front's DONE
 */
#include "router/deliver.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "router/agent.h"
#include "router/consumer.h"
#include "router/lapse.h"
#include "router/large.h"
#include "router/shape.h"

/* Pages on their way ahead of the one that is delivered from, at most; of a small budget an eighth. */
enum { READ_AHEAD = 8 };

void deliver_reset(struct router *router, struct queue *queue)
{
    struct large *large = queue->gathering;
    queue->gathering = NULL;
    for (uint32_t i = 0; large && i < queue->gathered; i++)
        store_unpin(&router->store, large->part[i].position, 1);
    queue->gathered = 0;
}

void deliver_abandon(struct router *router, struct queue *queue)
{
    struct page_list *lists = router->store.pages;
    for (int s = 0; s < 2; s++)
        for (size_t i = 0; i < lists[s].count; i++) {
            struct page *page = lists[s].slots[(lists[s].head + i) & lists[s].mask];
            for (struct waiter **w = page ? &page->waiters : NULL; w && *w; w = &(*w)->next)
                if (*w == &queue->waiter) {
                    *w = queue->waiter.next;
                    return;
                }
        }
}

/* The pages that a consumer of a backlog will want next: asked for when it comes to a page that was absent
 * itself, so that the disk always has some to read. */
static void read_ahead(struct router *router, struct queue *queue, uint64_t position)
{
    size_t most = router->store.budget / 8 < READ_AHEAD ? router->store.budget / 8 : READ_AHEAD;
    queue->reading = position / PAGE_BYTES;
    for (size_t n = 1; n <= most; n++) {
        struct page *page = store_page(&router->store, position + n * PAGE_BYTES);
        if (page && page->state == PAGE_ABSENT && page->live)
            store_load(&router->store, page, NULL);
    }
}

/* What was read back from disk is looked at before it is believed. Scratch pages were checked as a whole. */
static bool sound(const struct page *page, const void *bytes, uint64_t position)
{
    if (!page->from_disk || (position & POSITION_TRANSIENT))
        return true;
    return record_valid(bytes, position, PAGE_BYTES - position % PAGE_BYTES);
}

static enum fetch fetch(struct router *router, struct queue *queue, uint64_t position, struct page **found,
                        const void **bytes)
{
    struct page *page = store_page(&router->store, position);
    CHECK(page);
    *found = page;
    *bytes = store_bytes(&router->store, page, position);
    if (*bytes) {
        if (page->from_disk && queue->reading != position / PAGE_BYTES)
            read_ahead(router, queue, position);
        return sound(page, *bytes, position) ? FETCH_THERE : FETCH_DAMAGED;
    }
    if (page->state == PAGE_DAMAGED)
        return FETCH_DAMAGED;
    if (!store_load(&router->store, page, &queue->waiter))
        return FETCH_BUSY;
    read_ahead(router, queue, position);
    return FETCH_WAIT;
}

/* Brings the parts of a large message together, each pinned as it comes. */
static enum fetch gather(struct router *router, struct queue *queue, uint64_t position)
{
    struct large *large = large_find(&router->large, position);
    if (queue->gathering != large)
        deliver_reset(router, queue);
    queue->gathering = large;
    for (; queue->gathered < large->parts; queue->gathered++) {
        const void *bytes;
        struct page *page;
        enum fetch result = fetch(router, queue, large->part[queue->gathered].position, &page, &bytes);
        if (result != FETCH_THERE)
            return result;
        store_pin(page);
    }
    return FETCH_THERE;
}

/* The pins pass to the front. */
static struct parts *hand_parts(struct router *router, struct queue *queue)
{
    struct large *large = queue->gathering;
    struct parts *parts = malloc(sizeof *parts + large->parts * sizeof parts->part[0]);
    CHECK(parts);
    parts->n = large->parts;
    parts->gaps = 0;
    for (uint32_t i = 0; i < large->parts; i++) {
        uint64_t at = large->part[i].position;
        struct page *page = store_page(&router->store, at);
        const struct message *m = store_bytes(&router->store, page, at);
        parts->part[i].at = message_body(m).at;
        parts->part[i].len = m->body_len;
        parts->part[i].page = page->at;
    }
    queue->gathering = NULL;
    queue->gathered = 0;
    return parts;
}

void deliver_damaged(struct router *router, struct queue *queue, const struct head *head)
{
    uint64_t position = entry_position(head->entry), seq = head->seq;
    deliver_reset(router, queue);
    if (head->entry->state == ENTRY_READY)
        index_deliver(&queue->index, seq, head->entry);
    queue->damaged++;
    log_line(LOG_ERROR, "router",
             "message %llu of queue '%.*s' is damaged in segment %llu at offset %llu of router %u's journal; "
             "it is kept but "
             "can't be delivered: restore the file from a copy, or delete the queue",
             (unsigned long long)seq, queue->name.len, queue->name.bytes,
             (unsigned long long)(position / SEGMENT_BYTES), (unsigned long long)(position % SEGMENT_BYTES),
             router->options.index);
}

enum fetch deliver_fetch(struct router *router, struct queue *queue, struct head *head)
{
    const void *bytes = NULL;
    uint64_t position = entry_position(head->entry);
    enum fetch result = head->entry->large ? gather(router, queue, position) : FETCH_THERE;
    if (result == FETCH_THERE)
        result = fetch(router, queue, position, &head->page, &bytes);
    head->message = bytes;
    return result;
}

static enum fetch ready_head(struct router *router, struct queue *queue, struct head *head)
{
    enum fetch result = FETCH_THERE;
    while ((head->entry = index_head(&queue->index, &head->seq))) {
        enum death_reason why;
        if (queue->shape && shape_is_over(router, queue, head->seq, &why)) {
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
    to.parts = head->entry->large ? hand_parts(router, queue) : NULL;
    if (queue->shape)
        shape_annotate(queue, head->seq, &to);
    index_deliver(&queue->index, head->seq, head->entry);
    queue->delivered++;
    stat_add(&router->stats.delivered, 1);
    router_event(router, front)->deliver = to;
}

static void deliver(struct router *router, struct queue *queue, struct consumer *c, const struct head *head)
{
    struct event_deliver to = {.channel = c->channel, .conn = c->conn, .tag = c->tag, .ready = c->round};
    uint32_t body = head->entry->body;
    send(router, queue, c->front, to, head);
    if (c->no_ack) {
        queue_kill(router, queue, head->seq, head->entry);
    } else {
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
    if (op->flags & OP_NO_ACK)
        queue_kill(router, queue, head->seq, head->entry);
    op->got = true;
    op->messages = to.ready;
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
        router_answer_now(router, op);
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
        if (!queue->getters)
            deliver(router, queue, queue->ready, &head);
        else if (head.entry)
            answer_get(router, queue, take_getter(queue), &head);
        else
            router_answer_now(router, take_getter(queue));
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
    unsigned sent = queue_deliver(router, queue, most);
    shape_watch(router, queue);
    return sent;
}
