#include "listing.h"

#include <stdlib.h>
#include <string.h>

#include "paging.h"
#include "right.h"

static bool fits(const struct table *table, size_t row, const struct match *matches)
{
    for (; matches && matches->column; matches++)
        if (strcmp(table_cell(table, row, matches->column), matches->value) != 0)
            return false;
    return true;
}

static void keep(struct listing *listing, const struct list *list, const struct match *matches,
                 const struct vhosts_seen *seen)
{
    const struct table *table = &listing->table;
    for (size_t row = 1; row < table->rows; row++)
        if (fits(table, row, matches) &&
            (!list->vhost || seen->all || vhosts_seen_has(seen, table_cell(table, row, list->vhost))))
            listing->row[listing->count++] = row;
}

/* What the column must be; NULL: anything. */
static const char *wanted(const struct match *matches, const char *column)
{
    for (; matches && matches->column; matches++)
        if (strcmp(matches->column, column) == 0)
            return matches->value;
    return NULL;
}

static bool ask_by_name(const struct call *call, const struct list_named *named, const struct match *matches,
                        struct table *table, struct reply *reply)
{
    const char *name = wanted(matches, named->column);
    return named->in_vhost ? ask(call, reply, table, named->request, wanted(matches, "vhost"), name, NULL)
                           : ask(call, reply, table, named->request, name, NULL);
}

/* Other names can't be said to the broker. */
static bool can_be_said(const char *name)
{
    while (*name && (unsigned char)*name >= ' ' && *name != 127)
        name++;
    return !*name;
}

static const struct list_named *named_by(const struct list *list, const struct match *matches)
{
    for (const struct list_named *named = list->named; named && named->request; named++) {
        const char *name = wanted(matches, named->column);
        if (name && can_be_said(name) && (!named->in_vhost || wanted(matches, "vhost")))
            return named;
    }
    return NULL;
}

static bool ask_for(const struct call *call, const struct list *list, const struct match *matches,
                    struct table *table, struct reply *reply)
{
    const struct list_named *named = named_by(list, matches);
    const char *vhost = list->length == LIST_BY_VHOST ? wanted(matches, "vhost") : NULL;
    if (!(named ? ask_by_name(call, named, matches, table, reply)
                : ask(call, reply, table, list->request, vhost, NULL)))
        return false;
    if (list->length == LIST_SHORT || table->complete)
        return true;
    table_free(table);
    reply_error(reply, 503, "the broker's answer broke off");
    return false;
}

bool listing_read(struct listing *listing, const struct call *call, const struct list *list,
                  const struct match *matches, struct reply *reply)
{
    struct vhosts_seen seen = {.all = true};
    *listing = (struct listing){0};
    if (list->vhost && !vhosts_seen_read(&seen, call, reply))
        return false;
    if (!ask_for(call, list, matches, &listing->table, reply)) {
        vhosts_seen_free(&seen);
        return false;
    }
    listing->rows = (struct rows){call->mgmtd, &listing->table, list->columns, list->count};
    listing->row = calloc(listing->table.rows + 1, sizeof *listing->row);
    if (listing->row)
        keep(listing, list, matches, &seen);
    else
        reply_error(reply, 503, "no memory");
    vhosts_seen_free(&seen);
    if (!listing->row)
        table_free(&listing->table);
    return listing->row;
}

void listing_free(struct listing *listing)
{
    free(listing->row);
    table_free(&listing->table);
}

void list_answer(const struct call *call, const struct list *list, const struct match *matches,
                 struct reply *reply)
{
    struct listing listing;
    if (!listing_read(&listing, call, list, matches, reply))
        return;
    paging_reply(&call->query, &listing.rows, listing.row, listing.count, reply);
    listing_free(&listing);
}

void list_answer_one(const struct call *call, const struct list *list, const struct match *matches,
                     struct reply *reply)
{
    struct listing listing;
    if (!listing_read(&listing, call, list, matches, reply))
        return;
    if (listing.count)
        reply_json(reply, rows_object(&listing.rows, listing.row[0], query_value(&call->query, "columns")));
    else
        reply_error(reply, 404, "Not Found");
    listing_free(&listing);
}

bool list_has(const struct call *call, const struct list *list, const struct match *matches, bool *there,
              struct reply *reply)
{
    struct listing listing;
    if (!listing_read(&listing, call, list, matches, reply))
        return false;
    *there = listing.count;
    listing_free(&listing);
    return true;
}
