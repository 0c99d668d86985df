/*
 * Rows of a list for operators, as they go over the control socket: cells with tabs between, a line each.
 * Clients choose names: in a cell of text, a backslash is \\, and what is below a blank is \xHH, so that a
 * line stays a line and a column a column.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

/* Zeroed is empty. text: malloc'd, the owner's; NULL as long as there is no row. */
struct rows {
    char *text;
    size_t len, room;
    bool within; /* a row has been begun */
};

/* The next cell of the row. */
void rows_text(struct rows *rows, struct span text);
void rows_number(struct rows *rows, uint64_t number);
/* true or false. */
void rows_flag(struct rows *rows, bool flag);
/* A checked field table as a JSON object. What isn't UTF-8 in it is replaced. */
void rows_table(struct rows *rows, struct span table);
/* The next cell: a text as a JSON string. What isn't UTF-8 in it is replaced. */
void rows_string(struct rows *rows, struct span text);
/* The row is complete. */
void rows_end(struct rows *rows);
