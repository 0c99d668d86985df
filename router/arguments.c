#include "router/arguments.h"

#include <inttypes.h>
#include <stdio.h>

/* The value alone; false if it has no short form. */
static bool plain(const struct field *field, char *text, size_t size)
{
    int64_t number;
    bool flag;
    if (field->type == 'S')
        snprintf(text, size, "%.*s", (int)(field->value.len < 200 ? field->value.len : 200),
                 (const char *)field->value.at);
    else if (field_int(field, &number))
        snprintf(text, size, "%" PRId64, number);
    else if (field_bool(field, &flag))
        snprintf(text, size, "%s", flag ? "true" : "false");
    else
        return false;
    return true;
}

static void describe(const struct field *field, char *text, size_t size)
{
    char value[208];
    if (!field)
        snprintf(text, size, "none");
    else if (plain(field, value, sizeof value))
        snprintf(text, size, "the value '%s' of type '%s'", value, field_type_name(field->type));
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

bool argument_equivalent(struct span name, const struct field *received, const struct field *current,
                         const char *what, char *text, size_t size)
{
    char one[256], other[256];
    if ((!received && !current) || (received && current && field_equal(received, current)))
        return true;
    const char *quote = "'";
    if (!received || !current || !plain(received, one, sizeof one) || !plain(current, other, sizeof other)) {
        describe(received, one, sizeof one);
        describe(current, other, sizeof other);
        quote = "";
    }
    snprintf(text, size, "inequivalent arg '%.*s' for %s: received %s%s%s but current is %s%s%s",
             (int)name.len, (const char *)name.at, what, quote, one, quote, quote, other, quote);
    return false;
}

/* Every argument of `a` against `b`; swapped: a is what is current. */
static bool each_equal(struct span a, struct span b, bool swapped, const char *what, char *text, size_t size)
{
    struct field f, g;
    while (table_next(&a, &f)) {
        const struct field *other = find(b, f.name, &g) ? &g : NULL;
        if (counts(f.name) &&
            !argument_equivalent(f.name, swapped ? other : &f, swapped ? &f : other, what, text, size))
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
