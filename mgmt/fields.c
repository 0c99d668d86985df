#include "fields.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool all_texts(const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!json_is_string(json_array_get(list, i)))
            return false;
    return json_is_array(list);
}

static char *joined(const json_t *list)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    for (size_t i = 0; out && i < json_array_size(list); i++)
        fprintf(out, "%s%s", i ? "," : "", json_string_value(json_array_get(list, i)));
    if (out && fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

static bool is_text(const json_t *value, const char *text)
{
    return json_is_string(value) && strcmp(json_string_value(value), text) == 0;
}

static bool take_whole(const json_t *value, json_int_t *to)
{
    char *end;
    const char *text = json_is_string(value) ? json_string_value(value) : "";
    errno = 0;
    *to = json_is_integer(value) ? json_integer_value(value) : strtoll(text, &end, 10);
    return json_is_integer(value) || (*text && *text != ' ' && !*end && errno == 0);
}

/* NULL: it is there. Else what it must be. */
static const char *take(const json_t *value, enum field_kind kind, void *to)
{
    switch (kind) {
    case FIELD_TEXT:
        if (!json_is_string(value))
            return "a string";
        *(const char **)to = json_string_value(value);
        return NULL;
    case FIELD_WORDS:
        if (!json_is_string(value) && !all_texts(value))
            return "a string, or a list of strings";
        free(*(char **)to);
        *(char **)to = json_is_string(value) ? strdup(json_string_value(value)) : joined(value);
        return *(char **)to ? NULL : "shorter: there is no memory for it";
    case FIELD_WHOLE:
        return take_whole(value, to) ? NULL : "a whole number";
    case FIELD_TRUTH:
        *(bool *)to = json_is_true(value) || is_text(value, "true");
        return *(bool *)to || json_is_false(value) || is_text(value, "false") ? NULL : "true or false";
    case FIELD_OBJECT:
        if (!json_is_object(value))
            return "an object";
        break;
    case FIELD_LIST:
        if (!all_texts(value))
            return "a list of strings";
        break;
    case FIELD_ANY:
        break;
    }
    *(const json_t **)to = value;
    return NULL;
}

bool fields_read(const json_t *body, const struct field *fields, size_t count, void *into,
                 struct reply *reply)
{
    for (size_t i = 0; i < count; i++) {
        const struct field *field = &fields[i];
        const json_t *value = json_object_get(body, field->name);
        bool given = value && !json_is_null(value);
        if (!given && field->needed)
            reply_error(reply, 400, "the field '%s' is missing", field->name);
        if (!given && field->needed)
            return false;
        const char *wanted = given ? take(value, field->kind, (char *)into + field->offset) : NULL;
        if (!wanted)
            continue;
        reply_error(reply, 400, "the field '%s' must be %s", field->name, wanted);
        return false;
    }
    return true;
}
