#include "router/arguments.h"

#include <inttypes.h>
#include <stdio.h>

static void describe(const struct field *field, char *text, size_t size)
{
    int64_t number;
    bool flag;
    if (!field)
        snprintf(text, size, "none");
    else if (field->type == 'S')
        snprintf(text, size, "the value '%.*s' of type 'longstr'",
                 (int)(field->value.len < 200 ? field->value.len : 200), (const char *)field->value.at);
    else if (field_int(field, &number))
        snprintf(text, size, "the value '%" PRId64 "' of type '%s'", number, field_type_name(field->type));
    else if (field_bool(field, &flag))
        snprintf(text, size, "the value '%s' of type 'bool'", flag ? "true" : "false");
    else
        snprintf(text, size, "a value of type '%s'", field_type_name(field->type));
}

static bool counts(struct span name)
{
    return span_starts(name, "x-") || span_is(name, "alternate-exchange");
}

static bool find(struct span table, struct span name, struct field *field)
{
    while (table_next(&table, field))
        if (span_equal(field->name, name))
            return true;
    return false;
}

/* Every argument of `a` against `b`; swapped: a is what is current. */
static bool each_equal(struct span a, struct span b, bool swapped, const char *what, char *text, size_t size)
{
    struct field f, g;
    while (table_next(&a, &f)) {
        if (!counts(f.name))
            continue;
        bool there = find(b, f.name, &g);
        if (there && field_equal(&f, &g))
            continue;
        char one[256], other[256];
        describe(&f, one, sizeof one);
        describe(there ? &g : NULL, other, sizeof other);
        snprintf(text, size, "inequivalent arg '%.*s' for %s: received %s but current is %s", (int)f.name.len,
                 (const char *)f.name.at, what, swapped ? other : one, swapped ? one : other);
        return false;
    }
    return true;
}

bool arguments_equivalent(struct span received, struct span current, const char *what, char *text,
                          size_t text_size)
{
    return each_equal(received, current, false, what, text, text_size) &&
           each_equal(current, received, true, what, text, text_size);
}

bool flag_equivalent(const char *name, bool received, bool current, const char *what, char *text,
                     size_t text_size)
{
    if (received == current)
        return true;
    snprintf(text, text_size, "inequivalent arg '%s' for %s: received '%s' but current is '%s'", name, what,
             received ? "true" : "false", current ? "true" : "false");
    return false;
}
