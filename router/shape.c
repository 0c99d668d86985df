#include "router/shape.h"

#include <stdlib.h>

#include "base/check.h"
#include "router/agent.h"
#include "router/delay.h"
#include "router/deliver.h"
#include "router/history.h"
#include "router/image.h"
#include "router/lanes.h"
#include "router/lapse.h"
#include "router/properties.h"
#include "router/stream.h"

/* RabbitMQ 4's for quorum queues. */
#define DELIVERY_LIMIT_DEFAULT 20u

static struct queue *queue_of(struct destination *destination)
{
    return container_of(destination, struct queue, destination);
}

/* ---- alarms -------------------------------------------------------------------------------------- */

/* What has come to its time leaves the head. */
static void expire(struct router *router, struct queue *queue)
{
    uint64_t seq, now = router_wall_ms(router);
    struct entry *entry;
    if (queue->shape->delay)
        delay_expire(router, queue);
    while (!queue->shape->delay && (entry = index_head(&queue->index, &seq))) {
        uint64_t expires = index_note(&queue->index, seq).expires;
        if (!expires || expires > now)
            break;
        shape_shed(router, queue, seq, entry, DEATH_EXPIRED);
    }
}

static void on_expiry(struct router *router, struct alarm *alarm)
{
    struct queue *queue = container_of(alarm, struct shape, expiry)->queue;
    expire(router, queue);
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
    if (shape->delay || (set && !shape->mixed))
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
    order(router, queue);
    if (router->recovering)
        return;
    shape_used(router, queue);
    shape_pushed(router, queue, 0);
    lapses_apply(router, queue);
}

void shape_for_expiration(struct queue *queue)
{
    if (!queue->shape)
        settings_load(&make(queue)->settings, (struct span){NULL, 0});
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

/* ---- a publish ----------------------------------------------------------------------------------- */

static bool is_over(const struct queue *queue, uint64_t more, uint64_t bytes)
{
    const struct settings *s = &queue->shape->settings;
    const struct index *index = &queue->index;
    return index->ready + more > s->value[SETTING_LENGTH] ||
           (s->value[SETTING_BYTES] != NO_LIMIT && index->ready_bytes + bytes > s->value[SETTING_BYTES]);
}

static bool has_dead_exchange(const struct queue *queue)
{
    return settings_has(&queue->shape->settings, SETTING_DEAD_EXCHANGE);
}

void marks_read(struct marks *marks, struct span properties)
{
    struct properties known;
    *marks = (struct marks){.expiration_ms = NO_LIMIT};
    if (!properties_read(properties, &known))
        return;
    marks->priority = known.priority;
    int64_t delay = header_delay(known.headers);
    marks->delay_ms = delay <= 0 ? 0 : (uint64_t)delay < EXPIRATION_MAX ? (uint64_t)delay : EXPIRATION_MAX;
    if (!(known.flags & HAS_EXPIRATION) || !expiration_ms(known.expiration, &marks->expiration_ms))
        marks->expiration_ms = NO_LIMIT;
}

/* Consumers that can take messages do so before a limit or a time counts. */
static void deliver_first(struct router *router, struct queue *queue)
{
    if (queue->ready)
        queue_deliver(router, queue, UINT32_MAX);
}

/* Of a full queue that refuses, the message goes nowhere; with reject-publish-dlx it goes through, to the
 * dead letters (shape_pushed). */
static bool refuses(struct router *router, struct queue *queue, const struct publishing *p)
{
    uint64_t overflow = queue->shape->settings.value[SETTING_OVERFLOW], len = p->publish->total_len;
    if ((overflow != OVERFLOW_REJECT && overflow != OVERFLOW_REJECT_DLX) || !is_over(queue, 1, len))
        return false;
    deliver_first(router, queue);
    return is_over(queue, 1, len) && !(queue->ready && queue->index.ready == 0);
}

static bool takes(struct router *router, struct queue *queue, struct publishing *p)
{
    if (!refuses(router, queue, p))
        return true;
    p->refused = true;
    return queue->shape->settings.value[SETTING_OVERFLOW] == OVERFLOW_REJECT_DLX && has_dead_exchange(queue);
}

/* A message with a number that is refused by one goes to no other: its number isn't taken, and when it comes
 * again those would get it twice. It goes to the dead letters of those that refuse it so, each time. */
static size_t keep_refusing(struct router *router, struct publishing *p)
{
    size_t left = 0;
    for (size_t i = 0; i < p->to.count; i++) {
        struct queue *queue = queue_of(p->to.list[i]);
        if (queue->shape && has_dead_exchange(queue) &&
            queue->shape->settings.value[SETTING_OVERFLOW] == OVERFLOW_REJECT_DLX &&
            refuses(router, queue, p))
            p->to.list[left++] = p->to.list[i];
    }
    return left;
}

/* Most marked messages have headers for others, and are not looked at again. */
static bool says_something(const struct publishing *p)
{
    const struct command_publish *c = p->publish;
    const struct shape *first = p->to.count ? queue_of(p->to.list[0])->shape : NULL;
    return get_be16(c->bytes + c->properties_at) & (HAS_EXPIRATION | HAS_PRIORITY) || (first && first->delay);
}

void shape_publish(struct router *router, struct publishing *p, struct marks *marks)
{
    const struct command_publish *c = p->publish;
    size_t left = 0;
    bool timed = false, marked = c->flags & PUBLISH_MARKED && says_something(p);
    *marks = (struct marks){.expiration_ms = NO_LIMIT};
    if (marked)
        marks_read(marks, span_of(c->bytes + c->properties_at, c->properties_len));
    for (size_t i = 0; i < p->to.count; i++) {
        struct queue *queue = queue_of(p->to.list[i]);
        if (marks->expiration_ms != NO_LIMIT)
            shape_for_expiration(queue);
        if (queue->shape && !takes(router, queue, p))
            continue;
        if (queue->shape && queue->shape->history && !history_takes(queue, p))
            continue;
        timed |=
            marks->expiration_ms != NO_LIMIT ||
            (queue->shape && (settings_has(&queue->shape->settings, SETTING_TTL) || queue->shape->delay)) ||
            (queue->stream && !queue->stream->image);
        p->to.list[left++] = p->to.list[i];
    }
    p->to.count = left;
    if (p->refused && publish_number(p))
        p->to.count = keep_refusing(router, p);
    marks->arrival_ms = timed ? router_wall_ms(router) : 0;
    p->marks = marks;
}

struct entry_note shape_note(const struct queue *queue, const struct marks *marks)
{
    struct entry_note note = {0};
    const struct settings *s = &queue->shape->settings;
    uint64_t ttl =
        s->value[SETTING_TTL] < marks->expiration_ms ? s->value[SETTING_TTL] : marks->expiration_ms;
    if (queue->shape->delay)
        ttl = marks->delay_ms; /* its own expiration counts from when it has been delayed */
    if (ttl != NO_LIMIT && marks->arrival_ms)
        note.expires = marks->arrival_ms + ttl;
    if (settings_has(s, SETTING_PRIORITY))
        note.priority = marks->priority;
    queue->shape->mixed |= marks->expiration_ms != NO_LIMIT;
    return note;
}

/* seq: 0 if nothing is new, but something has come back. */
void shape_pushed(struct router *router, struct queue *queue, uint64_t seq)
{
    uint64_t overflow = queue->shape->settings.value[SETTING_OVERFLOW], head;
    if (queue->stream) {
        stream_trim(router, queue->stream);
        return;
    }
    bool drops = overflow == NO_LIMIT || overflow == OVERFLOW_DROP_HEAD;
    if (queue->shape->delay) {
        if (seq)
            delay_add(router, queue, seq, index_note(&queue->index, seq).expires);
        return;
    }
    if (is_over(queue, 0, 0))
        deliver_first(router, queue);
    if (!queue->ready)
        expire(router, queue);
    struct entry *entry = seq && !drops && is_over(queue, 0, 0) ? index_at(&queue->index, seq) : NULL;
    if (entry)
        shape_shed(router, queue, seq, entry, DEATH_MAXLEN);
    while (drops && is_over(queue, 0, 0) && (entry = index_head(&queue->index, &head)))
        shape_shed(router, queue, head, entry, DEATH_MAXLEN);
    if (!seq) /* what has come back may go sooner than what the alarm was set for */
        alarm_cancel(router, &queue->shape->expiry);
    shape_watch(router, queue);
}

/* ---- a delivery ---------------------------------------------------------------------------------- */

bool shape_due(const struct router *router, const struct queue *queue)
{
    return queue->stream ? stream_due(queue->stream) : dead_letter_due(router, queue);
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
    if (has_dead_exchange(queue)) {
        dead_letter_add(router, queue, seq, entry, reason);
        return;
    }
    deliver_reset(router, queue);
    queue_kill(router, queue, seq, entry);
}

void shape_killed(struct queue *queue, uint64_t seq)
{
    struct gaps *gaps = &queue->shape->gaps;
    if (gaps->by_end.count && !gaps_end_at(gaps, seq))
        gaps_drop_before(gaps, seq);
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
    uint64_t attempts = counts ? index_note(&queue->index, seq).attempts : 0;
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
