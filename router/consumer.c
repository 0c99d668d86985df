#include "router/consumer.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "router/agent.h"
#include "router/lapse.h"
#include "router/shape.h"
#include "router/stream.h"
#include "router/table.h"

/* ---- turns ----------------------------------------------------------------------------------- */

static struct consumer **turn_of(const struct consumer *consumer)
{
    struct queue *queue = consumer->queue;
    return consumer->rank == queue->top ? &queue->ready : &consumer->rank->ready;
}

/* rank: NULL when nobody is ready. */
static void put_on_top(struct queue *queue, struct rank *rank)
{
    if (queue->top)
        queue->top->ready = queue->ready;
    queue->top = rank;
    queue->ready = rank ? rank->ready : NULL;
}

static void unlink_ready(struct consumer *consumer)
{
    struct queue *queue = consumer->queue;
    struct consumer **turn = turn_of(consumer);
    if (!consumer->next)
        return;
    if (*turn == consumer)
        *turn = consumer->next == consumer ? NULL : consumer->next;
    consumer->prev->next = consumer->next;
    consumer->next->prev = consumer->prev;
    consumer->next = consumer->prev = NULL;
    if (queue->ready)
        return;
    struct rank *rank = queue->top->lower;
    while (rank && !rank->ready)
        rank = rank->lower;
    put_on_top(queue, rank);
}

/* Behind all others of its rank: just before the one whose turn is next. */
static void link_ready(struct consumer *consumer)
{
    struct queue *queue = consumer->queue;
    if (consumer->next)
        return;
    if (!queue->top || consumer->rank->priority > queue->top->priority)
        put_on_top(queue, consumer->rank);
    struct consumer **turn = turn_of(consumer);
    if (!*turn) {
        consumer->next = consumer->prev = *turn = consumer;
        return;
    }
    consumer->next = *turn;
    consumer->prev = (*turn)->prev;
    consumer->prev->next = consumer->next->prev = consumer;
}

/* ---- ranks ----------------------------------------------------------------------------------- */

/* Where the rank of that priority stands or would stand; *higher: the one before it, NULL if there is none.
 */
static struct rank **rank_place(struct queue *queue, int64_t priority, struct rank **higher)
{
    struct rank **at = &queue->ranks;
    for (*higher = NULL; *at && (*at)->priority > priority; at = &(*at)->lower)
        *higher = *at;
    return at;
}

/* The queue's consumers stand by priority, and by age in each: the first is the one to take over. */
static void rank_join(struct consumer *consumer, int64_t priority)
{
    struct queue *queue = consumer->queue;
    struct rank *higher, **at = rank_place(queue, priority, &higher), *rank = *at;
    if (!rank || rank->priority != priority) {
        rank = calloc(1, sizeof *rank);
        CHECK(rank);
        rank->priority = priority;
        rank->lower = *at;
        *at = rank;
    }
    struct consumer *before = rank->last ? rank->last : higher ? higher->last : NULL;
    consumer->all_prev = before;
    consumer->all_next = before ? before->all_next : queue->all;
    *(before ? &before->all_next : &queue->all) = consumer;
    if (consumer->all_next)
        consumer->all_next->all_prev = consumer;
    rank->last = consumer;
    rank->consumers++;
    consumer->rank = rank;
}

/* The consumer isn't ready: so its rank, when it was the last of it, isn't on top. */
static void rank_leave(struct consumer *consumer)
{
    struct queue *queue = consumer->queue;
    struct rank *rank = consumer->rank, *higher;
    if (rank->last == consumer)
        rank->last = consumer->all_prev; /* another rank's if this was the only one */
    *(consumer->all_prev ? &consumer->all_prev->all_next : &queue->all) = consumer->all_next;
    if (consumer->all_next)
        consumer->all_next->all_prev = consumer->all_prev;
    if (--rank->consumers)
        return;
    *rank_place(queue, rank->priority, &higher) = rank->lower;
    free(rank);
}

/* ---- the single active one ------------------------------------------------------------------- */

static bool is_of_type(const struct queue *queue, enum queue_type type)
{
    return queue->shape && settings_type(&queue->shape->settings) == type;
}

static bool is_single(const struct queue *queue)
{
    return queue->shape && queue->shape->settings.value[SETTING_SINGLE_ACTIVE] == 1;
}

/* The first of all takes over; active: the one that has been it until now, or NULL. */
static void hand_over(struct router *router, struct queue *queue, struct consumer *active)
{
    struct consumer *next = queue->all;
    if (active)
        active->held = (uint8_t)((active->held & ~HELD_LEAVING) | HELD_WAITING);
    queue->shape->active = next;
    if (!next)
        return;
    next->held &= (uint8_t)~HELD_WAITING;
    consumer_update(router, next);
}

static void leave_if_done(struct router *router, struct consumer *active)
{
    if (active->credit >= active->most)
        hand_over(router, active->queue, active);
}

/* Whether the active one is to make room for another depends on who is there. */
static void look_at_active(struct router *router, struct queue *queue)
{
    struct consumer *active = queue->shape->active;
    if (is_of_type(queue, TYPE_QUORUM) && queue->ranks && queue->ranks->priority > active->rank->priority)
        active->held |= HELD_LEAVING;
    else
        active->held &= (uint8_t)~HELD_LEAVING;
    consumer_update(router, active);
}

static void single_join(struct router *router, struct consumer *consumer)
{
    struct shape *shape = consumer->queue->shape;
    if (!shape->active) {
        shape->active = consumer;
        return;
    }
    consumer->held |= HELD_WAITING;
    look_at_active(router, consumer->queue);
}

static void single_leave(struct router *router, struct queue *queue, bool was_active)
{
    if (was_active)
        hand_over(router, queue, NULL);
    else
        look_at_active(router, queue);
}

void consumer_update(struct router *router, struct consumer *consumer)
{
    if (consumer->queue->stream) {
        stream_update(router, consumer);
        return;
    }
    if (consumer->credit > 0 && consumer->window > 0 && !consumer->held) {
        link_ready(consumer);
        queue_wake(router, consumer->queue);
        return;
    }
    unlink_ready(consumer);
    if (consumer->held & HELD_LEAVING)
        leave_if_done(router, consumer);
}

/* ---- coming and going ------------------------------------------------------------------------ */

static int64_t priority_of(const struct op *op)
{
    struct field field;
    int64_t priority = 0;
    return table_find(op->arguments, "x-priority", &field) && field_int(&field, &priority) ? priority : 0;
}

static uint64_t timeout_of(const struct op *op)
{
    uint64_t ms = NO_LIMIT;
    char text[2 * NAME_MAX_BYTES];
    settings_read_number(SETTING_CONSUMER_TIMEOUT, op->arguments, "", &ms, text, sizeof text);
    return ms;
}

/* A quorum queue's consumers are never exclusive, whatever they say: so it is in RabbitMQ. */
static bool is_exclusive(const struct queue *queue, const struct op *op)
{
    return (op->flags & OP_EXCLUSIVE) && !is_of_type(queue, TYPE_QUORUM);
}

static bool has_room_for_rank(const struct queue *queue, int64_t priority)
{
    unsigned ranks = 0;
    for (const struct rank *rank = queue->ranks; rank; rank = rank->lower, ranks++)
        if (rank->priority == priority)
            return true;
    return ranks < CONSUMER_PRIORITIES_MAX;
}

static bool check_priority(const struct queue *queue, const struct op *op, const char *what, char *text,
                           size_t text_size)
{
    struct field field;
    int64_t priority;
    if (!table_find(op->arguments, "x-priority", &field))
        return true;
    if (is_of_type(queue, TYPE_STREAM))
        snprintf(text, text_size, "invalid arg 'x-priority' for %s of queue type rabbit_stream_queue", what);
    else if (!field_int(&field, &priority))
        snprintf(text, text_size, "invalid arg 'x-priority' for %s: \"expected integer, got %s\"", what,
                 field_type_name(field.type));
    else if (!has_room_for_rank(queue, priority))
        snprintf(text, text_size,
                 "invalid arg 'x-priority' for %s: its consumers have %u different priorities already", what,
                 CONSUMER_PRIORITIES_MAX);
    else
        return true;
    return false;
}

/* It has no meaning here: nothing is mirrored. */
static bool check_failover(const struct op *op, const char *what, char *text, size_t text_size)
{
    struct field field;
    if (!table_find(op->arguments, "x-cancel-on-ha-failover", &field) || field.type == 't')
        return true;
    snprintf(text, text_size, "invalid arg 'x-cancel-on-ha-failover' for %s: {unacceptable_type,%s}", what,
             field_type_name(field.type));
    return false;
}

bool consumer_check(const struct queue *queue, const struct op *op, const char *what, char *text,
                    size_t text_size)
{
    uint64_t ms;
    return check_priority(queue, op, what, text, text_size) && check_failover(op, what, text, text_size) &&
           settings_read_number(SETTING_CONSUMER_TIMEOUT, op->arguments, what, &ms, text, text_size);
}

bool consumer_allowed(const struct queue *queue, const struct op *op)
{
    if (queue->stream && !queue->stream->image)
        return true; /* it has room for any number, whatever they say: so it is in RabbitMQ */
    if (queue->all && queue->all->exclusive)
        return false;
    return !is_exclusive(queue, op) || (!queue->consumers && !is_single(queue));
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
    consumer->exclusive = is_exclusive(queue, op);
    consumer->credit = consumer->most = consumer->no_ack ? INT64_MAX : op->prefetch;
    consumer->window = op->window;
    consumer->timeout_ms = timeout_of(op);
    consumer->handle = slots_add(&router->consumers, consumer);
    rank_join(consumer, priority_of(op));
    queue->consumers++;
    queue->had_consumer = true;
    stat_add(&router->stats.consumers, 1);
    lapse_apply(router, consumer);
    if (is_single(queue))
        single_join(router, consumer);
    consumer_update(router, consumer);
    return consumer;
}

static void forget(struct router *router, struct consumer *consumer)
{
    struct queue *queue = consumer->queue;
    unlink_ready(consumer);
    stream_leave(router, consumer);
    rank_leave(consumer);
    lapse_free(router, consumer);
    queue->consumers--;
    stat_add(&router->stats.consumers, -1);
    slots_remove(&router->consumers, consumer->handle);
    free(consumer);
}

bool queue_cancel(struct router *router, struct consumer *consumer)
{
    struct queue *queue = consumer->queue;
    bool single = is_single(queue), was_active = single && queue->shape->active == consumer;
    forget(router, consumer);
    if (single)
        single_leave(router, queue, was_active);
    if (queue->shape)
        shape_used(router, queue);
    return queue->auto_delete && queue->consumers == 0;
}

static void tell(struct router *router, const struct consumer *c, uint8_t flags)
{
    router_event(router, c->front)->cancel = (struct event_cancel){
        .kind = EVENT_CANCEL, .flags = flags, .channel = c->channel, .conn = c->conn, .tag = c->tag};
}

void consumer_lapse(struct router *router, struct consumer *consumer)
{
    if (consumer->held & HELD_LAPSED)
        return;
    consumer->held |= HELD_LAPSED;
    consumer_update(router, consumer);
    tell(router, consumer, CANCEL_LAPSED);
}

void consumers_end(struct router *router, struct queue *queue)
{
    while (queue->all) {
        tell(router, queue->all, 0);
        forget(router, queue->all);
    }
}
