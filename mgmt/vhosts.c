/* Virtual hosts. */
#include <stdlib.h>
#include <string.h>

#include "fields.h"
#include "handlers.h"
#include "listing.h"

static const struct column columns[] = {
    {"name"},
    {"description"},
    {"tags", COLUMN_WORDS},
    {"default_queue_type", COLUMN_OR_UNDEFINED},
    {"metadata.description", COLUMN_SAME, "description"},
    {"metadata.tags", COLUMN_WORDS, "tags"},
    {"metadata.default_queue_type", COLUMN_IF_ANY, "default_queue_type"},
    {"tracing", COLUMN_FIXED, "false"},
    {"cluster_state", COLUMN_CLUSTER},
};
static const struct list vhosts = LIST("list_vhosts", "name", columns);

void list_of_vhosts(const struct call *call, struct reply *reply)
{
    list_answer(call, &vhosts, NULL, reply);
}

void get_vhost(const struct call *call, struct reply *reply)
{
    list_answer_one(call, &vhosts, (struct match[]){{"name", call->argument[0]}, {NULL}}, reply);
}

struct body {
    const char *description, *queue_type;
    char *tags;
    bool tracing, protected;
};

static const struct field fields[] = {
    FIELD(struct body, description, "description", TEXT, false),
    FIELD(struct body, tags, "tags", WORDS, false),
    FIELD(struct body, queue_type, "default_queue_type", TEXT, false),
    FIELD(struct body, tracing, "tracing", TRUTH, false),
    FIELD(struct body, protected, "protected_from_deletion", TRUTH, false),
};

static bool is_plain(const struct body *body, struct reply *reply)
{
    if (body->tracing || body->protected)
        reply_error(reply, 400, "%s is not something that a virtual host can be",
                    body->tracing ? "tracing" : "protected_from_deletion");
    return !body->tracing && !body->protected;
}

const char *vhost_queue_type(const char *said)
{
    return strcmp(said, "undefined") == 0 ? "" : said;
}

/* What isn't said stays as it was. */
static void put(const struct call *call, struct body *body, struct reply *reply)
{
    struct listing old;
    const char *name = call->argument[0];
    if (!listing_read(&old, call, &vhosts, (struct match[]){{"name", name}, {NULL}}, reply))
        return;
    const char *description = body->description ? body->description
                              : old.count       ? table_cell(&old.table, old.row[0], "description")
                                                : "";
    const char *tags = body->tags ? body->tags : old.count ? table_cell(&old.table, old.row[0], "tags") : "";
    const char *type = body->queue_type ? vhost_queue_type(body->queue_type)
                       : old.count      ? table_cell(&old.table, old.row[0], "default_queue_type")
                                        : "";
    if (ask(call, reply, NULL, "put_vhost", name, description, type, tags, NULL))
        reply_done(reply, !old.count);
    listing_free(&old);
}

void put_vhost(const struct call *call, struct reply *reply)
{
    struct body body = {0};
    if (fields_read(call->body, fields, sizeof fields / sizeof *fields, &body, reply) &&
        is_plain(&body, reply))
        put(call, &body, reply);
    free(body.tags);
}

void delete_vhost(const struct call *call, struct reply *reply)
{
    if (ask(call, reply, NULL, "delete_vhost", call->argument[0], NULL))
        reply_done(reply, false);
}

void start_vhost(const struct call *call, struct reply *reply)
{
    static const struct list all = {"list_vhosts", NULL, NULL, 0, LIST_SHORT, NULL};
    bool there = false;
    struct call of_node = *call;
    of_node.argument[0] = call->argument[1];
    if (!node_is_here(&of_node, reply) ||
        !list_has(call, &all, (struct match[]){{"name", call->argument[0]}, {NULL}}, &there, reply))
        return;
    if (there)
        reply_done(reply, false);
    else
        reply_error(reply, 404, "virtual host '%s' does not exist", call->argument[0]);
}
