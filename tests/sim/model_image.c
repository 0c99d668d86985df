/* Last-value queues: of each key they have the newest message, and nobody takes it out of them. */
#include <stdlib.h>
#include <string.h>

#include "model_leave.h"
#include "model_stream.h"

#define U(n) ((unsigned long long)(n))

/* ---- keys ------------------------------------------------------------------------------------------- */

static const struct table_field *header(const struct known_message *m, const char *name)
{
    for (unsigned i = 0; i < m->header_count; i++)
        if (is(&m->headers[i].name, name))
            return &m->headers[i];
    return NULL;
}

bool model_same_value(const struct known_queue *q, const struct known_message *a,
                      const struct known_message *b)
{
    const char *name = q->settings.last_value.s;
    if (strcmp(name, "routing-key") == 0)
        return same(&a->key, &b->key);
    const struct table_field *x = header(a, name), *y = header(b, name);
    return (!x && !y) || (x && y && x->type == y->type && x->number == y->number && same(&x->text, &y->text));
}

/* Whether one before it in the list has its key, and is counted. */
static bool is_counted(const struct known_queue *q, unsigned n,
                       bool (*counts)(const struct known_entry *e, uint64_t since), uint64_t since)
{
    for (unsigned i = 0; i < n; i++)
        if (counts(q->entries[i], since) &&
            model_same_value(q, q->entries[i]->message, q->entries[n]->message))
            return true;
    return false;
}

static bool may_count(const struct known_entry *e, uint64_t since)
{
    bool settled = e->where == WHERE_DONE;
    return settled ? e->since >= since : e->present != NO;
}

static bool must_count(const struct known_entry *e, uint64_t since)
{
    return e->present == YES && e->where == WHERE_READY && e->since < since;
}

struct model_bounds model_values(const struct known_queue *q, uint64_t since, bool sure)
{
    struct model_bounds b = {0};
    for (unsigned i = 0; i < q->entry_count; i++) {
        b.most += may_count(q->entries[i], since) && !is_counted(q, i, may_count, since);
        b.least += sure && must_count(q->entries[i], since) && !is_counted(q, i, must_count, since);
    }
    return b;
}

/* ---- deliveries ------------------------------------------------------------------------------------ */

static void check_got(const struct known_entry *e, const struct known_consumer *c)
{
    const struct known_message *m = e->message;
    for (unsigned i = 0; i < c->got_count; i++) {
        const struct known_entry *o = c->got[i].entry;
        if (o == e && !m->original && !m->late)
            history_fail("m%llu of last-value queue '%s' comes to consumer '%s' once more", U(m->number),
                         e->queue->name.s, c->tag.s);
        if (o != e && model_same_value(e->queue, m, o->message) && model_before(e->queue, m, o->message))
            history_fail("m%llu of last-value queue '%s' comes to consumer '%s' after m%llu, which is newer",
                         U(m->number), e->queue->name.s, c->tag.s, U(o->message->number));
    }
}

/* It had been replaced by the last idle moment, when nothing was on its way to the client. */
static void check_stale(const struct model *model, const struct known_entry *e,
                        const struct known_consumer *c)
{
    const struct known_queue *q = e->queue;
    const struct known_channel *channel = c->channel;
    if (channel->conn->flushed != model->idle || channel->limit || channel->limit_before || channel->flowed)
        return;
    for (unsigned i = 0; i < q->entry_count; i++) {
        const struct known_entry *o = q->entries[i];
        if (o->present == YES && o->since <= model->idle && model_same_value(q, e->message, o->message) &&
            model_before(q, e->message, o->message))
            history_fail("m%llu is sent from last-value queue '%s', but m%llu has long replaced it",
                         U(e->message->number), q->name.s, U(o->message->number));
    }
}

static const struct known_got *last_of_key(const struct known_consumer *c, const struct known_entry *e)
{
    for (unsigned i = c->got_count; i-- > 0;)
        if (model_same_value(e->queue, c->got[i].entry->message, e->message))
            return &c->got[i];
    return NULL;
}

/* In ns, of an interval that began then. */
static uint64_t pace_then(const struct known_queue *q, uint64_t ns)
{
    int64_t ms = ns > q->reshaped_ns ? q->pace_since : q->pace_least;
    return (uint64_t)ms * UINT64_C(1000000);
}

/* Behind the image what is sent together came before it is, has each key once, and begins an interval after
 * what was sent before it. */
static void take_got(const struct model *model, struct known_entry *e, struct known_consumer *c)
{
    const struct known_message *m = e->message;
    const struct known_got *last = c->got_count ? &c->got[c->got_count - 1] : NULL, *twin = last_of_key(c, e);
    struct known_got got = {.entry = e};
    got.behind = (last && last->behind) || twin || (c->since && m->begun > c->since && !m->late);
    got.sent_ns = last ? last->sent_ns : 0;
    if (got.behind && m->begun_ms * 1000000 > got.sent_ns)
        got.sent_ns = m->begun_ms * 1000000;
    uint64_t next_ns = twin && twin->behind ? twin->sent_ns + pace_then(e->queue, twin->sent_ns) : 0;
    if (next_ns > got.sent_ns)
        got.sent_ns = next_ns;
    if (got.sent_ns > model->now_ns)
        history_fail(
            "m%llu of last-value queue '%s' comes to consumer '%s' %llu ns before its interval is over",
            U(m->number), e->queue->name.s, c->tag.s, U(got.sent_ns - model->now_ns));
    ADD(c->got, c->got_count, got);
}

void model_image_takes(const struct model *model, struct known_entry *e, struct known_consumer *c,
                       bool redelivered, int64_t offset)
{
    const struct known_message *m = e->message;
    const struct known_queue *q = e->queue;
    if (redelivered || offset >= 0)
        history_fail("m%llu came from last-value queue '%s' marked redelivered, or with an offset",
                     U(m->number), q->name.s);
    if (m->late && e->present == NO) /* it left its delay once more after a crash */
        e->present = MAYBE;
    bool purged = c->state == CONSUMER_GONE && e->where == WHERE_DONE && e->since > c->gone; /* on its way */
    if (m->nowhere || (e->present == NO && !q->gone && !purged))
        history_fail("m%llu was delivered from last-value queue '%s', but can't be there", U(m->number),
                     q->name.s);
    check_got(e, c);
    if (!c->unsure && !q->gone && q == c->queue)
        check_stale(model, e, c);
    take_got(model, e, c);
}

/* ---- what is owed ------------------------------------------------------------------------------------ */

static bool has_as_new(const struct known_consumer *c, const struct known_entry *e)
{
    for (unsigned i = 0; i < c->got_count; i++) {
        const struct known_entry *o = c->got[i].entry;
        if (o == e || (model_same_value(c->queue, o->message, e->message) &&
                       !model_before(c->queue, o->message, e->message)))
            return true;
    }
    return false;
}

void model_image_rests(const struct model *model, const struct known_queue *q)
{
    for (unsigned i = 0; q->settings.last_value.s[0] && i < q->entry_count; i++) {
        struct known_entry *e = q->entries[i];
        if (!e->rest_ns && e->present == YES && e->where == WHERE_READY)
            e->rest_ns = model->now_ns;
    }
}

/* Of what came since the last idle moments some may wait for the interval's end. */
static bool may_wait(const struct model *model, const struct known_entry *e)
{
    const uint64_t slack_ns = 1000000;
    uint64_t ns = (uint64_t)e->queue->pace_most * 1000000;
    return ns && (!e->rest_ns || model->now_ns < e->rest_ns + ns + slack_ns);
}

/* What has its key and may be newer came perhaps when it was about to be sent, and waits in its place. */
static bool may_be_replaced(const struct model *model, const struct known_entry *e)
{
    const struct known_queue *q = e->queue;
    for (unsigned i = 0; q->pace_most && i < q->entry_count; i++) {
        const struct known_entry *o = q->entries[i];
        if (o != e && o->present != NO && may_wait(model, o) && model_same_value(q, o->message, e->message) &&
            !model_before(q, o->message, e->message))
            return true;
    }
    return false;
}

void model_image_owed(const struct model *model, const struct known_queue *q, const struct known_consumer *c)
{
    for (unsigned i = 0; i < q->entry_count; i++) {
        const struct known_entry *e = q->entries[i];
        if (e->present == YES && e->where == WHERE_READY && !may_wait(model, e) && !has_as_new(c, e) &&
            !may_be_replaced(model, e))
            history_fail("m%llu is in last-value queue '%s', or something newer, and consumer '%s' of stream "
                         "%llu isn't sent it",
                         U(e->message->number), q->name.s, c->tag.s, U(c->stream));
    }
}

/* A dead letter that nobody has seen, and that isn't on disk, may have come to it. */
static bool may_have_letters(struct model *model, const struct known_queue *q)
{
    bool transient = false;
    for (unsigned n = 0; n < model->message_count; n++) {
        const struct known_message *m = model->messages[n];
        for (unsigned i = 0; m && !m->persistent && i < m->entry_count; i++)
            transient |= model_may_have_target(m->entries[i]->queue);
    }
    return transient && model_receives(model, q);
}

/* Before a crash: what has been replaced by something that isn't on disk may be gone. */
void model_image_down(struct model *model, struct known_queue *q)
{
    bool letters = may_have_letters(model, q);
    for (unsigned i = 0; letters && i < q->entry_count; i++)
        model_doubt_entry(q->entries[i]);
    for (unsigned i = 0; i < q->entry_count; i++)
        for (unsigned n = 0; q->entries[i]->present == YES && n < q->entry_count; n++) {
            const struct known_message *m = q->entries[i]->message, *o = q->entries[n]->message;
            if (o != m && !o->persistent && q->entries[n]->present != NO && model_same_value(q, m, o) &&
                !model_before(q, o, m))
                model_doubt_entry(q->entries[i]);
        }
}
