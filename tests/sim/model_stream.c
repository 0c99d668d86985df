/* Streams: every message has a place for ever, its offset, and every consumer gets all from where it began.
 */
#include "model_stream.h"

#include <stdlib.h>
#include <string.h>

#include "model_leave.h"

#define U(n) ((unsigned long long)(n))

bool model_keeps(const struct known_queue *queue)
{
    return queue->settings.stream || queue->settings.last_value.s[0];
}

bool model_stores(const struct known_queue *queue)
{
    return queue->settings.stream;
}

bool model_is_kept(const struct known_message *m)
{
    for (unsigned i = 0; i < m->entry_count; i++)
        if (m->entries[i]->queue->settings.stream)
            return true;
    return m->delay_ms; /* or an exchange that lets it wait */
}

/* ---- consumers ------------------------------------------------------------------------------------ */

void model_stream_asked(const struct known_channel *channel, struct known_request *q)
{
    if (q->method == BASIC_GET || q->method == QUEUE_PURGE)
        q->wrong = MAY_540;
    else if (q->method != BASIC_CONSUME)
        return;
    else if (!channel->prefetch)
        q->wrong = MAY_406;
    else if (q->no_ack || (channel->limit && channel->limit_before))
        q->wrong = MAY_540;
    else if (channel->limit || channel->limit_before)
        q->wrong = MAY_540 | MAY_OK;
}

/* Another exclusive consumer is looked for first. */
unsigned model_expect_stream(const struct known_queue *queue, const struct known_request *q, unsigned then)
{
    if (!queue || !model_keeps(queue) || !q->wrong || (!model_stores(queue) && q->method != BASIC_GET))
        return then;
    return (then & ~(unsigned)MAY_OK) | (then & MAY_OK ? q->wrong : 0);
}

void model_stream_joins(const struct model *model, struct known_consumer *c, const struct known_request *q)
{
    c->cursor = q->cursor;
    c->cursor.shown = c->queue->shown_count;
    c->cursor.asked = model->clock;
    model_cursor_joins(c);
}

/* ---- deliveries ------------------------------------------------------------------------------------ */

int64_t model_offset(const struct said *said)
{
    struct table_field field;
    bool found = model_find_header(said->properties, "x-stream-offset", &field);
    return found && field.type == 'l' ? field.number : -1;
}

bool model_is_shortened(const struct known_queue *queue)
{
    return queue->least.stream_bytes >= 0 || queue->least.age_ms >= 0;
}

/* Whether it is surely there though the stream is shortened: it is young, and it, and all that may have come
 * after it, fit. */
static bool stays(const struct model *model, const struct known_entry *e)
{
    const struct known_queue *q = e->queue;
    const struct known_settings *least = &q->least;
    uint64_t bytes = 0;
    if (!model_is_shortened(q))
        return true;
    if (q->remembered ||
        (least->age_ms >= 0 && model->now_ms > e->message->begun_ms + (uint64_t)least->age_ms))
        return false;
    for (unsigned i = 0; least->stream_bytes >= 0 && i < q->entry_count; i++) {
        const struct known_entry *o = q->entries[i];
        if (o->present != NO && (o == e || !model_before(q, o->message, e->message)))
            bytes += o->message->body.len;
    }
    return least->stream_bytes < 0 || bytes <= (uint64_t)least->stream_bytes;
}

/* What is passed over has gone from the front; what surely stays hasn't. */
static void check_gone(const struct model *model, const struct known_consumer *c, uint64_t from, uint64_t to)
{
    const struct known_queue *q = c->queue;
    for (uint64_t i = from; i < to && i < q->shown_count; i++) {
        const struct known_entry *e = q->shown[i];
        if (e && e->present == YES && e->kept && q->thing.there == YES && model_cursor_wants(c, e) &&
            stays(model, e))
            history_fail("m%llu, at offset %llu of stream '%s', has left it too early: consumer '%s' is sent "
                         "%llu next",
                         U(e->message->number), U(i), q->name.s, c->tag.s, U(to));
    }
}

/* What its queue is told now held when the consumer came. */
static bool is_settled(const struct known_consumer *c)
{
    const struct known_queue *q = c->queue;
    return !q->perhaps_other && !q->remembered && (!q->varied || (!q->flux && c->begun > q->reshaped));
}

/* All that had been shown when the consumer came, and stands behind the first that it gets, was there with
 * it: that can't be longer than the stream may be, but for the newest message. */
static void check_length(const struct known_consumer *c, uint64_t offset)
{
    const struct known_queue *q = c->queue;
    const struct known_settings *s = &q->settings;
    uint64_t bytes = 0;
    bool judged = s->stream_bytes >= 0 && s->segment >= 0 && is_settled(c);
    for (uint64_t i = offset; judged && i < c->cursor.shown && i < q->shown_count; i++)
        bytes += q->shown[i] ? q->shown[i]->message->body.len : 0;
    if (judged && offset + 1 < c->cursor.shown && bytes > (uint64_t)(s->stream_bytes + s->segment))
        history_fail("consumer '%s' is sent offset %llu of stream '%s': it and what comes after it are %llu "
                     "bytes, and "
                     "the stream may have %lld and %lld",
                     c->tag.s, U(offset), q->name.s, U(bytes), (long long)s->stream_bytes,
                     (long long)s->segment);
}

/* Messages go by marks, each of which is of so many, or of a second's: what came with an older mark, behind
 * which there is another, was gone when the consumer came. The router may take the consumer before it looks
 * at the clock, which has leapt by up to SLACK_MS. */
static void check_age(const struct known_consumer *c, const struct known_entry *e, uint64_t offset)
{
    enum { MARK_MESSAGES = 4, MARK_MS = 1000, SLACK_MS = 770 };
    const struct known_queue *q = c->queue;
    const struct known_message *m = e->message;
    uint64_t least_ms = (uint64_t)q->settings.age_ms + MARK_MS + SLACK_MS;
    bool judged = q->settings.age_ms >= 0 && is_settled(c);
    bool simple = m->closed && !m->late && !m->loose && !m->delay_ms;
    if (judged && simple && offset + MARK_MESSAGES < c->cursor.shown &&
        m->closed_ms + least_ms < c->begun_ns / 1000000)
        history_fail(
            "m%llu, at offset %llu, is sent to consumer '%s': it was %llu ms old, and stream '%s' keeps what "
            "is %lld",
            U(m->number), U(offset), c->tag.s, U(c->begun_ns / 1000000 - m->closed_ms), q->name.s,
            (long long)q->settings.age_ms);
}

static void check_first(const struct model *model, const struct known_consumer *c,
                        const struct known_entry *e, uint64_t offset)
{
    const struct known_cursor *at = &c->cursor;
    const struct known_message *m = e->message;
    bool wrong = model_cursor_is_wrong(at, m, offset, model_is_shortened(c->queue));
    if (wrong)
        model_cursor_note(c);
    if (wrong)
        history_fail(
            "m%llu, at offset %llu, is the first that consumer '%s' gets from stream '%s': that isn't "
            "where it wanted to begin",
            U(m->number), U(offset), c->tag.s, c->queue->name.s);
    if (at->kind != CURSOR_NEXT && at->kind != CURSOR_LAST)
        check_gone(model, c, at->kind == CURSOR_NUMBER ? at->number : 0, offset);
    check_length(c, offset);
    check_age(c, e, offset);
}

/* Without a gap, but for what has gone from the front since. */
static void check_cursor(const struct model *model, const struct known_consumer *c,
                         const struct known_entry *e, uint64_t offset)
{
    uint64_t next = c->cursor.next;
    bool sure = !c->unsure && !c->queue->gone;
    if (!next && sure)
        check_first(model, c, e, offset);
    if (next && sure)
        check_gone(model, c, next, offset);
    bool gaps = model_is_shortened(c->queue) || c->cursor.filters;
    if (next && (offset < next || (offset > next && !gaps)))
        history_fail("m%llu, at offset %llu of stream '%s', comes to consumer '%s' after offset %llu",
                     U(e->message->number), U(offset), c->queue->name.s, c->tag.s, U(next - 1));
}

static void check_neighbours(const struct known_queue *q, const struct known_entry *e, uint64_t offset)
{
    for (uint64_t i = 0; i < q->shown_count; i++) {
        const struct known_entry *o = q->shown[i];
        if (!o || o == e)
            continue;
        if (i < offset ? model_before(q, e->message, o->message) : model_before(q, o->message, e->message))
            history_fail("m%llu is at offset %llu of stream '%s' and m%llu at %llu: that is not their order",
                         U(e->message->number), U(offset), q->name.s, U(o->message->number), U(i));
    }
}

/* One that comes a second time when the journal has failed may be gone from there, and is where it was. */
static void put(const struct model *model, struct known_queue *q, struct known_entry *e, uint64_t offset)
{
    while (q->shown_count <= offset) {
        q->shown = model_room(q->shown, q->shown_count, sizeof *q->shown);
        q->shown[q->shown_count++] = NULL;
    }
    q->shown[offset] = e;
    if (!e->offset || !model->failed)
        e->offset = offset + 1;
}

/* An offset that somebody has seen means that message for ever. */
static void learn(const struct model *model, struct known_queue *q, struct known_entry *e, uint64_t offset)
{
    const struct known_entry *was = offset < q->shown_count ? q->shown[offset] : NULL;
    uint64_t number = e->message->number;
    if (was && was != e)
        history_fail("m%llu is at offset %llu of stream '%s', where m%llu was", U(number), U(offset),
                     q->name.s, U(was->message->number));
    /* A delayed message that was leaving when the broker was killed may have come, and come once more. */
    bool twice = e->message->original || e->message->late;
    if (e->offset && e->offset != offset + 1 && !twice)
        history_fail("m%llu is at offset %llu of stream '%s', but was at %llu", U(number), U(offset),
                     q->name.s, U(e->offset - 1));
    if (!was) {
        check_neighbours(q, e, offset);
        put(model, q, e, offset);
    }
    e->kept |= !model->failed;
    if (q->thing.there == YES && e->present != YES) {
        e->present = YES;
        e->since = model->clock;
    }
}

void model_stream_takes(struct model *model, struct known_entry *e, struct known_consumer *c,
                        bool redelivered, int64_t offset)
{
    const struct known_message *m = e->message;
    struct known_queue *q = e->queue;
    if (redelivered)
        history_fail("m%llu came from stream '%s' marked redelivered", U(m->number), q->name.s);
    if (offset < 0)
        history_fail("m%llu came from stream '%s' without its offset", U(m->number), q->name.s);
    if (m->nowhere || (e->present == NO && !q->gone))
        history_fail("m%llu was delivered from stream '%s', but can't be there", U(m->number), q->name.s);
    if (!model_cursor_passes(&c->cursor, m))
        history_fail("m%llu came from stream '%s' to consumer '%s', which has filtered it out", U(m->number),
                     q->name.s, c->tag.s);
    history_note("model: offset %lld", (long long)offset);
    check_cursor(model, c, e, (uint64_t)offset);
    if (!c->cursor.next)
        c->cursor.first = e;
    c->cursor.next = (uint64_t)offset + 1;
    if (!c->unsure && !q->gone && q == c->queue)
        learn(model, q, e, (uint64_t)offset);
}

/* ---- what is owed ------------------------------------------------------------------------------------ */

void model_stream_owed(const struct model *model, const struct known_queue *q, const struct known_consumer *c)
{
    const struct known_cursor *at = &c->cursor;
    uint64_t sure = 0;
    const struct known_entry *last = NULL;
    for (unsigned i = 0; i < q->entry_count; i++) {
        const struct known_entry *e = q->entries[i];
        if (e->present != YES)
            continue;
        sure++;
        last = e;
        bool has = e->offset && at->next && e->offset <= at->next;
        bool owed =
            !has && model_cursor_passes(at, e->message) && model_cursor_is_behind(c, e) && stays(model, e);
        if (owed)
            model_cursor_note(c);
        if (owed)
            history_fail("m%llu is in stream '%s', and consumer '%s' of stream %llu isn't sent it",
                         U(e->message->number), q->name.s, c->tag.s, U(c->stream));
    }
    if (!at->next && !at->filters && at->kind == CURSOR_NUMBER && sure > at->number && !model_is_shortened(q))
        history_fail(
            "stream '%s' has %llu messages, m%llu among them, and consumer '%s' of stream %llu isn't "
            "sent what is at %llu",
            q->name.s, U(sure), U(last->message->number), c->tag.s, U(c->stream), U(at->number));
}

/* ---- doubts ------------------------------------------------------------------------------------------ */

void model_stream_forgets(struct known_queue *q)
{
    for (unsigned i = 0; i < q->entry_count; i++) {
        q->entries[i]->offset = 0;
        q->entries[i]->kept = false;
    }
    q->shown_count = q->shed_count = 0;
    q->holes = true;
}

/* What was shown when the journal had failed may not have been safe. */
void model_stream_down(const struct model *model, struct known_queue *q)
{
    for (uint64_t i = 0; model->failed && i < q->shown_count; i++) {
        struct known_entry *e = q->shown[i];
        bool first = e && e->offset == i + 1;
        if (!e || (first && (e->kept || (e->message->safe && !e->message->delay_ms))))
            continue;
        e->offset = first ? 0 : e->offset;
        q->shown[i] = NULL;
    }
    while (q->shown_count && !q->shown[q->shown_count - 1])
        q->shown_count--;
}
