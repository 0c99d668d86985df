#include "model_sequence.h"

#include <stdlib.h>
#include <string.h>

#include "model_leave.h"
#include "model_stream.h"

#define U(n) ((unsigned long long)(n))

/* ---- reading --------------------------------------------------------------------------------------------
 */

static void read_reason(struct said_gap *gap, const struct text *word)
{
    gap->conflated = is(word, "conflated");
    if (!is(word, "expired") && !is(word, "maxlen") && !is(word, "several") && !gap->conflated)
        history_fail("a gap's reason is '%s'", word->s);
    gap->reason = is(word, "expired") ? REASON_EXPIRED : is(word, "maxlen") ? REASON_MAXLEN : MODEL_REASONS;
}

/* The array has the farthest first. */
static void read_gaps(struct said_sequence *s, struct reader array)
{
    struct table_field item, field;
    while (s->gaps < MODEL_GAPS && read_item(&array, &item)) {
        struct said_gap gap = {0};
        while (read_field(&item.inside, &field))
            if (is(&field.name, "from"))
                gap.from = field.number;
            else if (is(&field.name, "to"))
                gap.to = field.number;
            else
                read_reason(&gap, &field.text);
        memmove(s->gap + 1, s->gap, s->gaps * sizeof *s->gap);
        s->gap[0] = gap;
        s->gaps++;
    }
}

static void check_gaps(const struct said_sequence *s, const struct said_gap *nearest)
{
    int64_t next = s->number;
    for (unsigned i = 0; i < s->gaps; i++) {
        const struct said_gap *g = &s->gap[i];
        if (g->to != next - 1 || g->from > g->to || g->from < 1)
            history_fail("number %lld follows a gap from %lld to %lld", (long long)next, (long long)g->from,
                         (long long)g->to);
        next = g->from;
    }
    if (s->gaps && memcmp(nearest, &s->gap[0], sizeof *nearest) != 0)
        history_fail("x-gap-from and its like say something else than x-gaps");
}

struct said_sequence model_sequence(const struct said *said)
{
    struct said_sequence s = {.number = -1};
    struct said_gap nearest = {0};
    struct table_field field;
    if (!model_find_header(said->properties, "x-sequence", &field))
        return s;
    s.number = field.type == 'l' ? field.number : 0;
    if (!model_find_header(said->properties, "x-gap-from", &field))
        return s;
    nearest.from = field.number;
    nearest.to = model_find_header(said->properties, "x-gap-to", &field) ? field.number : 0;
    if (model_find_header(said->properties, "x-gap-reason", &field))
        read_reason(&nearest, &field.text);
    if (model_find_header(said->properties, "x-gaps", &field))
        read_gaps(&s, field.inside);
    else
        s.gap[s.gaps++] = nearest;
    check_gaps(&s, &nearest);
    return s;
}

/* ---- judging ---------------------------------------------------------------------------------------------
 */

static void put(struct known_queue *q, struct known_entry *e, uint64_t number)
{
    while (q->shown_count <= number) {
        q->shown = model_room(q->shown, q->shown_count, sizeof *q->shown);
        q->shown[q->shown_count++] = NULL;
    }
    q->shown[number] = e;
    e->offset = number;
}

/* Surely came to the queue before the other, whatever their priorities. */
static bool came_before(const struct known_message *a, const struct known_message *b)
{
    if (a->late || b->late || a->delay_ms || b->delay_ms)
        return false;
    if (a->channel && a->channel == b->channel)
        return a->order < b->order;
    return a->closed && a->closed < b->begun;
}

static void check_order(const struct known_queue *q, const struct known_entry *e, uint64_t number)
{
    for (uint64_t i = 1; i < q->shown_count; i++) {
        const struct known_entry *o = q->shown[i];
        if (o && o != e &&
            (i < number ? came_before(e->message, o->message) : came_before(o->message, e->message)))
            history_fail("m%llu has number %llu in '%s' and m%llu %llu: that is not their order",
                         U(e->message->number), U(number), q->name.s, U(o->message->number), U(i));
    }
}

static void learn(struct known_queue *q, struct known_entry *e, uint64_t number)
{
    const struct known_entry *was = number < q->shown_count ? q->shown[number] : NULL;
    if (was && was != e)
        history_fail("m%llu has number %llu in '%s', which is m%llu's", U(e->message->number), U(number),
                     q->name.s, U(was->message->number));
    if (e->offset && e->offset != number && !e->message->late)
        history_fail("m%llu has number %llu in '%s', but had %llu", U(e->message->number), U(number),
                     q->name.s, U(e->offset));
    for (unsigned i = 0; i < q->shed_count; i++)
        if (number >= q->shed[i].from && number <= q->shed[i].to)
            history_fail("m%llu has number %llu in '%s', which was said to be shed", U(e->message->number),
                         U(number), q->name.s);
    if (was)
        return;
    check_order(q, e, number);
    put(q, e, number);
}

static bool may_be_shed(const struct known_entry *e, enum reason reason)
{
    if (e->leaving && e->reason == reason) /* it has surely left so, and what it may do is told no more */
        return true;
    return reason == REASON_EXPIRED ? e->mortal : reason == REASON_MAXLEN ? e->crowded || e->full : true;
}

/* How many of the queue may ever have been shed so. */
static void check_reason(const struct known_queue *q, const struct said_gap *gap)
{
    uint64_t can = 0, said = 0;
    if (model_may_have_target(q) || q->remembered || q->receives)
        return; /* dead letters, its own too, take numbers, and may be shed before anybody sees them */
    for (unsigned i = 0; i < q->entry_count; i++)
        can += may_be_shed(q->entries[i], gap->reason);
    for (unsigned i = 0; i < q->shed_count; i++)
        said += q->shed[i].reason == gap->reason ? q->shed[i].to - q->shed[i].from + 1 : 0;
    if (said > can)
        history_fail("'%s' says that %llu of its messages are %s, but only %llu can be", q->name.s, U(said),
                     gap->reason == REASON_EXPIRED ? "expired" : "dropped", U(can));
}

static void shed(struct known_queue *q, const struct said_gap *gap)
{
    if (gap->conflated)
        history_fail("messages of '%s' are said to be replaced, but it holds them all", q->name.s);
    for (int64_t n = gap->from; n <= gap->to; n++) {
        const struct known_entry *e = (uint64_t)n < q->shown_count ? q->shown[n] : NULL;
        if (e && !may_be_shed(e, gap->reason))
            history_fail("m%llu, number %lld in '%s', is said to be shed, and can't be",
                         U(e->message->number), (long long)n, q->name.s);
        bool known = false;
        for (unsigned i = 0; i < q->shed_count; i++) {
            bool is_in = (uint64_t)n >= q->shed[i].from && (uint64_t)n <= q->shed[i].to;
            known |= is_in;
            /* It came back with a start, for its dead letter waited, or after a crash, and has left once
             * more. */
            bool back = model_may_have_target(q) || (e && e->relapsed);
            if (is_in && !back && q->shed[i].reason != gap->reason && gap->reason != MODEL_REASONS &&
                q->shed[i].reason != MODEL_REASONS)
                history_fail("number %lld of '%s' is shed for another reason than was said before",
                             (long long)n, q->name.s);
        }
        if (known)
            continue;
        q->shed = model_room(q->shed, q->shed_count, sizeof *q->shed);
        q->shed[q->shed_count++] = (struct known_shed){(uint64_t)n, (uint64_t)n, gap->reason};
    }
    check_reason(q, gap);
}

void model_sequence_takes(struct known_entry *e, const struct said_sequence *s, bool unsure)
{
    struct known_queue *q = e->queue;
    if (q->perhaps_other || (q->flux && q->settings.sequence != q->other.sequence))
        return;
    if ((s->number > 0) != q->settings.sequence)
        history_fail("m%llu came from '%s' with the number %lld", U(e->message->number), q->name.s,
                     (long long)s->number);
    q->holes |= unsure;
    if (!q->settings.sequence || unsure || q->gone)
        return;
    history_note("model: number %lld, %u gaps", (long long)s->number, s->gaps);
    learn(q, e, (uint64_t)s->number);
    for (unsigned i = 0; i < s->gaps; i++)
        shed(q, &s->gap[i]);
}

/* ---- last-value queues -----------------------------------------------------------------------------------
 */

static bool may_replace(const struct known_queue *q, const struct known_message *m,
                        const struct known_message *old)
{
    return m != old && !m->nowhere && model_same_value(q, m, old) && !model_before(q, m, old);
}

/* Something newer may have come, if only on a way that isn't known. */
static bool may_be_replaced(struct model *model, const struct known_entry *e)
{
    const struct known_queue *q = e->queue;
    bool may = q->remembered || model_receives(model, e->queue);
    for (unsigned i = 0; !may && i < q->entry_count; i++)
        may = may_replace(q, q->entries[i]->message, e->message);
    for (unsigned i = 0; !may && i < model->message_count; i++) {
        const struct known_message *m = model->messages[i];
        may = m && (m->loose || m->late) && may_replace(q, m, e->message);
    }
    return may;
}

static void check_replaced(struct model *model, const struct known_queue *q, const struct said_gap *gap)
{
    if (!gap->conflated)
        history_fail("values of '%s' are said to be gone, but not that something newer replaced them",
                     q->name.s);
    for (uint64_t n = (uint64_t)gap->from; n <= (uint64_t)gap->to; n++) {
        const struct known_entry *e = n < q->shown_count ? q->shown[n] : NULL;
        if (e && !may_be_replaced(model, e))
            history_fail("m%llu, number %llu in '%s', is said to be replaced, and nothing is newer",
                         U(e->message->number), U(n), q->name.s);
    }
}

/* Behind the image there is nothing but what was sent and what is told. */
static void check_told(const struct known_queue *q, const struct known_consumer *c,
                       const struct said_sequence *s)
{
    const struct known_got *got = &c->got[c->got_count - 1], *last = c->got_count > 1 ? got - 1 : NULL;
    uint64_t from = s->gaps ? (uint64_t)s->gap[s->gaps - 1].from : got->number;
    for (unsigned i = 0; got->behind && i + 1 < c->got_count; i++)
        if (c->got[i].number >= from && c->got[i].number < got->number)
            history_fail("number %llu of '%s' is said to be replaced to consumer '%s', which got it",
                         U(c->got[i].number), q->name.s, c->tag.s);
    if (last && last->behind && last->number && !q->holes && from != last->number + 1)
        history_fail("behind number %llu of '%s' consumer '%s' gets %llu, and is told of those from %llu",
                     U(last->number), q->name.s, c->tag.s, U(got->number), U(from));
}

void model_sequence_value(struct model *model, struct known_consumer *c, const struct said_sequence *s)
{
    struct known_got *got = &c->got[c->got_count - 1];
    struct known_queue *q = got->entry->queue;
    if (q->perhaps_other || q != c->queue || (q->flux && q->settings.sequence != q->other.sequence))
        return;
    if ((s->number > 0) != q->settings.sequence)
        history_fail("m%llu came from '%s' with the number %lld", U(got->entry->message->number), q->name.s,
                     (long long)s->number);
    if (!q->settings.sequence || c->unsure || q->gone || q->thing.there != YES)
        return;
    history_note("model: number %lld, %u gaps%s", (long long)s->number, s->gaps,
                 got->behind ? ", behind the image" : "");
    got->number = (uint64_t)s->number;
    learn(q, got->entry, got->number);
    for (unsigned i = 0; i < s->gaps; i++)
        check_replaced(model, q, &s->gap[i]);
    check_told(q, c, s);
}

/* Where priorities or a count of returns decide, a number may go when nobody is left to be told. */
void model_sequence_whole(const struct known_queue *q)
{
    const struct known_settings *s = &q->settings;
    if (!s->sequence || q->holes || q->gone || q->perhaps_other || s->highest >= 0 || s->quorum)
        return;
    for (unsigned n = 1; n < q->shown_count; n++) {
        bool known = q->shown[n];
        for (unsigned i = 0; !known && i < q->shed_count; i++)
            known = n >= q->shed[i].from && n <= q->shed[i].to;
        if (!known)
            history_fail("number %u of '%s' came to nobody, and wasn't said to be shed", n, q->name.s);
    }
}

void model_sequence_down(struct known_queue *q)
{
    q->holes = true;
    q->shed_count = 0;
    q->shown_count = 0;
    for (unsigned i = 0; q->settings.sequence && i < q->entry_count; i++)
        q->entries[i]->offset = 0;
}
