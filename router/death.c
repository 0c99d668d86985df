#include "router/death.h"

#include "base/check.h"
#include "base/limits.h"
#include "router/properties.h"
#include "router/table_out.h"

static const char *const reasons[] = {"expired", "maxlen", "rejected", "delivery_limit"};

/* Names, keys and numbers of a death, and of the first and the last. */
#define DEATH_BYTES_MAX (8 * NAME_MAX_BYTES + 512u)

const char *death_reason_text(enum death_reason reason)
{
    return reasons[reason];
}

size_t death_room(struct span properties)
{
    return 2 * properties.len + DEATH_BYTES_MAX;
}

/* ---- one death ----------------------------------------------------------------------------------- */

static bool table_says(struct span table, const char *name, struct span value)
{
    struct field field;
    return table_find(table, name, &field) && field.type == 'S' && span_equal(field.value, value);
}

static bool is_same(struct span table, const struct death *death)
{
    return table_says(table, "queue", death->queue) &&
           table_says(table, "reason", span_str(reasons[death->reason]));
}

/* The routing key, and what the CC header adds. */
static uint8_t *put_keys(uint8_t *to, struct span headers, struct span key)
{
    struct field cc, item;
    uint8_t *from = put_open(to, "routing-keys", 'A');
    to = put_long_str(put_u8(from, 'S'), key);
    if (table_find(headers, "CC", &cc) && cc.type == 'A')
        while (array_next(&cc.value, &item))
            if (item.type == 'S')
                to = put_long_str(put_u8(to, 'S'), item.value);
    put_length(from, to);
    return to;
}

/* An item of x-death: a table. */
static uint8_t *put_new(uint8_t *to, const struct properties *p, const struct death *d)
{
    uint8_t *from = put_u8(to, 'F') + 4;
    to = put_field_long(from, "count", 1);
    to = put_field_str(to, "reason", span_str(reasons[d->reason]));
    to = put_field_str(to, "queue", d->queue);
    to = put_field_time(to, "time", d->time_s);
    to = put_field_str(to, "exchange", d->exchange);
    to = put_keys(to, p->headers, d->key);
    if (p->flags & HAS_EXPIRATION)
        to = put_field_str(to, "original-expiration", p->expiration);
    put_length(from, to);
    return to;
}

/* The same queue and reason once more. */
static uint8_t *put_again(uint8_t *to, struct span table)
{
    struct field field;
    int64_t count;
    uint8_t *from = put_u8(to, 'F') + 4;
    to = from;
    for (const uint8_t *at = table.at; table_next(&table, &field); at = table.at)
        if (span_is(field.name, "count") && field_int(&field, &count))
            to = put_field_long(to, "count", count + 1);
        else
            to = put_span(to, span_of(at, (size_t)(table.at - at)));
    put_length(from, to);
    return to;
}

/* ---- x-death ------------------------------------------------------------------------------------- */

/* Those before, but for the one that came first again; as many as there is room for. */
static uint8_t *put_others(uint8_t *to, const uint8_t *end, struct span array, const struct death *d)
{
    struct field item;
    for (const uint8_t *at = array.at; array_next(&array, &item); at = array.at) {
        size_t len = (size_t)(array.at - at);
        if (item.type != 'F' || is_same(item.value, d))
            continue;
        if (to + len > end)
            break;
        to = put_span(to, span_of(at, len));
    }
    return to;
}

static uint8_t *put_deaths(uint8_t *to, const uint8_t *end, const struct properties *p, const struct death *d)
{
    struct field old, item, same = {.type = 0};
    bool before = table_find(p->headers, "x-death", &old) && old.type == 'A';
    struct span rest = before ? old.value : (struct span){NULL, 0};
    while (!same.type && array_next(&rest, &item))
        if (item.type == 'F' && is_same(item.value, d))
            same = item;
    uint8_t *from = put_open(to, "x-death", 'A');
    to = same.type ? put_again(from, same.value) : put_new(from, p, d);
    if (before)
        to = put_others(to, end, old.value, d);
    put_length(from, to);
    return to;
}

static uint8_t *put_summary(uint8_t *to, const char *const names[3], const struct death *d)
{
    to = put_field_str(to, names[0], span_str(reasons[d->reason]));
    to = put_field_str(to, names[1], d->queue);
    return put_field_str(to, names[2], d->exchange);
}

static bool is_replaced(struct span name, const struct death *d)
{
    return span_is(name, "x-death") || span_starts(name, "x-last-death-") ||
           (d->rekeyed && (span_is(name, "CC") || span_is(name, "BCC")));
}

static uint8_t *put_headers(uint8_t *to, const uint8_t *end, const struct properties *p,
                            const struct death *d)
{
    static const char *const first[] = {"x-first-death-reason", "x-first-death-queue",
                                        "x-first-death-exchange"};
    static const char *const last[] = {"x-last-death-reason", "x-last-death-queue", "x-last-death-exchange"};
    struct span rest = p->headers;
    struct field field;
    for (const uint8_t *at = rest.at; table_next(&rest, &field); at = rest.at)
        if (!is_replaced(field.name, d))
            to = put_span(to, span_of(at, (size_t)(rest.at - at)));
    if (!table_find(p->headers, first[0], &field))
        to = put_summary(to, first, d);
    to = put_summary(to, last, d);
    return put_deaths(to, end, p, d);
}

/* ---- the properties ------------------------------------------------------------------------------ */

size_t death_mark(uint8_t *to, struct span properties, const struct death *death)
{
    struct properties p;
    CHECK(properties_read(properties, &p));
    bool headers = p.flags & HAS_HEADERS;
    const uint8_t *at = to, *end = properties.at + properties.len;
    const uint8_t *rest = headers ? p.headers.at + p.headers.len : p.headers.at;
    uint16_t flags = (uint16_t)((get_be16(properties.at) | HAS_HEADERS) & ~HAS_EXPIRATION);
    const uint8_t *start = properties.at + 2, *table = headers ? p.headers.at - 4 : p.headers.at;
    to = put_span(put_be16(to, flags), span_of(start, (size_t)(table - start)));
    uint8_t *from = to + 4;
    to = put_headers(from, at + PROPERTIES_MAX - (size_t)(end - rest), &p, death);
    put_length(from, to);
    if (!(p.flags & HAS_EXPIRATION))
        return (size_t)(put_span(to, span_of(rest, (size_t)(end - rest))) - at);
    const uint8_t *expiration = p.expiration.at - 1, *behind = p.expiration.at + p.expiration.len;
    to = put_span(to, span_of(rest, (size_t)(expiration - rest)));
    return (size_t)(put_span(to, span_of(behind, (size_t)(end - behind))) - at);
}

/* ---- circles ------------------------------------------------------------------------------------- */

bool death_circle(struct span headers, struct span queue)
{
    struct field deaths, item;
    if (!table_find(headers, "x-death", &deaths) || deaths.type != 'A')
        return false;
    while (array_next(&deaths.value, &item)) {
        if (item.type != 'F')
            continue;
        if (table_says(item.value, "reason", span_str(reasons[DEATH_REJECTED])))
            return false;
        if (table_says(item.value, "queue", queue))
            return true;
    }
    return false;
}
