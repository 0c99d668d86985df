#include "rows.h"

#include <string.h>

/* ---- values -------------------------------------------------------------------------------------------- */

static json_t *words(const char *text)
{
    json_t *list = json_array();
    for (size_t len; *text; text += len + (text[len] == ',')) {
        text += strspn(text, " ");
        len = strcspn(text, ",");
        if (len)
            json_array_append_new(list, json_stringn(text, len));
    }
    return list;
}

static bool has_flag(const char *flags, const char *flag)
{
    size_t wanted = strlen(flag);
    for (size_t len; *flags; flags += len + (flags[len] == ' ')) {
        len = strcspn(flags, " ");
        if (len == wanted && memcmp(flags, flag, len) == 0)
            return true;
    }
    return false;
}

/* NULL: the table hasn't got it. */
static json_t *value_of(const struct rows *rows, const struct column *column, size_t row)
{
    unsigned source = rows_source(rows, column->name);
    bool there = source < rows->table->columns;
    switch (column->kind) {
    case COLUMN_SAME:
        return there ? table_value(rows->table, row, source) : NULL;
    case COLUMN_WORDS:
        return there ? words(rows->table->cell[row][source]) : NULL;
    case COLUMN_FIXED:
        return json_loads(column->from, JSON_DECODE_ANY, NULL);
    case COLUMN_FLAG:
        return json_boolean(has_flag(table_cell(rows->table, row, "flags"), column->from));
    case COLUMN_NODE:
        return json_string(rows->mgmtd->node);
    case COLUMN_CLUSTER:
        return json_pack("{ss}", rows->mgmtd->node, "running");
    }
    return NULL;
}

/* ---- members ------------------------------------------------------------------------------------------- */

/* Whether one path is the other, or leads to it. */
static bool leads(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t len = a_len < b_len ? a_len : b_len;
    return memcmp(a, b, len) == 0 && (a_len == b_len || (a_len < b_len ? b[len] == '.' : a[len] == '.'));
}

static bool is_wanted(const char *name, const char *wanted)
{
    if (!wanted)
        return true;
    for (size_t len; *wanted; wanted += len + (wanted[len] == ',')) {
        len = strcspn(wanted, ",");
        if (len && leads(name, strlen(name), wanted, len))
            return true;
    }
    return false;
}

/* Takes the value over. */
static void put(json_t *object, const char *name, json_t *value)
{
    const char *dot;
    for (; (dot = strchr(name, '.')); name = dot + 1) {
        char outer[64];
        size_t len = (size_t)(dot - name) < sizeof outer ? (size_t)(dot - name) : sizeof outer - 1;
        memcpy(outer, name, len);
        outer[len] = '\0';
        json_t *inner = json_object_get(object, outer);
        if (!json_is_object(inner))
            json_object_set_new(object, outer, inner = json_object());
        object = inner;
    }
    json_object_set_new(object, name, value);
}

static const struct column *column_at(const struct rows *rows, size_t i, struct column *same)
{
    if (rows->columns)
        return &rows->columns[i];
    *same = (struct column){.name = rows->table->cell[0][i]};
    return same;
}

static size_t column_count(const struct rows *rows)
{
    return rows->columns ? rows->count : rows->table->columns;
}

unsigned rows_source(const struct rows *rows, const char *name)
{
    for (size_t i = 0; rows->columns && i < rows->count; i++) {
        const struct column *column = &rows->columns[i];
        if (strcmp(column->name, name) != 0)
            continue;
        return column->kind == COLUMN_SAME || column->kind == COLUMN_WORDS
                   ? table_column(rows->table, column->from ? column->from : name)
                   : rows->table->columns;
    }
    return rows->columns ? rows->table->columns : table_column(rows->table, name);
}

json_t *rows_object(const struct rows *rows, size_t row, const char *wanted)
{
    json_t *object = json_object();
    for (size_t i = 0; i < column_count(rows); i++) {
        struct column same;
        const struct column *column = column_at(rows, i, &same);
        json_t *value = is_wanted(column->name, wanted) ? value_of(rows, column, row) : NULL;
        if (value)
            put(object, column->name, value);
    }
    return object;
}
