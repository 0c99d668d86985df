/* An answer of the control socket: lines of columns, the first of which has the columns' names. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { TABLE_COLUMNS_MAX = 16 };

struct table {
    char *text;                       /* holds all cells */
    char *(*cell)[TABLE_COLUMNS_MAX]; /* by row; the first is the names */
    size_t rows, room;
    unsigned columns;
    bool numeric[TABLE_COLUMNS_MAX]; /* its name ended with '#' */
};

/* Takes the text over. A row of fewer columns has empty ones. */
struct table table_parse(char *text);
void table_free(struct table *table);
/* What stands in the row (from 1 up) under that name; "" if there is no such column. */
const char *table_cell(const struct table *table, size_t row, const char *name);
/* An array of objects, one for each row. What isn't UTF-8 is null. */
json_t *table_json(const struct table *table);
