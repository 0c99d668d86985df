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

static json_t *parsed(const char *text)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    return value ? value : json_null();
}

static json_t *from_table(const struct table *table, enum column_kind kind, size_t row, unsigned column)
{
    const char *cell = table->cell[row][column];
    switch (kind) {
    case COLUMN_WORDS:
        return words(cell);
    case COLUMN_IF_ANY:
        return *cell ? table_value(table, row, column) : NULL;
    case COLUMN_OR_UNDEFINED:
        return *cell ? table_value(table, row, column) : json_string("undefined");
    case COLUMN_OR_NULL:
        return *cell ? table_value(table, row, column) : json_null();
    case COLUMN_PARSED:
        return parsed(cell);
    default:
        return table_value(table, row, column);
    }
}

/* NULL: the table hasn't got it. */
static json_t *value_of(const struct rows *rows, const struct column *column, size_t row)
{
    unsigned source = rows_source(rows, column->name);
    switch (column->kind) {
    case COLUMN_FIXED:
        return parsed(column->from);
    case COLUMN_NODE:
        return json_string(rows->mgmtd->node);
    case COLUMN_CLUSTER:
        return json_pack("{ss}", rows->mgmtd->node, "running");
    default:
        return source < rows->table->columns ? from_table(rows->table, column->kind, row, source) : NULL;
    }
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
        return column->kind < COLUMN_FIXED ? table_column(rows->table, column->from ? column->from : name)
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
