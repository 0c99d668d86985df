#include "router/stream_offset.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/limits.h"
#include "router/properties.h"
#include "router/settings.h"
#include "router/table.h"

static bool refuse(struct stream_wrong *wrong, const char *argument, const struct field *field)
{
    wrong->argument = argument;
    snprintf(wrong->reason, sizeof wrong->reason, "{unacceptable_type,%s}", field_type_name(field->type));
    return false;
}

/* ---- where it begins ----------------------------------------------------------------------------- */

static bool read_word(struct stream_wish *wish, struct span word)
{
    uint64_t ms;
    if (span_is(word, "next"))
        wish->kind = OFFSET_NEXT;
    else if (span_is(word, "first"))
        wish->kind = OFFSET_FIRST;
    else if (span_is(word, "last"))
        wish->kind = OFFSET_LAST;
    else if (settings_age(word, &ms))
        wish->kind = OFFSET_AGO, wish->value = (int64_t)ms;
    else
        return false;
    return true;
}

/* In seconds on the wire; a time that ms can't express is later than any. */
static int64_t since_ms(struct span seconds)
{
    uint64_t s = get_be64(seconds.at);
    return s < INT64_MAX / 1000 ? (int64_t)s * 1000 : INT64_MAX;
}

static bool wrong_word(struct stream_wrong *wrong, const struct field *field)
{
    struct span word = field->value;
    int len = (int)(word.len < NAME_MAX_BYTES ? word.len : NAME_MAX_BYTES);
    wrong->argument = "x-stream-offset";
    snprintf(wrong->reason, sizeof wrong->reason, "{invalid_stream_offset_arg,{%s,<<\"%.*s\">>}}",
             field_type_name(field->type), len, (const char *)word.at);
    return false;
}

static bool read_offset(struct stream_wish *wish, struct span arguments, struct stream_wrong *wrong)
{
    struct field field;
    wish->kind = OFFSET_NEXT;
    if (!table_find(arguments, "x-stream-offset", &field))
        return true;
    if (field.type == 'S' || field.type == 'x')
        return read_word(wish, field.value) || wrong_word(wrong, &field);
    if (field.type == 'T')
        wish->kind = OFFSET_SINCE, wish->value = since_ms(field.value);
    else if (field_int(&field, &wish->value))
        wish->kind = OFFSET_NUMBER;
    else
        return refuse(wrong, "x-stream-offset", &field);
    return true;
}

/* ---- what it wants ------------------------------------------------------------------------------- */

/* Its values stand behind it. */
struct stream_filter {
    bool unfiltered; /* messages without the header pass too */
    uint32_t count;
    struct span values[];
};

/* How many values there are; -1: not all are strings. */
static int64_t count_values(struct span array)
{
    struct field item;
    int64_t n = 0;
    for (; array_next(&array, &item); n++)
        if (item.type != 'S')
            return -1;
    return n;
}

static struct stream_filter *make(const struct field *field, size_t count, bool unfiltered)
{
    size_t head = sizeof(struct stream_filter) + count * sizeof(struct span);
    struct stream_filter *filter = malloc(head + field->value.len);
    CHECK(filter);
    uint8_t *bytes = (uint8_t *)filter + head;
    put_span(bytes, field->value);
    struct span left = span_of(bytes, field->value.len);
    struct field item;
    *filter = (struct stream_filter){.unfiltered = unfiltered};
    if (field->type == 'S')
        filter->values[filter->count++] = left;
    while (field->type == 'A' && array_next(&left, &item))
        filter->values[filter->count++] = item.value;
    return filter;
}

static bool read_filter(struct stream_wish *wish, struct span arguments, struct stream_wrong *wrong)
{
    struct field field, flag;
    bool unfiltered = false;
    wish->filter = NULL;
    if (table_find(arguments, "x-stream-match-unfiltered", &flag) && !field_bool(&flag, &unfiltered))
        return refuse(wrong, "x-stream-match-unfiltered", &flag);
    if (!table_find(arguments, "x-stream-filter", &field))
        return true;
    int64_t count = field.type == 'S' ? 1 : field.type == 'A' ? count_values(field.value) : -1;
    if (count < 0)
        return refuse(wrong, "x-stream-filter", &field);
    if (count > FILTER_VALUES_MAX) {
        wrong->argument = "x-stream-filter";
        snprintf(wrong->reason, sizeof wrong->reason, "more than %u values", FILTER_VALUES_MAX);
        return false;
    }
    wish->filter = make(&field, (size_t)count, unfiltered);
    return true;
}

bool stream_wish_read(struct stream_wish *wish, struct span arguments, struct stream_wrong *wrong)
{
    return read_offset(wish, arguments, wrong) && read_filter(wish, arguments, wrong);
}

bool stream_filter_passes(const struct stream_filter *filter, const struct message *m)
{
    struct properties p;
    struct field field;
    if (!properties_read(message_properties(m), &p) ||
        !table_find(p.headers, "x-stream-filter-value", &field) || field.type != 'S')
        return filter->unfiltered;
    for (uint32_t i = 0; i < filter->count; i++)
        if (span_equal(filter->values[i], field.value))
            return true;
    return false;
}
