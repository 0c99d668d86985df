/* Who gets a message: the rules of AMQP 0-9-1 for each type of exchange, word by word, and in three values.
 */
#include <stdlib.h>
#include <string.h>

#include "model_history.h"
#include "model_leave.h"

/* ---- does one binding match -----------------------------------------------------------------------------
 */

/* The words of a key: one after the other. Returns what follows, NULL at the end. */
static const char *next_word(const char *at, size_t *len)
{
    const char *dot = strchr(at, '.');
    *len = dot ? (size_t)(dot - at) : strlen(at);
    return dot ? dot + 1 : NULL;
}

/* NULL: no words are left; the empty key has none. */
static bool topic_matches(const char *pattern, const char *key)
{
    size_t p, k;
    if (!pattern)
        return !key;
    const char *pattern_rest = next_word(pattern, &p);
    if (p == 1 && *pattern == '#') {
        if (topic_matches(pattern_rest, key))
            return true;
        return key && topic_matches(pattern, next_word(key, &k));
    }
    if (!key)
        return false;
    const char *key_rest = next_word(key, &k);
    bool any = p == 1 && *pattern == '*';
    return (any || (p == k && memcmp(pattern, key, p) == 0)) && topic_matches(pattern_rest, key_rest);
}

static const char *words(const struct text *key)
{
    return key->s[0] ? key->s : NULL;
}

static bool has_header(const struct known_message *m, const struct table_field *wanted)
{
    for (unsigned i = 0; i < m->header_count; i++) {
        const struct table_field *h = &m->headers[i];
        if (same(&h->name, &wanted->name))
            return h->type == wanted->type && h->number == wanted->number && same(&h->text, &wanted->text);
    }
    return false;
}

/* All that is asked for, or (x-match: any) one of it; what begins with x- isn't asked for. */
static bool headers_match(const struct known_binding *b, const struct known_message *m)
{
    struct reader table = {b->arguments.at, b->arguments.at ? b->arguments.at + b->arguments.len : NULL,
                           false};
    struct table_field field;
    bool any = false;
    unsigned asked = 0, there = 0;
    while (read_field(&table, &field)) {
        if (is(&field.name, "x-match"))
            any = is(&field.text, "any");
        if (strncmp(field.name.s, "x-", 2) == 0)
            continue;
        asked++;
        there += has_header(m, &field);
    }
    return any ? there > 0 : there == asked;
}

/* Of the exchanges that give a message to one of their bindings. */
static bool picks(const struct known_exchange *e)
{
    return strncmp(e->type.s, "x-", 2) == 0 && !model_remembers(e);
}

/* The weights that clients use have one digit. */
bool model_takes_key(const struct known_exchange *e, const struct text *key)
{
    return !is(&e->type, "x-consistent-hash") || (key->s[0] >= '1' && key->s[0] <= '9' && !key->s[1]);
}

static bool binding_matches(const struct known_binding *b, const struct known_message *m)
{
    const struct text *type = &b->source->type;
    if (is(type, "fanout") || strncmp(type->s, "x-", 2) == 0)
        return true;
    if (is(type, "topic"))
        return topic_matches(words(&b->key), words(&m->key));
    if (is(type, "headers"))
        return headers_match(b, m);
    return same(&b->key, &m->key);
}

/* ---- from exchange to exchange ----------------------------------------------------------------------------
 */

static enum sure least(enum sure a, enum sure b)
{
    return a < b ? a : b;
}

static bool raise(enum sure *to, enum sure by)
{
    if (*to >= by)
        return false;
    *to = by;
    return true;
}

static unsigned number_of_exchange(const struct model *model, const struct known_exchange *e)
{
    unsigned i = 0;
    while (model->exchanges[i] != e)
        i++;
    return i;
}

static unsigned number_of_queue(const struct model *model, const struct known_queue *q)
{
    unsigned i = 0;
    while (model->queues[i] != q)
        i++;
    return i;
}

/* An exchange with several bindings that gives a message to one of them: any may be it. */
static enum sure surest(const struct model *model, const struct known_exchange *e, enum sure at,
                        struct route_facts *facts)
{
    unsigned bindings = 0, sure = 0, queues = 0;
    for (unsigned i = 0; i < model->binding_count; i++) {
        const struct known_binding *b = model->bindings[i];
        enum sure bound = b->source == e ? model_bound(b) : NO;
        bindings += bound != NO;
        sure += bound == YES;
        queues += bound == YES && b->queue;
    }
    facts->races |= at == MAYBE || sure < bindings;
    facts->one |= at == YES && bindings > 1 && queues == bindings;
    return bindings > 1 ? MAYBE : YES;
}

/* What the exchange passes on. An alternate gets what no binding matches. Returns whether another exchange
 * got more. */
static bool pass_on(const struct model *model, const struct known_message *m, unsigned from, bool ever,
                    enum sure *at, enum sure *to, struct route_facts *facts)
{
    const struct known_exchange *e = model->exchanges[from];
    enum sure hit = NO, most = picks(e) ? surest(model, e, at[from], facts) : YES;
    bool more = false;
    for (unsigned i = 0; i < model->binding_count; i++) {
        const struct known_binding *b = model->bindings[i];
        enum sure bound = b->source != e ? NO : ever ? MAYBE : model_bound(b);
        if (bound == NO || !binding_matches(b, m))
            continue;
        raise(&hit, bound);
        if (b->queue)
            raise(&to[number_of_queue(model, b->queue)], least(at[from], least(bound, most)));
        else
            more |= raise(&at[number_of_exchange(model, b->exchange)], least(at[from], least(bound, most)));
    }
    for (unsigned i = 0; hit != YES && !model_remembers(e) && e->alternate.s[0] && i < model->exchange_count;
         i++)
        if (same(&model->exchanges[i]->name, &e->alternate))
            more |= raise(&at[i], least(least(at[from], hit == NO ? YES : MAYBE),
                                        ever ? MAYBE : model->exchanges[i]->thing.there));
    return more;
}

enum { MOST_EXCHANGES = 64 };

/* at: how sure it is that it comes to an exchange, by the exchange's number. */
static struct route_facts walk(const struct model *model, const struct known_message *m, bool ever,
                               enum sure *at, enum sure *to)
{
    struct route_facts facts = {false, false};
    unsigned visited = 0;
    bool more = true;
    memset(to, 0, model->queue_count * sizeof *to);
    if (is(&m->exchange, "")) {
        for (unsigned i = 0; i < model->queue_count; i++)
            if (same(&model->queues[i]->name, &m->key))
                to[i] = ever ? MAYBE : model->queues[i]->thing.there;
        return facts;
    }
    for (unsigned i = 0; i < model->exchange_count; i++)
        if (same(&model->exchanges[i]->name, &m->exchange))
            at[i] = ever ? MAYBE : model->exchanges[i]->thing.there;
    while (more) {
        more = false;
        for (unsigned i = 0; i < model->exchange_count; i++)
            if (at[i] != NO)
                more |= pass_on(model, m, i, ever, at, to, &facts);
    }
    for (unsigned i = 0; i < model->exchange_count; i++)
        visited += at[i] != NO;
    facts.one &= visited == 1;
    return facts;
}

static struct route_facts route(const struct model *model, const struct known_message *m, bool ever,
                                enum sure *to)
{
    enum sure at[MOST_EXCHANGES] = {NO};
    return walk(model, m, ever, at, to);
}

/* Whether anything may ever have come to the exchange from another one. */
static bool has_sources(const struct model *model, const struct known_exchange *e)
{
    for (unsigned i = 0; i < model->binding_count; i++)
        if (model->bindings[i]->exchange == e)
            return true;
    for (unsigned i = 0; i < model->exchange_count; i++)
        if (same(&model->exchanges[i]->alternate, &e->name))
            return true;
    return false;
}

bool model_reaches_ever(const struct model *model, const struct known_message *m,
                        const struct known_exchange *e)
{
    if (same(&m->exchange, &e->name) || !has_sources(model, e))
        return same(&m->exchange, &e->name);
    enum sure at[MOST_EXCHANGES] = {NO}, *to = model_make((model->queue_count + 1) * sizeof *to);
    walk(model, m, true, at, to);
    free(to);
    return at[number_of_exchange(model, e)] != NO;
}

struct route_facts model_route(const struct model *model, const struct known_message *m, enum sure *to)
{
    struct route_facts facts = route(model, m, false, to);
    if (m->original)
        model_break_circles(model, m, to);
    return facts;
}

void model_route_ever(const struct model *model, const struct known_message *m, enum sure *to)
{
    route(model, m, true, to);
    model_break_circles(model, m, to);
}
