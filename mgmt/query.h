/* What stands behind the ? of a call: names and values, decoded. */
#pragma once

#include <stddef.h>

enum { QUERY_MAX = 32, QUERY_NAME_BYTES = 32, QUERY_VALUE_BYTES = 2048 };

struct query {
    unsigned count;
    struct query_item {
        char name[QUERY_NAME_BYTES];
        char *value; /* malloc'd */
    } item[QUERY_MAX];
};

/* Adds one, still encoded. A name may be there several times. value may be NULL. Returns NULL,
 * or one sentence that says what is wrong with it. */
const char *query_add(struct query *query, const char *name, const char *value);
void query_clear(struct query *query);
/* The first of that name. NULL: it isn't there. */
const char *query_value(const struct query *query, const char *name);
