/* Lists of the broker's, as calls are answered with them. */
#pragma once

#include "ask.h"
#include "rows.h"

/* What is asked for, and how it is shown. vhost: the table's column with the virtual host, of which the
 * caller must be one who may see it; NULL: everybody who may make the call sees all. */
struct list {
    const char *request, *vhost;
    const struct column *columns; /* NULL: all, as the table has them */
    size_t count;
    enum list_length {
        LIST_SHORT,
        LIST_LONG,    /* its end is marked (dataplane/lists.h), */
        LIST_BY_VHOST /* and it can be asked for of the one virtual host that a match names */
    } length;
    const struct list_named *named; /* NULL: it is always asked for whole */
};

/* What the broker finds by its name: asked for if a match names that column (and the virtual host). A request
 * that is NULL ends them. */
struct list_named {
    const char *request, *column;
    bool in_vhost;
};

#define LONG_LIST(request, vhost, columns, length, named)                                                    \
    {                                                                                                        \
        request, vhost, columns, sizeof(columns) / sizeof *(columns), length, named                          \
    }
#define LIST(request, vhost, columns) LONG_LIST(request, vhost, columns, LIST_SHORT, NULL)

/* Rows that have this value in that column of the table. */
struct match {
    const char *column, *value;
};

struct listing {
    struct table table;
    struct rows rows;
    size_t *row, count; /* those that are shown */
};

/* matches end with a column that is NULL; NULL: there are none. False: the reply says why. */
bool listing_read(struct listing *listing, const struct call *call, const struct list *list,
                  const struct match *matches, struct reply *reply);
void listing_free(struct listing *listing);

/* All of them, or a page. */
void list_answer(const struct call *call, const struct list *list, const struct match *matches,
                 struct reply *reply);
/* The first; 404, if there is none. */
void list_answer_one(const struct call *call, const struct list *list, const struct match *matches,
                     struct reply *reply);
/* Whether there is one. False: the reply says why that can't be said. */
bool list_has(const struct call *call, const struct list *list, const struct match *matches, bool *there,
              struct reply *reply);
