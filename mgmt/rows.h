/* Rows of the broker's tables as JSON objects, whose members RabbitMQ names. */
#pragma once

#include "call.h"
#include "table.h"

enum column_kind {
    COLUMN_SAME,         /* as the table has it */
    COLUMN_WORDS,        /* a text with commas, as a list */
    COLUMN_IF_ANY,       /* as the table has it, not at all if that is empty */
    COLUMN_OR_UNDEFINED, /* "undefined", if it is */
    COLUMN_OR_NULL,      /* as the table has it, null if that is empty */
    COLUMN_PARSED,       /* a text that is JSON */
    COLUMN_FIXED,        /* `from` is JSON, the same in every row */
    COLUMN_NODE,         /* the broker's name */
    COLUMN_CLUSTER,      /* {NAME: "running"} */
};

struct column {
    const char *name; /* a.b: b of the object a */
    enum column_kind kind;
    const char *from; /* the table's column; NULL: the one of this name */
};

/* columns NULL: all that the table has, by its names. */
struct rows {
    const struct mgmtd *mgmtd;
    const struct table *table;
    const struct column *columns;
    size_t count;
};

/* The table's column behind a member; table->columns: none. */
unsigned rows_source(const struct rows *rows, const char *name);
/* The object of a row (from 1 up). wanted: names of members, with commas between, NULL: all. a is wanted with
 * all that is in it if a is named, and if a.b is but a is no object of rows. */
json_t *rows_object(const struct rows *rows, size_t row, const char *wanted);
