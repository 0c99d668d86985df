/*
 * The readers of a stream: a round goes through those that may be sent something, and each walks on along the
 * index. Nothing is allocated for a delivery; only messages that stand in several records need it.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/check.h"
#include "router/agent.h"
#include "router/consumer.h"
#include "router/deliver.h"
#include "router/shape.h"
#include "router/stream.h"
#include "router/table.h"
#include "router/trace.h"

/* Messages that a reader looks at in one turn, sent or passed over; and rounds end when so many times `most`
 * were sent. */
enum { LOOKS = 256, ROUND = 8 };

/* ---- who may be sent something ----------------------------------------------------------------- */

static bool may_be_sent(const struct reader *reader)
{
    const struct consumer *c = reader->consumer;
    return c->credit > 0 && c->window > 0 && !c->held && !reader->waiting;
}

/* Behind all others. */
static void link_ready(struct stream *stream, struct reader *reader)
{
    if (reader->next)
        return;
    stream->readies++;
    if (!stream->ready) {
        reader->next = reader->prev = stream->ready = reader;
        return;
    }
    reader->next = stream->ready;
    reader->prev = stream->ready->prev;
    reader->prev->next = reader->next->prev = reader;
}

static void unlink_ready(struct stream *stream, struct reader *reader)
{
    if (!reader->next)
        return;
    stream->readies--;
    if (stream->ready == reader)
        stream->ready = reader->next == reader ? NULL : reader->next;
    reader->prev->next = reader->next;
    reader->next->prev = reader->prev;
    reader->next = reader->prev = NULL;
}

static void update(struct router *router, struct queue *queue, struct reader *reader)
{
    struct stream *stream = queue->stream;
    if (!may_be_sent(reader)) {
        unlink_ready(stream, reader);
        return;
    }
    link_ready(stream, reader);
    stream->behind |= reader->seq < queue->index.tail || reader->cursor.at;
    queue_wake(router, queue);
}

void stream_update(struct router *router, struct consumer *consumer)
{
    if (consumer->reader)
        update(router, consumer->queue, consumer->reader);
}

static void wake(struct router *router, struct waiter *waiter)
{
    struct reader *reader = container_of(waiter, struct reader, fetching.waiter);
    reader->waiting = false;
    update(router, reader->consumer->queue, reader);
}

static void on_tick(struct router *router, struct alarm *alarm)
{
    struct reader *reader = container_of(alarm, struct reader, tick);
    update(router, reader->consumer->queue, reader);
}

/* ---- coming and going ---------------------------------------------------------------------------- */

/* Of consumers: what only streams know of, and what they don't. Their consumers may take their time. */
static const char *const of_streams[] = {"x-stream-offset", "x-stream-filter", "x-stream-match-unfiltered",
                                         NULL};
static const char *const of_others[] = {"x-consumer-timeout", NULL};
/* Last-value queues send to all alike, and nobody keeps anything from the others. */
static const char *const of_takers[] = {"x-priority", "x-consumer-timeout", NULL};

/* The first of the arguments that the op has. */
static const char *has_one(const struct op *op, const char *const *arguments)
{
    struct field field;
    while (*arguments && !table_find(op->arguments, *arguments, &field))
        arguments++;
    return *arguments;
}

static bool refuse_argument(struct router *router, const struct queue *queue, struct op *op, const char *what)
{
    bool last_value = queue->stream && queue->stream->image;
    enum queue_type type = queue->shape ? settings_type(&queue->shape->settings) : TYPE_CLASSIC;
    const char *argument = has_one(op, queue->stream && !last_value ? of_others : of_streams);
    if (argument) {
        router_refuse(router, op, ERR_PRECONDITION_FAILED, "invalid arg '%s' for %s of queue type %s",
                      argument, what, settings_type_text(type));
        return true;
    }
    if (!last_value || !(argument = has_one(op, of_takers)))
        return false;
    router_refuse(router, op, ERR_PRECONDITION_FAILED,
                  "invalid arg '%s' for %s: it can't be with 'x-last-value-key'", argument, what);
    return true;
}

bool stream_consumable(struct router *router, const struct queue *queue, struct op *op, const char *what,
                       struct stream_wish *wish)
{
    struct stream_wrong wrong;
    if (refuse_argument(router, queue, op, what))
        return false;
    wish->filter = NULL;
    if (!queue->stream || queue->stream->image)
        return true;
    if (op->flags & OP_NO_PREFETCH)
        router_refuse(router, op, ERR_PRECONDITION_FAILED, "consumer prefetch count is not set for '%s'",
                      what);
    else if (op->flags & OP_NO_ACK)
        router_refuse(router, op, ERR_NOT_IMPLEMENTED,
                      "automatic acknowledgement not supported by stream queues %s", what);
    else if (op->flags & OP_LIMITED)
        router_refuse(router, op, ERR_NOT_IMPLEMENTED, "%s does not support global qos", what);
    else if (!stream_wish_read(wish, op->arguments, &wrong))
        router_refuse(router, op, ERR_PRECONDITION_FAILED, "invalid arg '%s' for %s: %s", wrong.argument,
                      what, wrong.reason);
    else
        return true;
    return false;
}

static uint64_t clamp(uint64_t seq, const struct index *index)
{
    uint64_t first = index_first(index);
    return seq < first ? first : seq < index->tail ? seq : index->tail;
}

/* Messages that came before ms are passed over by the reader itself, from the mark before them on. */
static void begin_at_time(struct router *router, struct stream *stream, struct reader *reader, uint64_t ms)
{
    const struct mark *mark = stream_mark_before(stream, ms);
    if (ms > router_wall_ms(router) || !mark)
        return;
    reader->start = clamp(mark->seq, &stream->queue->index);
    reader->start_ms = ms;
}

static void begin(struct router *router, struct stream *stream, struct reader *reader,
                  const struct stream_wish *wish)
{
    const struct index *index = &stream->queue->index;
    uint64_t now = router_wall_ms(router), value = wish->value > 0 ? (uint64_t)wish->value : 0;
    reader->start = index->tail;
    switch (wish->kind) {
    case OFFSET_NEXT:
        break;
    case OFFSET_FIRST:
        reader->start = clamp(0, index);
        break;
    case OFFSET_LAST:
        reader->start = clamp(index->tail - 1, index);
        break;
    case OFFSET_NUMBER:
        reader->start = value < index->tail ? clamp(value + 1, index) : value + 1;
        break;
    case OFFSET_SINCE:
        begin_at_time(router, stream, reader, value);
        break;
    case OFFSET_AGO:
        begin_at_time(router, stream, reader, value < now ? now - value : 0);
        break;
    }
    reader->seq = reader->start;
    reader->from_ms = reader->start_ms;
}

/* What comes from now on isn't of its image. */
static void begin_image(const struct queue *queue, struct reader *reader)
{
    reader->seq = reader->told = reader->start = queue->index.tail;
    image_join(queue->stream->image, &reader->cursor);
}

void stream_join(struct router *router, struct consumer *consumer, const struct stream_wish *wish)
{
    struct reader *reader = calloc(1, sizeof *reader);
    CHECK(reader);
    reader->consumer = consumer;
    reader->fetching.waiter.wake = wake;
    reader->filter = wish->filter;
    consumer->reader = reader;
    reader->tick.ring = on_tick;
    if (consumer->queue->stream->image)
        begin_image(consumer->queue, reader);
    else
        begin(router, consumer->queue->stream, reader, wish);
    stream_update(router, consumer);
}

void stream_leave(struct router *router, struct consumer *consumer)
{
    struct reader *reader = consumer->reader;
    if (!reader)
        return;
    unlink_ready(consumer->queue->stream, reader);
    fetch_reset(router, &reader->fetching);
    if (reader->waiting)
        fetch_abandon(router, &reader->fetching);
    alarm_cancel(router, &reader->tick);
    image_leave(&reader->cursor);
    free(reader->filter);
    free(reader);
    consumer->reader = NULL;
}

void stream_resume(struct router *router, struct consumer *consumer, uint64_t seen)
{
    struct reader *reader = consumer->reader;
    if (!reader)
        return;
    const struct image *image = consumer->queue->stream->image;
    fetch_reset(router, &reader->fetching);
    if (image && image_resume(image, &reader->cursor, seen, reader->start)) {
        reader->seq = reader->told = reader->start;
        return;
    }
    reader->seq = reader->told = seen ? seen + 1 : reader->start;
    reader->from_ms = seen ? 0 : reader->start_ms;
}

void stream_forget_image(struct router *router, struct queue *queue)
{
    stream_reset_readers(router, queue->stream);
    for (struct consumer *c = queue->all; c; c = c->all_next)
        if (c->reader)
            image_leave(&c->reader->cursor);
}

void stream_reset_readers(struct router *router, struct stream *stream)
{
    for (struct consumer *c = stream->queue->all; c; c = c->all_next)
        if (c->reader)
            fetch_reset(router, &c->reader->fetching);
}

/* ---- reading ----------------------------------------------------------------------------------- */

static bool wants(struct reader *reader, const struct message *m)
{
    if (reader->from_ms) {
        if (message_arrival(m) < reader->from_ms)
            return false;
        reader->from_ms = 0;
    }
    return !reader->filter || stream_filter_passes(reader->filter, m);
}

/* since: what has gone from below this number is no gap to this reader. */
static void send(struct router *router, struct queue *queue, struct reader *reader, const struct head *head,
                 uint64_t since)
{
    struct consumer *c = reader->consumer;
    struct event_deliver to = {
        .kind = EVENT_DELIVER,
        .flags = DELIVER_OFFSET,
        .channel = c->channel,
        .ready = c->round,
        .conn = c->conn,
        .tag = c->tag,
        .queue = queue->handle,
        .seq = head->seq,
        .page = head->page->at,
        .message = head->message,
        .parts = head->entry->large ? fetch_parts(router, &reader->fetching) : NULL,
    };
    store_pin(head->page);
    if (queue->stream->image) {
        to.flags = 0;
        shape_annotate(queue, head->seq, since, &to);
    }
    router->turn.to[c->front]++;
    router->turn.delivered[c->no_ack ? DELIVERY_AUTO : DELIVERY_MANUAL]++;
    router->turn.out--;
    union event *event = router_event(router, c->front);
    event->deliver = to;
    if (__builtin_expect(queue->traced, 0))
        trace_delivered(router, &event->deliver, head->entry->body);
    c->credit -= !c->no_ack;
    c->window -= head->entry->body + 1; /* an empty message counts for something */
}

/* Whether the message stands in the page of the one before, which needs no checking: it is in memory for as
 * long as the reader walks. */
static inline bool is_beside(const struct head *head)
{
    const struct page *page = head->page;
    uint64_t at = entry_position(head->entry) / PAGE_BYTES * PAGE_BYTES;
    return page && page->at == at && !page->from_disk && page->bytes && !head->entry->large;
}

/* Brings the message into memory. False: the reader can't go on now. A message that is known to be damaged is
 * OUT: nobody looks at it again. */
static bool fetch(struct router *router, struct queue *queue, struct reader *reader, struct head *head)
{
    head->message = NULL;
    if (head->entry->state == ENTRY_OUT)
        return true;
    if (is_beside(head)) {
        head->message =
            (const struct message *)(head->page->bytes + entry_position(head->entry) % PAGE_BYTES);
        return true;
    }
    switch (fetch_message(router, &reader->fetching, head)) {
    case FETCH_THERE:
        return true;
    case FETCH_WAIT:
        reader->waiting = true;
        return false;
    case FETCH_BUSY:
        return false;
    case FETCH_DAMAGED:
        head->message = NULL;
        fetch_reset(router, &reader->fetching);
        deliver_damaged(router, queue, head);
        return true;
    }
    UNREACHABLE();
}

/* Goes on with the image; what has been replaced since the reader came is no part of it. */
static unsigned walk_image(struct router *router, struct queue *queue, struct reader *reader, unsigned most)
{
    struct image_cursor *cursor = &reader->cursor;
    struct head head = {0};
    unsigned sent = 0, looks = 0;
    for (; cursor->at && looks < LOOKS && sent < most && may_be_sent(reader); looks++) {
        head.seq = cursor->at->seq;
        head.entry = head.seq < reader->start ? index_at(&queue->index, head.seq) : NULL;
        if (!head.entry) {
            cursor->at = cursor->at->next;
            continue;
        }
        if (!link_open(&router->front[reader->consumer->front], 2) || !fetch(router, queue, reader, &head))
            break;
        if (head.message) {
            send(router, queue, reader, &head, 0);
            sent++;
            image_was_sent(cursor, head.seq);
        } else {
            cursor->at = cursor->at->next;
        }
    }
    return sent;
}

/* How far the reader may go now. */
static uint64_t limit_of(struct router *router, const struct queue *queue, struct reader *reader)
{
    const struct stream *stream = queue->stream;
    uint64_t wake_ns;
    if (!stream->image)
        return stream->visible;
    uint64_t limit =
        image_limit(queue, &reader->cursor, reader->seq, stream->visible, router->now_ns, &wake_ns);
    if (wake_ns)
        alarm_set(router, &reader->tick, wake_ns);
    return limit;
}

/* Walks on along the index. Returns how many messages were sent. */
static unsigned walk(struct router *router, struct queue *queue, struct reader *reader, unsigned most)
{
    unsigned sent = reader->cursor.at ? walk_image(router, queue, reader, most) : 0;
    struct head head = {.seq = reader->seq};
    uint64_t limit = reader->cursor.at ? 0 : limit_of(router, queue, reader);
    for (unsigned looks = 0; looks < LOOKS && sent < most && may_be_sent(reader); looks++) {
        if (head.seq >= limit)
            break;
        if (!link_open(&router->front[reader->consumer->front], 2))
            break;
        head.entry = index_alive_below(&queue->index, &head.seq, limit);
        reader->seq = head.seq;
        if (!head.entry || !fetch(router, queue, reader, &head))
            break;
        if (head.message && wants(reader, head.message)) {
            send(router, queue, reader, &head, reader->told);
            reader->told = head.seq + 1;
            sent++;
        } else {
            fetch_reset(router, &reader->fetching);
        }
        reader->seq = ++head.seq;
    }
    /* Behind the end of what an interval let it be sent there may be more, and a time to look for that. */
    if (!reader->cursor.at && reader->seq >= limit && may_be_sent(reader))
        limit = limit_of(router, queue, reader);
    reader->behind = reader->cursor.at || reader->seq < limit;
    return sent;
}

/* What the journal has made safe becomes visible; when it has failed for good, all that is in memory. */
static void look_for_safe(struct router *router, struct stream *stream)
{
    const struct store *store = &router->store;
    struct entry *e;
    if (stream->image)
        stream->visible = stream->queue->index.tail; /* numbers of values are no offsets */
    for (; (e = index_alive_from(&stream->queue->index, &stream->visible)); stream->visible++) {
        uint64_t position = entry_position(e);
        if (position >= store->safe && !(position & POSITION_TRANSIENT) && !store->failed)
            return;
    }
}

static void hold(struct router *router, struct stream *stream)
{
    if (stream->held)
        return;
    stream->held = true;
    stream->held_next = router->held;
    router->held = stream;
}

void streams_release(struct router *router)
{
    while (router->held) {
        struct stream *stream = router->held;
        router->held = stream->held_next;
        stream->held = false;
        stream->behind = true;
        queue_wake(router, stream->queue);
    }
}

bool stream_due(const struct stream *stream)
{
    return stream->ready && (stream->behind || stream->looked < stream->queue->index.tail);
}

unsigned stream_run(struct router *router, struct queue *queue, unsigned most)
{
    struct stream *stream = queue->stream;
    unsigned sent = 0, live = 0, left = stream->readies;
    bool behind = false;
    look_for_safe(router, stream);
    for (; left && sent < ROUND * most; left--) {
        struct reader *reader = stream->ready;
        stream->ready = reader->next;
        unsigned walked = walk(router, queue, reader, most);
        sent += walked;
        live += reader->seq >= stream->visible ? walked : 0;
        if (!may_be_sent(reader))
            unlink_ready(stream, reader);
        else
            behind |= reader->behind;
    }
    if (stream->visible < queue->index.tail)
        hold(router, stream);
    stream->behind = behind || left;
    stream->looked = queue->index.tail;
    queue->delivered += sent;
    return live;
}
