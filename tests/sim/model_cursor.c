#include "model_cursor.h"

#include <stdlib.h>

#include "model_stream.h"
#include "site.h"

#define U(n) ((unsigned long long)(n))

/* ---- reading -------------------------------------------------------------------------------------- */

/* The simulator has values of one letter. */
static unsigned value_bit(const struct text *value)
{
    return 1u << (value->s[0] - 'a');
}

static void read_word(struct known_cursor *c, const struct text *word)
{
    size_t end = strlen(word->s);
    c->kind = is(word, "first") ? CURSOR_FIRST : is(word, "last") ? CURSOR_LAST : CURSOR_NEXT;
    if (c->kind == CURSOR_NEXT && !is(word, "next") && end && word->s[end - 1] == 's') {
        c->kind = CURSOR_AGO;
        c->number = strtoull(word->s, NULL, 10) * 1000;
    }
}

static void read_offset(struct known_cursor *c, const struct table_field *field)
{
    uint64_t number = field->number > 0 ? (uint64_t)field->number : 0;
    if (field->type == 'S') {
        read_word(c, &field->text);
    } else if (field->type == 'T') {
        c->kind = CURSOR_SINCE;
        c->number = number > SITE_EPOCH_S ? (number - SITE_EPOCH_S) * 1000 : 0;
    } else {
        c->kind = CURSOR_NUMBER;
        c->number = number;
    }
}

static void read_filter(struct known_cursor *c, const struct table_field *field)
{
    struct table_field item;
    struct reader items = field->inside;
    c->filters = true;
    if (field->type == 'S')
        c->wants |= value_bit(&field->text);
    while (field->type == 'A' && read_item(&items, &item))
        c->wants |= value_bit(&item.text);
}

void model_read_cursor(struct known_request *q, struct reader arguments)
{
    struct table_field field;
    while (read_field(&arguments, &field))
        if (is(&field.name, "x-stream-offset"))
            read_offset(&q->cursor, &field);
        else if (is(&field.name, "x-stream-filter"))
            read_filter(&q->cursor, &field);
        else if (is(&field.name, "x-stream-match-unfiltered"))
            q->cursor.unfiltered = field.number;
}

/* ---- coming ---------------------------------------------------------------------------------------- */

static bool is_dated(const struct known_cursor *c)
{
    return c->kind == CURSOR_SINCE || c->kind == CURSOR_AGO;
}

void model_cursor_joins(struct known_consumer *consumer)
{
    struct known_cursor *c = &consumer->cursor;
    uint64_t now_ms = consumer->begun_ns / 1000000;
    c->least_ms = c->most_ms = c->number;
    if (c->kind != CURSOR_AGO)
        return;
    c->least_ms = now_ms > c->number ? now_ms - c->number : 0;
    c->most_ms = UINT64_MAX;
}

void model_cursor_joined(struct known_consumer *consumer, uint64_t now_ms)
{
    struct known_cursor *c = &consumer->cursor;
    if (c->kind == CURSOR_AGO)
        c->most_ms = now_ms > c->number ? now_ms - c->number : 0;
}

/* ---- what it is to be sent -------------------------------------------------------------------------- */

bool model_cursor_passes(const struct known_cursor *cursor, const struct known_message *m)
{
    if (!cursor->filters)
        return true;
    for (unsigned i = 0; i < m->header_count; i++)
        if (is(&m->headers[i].name, "x-stream-filter-value"))
            return cursor->wants & value_bit(&m->headers[i].text);
    return cursor->unfiltered;
}

/* It came at a time of which the model knows something. */
static bool is_simple(const struct known_message *m)
{
    return !m->late && !m->loose && !m->delay_ms;
}

/* A time that was still to come when it asked is as good as "next". */
bool model_cursor_is_wrong(const struct known_cursor *at, const struct known_message *m, uint64_t offset,
                           bool limited)
{
    bool before = m->closed && m->closed < at->asked && !m->late && !m->delay_ms;
    bool exact = !limited && !at->filters;
    switch (at->kind) {
    case CURSOR_FIRST:
        return exact && offset != 0;
    case CURSOR_NUMBER:
        return offset < at->number || (exact && offset != at->number);
    case CURSOR_LAST:
        return offset + 1 < at->shown;
    case CURSOR_NEXT:
        return offset < at->shown || before;
    default:
        return before && is_simple(m) && m->closed_ms < at->least_ms;
    }
}

/* Came surely at the time with which it began, or later. */
static bool is_since(const struct known_consumer *c, const struct known_message *m)
{
    bool past = c->cursor.most_ms <= c->begun_ns / 1000000;
    return past && is_simple(m) && m->begun_ms >= c->cursor.most_ms;
}

bool model_cursor_wants(const struct known_consumer *c, const struct known_entry *e)
{
    const struct known_cursor *at = &c->cursor;
    return model_cursor_passes(at, e->message) && (at->next || !is_dated(at) || is_since(c, e->message));
}

bool model_cursor_is_behind(const struct known_consumer *c, const struct known_entry *e)
{
    const struct known_cursor *at = &c->cursor;
    if (e->offset && at->next)
        return e->offset > at->next;
    if (!at->next && at->kind == CURSOR_NUMBER)
        return e->offset > at->number;
    if (e->message->begun > c->since && !e->message->late && at->kind != CURSOR_NUMBER)
        return true;
    if (at->kind == CURSOR_FIRST || (!at->next && is_dated(at) && is_since(c, e->message)))
        return true;
    return at->next ? model_before(c->queue, at->first->message, e->message)
                    : at->kind == CURSOR_LAST && !at->filters;
}

void model_cursor_note(const struct known_consumer *c)
{
    static const char *const kinds[] = {"next", "first", "last", "number", "the time", "so long ago:"};
    const struct known_cursor *at = &c->cursor;
    history_note(
        "model: consumer '%s' began at %s %llu (%llu to %llu ms), wants %x%s, when %llu had been shown, "
        "and expects %llu; of %u it has %u to answer",
        c->tag.s, kinds[at->kind], U(at->number), U(at->least_ms), U(at->most_ms),
        at->filters ? at->wants : ~0u, at->unfiltered ? " and others" : "", U(at->shown), U(at->next),
        c->prefetch, c->out);
}
