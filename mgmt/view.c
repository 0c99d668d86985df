#include "view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool view_add(struct view *view, const char *name, const char *from, const char *constant,
              enum view_kind kind)
{
    unsigned column = table_column(view->table, from);
    if (view->columns >= TABLE_COLUMNS_MAX || (!constant && column >= view->table->columns))
        return false;
    view->column[view->columns++] =
        (struct view_column){.name = name, .constant = constant, .from = column, .kind = kind};
    return true;
}

static const char *cell_of(const struct view *view, size_t row, const struct view_column *column)
{
    return column->constant ? column->constant : view->table->cell[row][column->from];
}

static bool is_json(const struct view *view, const struct view_column *column)
{
    return !column->constant && view->table->kind[column->from] == TABLE_JSON;
}

/* ---- what stands in a cell, as rabbitmqctl writes it ------------------------------------------------- */

static void put_term(FILE *out, json_t *value);

static void put_string(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

static void put_terms(FILE *out, json_t *value)
{
    const char *key;
    json_t *item;
    size_t i;
    bool first = true;
    fputc('[', out);
    json_array_foreach(value, i, item)
    {
        fputs(first ? "" : ",", out);
        first = false;
        put_term(out, item);
    }
    json_object_foreach(value, key, item)
    {
        fputs(first ? "{" : ",{", out);
        first = false;
        put_string(out, key);
        fputc(',', out);
        put_term(out, item);
        fputc('}', out);
    }
    fputc(']', out);
}

/* Erlang's form of it: a table is [{"key",value}]. */
static void put_term(FILE *out, json_t *value)
{
    if (json_is_string(value))
        put_string(out, json_string_value(value));
    else if (json_is_array(value) || json_is_object(value))
        put_terms(out, value);
    else
        json_dumpf(value, out, JSON_ENCODE_ANY);
}

/* [a, b] of a,b */
static void put_words(FILE *out, const char *words)
{
    fputc('[', out);
    for (; *words; words++)
        fprintf(out, "%c%s", *words, *words == ',' ? " " : "");
    fputc(']', out);
}

/* The text of a cell; *made: to be freed. */
static const char *text_of(const struct view *view, size_t row, const struct view_column *column, char **made)
{
    const char *cell = cell_of(view, row, column);
    size_t size;
    *made = NULL;
    if (is_json(view, column) && strcmp(cell, "{}") == 0)
        return "[]";
    if (!is_json(view, column) && column->kind != VIEW_WORDS)
        return cell;
    json_t *value = column->kind == VIEW_WORDS ? NULL : json_loads(cell, 0, NULL);
    FILE *out = value || column->kind == VIEW_WORDS ? open_memstream(made, &size) : NULL;
    if (out && value)
        put_terms(out, value);
    else if (out)
        put_words(out, cell);
    if (out)
        fclose(out);
    json_decref(value);
    return *made ? *made : cell;
}

/* ---- forms ------------------------------------------------------------------------------------------ */

/* A line stays a line, a column a column, and a terminal what it is. */
static void put_plain(const char *text)
{
    for (; *text; text++)
        putchar((unsigned char)*text < ' ' || *text == 127 ? '?' : *text);
}

static void put_quoted(const char *text)
{
    putchar('"');
    for (; *text; text++) {
        if (*text == '"')
            putchar('"');
        putchar(*text);
    }
    putchar('"');
}

static void print_lines(const struct view *view)
{
    bool csv = view->form == VIEW_CSV;
    for (unsigned i = 0; view->headers && i < view->columns; i++) {
        fputs(i == 0 ? "" : csv ? "," : "\t", stdout);
        (csv ? put_quoted : put_plain)(view->column[i].name);
    }
    if (view->headers)
        putchar('\n');
    for (size_t row = 1; row < view->table->rows; row++)
        for (unsigned i = 0; i < view->columns; i++) {
            char *made;
            const char *text = text_of(view, row, &view->column[i], &made);
            fputs(i == 0 ? "" : csv ? "," : "\t", stdout);
            (csv ? put_quoted : put_plain)(text);
            free(made);
            if (i + 1 == view->columns)
                putchar('\n');
        }
}

static json_t *words_json(const char *words)
{
    json_t *array = json_array();
    while (*words) {
        size_t len = strcspn(words, ",");
        json_array_append_new(array, json_stringn(words, len));
        words += len + (words[len] == ',');
    }
    return array;
}

static json_t *value_of(const struct view *view, size_t row, const struct view_column *column)
{
    if (column->kind == VIEW_WORDS)
        return words_json(cell_of(view, row, column));
    if (column->constant)
        return column->kind == VIEW_FLAG ? json_boolean(strcmp(column->constant, "true") == 0)
                                         : json_string(column->constant);
    return table_value(view->table, row, column->from);
}

static void print_json(const struct view *view)
{
    puts("[");
    for (size_t row = 1; row < view->table->rows; row++) {
        json_t *object = json_object();
        for (unsigned i = 0; i < view->columns; i++)
            json_object_set_new(object, view->column[i].name, value_of(view, row, &view->column[i]));
        fputs(row > 1 ? "," : "", stdout);
        json_dumpf(object, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(object);
    }
    puts("]");
}

/* ---- a box ------------------------------------------------------------------------------------------ */

/* On a terminal: bytes that go on a character have no width of their own. */
static size_t width_of(const char *text)
{
    size_t width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xC0) != 0x80;
    return width;
}

static void put_rule(const size_t *width, unsigned columns, const char *left, const char *middle,
                     const char *right)
{
    for (unsigned i = 0; i < columns; i++) {
        fputs(i == 0 ? left : middle, stdout);
        for (size_t n = 0; n < width[i] + 2; n++)
            fputs("─", stdout);
    }
    puts(right);
}

static void put_boxed(const char *text, size_t width, bool first)
{
    fputs(first ? "│ " : " │ ", stdout);
    put_plain(text);
    printf("%*s", (int)(width - width_of(text)), "");
}

static void put_box_row(const struct view *view, size_t row, const size_t *width)
{
    for (unsigned i = 0; i < view->columns; i++) {
        char *made = NULL;
        put_boxed(row ? text_of(view, row, &view->column[i], &made) : view->column[i].name, width[i], i == 0);
        free(made);
    }
    puts(" │");
}

static void print_box(const struct view *view)
{
    size_t width[TABLE_COLUMNS_MAX];
    for (unsigned i = 0; i < view->columns; i++) {
        width[i] = view->headers ? width_of(view->column[i].name) : 0;
        for (size_t row = 1; row < view->table->rows; row++) {
            char *made;
            size_t one = width_of(text_of(view, row, &view->column[i], &made));
            width[i] = one > width[i] ? one : width[i];
            free(made);
        }
    }
    put_rule(width, view->columns, "┌", "┬", "┐");
    if (view->headers)
        put_box_row(view, 0, width);
    for (size_t row = 1; row < view->table->rows; row++) {
        if (view->headers || row > 1)
            put_rule(width, view->columns, "├", "┼", "┤");
        put_box_row(view, row, width);
    }
    put_rule(width, view->columns, "└", "┴", "┘");
}

/* ---- all of it --------------------------------------------------------------------------------------- */

void view_print(const struct view *view)
{
    if (view->form == VIEW_JSON)
        print_json(view);
    else if (view->form == VIEW_PRETTY)
        print_box(view);
    else
        print_lines(view);
}

void view_print_for_people(const struct view *view)
{
    struct table shown = {.columns = view->columns, .rows = view->table->rows};
    shown.cell = calloc(shown.rows, sizeof *shown.cell);
    if (!shown.cell)
        return;
    for (unsigned i = 0; i < view->columns; i++) {
        shown.kind[i] = view->table->kind[view->column[i].from];
        for (size_t row = 0; row < shown.rows; row++)
            shown.cell[row][i] = view->table->cell[row][view->column[i].from];
    }
    table_print(&shown);
    table_free(&shown);
}
