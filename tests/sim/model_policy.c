#include "model_policy.h"

#include <regex.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "model_leave.h"
#include "model_stream.h"

int64_t model_lower(int64_t a, int64_t b)
{
    return a < 0 ? b : b < 0 || a < b ? a : b;
}

int64_t model_higher(int64_t a, int64_t b)
{
    return a < 0 || b < 0 ? -1 : a > b ? a : b;
}

/* ---- which holds -----------------------------------------------------------------------------------------
 */

static bool fits_name(const struct said_policy *p, const struct text *name)
{
    regex_t code;
    CHECK(regcomp(&code, p->pattern, REG_EXTENDED | REG_NOSUB) == 0);
    bool fits = regexec(&code, name->s, 0, NULL, 0) == 0;
    regfree(&code);
    return fits;
}

/* One of which the type doesn't take every key isn't for it. */
static bool fits_type(const struct said_policy *p, const struct known_settings *s)
{
    const char *only = s->quorum ? "quorum_queues" : s->stream ? "streams" : "classic_queues";
    bool is_of = strcmp(p->target, "all") == 0 || strcmp(p->target, "queues") == 0;
    bool queues = p->ttl >= 0 || p->expires >= 0 || p->length >= 0 || p->overflow || p->timeout >= 0 ||
                  p->sequence >= 0 || p->conflation >= 0 || p->dead_target || p->dead_key;
    bool streams = p->age >= 0 || p->segment >= 0;
    return (is_of || strcmp(p->target, only) == 0) && !(s->stream ? queues : streams) &&
           ((p->deliveries < 0 && !p->dead_strategy) || s->quorum) &&
           (p->conflation < 0 || !(s->quorum || s->stream));
}

/* The highest priority; of equals the first by name, which the number is. */
static const struct said_policy *find(const struct said_policy *policies, const struct known_queue *q)
{
    const struct said_policy *best = NULL;
    for (unsigned i = 0; i < MODEL_POLICIES; i++) {
        const struct said_policy *p = &policies[i];
        if (p->there && fits_type(p, &q->declared) && fits_name(p, &q->name) &&
            (!best || p->priority > best->priority))
            best = p;
    }
    return best;
}

/* ---- what it does ----------------------------------------------------------------------------------------
 */

static void add_target(struct known_settings *s, const struct said_policy *p)
{
    if (p->dead_target && !s->has_target)
        snprintf(s->target.s, sizeof s->target.s, "%s", p->dead_target);
    if (p->dead_key && !s->has_key)
        snprintf(s->key.s, sizeof s->key.s, "%s", p->dead_key);
    s->has_target |= p->dead_target != NULL;
    s->has_key |= p->dead_key != NULL;
    s->at_least_once |= p->dead_strategy && strcmp(p->dead_strategy, "at-least-once") == 0;
}

static void add(struct known_settings *s, const struct said_policy *p)
{
    if (s->stream) {
        s->stream_bytes = model_lower(s->stream_bytes, p->bytes);
        s->age_ms = model_lower(s->age_ms, p->age < 0 ? -1 : p->age * INT64_C(1000));
        s->segment = s->segment >= 0 ? s->segment : p->segment;
        return;
    }
    s->expires = model_lower(s->expires, p->expires);
    s->sequence |= p->sequence == 1;
    if (s->last_value.s[0]) {
        s->conflation = model_lower(s->conflation, p->conflation);
        return;
    }
    add_target(s, p);
    s->timeout = model_lower(s->timeout, p->timeout);
    s->ttl = model_lower(s->ttl, p->ttl);
    s->length = model_lower(s->length, p->length);
    s->bytes = model_lower(s->bytes, p->bytes);
    s->deliveries = model_lower(s->deliveries, p->deliveries);
    if (!p->overflow || s->said_overflow)
        return;
    s->said_overflow = true;
    s->overflow = strcmp(p->overflow, "drop-head") == 0        ? MODEL_DROPS_HEAD
                  : strcmp(p->overflow, "reject-publish") == 0 ? MODEL_REFUSES
                                                               : MODEL_REFUSES_TO_TARGET;
}

static struct known_settings effective(const struct said_policy *policies, const struct known_queue *q)
{
    struct known_settings s = q->declared;
    const struct said_policy *policy = find(policies, q), *operators = find(policies + MODEL_POLICIES, q);
    if (policy)
        add(&s, policy);
    if (operators)
        add(&s, operators);
    return s;
}

static int64_t pace_of(const struct known_settings *s)
{
    return s->conflation < 0 ? 0 : s->conflation;
}

bool model_same_target(const struct known_settings *a, const struct known_settings *b)
{
    if (a->has_target != b->has_target || (!a->has_target && !b->has_target))
        return a->has_target == b->has_target;
    return same(&a->target, &b->target) && a->has_key == b->has_key && same(&a->key, &b->key) &&
           a->at_least_once == b->at_least_once;
}

static void note_target(struct known_queue *q, const struct known_settings *s)
{
    for (unsigned i = 0; i < q->told_count; i++)
        if (model_same_target(&q->told[i], s))
            return;
    ADD(q->told, q->told_count, *s);
}

/* What has come may have come at any time before: the least that ever held counts for it. */
static void note_least(struct known_queue *q)
{
    const struct known_settings *both[] = {&q->settings, &q->other};
    for (unsigned i = 0; i < 2; i++) {
        q->least.ttl = model_lower(q->least.ttl, both[i]->ttl);
        q->least.deliveries = model_lower(q->least.deliveries, model_delivery_limit(both[i]));
        q->least.age_ms = model_lower(q->least.age_ms, both[i]->age_ms);
        q->least.stream_bytes = model_lower(q->least.stream_bytes, both[i]->stream_bytes);
        note_target(q, both[i]);
        int64_t pace = pace_of(both[i]);
        q->pace_least = model_lower(q->pace_least, pace);
        q->pace_since = model_lower(q->pace_since, pace);
        q->pace_most = pace > q->pace_most ? pace : q->pace_most;
    }
}

void model_policy_declared(struct model *model, struct known_queue *q)
{
    q->settings = effective(model->policies, q);
    q->other = effective(model->policies_then, q);
    q->flux = model->policy_changes && !model_settings_equal(&q->settings, &q->other);
    q->varied = q->flux;
    model_no_settings(&q->least);
    q->pace_least = q->pace_since = q->pace_most = -1;
    q->told_count = 0;
    note_least(q);
}

/* ---- times to live ------------------------------------------------------------------------------------- */

static void widen(struct known_entry *e, const struct known_settings *s)
{
    e->ttl_least = model_lower(e->ttl_least, s->ttl);
    e->ttl_most = model_higher(e->ttl_most, s->ttl);
}

void model_policy_times(struct known_entry *e)
{
    const struct known_queue *q = e->queue;
    e->ttl_least = e->ttl_most = q->settings.ttl;
    if (q->flux)
        widen(e, &q->other);
    if (q->varied && (e->message->loose || e->message->late)) { /* it may have been there for long */
        e->ttl_least = model_lower(e->ttl_least, q->least.ttl);
        e->ttl_most = -1;
    }
}

void model_policy_times_down(struct model *model, struct known_entry *e)
{
    const struct known_queue *q = e->queue;
    if (!q->varied)
        return;
    widen(e, &q->settings);
    if (q->flux)
        widen(e, &q->other);
    model_set_times(model, e);
}

/* ---- changes ------------------------------------------------------------------------------------------- */

int64_t model_limit_least(const struct known_queue *q)
{
    int64_t limit = model_delivery_limit(&q->settings);
    return q->flux ? model_lower(limit, model_delivery_limit(&q->other)) : limit;
}

int64_t model_limit_most(const struct known_queue *q)
{
    int64_t limit = model_delivery_limit(&q->settings);
    return q->flux ? model_higher(limit, model_delivery_limit(&q->other)) : limit;
}

/* Of the dead letters that haven't surely left it isn't known where they go. */
static void turn_letters(struct known_queue *q)
{
    for (unsigned i = 0; !model_same_target(&q->settings, &q->other) && i < q->entry_count; i++)
        for (unsigned r = 0; r < MODEL_REASONS; r++) {
            struct known_message *m = q->entries[i]->heir[r];
            if (m && !m->accepted)
                m->late = m->loose = true;
        }
}

/* What is there may leave; what is on its way may come before or after the change. */
static void shift(struct model *model, struct known_queue *q)
{
    int64_t limit = model_limit_least(q);
    turn_letters(q);
    q->holes |= q->settings.sequence != q->other.sequence; /* what was shed before isn't told */
    for (unsigned i = 0; i < q->entry_count; i++) {
        struct known_entry *e = q->entries[i];
        const struct known_message *m = e->message;
        if (!m->closed || m->loose || m->late || (m->delay_ms && m->delay != DELAY_OVER)) {
            widen(e, &q->other);
            model_set_times(model, e);
        }
        e->recovered = true; /* what has been given back too often leaves when it comes to the head */
        if (limit < 0 || e->returns_most <= (uint64_t)limit || e->where == WHERE_DONE)
            continue;
        model_dies(model, e, REASON_LIMIT);
        model_doubt_entry(e);
    }
    model_crowd(model, q);
}

/* The one before has been answered, so it holds everywhere, though the broker hasn't been idle since. */
static void take_last(struct model *model)
{
    if (!model->policy_changes || !model->policy_answered)
        return;
    memcpy(model->policies, model->policies_then, sizeof model->policies);
    for (unsigned i = 0; i < model->queue_count; i++) {
        struct known_queue *q = model->queues[i];
        q->settings = q->flux ? q->other : q->settings;
    }
}

void model_policy_asked(struct model *model, const struct said_policy *policy)
{
    take_last(model);
    unsigned at = policy->number + (policy->is_operator ? MODEL_POLICIES : 0);
    history_note("model: policy %u: %s '%s' for %s, priority %d, ttl %d, expires %d, length %d, bytes %d, "
                 "deliveries %d, %s, age %d, segment %d, timeout %d, sequence %d, conflation %d, "
                 "target %s, key %s, %s",
                 at, policy->there ? "is set" : "goes", policy->pattern, policy->target, policy->priority,
                 policy->ttl, policy->expires, policy->length, policy->bytes, policy->deliveries,
                 policy->overflow ? policy->overflow : "-", policy->age, policy->segment, policy->timeout,
                 policy->sequence, policy->conflation, policy->dead_target ? policy->dead_target : "-",
                 policy->dead_key ? policy->dead_key : "-",
                 policy->dead_strategy ? policy->dead_strategy : "-");
    model->clock++;
    model->policies_then[at] = *policy;
    model->policy_changes = true;
    model->policy_answered = false;
    for (unsigned i = 0; i < model->queue_count; i++) {
        struct known_queue *q = model->queues[i];
        q->other = effective(model->policies_then, q);
        q->touched = true;
        if (model_settings_equal(&q->settings, &q->other))
            continue;
        history_note("model: '%s' is told otherwise", q->name.s);
        q->flux = q->varied = true;
        note_least(q);
        shift(model, q);
    }
}

void model_policy_answered(struct model *model)
{
    model->policy_answered = true;
}

void model_policies_settled(struct model *model)
{
    if (!model->policy_changes)
        return;
    for (unsigned i = 0; i < model->queue_count; i++)
        model->queues[i]->touched = true; /* such a change may begin its time anew */
    if (!model->policy_answered)
        return;
    memcpy(model->policies, model->policies_then, sizeof model->policies);
    model->policy_changes = false;
    for (unsigned i = 0; i < model->queue_count; i++) {
        struct known_queue *q = model->queues[i];
        if (!q->flux)
            continue;
        q->settings = q->other;
        q->flux = false;
        q->reshaped = model->clock;
        q->reshaped_ns = model->now_ns;
        q->pace_since = pace_of(&q->settings);
    }
    history_note("model: the policies hold");
}
