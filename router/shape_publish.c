/* What a queue's shape means for a message that comes: whether it is taken, what is noted of it, and which
 * messages it drives out. */
#include "router/agent.h"
#include "router/delay.h"
#include "router/deliver.h"
#include "router/history.h"
#include "router/properties.h"
#include "router/shape.h"
#include "router/stream.h"

static bool is_over(const struct queue *queue, uint64_t more, uint64_t bytes)
{
    const struct settings *s = &queue->shape->settings;
    const struct index *index = &queue->index;
    return index->ready + more > s->value[SETTING_LENGTH] ||
           (s->value[SETTING_BYTES] != NO_LIMIT && index->ready_bytes + bytes > s->value[SETTING_BYTES]);
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
    if (known.flags & HAS_EXPIRATION && !(known.flags & HAS_ODD_EXPIRATION))
        marks->expiration_ms = known.expiration_ms;
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
        return !queue->shape->history || history_takes(queue, p);
    p->refused = true;
    return queue->shape->settings.value[SETTING_OVERFLOW] == OVERFLOW_REJECT_DLX &&
           shape_has_dead_exchange(queue->shape);
}

/* A message with a number, or a dead letter that is tried again until it is taken, goes to no other queue if
 * it is refused by one: its number isn't taken, and when it comes again those would get it twice. It goes to
 * the dead letters of those that refuse it so, each time. */
static size_t keep_refusing(struct router *router, struct publishing *p)
{
    size_t left = 0;
    for (size_t i = 0; i < p->to.count; i++) {
        struct queue *queue = queue_of(p->to.list[i]);
        if (queue->shape && shape_has_dead_exchange(queue->shape) &&
            queue->shape->settings.value[SETTING_OVERFLOW] == OVERFLOW_REJECT_DLX &&
            refuses(router, queue, p))
            p->to.list[left++] = p->to.list[i];
    }
    return left;
}

/* Most marked messages have headers for others, and are not looked at again, and nor is an expiration that
 * has been read. */
static void look(const struct publishing *p, struct marks *marks)
{
    const struct command_publish *c = p->publish;
    uint16_t has = get_be16(c->bytes + c->properties_at);
    const struct shape *first = p->to.count ? queue_of(p->to.list[0])->shape : NULL;
    if (has & HAS_PRIORITY || (has & HAS_EXPIRATION && !c->expiration) || (first && first->delay))
        marks_read(marks, span_of(c->bytes + c->properties_at, c->properties_len));
    else if (c->expiration)
        marks->expiration_ms = c->expiration - 1;
}

/* Whether it is to be noted when the message came. */
static bool wants_time(const struct queue *queue, const struct marks *marks)
{
    const struct shape *shape = queue->shape;
    return marks->expiration_ms != NO_LIMIT ||
           (shape->choosy && (settings_has(&shape->settings, SETTING_TTL) || shape->delay ||
                              (queue->stream && !queue->stream->image)));
}

void shape_publish(struct router *router, struct publishing *p, struct marks *marks)
{
    size_t left = 0;
    bool timed = false;
    *marks = (struct marks){.expiration_ms = NO_LIMIT};
    if (p->publish->flags & PUBLISH_MARKED)
        look(p, marks);
    for (size_t i = 0; i < p->to.count; i++) {
        struct queue *queue = queue_of(p->to.list[i]);
        if (marks->expiration_ms != NO_LIMIT)
            shape_for_expiration(queue);
        if (queue->shape && queue->shape->choosy && !takes(router, queue, p))
            continue;
        timed |= queue->shape && wants_time(queue, marks);
        p->to.list[left++] = p->to.list[i];
    }
    p->to.count = left;
    if (p->refused && (p->whole || publish_number(p)))
        p->to.count = keep_refusing(router, p);
    marks->arrival_ms = !timed ? 0 : p->arrived_ms ? p->arrived_ms : router_wall_ms(router);
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

/* As the queue is told: the newest, if it is seq, or what is at the head. */
static void shed_over(struct router *router, struct queue *queue, uint64_t seq)
{
    uint64_t overflow = queue->shape->settings.value[SETTING_OVERFLOW];
    bool drops = overflow == NO_LIMIT || overflow == OVERFLOW_DROP_HEAD;
    struct entry *entry = seq && !drops && is_over(queue, 0, 0) ? index_at(&queue->index, seq) : NULL;
    if (entry)
        shape_shed(router, queue, seq, entry, DEATH_MAXLEN);
    while (drops && is_over(queue, 0, 0) && (entry = index_head(&queue->index, &seq)))
        shape_shed(router, queue, seq, entry, DEATH_MAXLEN);
}

/* What has just come isn't the head: nothing else has left, and the alarm is set for what is. */
static bool is_behind(const struct queue *queue, uint64_t ready)
{
    return queue->shape->expiry.timer.place && ready > 1 && queue->index.ready == ready &&
           !queue->index.lanes;
}

/* seq: 0 if nothing is new, but something has come back. */
void shape_pushed(struct router *router, struct queue *queue, uint64_t seq)
{
    uint64_t ready = queue->index.ready;
    if (queue->stream) {
        stream_trim(router, queue->stream);
        return;
    }
    if (queue->shape->delay) {
        if (seq)
            delay_add(router, queue, seq, index_note(&queue->index, seq).expires);
        return;
    }
    bool over = is_over(queue, 0, 0);
    if (over)
        deliver_first(router, queue);
    if (!queue->ready)
        shape_expire(router, queue);
    if (over)
        shed_over(router, queue, seq);
    if (!seq) /* what has come back may go sooner than what the alarm was set for */
        alarm_cancel(router, &queue->shape->expiry);
    else if (is_behind(queue, ready))
        return;
    shape_watch(router, queue);
}
