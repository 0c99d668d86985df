/* Dead letters that are seen: of what are they, can that have left its queue so, and do their headers say it?
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "model_history.h"
#include "model_leave.h"

#define NUMBER(m) ((unsigned long long)(m)->number)

static const char *const reasons[MODEL_REASONS] = {"expired", "maxlen", "rejected", "delivery_limit"};

/* ---- what x-death says
 * --------------------------------------------------------------------------------------- */

static enum reason reason_of(const struct text *word)
{
    unsigned i = 0;
    while (i < MODEL_REASONS && !is(word, reasons[i]))
        i++;
    return (enum reason)i;
}

static bool find_field(struct reader table, const char *name, struct table_field *field)
{
    while (read_field(&table, field))
        if (is(&field->name, name))
            return true;
    return false;
}

static struct known_death read_death(const struct known_message *m, struct reader table)
{
    struct table_field queue, reason, count, other;
    bool well = find_field(table, "queue", &queue) && find_field(table, "reason", &reason) &&
                find_field(table, "count", &count) && find_field(table, "time", &other) &&
                other.type == 'T' && find_field(table, "exchange", &other) &&
                find_field(table, "routing-keys", &other) && other.type == 'A';
    if (!well || count.type != 'l' || count.number < 1 || reason_of(&reason.text) == MODEL_REASONS)
        history_fail("m%llu came with an x-death that can't be read", NUMBER(m));
    return (struct known_death){queue.text, reason_of(&reason.text), (uint64_t)count.number};
}

static struct reader headers_of(struct reader properties)
{
    uint16_t flags = read_short(&properties);
    if (flags & 1 << 15)
        read_name(&properties);
    return flags & 1 << 13 ? read_table(&properties) : (struct reader){NULL, NULL, false};
}

static unsigned read_deaths(const struct known_message *m, const struct said *said,
                            struct known_death *deaths)
{
    struct table_field field, item;
    unsigned n = 0;
    if (!find_field(headers_of(said->properties), "x-death", &field))
        return 0;
    while (n < MODEL_DEATHS && read_item(&field.inside, &item) && item.type == 'F')
        deaths[n++] = read_death(m, item.inside);
    if (n == 0 || field.inside.at != field.inside.end)
        history_fail("m%llu came with an x-death that can't be read", NUMBER(m));
    return n;
}

/* ---- can it have left so
 * ---------------------------------------------------------------------------------------- */

/* Another copy of it may have been there, from an exchange that remembers. */
static bool is_recent(const struct known_message *m)
{
    while (!m->recent && m->parent)
        m = m->parent->message;
    return m->recent;
}

static bool can_die(const struct model *model, const struct known_entry *e, enum reason reason)
{
    const struct known_settings *s = &e->queue->settings;
    if (e->queue->perhaps_other)
        return true;
    switch (reason) {
    case REASON_EXPIRED:
        return model->now_ms >= e->mortal_ms;
    case REASON_MAXLEN:
        return (e->crowded || is_recent(e->message)) && (e->queue->varied || model_is_limited(s));
    case REASON_REJECTED:
        return e->rejected;
    default:
        return s->quorum && e->returns_most > (uint64_t)e->queue->least.deliveries;
    }
}

/* What was with a client can't have left at the same time, but for what a crash brought back. */
static void check_parent(const struct model *model, const struct known_entry *e, enum reason reason)
{
    if (!can_die(model, e, reason))
        history_fail("m%llu left '%s' as %s, which can't be", NUMBER(e->message), e->queue->name.s,
                     reasons[reason]);
}

static struct known_message *search(struct model *model, struct known_message *original,
                                    const struct known_death *trail, unsigned count, unsigned depth);

/* The message's dead letter of the queue, made now; NULL: it has never been in it. */
static struct known_message *leave(struct model *model, struct known_message *of,
                                   const struct known_death *last)
{
    for (unsigned i = model->queue_count; i-- > 0;) {
        struct known_queue *q = model->queues[i];
        if (!same(&q->name, &last->queue) || (!model_may_have_target(q) && !q->perhaps_other))
            continue;
        struct known_entry *e = model_entry(of, q);
        if (!e && of->loose)
            e = of->original ? model_letter_entry(model, of, q) : model_add_entry(model, of, q);
        if (!e || !can_die(model, e, last->reason))
            continue;
        struct known_message *m = model_make_letter(model, e, last->reason);
        m->loose = true;                   /* where it went isn't known */
        if (model_is_remembered(model, m)) /* it may have come again to who has bound itself since */
            m->recent = m->late = true;
        m->begun = of->begun;
        m->begun_ms = of->begun_ms;
        model_begin_routing(model, m);
        return m;
    }
    return NULL;
}

/* It died on its way here in a queue out of which nobody has seen it come. */
static struct known_message *search_unseen(struct model *model, struct known_message *original,
                                           const struct known_death *trail, unsigned count, unsigned depth)
{
    struct known_death before[MODEL_DEATHS];
    struct known_message *of = NULL;
    unsigned last = trail[0].count > 1 ? count - 1 : 0;
    for (unsigned at = 0; !of && at <= last; at++) {
        unsigned n = 0;
        for (unsigned i = 1; i < count; i++) {
            if (trail[0].count > 1 && n == at)
                before[n] = trail[0], before[n++].count--;
            before[n++] = trail[i];
        }
        if (trail[0].count > 1 && n == at)
            before[n] = trail[0], before[n++].count--;
        of = n ? search(model, original, before, n, depth + 1) : NULL;
    }
    return of ? leave(model, of, &trail[0]) : NULL;
}

static struct known_message *search(struct model *model, struct known_message *original,
                                    const struct known_death *trail, unsigned count, unsigned depth)
{
    struct known_death next[MODEL_DEATHS];
    struct known_message *found = NULL;
    for (unsigned i = 0; i < original->letter_count; i++)
        if (model_same_trail(original->letters[i], trail, count))
            return original->letters[i];
    for (unsigned i = 0, known = original->letter_count; !found && i <= known; i++) {
        struct known_message *of = i ? original->letters[i - 1] : original;
        struct known_message as_if = {.death_count = model_trail(of, &trail[0].queue, trail[0].reason, next)};
        memcpy(as_if.deaths, next, as_if.death_count * sizeof *next);
        if (model_same_trail(&as_if, trail, count))
            found = leave(model, of, &trail[0]);
    }
    return found || depth > MODEL_DEATHS ? found : search_unseen(model, original, trail, count, depth);
}

struct known_message *model_letter(struct model *model, struct known_message *original,
                                   const struct said *said)
{
    struct known_death trail[MODEL_DEATHS];
    unsigned count = read_deaths(original, said, trail);
    if (count == 0)
        return NULL;
    struct known_message *m = search(model, original, trail, count, 0);
    if (!m)
        history_fail("m%llu came as a dead letter of '%s' (%s), and can't have been there", NUMBER(original),
                     trail[0].queue.s, reasons[trail[0].reason]);
    check_parent(model, m->parent, trail[0].reason);
    struct known_entry *e = m->parent;
    history_note("model: m%llu is a dead letter: %s in '%s'%s%s", NUMBER(m), reasons[trail[0].reason],
                 e->queue->name.s, m->late ? ", late" : "", m->accepted ? ", expected" : "");
    if (e->where == WHERE_READY || e->where == WHERE_BACK)
        model_doubt_entry(e);
    return m;
}

struct known_entry *model_letter_entry(struct model *model, struct known_message *letter,
                                       struct known_queue *queue)
{
    enum sure *to = model_make((model->queue_count + 1) * sizeof *to);
    struct known_message *as_if = model_make(sizeof *as_if);
    struct known_way *ways = model_make(MODEL_WAYS * sizeof *ways);
    bool may = queue->remembered && is_recent(letter); /* what is remembered goes in circles, too */
    *as_if = *letter;
    for (unsigned n = model_ways(letter, ways); !may && n-- > 0;) {
        as_if->exchange = ways[n].exchange;
        as_if->key = ways[n].key;
        model_route_ever(model, as_if, to);
        for (unsigned i = 0; !may && i < model->queue_count; i++)
            may = to[i] != NO && same(&model->queues[i]->name, &queue->name);
    }
    free(ways);
    free(as_if);
    free(to);
    if (!may)
        return NULL;
    struct known_entry *e = model_add_entry(model, letter, queue);
    e->may_redeliver = e->crowded = true;
    e->returns_most = UINT32_MAX;
    return e;
}

/* ---- properties
 * -------------------------------------------------------------------------------------------------- */

struct parts {
    uint16_t flags;
    struct reader before, headers, between,
        after; /* what stands before the headers, between them and the expiration, behind */
};

static struct reader span(const uint8_t *from, const uint8_t *to)
{
    return (struct reader){from, to, false};
}

static struct parts take_apart(struct reader r)
{
    struct parts p = {.flags = read_short(&r)};
    const uint8_t *from = r.at;
    if (p.flags & 1 << 15)
        read_name(&r);
    p.before = span(from, r.at);
    p.headers = p.flags & 1 << 13 ? read_table(&r) : span(r.at, r.at);
    from = r.at;
    if (p.flags & 1 << 12)
        read_octet(&r);
    if (p.flags & 1 << 11)
        read_octet(&r);
    if (p.flags & 1 << 10)
        read_name(&r);
    p.between = span(from, r.at);
    if (p.flags & 1 << 8)
        read_name(&r);
    p.after = span(r.at, r.end);
    return p;
}

static bool same_bytes(struct reader a, struct reader b)
{
    size_t n = (size_t)(a.end - a.at);
    return n == (size_t)(b.end - b.at) && (n == 0 || memcmp(a.at, b.at, n) == 0);
}

static bool text_is(struct reader headers, const char *name, const char *value)
{
    struct table_field field;
    return find_field(headers, name, &field) && is(&field.text, value);
}

/* The first death, and the last. */
static bool summary_fits(const struct known_message *m, struct reader headers)
{
    const struct known_message *first = m;
    struct table_field exchange;
    while (first->parent->message->original)
        first = first->parent->message;
    return text_is(headers, "x-last-death-queue", m->parent->queue->name.s) &&
           text_is(headers, "x-last-death-reason", reasons[m->deaths[0].reason]) &&
           find_field(headers, "x-last-death-exchange", &exchange) &&
           model_is_way(m->parent->message, &exchange.text, NULL) &&
           text_is(headers, "x-first-death-queue", first->parent->queue->name.s) &&
           text_is(headers, "x-first-death-reason", reasons[first->deaths[0].reason]) &&
           text_is(headers, "x-first-death-exchange", m->original->exchange.s);
}

/* Its first death says what its expiration was. */
static bool remembers_expiration(const struct known_message *m, struct reader headers)
{
    struct table_field deaths, item;
    bool found = m->original->expiration < 0;
    if (!find_field(headers, "x-death", &deaths))
        return false;
    while (!found && read_item(&deaths.inside, &item))
        found = find_field(item.inside, "original-expiration", &item) &&
                strtoll(item.text.s, NULL, 10) == m->original->expiration;
    return found;
}

static bool begins_with(struct reader *r, struct reader with)
{
    size_t n = (size_t)(with.end - with.at);
    if ((size_t)(r->end - r->at) < n || (n && memcmp(r->at, with.at, n) != 0))
        return false;
    r->at += n;
    return true;
}

/* Headers: first the publisher's; then those of a dead letter; x-delivery-count is the queue's. */
static bool headers_fit(const struct known_message *m, struct reader was, struct reader is_now,
                        bool delivered)
{
    struct table_field field;
    struct reader all = is_now;
    bool fits =
        begins_with(&is_now, was) && (!m->original || (summary_fits(m, all) && remembers_expiration(m, all)));
    while (fits && read_field(&is_now, &field)) {
        bool death = strncmp(field.name.s, "x-death", 7) == 0 ||
                     strncmp(field.name.s, "x-first-death-", 14) == 0 ||
                     strncmp(field.name.s, "x-last-death-", 13) == 0;
        bool count = delivered && is(&field.name, "x-delivery-count");
        bool offset = delivered && is(&field.name, "x-stream-offset");
        bool number = delivered && (is(&field.name, "x-sequence") || strncmp(field.name.s, "x-gap", 5) == 0);
        fits = (death && m->original) || count || offset || number;
    }
    return fits && !is_now.bad;
}

bool model_find_header(struct reader properties, const char *name, struct table_field *field)
{
    return find_field(headers_of(properties), name, field);
}

int64_t model_attempts(const struct said *said)
{
    struct table_field field;
    bool found = find_field(headers_of(said->properties), "x-delivery-count", &field);
    return !found ? 0 : field.type == 'l' ? field.number : -1;
}

void model_check_properties(const struct known_message *m, struct reader properties, bool delivered)
{
    struct reader published = {m->properties.at, m->properties.at + m->properties.len, false};
    struct parts was = take_apart(published), now = take_apart(properties);
    uint16_t changed = (uint16_t)(was.flags ^ now.flags);
    uint16_t may_change = (uint16_t)(1 << 13 | (m->original ? was.flags & 1 << 8 : 0));
    bool kept = m->original && now.flags & 1 << 8;
    if ((changed & ~may_change) || (changed & 1 << 13 && !(now.flags & 1 << 13)) || kept ||
        !same_bytes(was.before, now.before) || !same_bytes(was.between, now.between) ||
        !same_bytes(was.after, now.after) || !headers_fit(m, was.headers, now.headers, delivered))
        history_fail("m%llu came with other properties than it was published with", NUMBER(m));
}
