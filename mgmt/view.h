/* Rows of an answer in the forms that rabbitmqctl has for lists. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "table.h"

enum view_form { VIEW_TABLE, VIEW_CSV, VIEW_JSON, VIEW_PRETTY };

/* What stands in a column, if it isn't what the broker's mark says. */
enum view_kind {
    VIEW_AS_IS,
    VIEW_FLAG,  /* a constant true or false */
    VIEW_WORDS, /* with commas between: a list */
};

struct view_column {
    const char *name, *constant;
    unsigned from; /* of the answer's columns */
    enum view_kind kind;
};

struct view {
    struct table *table;
    enum view_form form;
    bool headers;
    struct view_column column[TABLE_COLUMNS_MAX];
    unsigned columns;
};

/* One more: called so, from the answer's column, or always that constant. False: the answer has no such. */
bool view_add(struct view *view, const char *name, const char *from, const char *constant,
              enum view_kind kind);
/* The rows in their form. */
void view_print(const struct view *view);
/* Columns under each other, as the broker tells them. */
void view_print_for_people(const struct view *view);
