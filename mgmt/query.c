#include "query.h"

#include <stdlib.h>
#include <string.h>

#include "path.h"

const char *query_add(struct query *query, const char *name, const char *value)
{
    char decoded[QUERY_VALUE_BYTES + 1];
    value = value ? value : "";
    if (strlen(name) >= QUERY_NAME_BYTES)
        return NULL; /* nothing has such a name */
    if (query->count == QUERY_MAX)
        return "there are too many words in the query";
    if (strlen(value) > QUERY_VALUE_BYTES)
        return "a value in the query is too long";
    const char *wrong = path_decode(decoded, sizeof decoded, value, strlen(value));
    if (wrong)
        return wrong;
    struct query_item *item = &query->item[query->count];
    item->value = strdup(decoded);
    if (!item->value)
        return "there is no memory for the query";
    memcpy(item->name, name, strlen(name) + 1);
    query->count++;
    return NULL;
}

void query_clear(struct query *query)
{
    for (unsigned i = 0; i < query->count; i++)
        free(query->item[i].value);
    query->count = 0;
}

const char *query_value(const struct query *query, const char *name)
{
    for (unsigned i = 0; i < query->count; i++)
        if (strcmp(query->item[i].name, name) == 0)
            return query->item[i].value;
    return NULL;
}
