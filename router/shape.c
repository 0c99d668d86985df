#include "router/shape.h"

#include <stdlib.h>

#include "base/check.h"
#include "router/agent.h"
#include "router/delay.h"
#include "router/deliver.h"
#include "router/image.h"
#include "router/lanes.h"
#include "router/lapse.h"
#include "router/stream.h"

/* RabbitMQ 4's for quorum queues. */
#define DELIVERY_LIMIT_DEFAULT 20u

/* ---- alarms -------------------------------------------------------------------------------------- */

void shape_expire(struct router *router, struct queue *queue)
{
    uint64_t seq, now = router_wall_ms(router);
    struct entry *entry;
    if (queue->shape->delay)
        delay_expire(router, queue);
    if (queue->shape->delay || !queue->index.has_notes)
        return;
    while ((entry = index_head(&queue->index, &seq))) {
        uint64_t expires = index_note(&queue->index, seq).expires;
        if (!expires || expires > now)
            break;
        shape_shed(router, queue, seq, entry, DEATH_EXPIRED);
    }
}

static void on_expiry(struct router *router, struct alarm *alarm)
{
    struct queue *queue = container_of(alarm, struct shape, expiry)->queue;
    shape_expire(router, queue);
    shape_watch(router, queue);
}

static void on_retry(struct router *router, struct alarm *alarm)
{
    dead_letter_retry(router, container_of(alarm, struct shape, retry)->queue);
}

static void on_idle(struct router *router, struct alarm *alarm)
{
    struct shape *shape = container_of(alarm, struct shape, idle);
    uint64_t until = shape->used_ns + shape->settings.value[SETTING_EXPIRES] * 1000000;
    if (shape->queue->consumers || !settings_has(&shape->settings, SETTING_EXPIRES))
        return;
    if (until > router->now_ns)
        alarm_set(router, alarm, until);
    else
        router_delete_queue(router, shape->queue);
}

void shape_used(struct router *router, struct queue *queue)
{
    struct shape *shape = queue->shape;
    shape->used_ns = router->now_ns;
    if (settings_has(&shape->settings, SETTING_EXPIRES) && !queue->consumers)
        alarm_set(router, &shape->idle, router->now_ns + shape->settings.value[SETTING_EXPIRES] * 1000000);
}

/* An alarm that is set for earlier stays: it rings once in vain rather than be moved with each message. Where
 * all messages have the queue's time to live, none of those behind the one it was set for goes sooner. */
void shape_watch(struct router *router, struct queue *queue)
{
    struct shape *shape = queue->shape;
    uint64_t seq;
    bool set = shape->expiry.timer.place;
    if (!queue->index.has_notes || shape->delay || (set && !shape->mixed))
        return; /* what is delayed is watched by the earliest, which is not the head */
    struct entry *entry = index_head(&queue->index, &seq);
    uint64_t expires = entry ? index_note(&queue->index, seq).expires : 0;
    if (expires && (!set || router_when_ns(router, expires) < shape->expiry.timer.at))
        alarm_set(router, &shape->expiry, router_when_ns(router, expires));
}

/* ---- making one ---------------------------------------------------------------------------------- */

static struct shape *make(struct queue *queue)
{
    struct shape *shape = calloc(1, sizeof *shape);
    CHECK(shape);
    shape->queue = queue;
    shape->expiry.ring = on_expiry;
    shape->idle.ring = on_idle;
    shape->retry.ring = on_retry;
    gaps_init(&shape->gaps);
    queue->index.noted = true;
    return queue->shape = shape;
}

/* What each message would else have to ask the settings for. */
static void sum_up(struct shape *shape)
{
    const struct settings *s = &shape->settings;
    uint64_t overflow = s->value[SETTING_OVERFLOW];
    const struct stream *stream = shape->queue->stream;
    shape->choosy = overflow == OVERFLOW_REJECT || overflow == OVERFLOW_REJECT_DLX || shape->history ||
                    shape->delay || settings_has(s, SETTING_TTL) || (stream && !stream->image);
    shape->tells = settings_type(s) == TYPE_QUORUM || s->value[SETTING_SEQUENCE] == 1 ||
                   span_starts(name_span(&shape->queue->name), SESSION_PREFIX);
}

/* Until everything is replayed priorities are only noted; then persist_replayed sorts. */
static void order(struct router *router, struct queue *queue)
{
    uint64_t highest = queue->shape->settings.value[SETTING_PRIORITY];
    if (highest != NO_LIMIT && !queue->index.lanes && !router->recovering)
        index_order(&queue->index, (uint8_t)highest);
}

void shape_apply(struct router *router, struct queue *queue, const struct settings *settings)
{
    if (!settings->any && !queue->shape)
        return;
    bool other_times =
        queue->shape && queue->shape->settings.value[SETTING_TTL] != settings->value[SETTING_TTL];
    struct shape *shape = queue->shape ? queue->shape : make(queue);
    shape->mixed |= other_times || settings_has(settings, SETTING_PRIORITY);
    shape->settings = *settings;
    bool last_value = settings_has(settings, SETTING_LAST_VALUE);
    if ((settings_type(settings) == TYPE_STREAM || last_value) && !queue->stream) {
        queue->stream = stream_new(queue);
        queue->stream->image = last_value ? image_new() : NULL;
        queue->index.noted = false;
    }
    sum_up(shape);
    order(router, queue);
    reservation_apply(router, queue, settings);
    if (router->recovering)
        return;
    shape_used(router, queue);
    shape_pushed(router, queue, 0);
    lapses_apply(router, queue);
}

void shape_for_expiration(struct queue *queue)
{
    if (queue->shape)
        return;
    settings_load(&make(queue)->settings, (struct span){NULL, 0});
    sum_up(queue->shape);
}

static void wake(struct map_node *node, void *owner)
{
    struct router *router = owner;
    struct queue *queue = container_of(node, struct queue, by_name);
    if (queue->shape && queue->shape->delay)
        delay_wake(router, queue);
    if (!queue->shape || queue->shape->delay)
        return;
    order(router, queue);
    shape_used(router, queue);
    shape_pushed(router, queue, 0);
}

void shape_for_delay(struct queue *queue, struct delay *delay)
{
    shape_for_expiration(queue);
    queue->shape->delay = delay;
    sum_up(queue->shape);
}

void shape_for_history(struct queue *queue)
{
    shape_for_expiration(queue);
    queue->shape->history = true;
    sum_up(queue->shape);
}

void shapes_wake(struct router *router)
{
    router->awake = true;
    map_each(&router->catalog.queues, wake, router);
}

void shape_free(struct router *router, struct queue *queue)
{
    struct shape *shape = queue->shape;
    if (!shape)
        return;
    reservation_apply(router, queue, NULL);
    alarm_cancel(router, &shape->expiry);
    alarm_cancel(router, &shape->idle);
    alarm_cancel(router, &shape->retry);
    dead_letters_free(&shape->dead);
    stream_free(router, queue->stream);
    gaps_free(&shape->gaps);
    if (shape->delay)
        due_heap_free(&shape->delay->heap);
    free(shape->delay);
    free(shape);
    queue->shape = NULL;
}

/* ---- a delivery ---------------------------------------------------------------------------------- */

bool shape_due(const struct router *router, const struct queue *queue)
{
    return (queue->stream && stream_due(queue->stream)) || dead_letter_due(router, queue);
}

bool shape_run(struct router *router, struct queue *queue, unsigned most)
{
    return dead_letter_run(router, queue, most);
}

static bool is_expired(const struct router *router, struct entry_note note)
{
    return note.expires && note.expires < router_wall_ms(router);
}

static bool is_sequenced(const struct queue *queue)
{
    return queue->shape->settings.value[SETTING_SEQUENCE] == 1;
}

static void note_gap(struct router *router, struct queue *queue, uint64_t seq, enum gap_reason reason)
{
    if (!is_sequenced(queue))
        return;
    gaps_add(&queue->shape->gaps, seq, seq, reason);
    if (queue->number)
        persist_gap(router, queue->number, &(struct gap){seq, seq, reason});
}

void shape_conflated(struct router *router, struct queue *queue, uint64_t seq)
{
    if (!router->recovering)
        note_gap(router, queue, seq, GAP_CONFLATED);
}

/* Only quorum queues count. */
static bool is_spent(const struct queue *queue, struct entry_note note)
{
    uint64_t limit = queue->shape->settings.value[SETTING_DELIVERY_LIMIT];
    if (!note.attempts)
        return false;
    return note.attempts > (limit == NO_LIMIT ? DELIVERY_LIMIT_DEFAULT : limit);
}

/* One that had been delivered too often when the broker ended is in the queue again. */
bool shape_is_over(const struct router *router, const struct queue *queue, uint64_t seq,
                   enum death_reason *why)
{
    struct entry_note note = index_note(&queue->index, seq);
    *why = is_expired(router, note) ? DEATH_EXPIRED : DEATH_LIMIT;
    return *why == DEATH_EXPIRED || is_spent(queue, note);
}

void shape_shed(struct router *router, struct queue *queue, uint64_t seq, struct entry *entry,
                enum death_reason reason)
{
    if (reason == DEATH_EXPIRED || reason == DEATH_MAXLEN)
        note_gap(router, queue, seq, reason == DEATH_EXPIRED ? GAP_EXPIRED : GAP_MAXLEN);
    if (shape_has_dead_exchange(queue->shape)) {
        dead_letter_add(router, queue, seq, entry, reason);
        return;
    }
    deliver_reset(router, queue);
    queue_kill(router, queue, seq, entry);
}

struct starting {
    struct router *router;
    struct queue *queue;
};

static void shed_again(const struct gap *gap, void *owner)
{
    const struct starting *s = owner;
    uint64_t seq = gap->from;
    enum death_reason reason = gap->reason == GAP_EXPIRED ? DEATH_EXPIRED : DEATH_MAXLEN;
    for (struct entry *entry; gap->reason != GAP_CONFLATED; seq++) {
        entry = index_ready_from(&s->queue->index, &seq);
        if (!entry || seq > gap->to)
            return;
        dead_letter_add(s->router, s->queue, seq, entry, reason);
    }
}

void shape_started(struct router *router, struct queue *queue)
{
    if (shape_has_dead_exchange(queue->shape))
        gaps_each(&queue->shape->gaps, shed_again, &(struct starting){router, queue});
}

void shape_killed(struct queue *queue, uint64_t seq)
{
    struct gaps *gaps = &queue->shape->gaps;
    if (!gaps->by_end.count)
        return;
    if (!gaps_end_at(gaps, seq))
        gaps_drop_before(gaps, seq);
    else if (!index_at(&queue->index, seq - 1))
        gaps_join(gaps, seq);
}

static void tell_gaps(const struct queue *queue, uint64_t seq, uint64_t since, struct event_deliver *to)
{
    struct gap gap[GAPS_MAX];
    uint32_t n = gaps_before(&queue->shape->gaps, seq, gap);
    while (n && gap[n - 1].to < since)
        n--;
    if (n && gap[n - 1].from < since)
        gap[n - 1].from = since;
    if (!n)
        return;
    if (!to->parts) {
        to->parts = malloc(sizeof *to->parts);
        CHECK(to->parts);
        to->parts->n = 0;
    }
    to->parts->gaps = n;
    memcpy(to->parts->gap, gap, n * sizeof *gap);
}

void shape_annotate(const struct queue *queue, uint64_t seq, uint64_t since, struct event_deliver *to)
{
    bool counts = settings_type(&queue->shape->settings) == TYPE_QUORUM;
    uint64_t attempts = index_note(&queue->index, seq).attempts;
    if (attempts && !counts) {
        to->flags |= DELIVER_RECEIVED;
        attempts = 0;
    }
    if (is_sequenced(queue)) {
        to->flags |= DELIVER_SEQUENCE;
        tell_gaps(queue, seq, since, to);
    }
    if (!attempts)
        return;
    to->flags |= DELIVER_ATTEMPTS;
    if (to->flags & DELIVER_GET)
        to->tag = attempts;
    else
        to->ready |= (uint32_t)attempts << DELIVER_ROUND_BITS;
}

/* Noted as an attempt, which only quorum queues count else, and sessions have none. */
void shape_received(struct router *router, struct queue *queue, uint64_t seq, const struct entry *entry)
{
    shape_for_expiration(queue);
    struct entry_note note = index_note(&queue->index, seq);
    if (settings_type(&queue->shape->settings) == TYPE_QUORUM || note.attempts)
        return;
    note.attempts = 1;
    index_set_note(&queue->index, seq, note);
    if (queue->number && !(entry_position(entry) & POSITION_TRANSIENT))
        persist_note(router, queue->number, seq, note);
}

bool shape_returned(struct router *router, struct queue *queue, uint64_t seq, struct entry *entry)
{
    const struct settings *s = &queue->shape->settings;
    struct entry_note note = index_note(&queue->index, seq);
    if (settings_type(s) != TYPE_QUORUM)
        return true;
    note.attempts += note.attempts < ATTEMPTS_MAX;
    index_set_note(&queue->index, seq, note);
    if (queue->number && !(entry_position(entry) & POSITION_TRANSIENT))
        persist_note(router, queue->number, seq, note);
    if (!is_spent(queue, note))
        return true;
    shape_shed(router, queue, seq, entry, DEATH_LIMIT);
    return false;
}
