/* Whose turn is it? One consumer at a time, or those of higher priority first. */
#include "model_consumer.h"

#include "model_leave.h"
#include "model_stream.h"
#include "tap.h"

#define U(n) ((unsigned long long)(n))

/* ---- what they ask for
 * -------------------------------------------------------------------------------------------- */

void model_read_consumer(struct known_request *q, struct reader arguments)
{
    struct table_field field;
    q->timeout_ms = -1;
    while (read_field(&arguments, &field)) {
        if (is(&field.name, "x-priority"))
            q->priority = field.number;
        if (is(&field.name, "x-consumer-timeout"))
            q->timeout_ms = field.number;
    }
}

void model_consumer_begins(struct known_consumer *c, const struct known_request *q)
{
    c->priority = q->priority;
    c->timeout_ms = c->no_ack ? 0 : q->timeout_ms;
    c->begun = q->begun;
    c->begun_ns = q->begun_ns;
    c->answered_ns = UINT64_MAX;
}

bool model_is_single(const struct known_queue *queue)
{
    return queue->settings.single;
}

static bool is_there(const struct known_consumer *c)
{
    return c->state == CONSUMER_ACTIVE && !c->unsure && !c->lapsed;
}

/* ---- one at a time
 * ------------------------------------------------------------------------------------------------------- */

/* The first came before the other was asked for, and isn't less urgent: while it is there, it goes first. */
static bool stands_before(const struct known_consumer *first, const struct known_consumer *c)
{
    return first->queue == c->queue && first != c && is_there(first) && first->since < c->begun &&
           first->priority >= c->priority;
}

static const struct known_consumer *one_before(const struct model *model, const struct known_consumer *c)
{
    for (unsigned i = 0; i < model->consumer_count; i++)
        if (stands_before(model->consumers[i], c))
            return model->consumers[i];
    return NULL;
}

static bool is_judged(const struct known_queue *q)
{
    return q->thing.there == YES && !q->perhaps_other && !q->gone && !model_keeps(q);
}

bool model_waits_in_line(const struct model *model, const struct known_consumer *c)
{
    return model_is_single(c->queue) && is_judged(c->queue) && c->state != CONSUMER_GONE &&
           one_before(model, c);
}

/* Of a quorum queue a more urgent one takes over, when the other has answered for all it has. */
static bool may_take_over(const struct known_consumer *c, const struct known_consumer *active)
{
    if (!active || active == c || !is_there(active))
        return true;
    bool hurries = c->queue->settings.quorum && c->priority != active->priority;
    /* What had been sent before may come after; what is void, too. */
    if (hurries && (c->no_ack || active->no_ack || c->channel->recovering))
        return true;
    return hurries && c->priority > active->priority && active->out == 0;
}

static void check_single(const struct model *model, struct known_consumer *c)
{
    struct known_queue *q = c->queue;
    const struct known_consumer *first = one_before(model, c);
    if (first)
        history_fail("consumer '%s' of '%s' gets a delivery, but '%s' of stream %llu was there before it",
                     c->tag.s, q->name.s, first->tag.s, U(first->stream));
    if (!may_take_over(c, q->active))
        history_fail("consumer '%s' of '%s' gets a delivery, but '%s' of stream %llu is the active one",
                     c->tag.s, q->name.s, q->active->tag.s, U(q->active->stream));
    q->active = c;
}

void model_check_turn(const struct model *model, struct known_consumer *c, uint32_t bytes)
{
    c->last_ns = model->now_ns;
    if (!is_judged(c->queue) || !is_there(c) || c->channel->life != LIFE_OPEN)
        return;
    c->turns++;
    c->turn_bytes += bytes + 1;
    if (model_is_single(c->queue))
        check_single(model, c);
}

bool model_is_its_turn(const struct model *model, const struct known_consumer *c)
{
    if (!model_is_single(c->queue))
        return true;
    bool only = true, most_urgent = true;
    for (unsigned i = 0; i < model->consumer_count; i++) {
        const struct known_consumer *o = model->consumers[i];
        if (o == c || o->queue != c->queue || o->state == CONSUMER_GONE)
            continue;
        only &= stands_before(c, o);
        most_urgent &= o->priority <= c->priority;
    }
    bool stays = c->queue->active == c && (most_urgent || !c->queue->settings.quorum);
    return is_judged(c->queue) && is_there(c) && (only || stays);
}

/* ---- the more urgent first
 * ------------------------------------------------------------------------------------------------ */

uint32_t model_room_of(const struct known_consumer *c)
{
    return c->no_ack || !c->prefetch ? UINT32_MAX : c->prefetch > c->out ? c->prefetch - c->out : 0;
}

static bool is_free(const struct model *model, const struct known_consumer *c)
{
    const struct known_channel *channel = c->channel;
    return is_there(c) && channel->life == LIFE_OPEN && !channel->conn->ending && !channel->flowed &&
           !channel->limit && !channel->limit_before && taps_flushed(model->taps, channel->conn->stream);
}

/* It could take more all the while since the last idle moment: half of its window is always open. */
static bool was_left_out(const struct model *model, const struct known_consumer *c)
{
    enum { LITTLE_BYTES = 64, WINDOWS = 6 };
    uint64_t shortfalls = taps_shortfalls(model->taps, c->channel->conn->stream);
    return c->watched && is_free(model, c) && shortfalls == c->shortfalls && c->turns < c->room &&
           c->turn_bytes <= LITTLE_BYTES;
}

static void check_ranks(const struct model *model, const struct known_consumer *c)
{
    for (unsigned i = 0; i < model->consumer_count; i++) {
        const struct known_consumer *o = model->consumers[i];
        if (o->queue == c->queue && o->priority < c->priority && o->watched && o->turns)
            history_fail(
                "consumer '%s' of '%s' has got %u messages, though '%s' of stream %llu, which is more "
                "urgent, could have taken %u, and got %u",
                o->tag.s, o->queue->name.s, o->turns, c->tag.s, U(c->stream), c->room, c->turns);
    }
}

void model_ranks_settled(struct model *model)
{
    for (unsigned i = 0; i < model->consumer_count; i++) {
        const struct known_consumer *c = model->consumers[i];
        if (is_judged(c->queue) && !model_is_single(c->queue) && was_left_out(model, c))
            check_ranks(model, c);
    }
    for (unsigned i = 0; i < model->consumer_count; i++) {
        struct known_consumer *c = model->consumers[i];
        c->watched = c->state != CONSUMER_GONE && is_judged(c->queue) && is_free(model, c);
        c->room = model_room_of(c);
        c->shortfalls = c->watched ? taps_shortfalls(model->taps, c->channel->conn->stream) : 0;
        c->turns = c->turn_bytes = 0;
    }
}

/* ---- time to answer
 * ------------------------------------------------------------------------------------------------------- */

uint64_t model_sent_ns(const struct known_consumer *c)
{
    uint64_t flushed = c->channel->conn->flushed_ns;
    return flushed > c->begun_ns ? flushed : c->begun_ns;
}

void model_answered(struct known_consumer *c, uint64_t sent_ns)
{
    if (sent_ns < c->answered_ns)
        c->answered_ns = sent_ns;
}

static uint64_t timeout_by(const struct known_consumer *c, const struct known_settings *s)
{
    int64_t ms = c->timeout_ms >= 0 ? c->timeout_ms : s->timeout;
    return ms > 0 ? (uint64_t)ms * 1000000 : 0;
}

/* Its time to answer, 0: any; the shorter one where a policy changes it. */
static uint64_t timeout_ns(const struct known_consumer *c)
{
    const struct known_queue *q = c->queue;
    uint64_t now = timeout_by(c, &q->settings), other = q->flux ? timeout_by(c, &q->other) : now;
    return now && (!other || now < other) ? now : other;
}

/* Something that it has, or that it answered since the last idle moment, or that isn't seen yet, can have
 * been with it for so long. */
static bool may_lapse(const struct model *model, const struct known_consumer *c)
{
    uint64_t since = model_sent_ns(c) < c->answered_ns ? model_sent_ns(c) : c->answered_ns;
    for (unsigned i = 0; i < c->channel->unacked_count; i++) {
        const struct known_unacked *u = &c->channel->unacked[i];
        if (u->consumer == c && u->sent_ns < since)
            since = u->sent_ns;
    }
    uint64_t ns = timeout_ns(c);
    return ns && model->now_ns >= since + ns;
}

static struct known_consumer *find(const struct model *model, uint64_t stream, unsigned channel,
                                   const char *tag)
{
    for (unsigned i = model->consumer_count; i-- > 0;) {
        struct known_consumer *c = model->consumers[i];
        if (c->stream == stream && c->channel->number == channel && is(&c->tag, tag) &&
            c->state != CONSUMER_GONE)
            return c;
    }
    return NULL;
}

void model_lapsed(struct model *model, uint64_t stream, unsigned channel, const char *tag)
{
    struct known_consumer *c = find(model, stream, channel, tag);
    model->clock++;
    if (!c)
        return;
    history_note("model: consumer '%s' of '%s' has kept something for too long", tag, c->queue->name.s);
    if (!c->queue->perhaps_other && !may_lapse(model, c))
        history_fail(
            "consumer '%s' of '%s' is said to have kept something for longer than %llu ms, and has not", tag,
            c->queue->name.s, U(timeout_ns(c) / 1000000));
    c->lapsed = c->unsure = true;
    model_take_back(model, c);
    model_used(c->queue, 0);
    if (c->queue->auto_delete)
        model_suspect_queue(model, c->queue);
}

/* A twelfth more, and what it takes to see that. Where policies change it may have begun with the last
 * change, or with the last that the consumer got. */
static bool is_overdue(const struct model *model, const struct known_consumer *c, uint64_t seen_ns)
{
    const uint64_t grace_ns = 5000000;
    const struct known_queue *q = c->queue;
    uint64_t ns = timeout_ns(c), changed_ns = q->reshaped_ns > c->last_ns ? q->reshaped_ns : c->last_ns;
    if (q->varied && c->timeout_ms < 0 && changed_ns > seen_ns)
        seen_ns = changed_ns;
    return model->now_ns > seen_ns + ns + ns / 12 + grace_ns;
}

static void check_lapse(const struct model *model, const struct known_consumer *c)
{
    for (unsigned i = 0; i < c->channel->unacked_count; i++) {
        const struct known_unacked *u = &c->channel->unacked[i];
        if (u->consumer == c && is_overdue(model, c, u->seen_ns))
            history_fail("consumer '%s' of '%s' has had m%llu for %llu ms, and isn't cancelled", c->tag.s,
                         c->queue->name.s, U(u->entry->message->number),
                         U((model->now_ns - u->seen_ns) / 1000000));
    }
}

void model_lapses_settled(struct model *model)
{
    for (unsigned i = 0; i < model->consumer_count; i++) {
        struct known_consumer *c = model->consumers[i];
        c->answered_ns = UINT64_MAX;
        bool heard = c->state == CONSUMER_ACTIVE && c->channel->life == LIFE_OPEN &&
                     !c->channel->conn->ending && taps_flushed(model->taps, c->stream);
        if (heard && c->lapsed)
            history_fail(
                "consumer '%s' of '%s' has kept something for too long, and isn't told that it is over",
                c->tag.s, c->queue->name.s);
        bool known = !c->unsure && timeout_ns(c) && !c->queue->perhaps_other && !c->queue->flux;
        if (heard && known && !model->ending)
            check_lapse(model, c);
    }
}
