#include "table.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH_MAX = 60 };

static void add_row(struct table *table, char *line)
{
    if (table->rows == table->room) {
        table->room = table->room ? 2 * table->room : 64;
        table->cell = realloc(table->cell, table->room * sizeof *table->cell);
        if (!table->cell)
            errx(1, "no memory");
    }
    unsigned n = 0;
    for (char *cell; n < TABLE_COLUMNS_MAX && (cell = strsep(&line, "\t")); n++)
        table->cell[table->rows][n] = cell;
    if (table->rows == 0)
        table->columns = n;
    for (; n < TABLE_COLUMNS_MAX; n++)
        table->cell[table->rows][n] = "";
    table->rows++;
}

static void find_kinds(struct table *table)
{
    for (unsigned i = 0; table->rows && i < table->columns; i++) {
        char *name = table->cell[0][i], *mark = name + strcspn(name, "#?{");
        table->kind[i] = (enum table_kind) * mark;
        *mark = '\0';
    }
}

struct table table_parse(char *text)
{
    struct table table = {.text = text};
    char *line = NULL;
    while ((line = strsep(&text, "\n")) && *line)
        add_row(&table, line);
    table.complete = line && text; /* an empty line, that is, and not what is behind the last one */
    find_kinds(&table);
    return table;
}

void table_free(struct table *table)
{
    free(table->cell);
    free(table->text);
    *table = (struct table){0};
}

/* A NUL, which a name may have, is no text. */
void table_unescape_text(char *text)
{
    char *to = text;
    for (const char *at = text; *at; to++)
        if (*at != '\\') {
            *to = *at++;
        } else if (at[1] != 'x' || !at[2] || !at[3]) {
            *to = '\\';
            at += 1 + (at[1] == '\\');
        } else {
            *to = (char)strtoul((const char[]){at[2], at[3], '\0'}, NULL, 16);
            *to = *to ? *to : '?';
            at += 4;
        }
    *to = '\0';
}

void table_unescape(struct table *table)
{
    for (unsigned i = 0; i < table->columns; i++)
        for (size_t row = 1; row < table->rows && table->kind[i] == TABLE_TEXT; row++)
            if (strchr(table->cell[row][i], '\\'))
                table_unescape_text(table->cell[row][i]);
}

unsigned table_column(const struct table *table, const char *name)
{
    unsigned i = 0;
    while (table->rows && i < table->columns && strcmp(table->cell[0][i], name) != 0)
        i++;
    return i;
}

const char *table_cell(const struct table *table, size_t row, const char *name)
{
    unsigned i = table_column(table, name);
    return i < table->columns ? table->cell[row][i] : "";
}

json_t *table_value(const struct table *table, size_t row, unsigned column)
{
    const char *cell = table->cell[row][column];
    json_t *value = table->kind[column] == TABLE_NUMBER ? json_integer(strtoll(cell, NULL, 10))
                    : table->kind[column] == TABLE_FLAG ? json_boolean(strcmp(cell, "true") == 0)
                    : table->kind[column] == TABLE_JSON ? json_loads(cell, JSON_DECODE_ANY, NULL)
                                                        : json_string(cell);
    return value ? value : json_null();
}

json_t *table_json(const struct table *table)
{
    json_t *rows = json_array();
    for (size_t row = 1; row < table->rows; row++) {
        json_t *object = json_object();
        for (unsigned i = 0; i < table->columns; i++)
            json_object_set_new(object, table->cell[0][i], table_value(table, row, i));
        json_array_append_new(rows, object);
    }
    return rows;
}

static int width(const struct table *table, unsigned column)
{
    size_t most = 0;
    for (size_t row = 0; row < table->rows; row++) {
        size_t len = strlen(table->cell[row][column]);
        most = len > most ? len : most;
    }
    return most < WIDTH_MAX ? (int)most : WIDTH_MAX;
}

void table_print(const struct table *table)
{
    for (size_t row = 0; row < table->rows; row++)
        for (unsigned i = 0; i < table->columns; i++) {
            bool last = i + 1 == table->columns;
            int wide = table->kind[i] == TABLE_NUMBER ? width(table, i) : last ? 0 : -width(table, i);
            printf("%*s%s", wide, table->cell[row][i], last ? "\n" : "  ");
        }
}
