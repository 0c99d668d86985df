/* An answer of the control socket: lines of columns, the first of which has the columns' names. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { TABLE_COLUMNS_MAX = 24 };

/* What a column holds, by the mark behind its name. */
enum table_kind { TABLE_TEXT, TABLE_NUMBER = '#', TABLE_FLAG = '?', TABLE_JSON = '{' };

struct table {
    char *text;                       /* holds all cells */
    char *(*cell)[TABLE_COLUMNS_MAX]; /* by row; the first is the names */
    size_t rows, room;
    unsigned columns;
    bool complete; /* its end is marked, as of what dataplane/lists.h answers */
    enum table_kind kind[TABLE_COLUMNS_MAX];
};

/* Takes the text over. A row of fewer columns has empty ones. */
struct table table_parse(char *text);
void table_free(struct table *table);
/* What stands in the row (from 1 up) under that name; "" if there is no such column. */
const char *table_cell(const struct table *table, size_t row, const char *name);
/* In the answers of dataplane/lists.h text is written so that every name fits: makes it what it is. */
void table_unescape(struct table *table);
/* The same of one cell. */
void table_unescape_text(char *text);
/* The number of the column of that name; table->columns if there is none. */
unsigned table_column(const struct table *table, const char *name);
/* What stands in a row (from 1 up), as JSON. What isn't UTF-8 is null. */
json_t *table_value(const struct table *table, size_t row, unsigned column);
/* An array of objects, one for each row. What isn't UTF-8 is null. */
json_t *table_json(const struct table *table);
/* For people, on the standard output: columns under each other. */
void table_print(const struct table *table);
