/*
 * A list of the broker's (dataplane/lists.h) in a file without a name, to be walked as often as is wanted:
 * what is told of 100,000 objects needs no memory for all of them.
 */
#pragma once

#include <stddef.h>
#include <stdio.h>

#include "call.h"
#include "table.h"

struct spool {
    FILE *file; /* NULL: there is nothing */
    long rows;  /* where the first one stands */
    char *line; /* the row read last; */
    size_t room;
    char *cell[TABLE_COLUMNS_MAX]; /* in it */
    char *names;
    char *name[TABLE_COLUMNS_MAX]; /* of columns, in names */
    unsigned columns;
};

/* Asks for the list, of one virtual host if vhost isn't NULL; all of it has come when this returns. Zeroed is
 * empty. False: the reply says why. */
bool spool_fill(struct spool *spool, const struct call *call, const char *request, const char *vhost,
                struct reply *reply);
void spool_free(struct spool *spool);
/* Back to the first row. */
void spool_rewind(struct spool *spool);
/* The next row into cell. False: there is none. */
bool spool_next(struct spool *spool);
/* The number of a column; spool->columns, whose cell is never there, if there is no such. */
unsigned spool_column(const struct spool *spool, const char *name);
