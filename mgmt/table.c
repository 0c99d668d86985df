#include "table.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>

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

static void find_numbers(struct table *table)
{
    for (unsigned i = 0; table->rows && i < table->columns; i++) {
        char *mark = strchr(table->cell[0][i], '#');
        table->numeric[i] = mark != NULL;
        if (mark)
            *mark = '\0';
    }
}

struct table table_parse(char *text)
{
    struct table table = {.text = text};
    for (char *line; text && (line = strsep(&text, "\n")) && *line;)
        add_row(&table, line);
    find_numbers(&table);
    return table;
}

void table_free(struct table *table)
{
    free(table->cell);
    free(table->text);
    *table = (struct table){0};
}

const char *table_cell(const struct table *table, size_t row, const char *name)
{
    for (unsigned i = 0; table->rows && i < table->columns; i++)
        if (strcmp(table->cell[0][i], name) == 0)
            return table->cell[row][i];
    return "";
}

json_t *table_json(const struct table *table)
{
    json_t *rows = json_array();
    for (size_t row = 1; row < table->rows; row++) {
        json_t *object = json_object();
        for (unsigned i = 0; i < table->columns; i++) {
            const char *cell = table->cell[row][i];
            json_t *value = table->numeric[i] ? json_integer(strtoll(cell, NULL, 10)) : json_string(cell);
            json_object_set_new(object, table->cell[0][i], value ? value : json_null());
        }
        json_array_append_new(rows, object);
    }
    return rows;
}
