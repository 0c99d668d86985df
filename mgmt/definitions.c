/*
 * Definitions exported, as RabbitMQ writes them: users, virtual hosts and what is in them, so that an import
 * makes them again. Operator policies and limits of virtual hosts stand among the parameters, as there.
 */
#include <stdio.h>
#include <string.h>

#include "handlers.h"
#include "listing.h"

static const struct column user_columns[] = {
    {"name", COLUMN_SAME, "user"},  {"password_hash"}, {"hashing_algorithm"}, {"tags", COLUMN_WORDS},
    {"limits", COLUMN_FIXED, "{}"},
};
static const struct column vhost_columns[] = {
    {"name"},
    {"limits", COLUMN_FIXED, "[]"},
    {"metadata.description", COLUMN_SAME, "description"},
    {"metadata.tags", COLUMN_WORDS, "tags"},
    {"metadata.default_queue_type", COLUMN_IF_ANY, "default_queue_type"},
};
static const struct column user_limit_columns[] = {{"user"}, {"value", COLUMN_PARSED, "limits"}};
static const struct column queue_columns[] = {
    {"vhost"}, {"name"}, {"durable"}, {"auto_delete"}, {"arguments"}};
static const struct column binding_columns[] = {
    {"vhost"}, {"source"}, {"destination"}, {"destination_type"}, {"routing_key"}, {"arguments"}};

static const struct list users = LIST("list_user_hashes", NULL, user_columns);
static const struct list user_limits = LIST("list_user_limits", NULL, user_limit_columns);
static const struct list vhosts = LIST("list_vhosts", NULL, vhost_columns);
static const struct list permissions = {"list_all_permissions", NULL, NULL, 0, LIST_SHORT};
static const struct list topic_permissions = {"list_all_topic_permissions", NULL, NULL, 0, LIST_SHORT};
static const struct list parameters = {"list_all_parameters", NULL, NULL, 0, LIST_SHORT};
static const struct list globals = {"list_global_parameters", NULL, NULL, 0, LIST_SHORT};
static const struct list policies = {"list_all_policies", NULL, NULL, 0, LIST_SHORT};
static const struct list queues = LONG_LIST("queues", NULL, queue_columns, LIST_BY_VHOST, NULL);
static const struct list exchanges = {"exchanges", NULL, NULL, 0, LIST_BY_VHOST};
static const struct list bindings = LONG_LIST("bindings", NULL, binding_columns, LIST_BY_VHOST, NULL);

struct export
{
    const struct call *call;
    struct reply *reply;
    const char *vhost; /* the only one; NULL: all, and users */
    json_t *all;
    json_t *queues; /* by virtual host and name: those that are exported */
};

/* Whether a row of the broker's is exported. */
typedef bool keep_row(const struct export *export, const struct table *table, size_t row);

static bool keep_queue(const struct export *export, const struct table *table, size_t row)
{
    (void)export;
    return *table_cell(table, row, "exclusive") != 't';
}

static bool keep_exchange(const struct export *export, const struct table *table, size_t row)
{
    const char *name = table_cell(table, row, "name");
    (void)export;
    return *name && strncmp(name, "amq.", 4) != 0;
}

/* Names have no tab in them but such as can't be exported. */
static void put_key(char *key, size_t size, const char *vhost, const char *name)
{
    snprintf(key, size, "%s\t%s", vhost, name);
}

static bool keep_binding(const struct export *export, const struct table *table, size_t row)
{
    char key[2 * PATH_NAME_BYTES + 2];
    put_key(key, sizeof key, table_cell(table, row, "vhost"), table_cell(table, row, "destination"));
    return *table_cell(table, row, "source") &&
           (*table_cell(table, row, "destination_type") == 'e' || json_object_get(export->queues, key));
}

/* Appends them to a section. False: the reply says why not. */
static bool put(struct export *export, const char *section, const struct list *list, keep_row *wanted)
{
    struct listing listing;
    const struct match of_vhost[] = {{"vhost", export->vhost}, {NULL}};
    json_t *to = json_object_get(export->all, section);
    if (!to)
        json_object_set_new(export->all, section, to = json_array());
    if (!listing_read(&listing, export->call, list, export->vhost ? of_vhost : NULL, export->reply))
        return false;
    for (size_t i = 0; i < listing.count; i++) {
        if (wanted && !wanted(export, &listing.table, listing.row[i]))
            continue;
        json_t *object = rows_object(&listing.rows, listing.row[i], NULL);
        if (export->vhost)
            json_object_del(object, "vhost");
        json_array_append_new(to, object);
    }
    listing_free(&listing);
    return true;
}

/* ---- users ----------------------------------------------------------------------------------------------
 */

static void limit(json_t *all, const char *user, json_t *limits)
{
    json_t *one;
    size_t i;
    json_array_foreach(all, i, one)
    {
        if (strcmp(json_string_value(json_object_get(one, "name")), user) == 0)
            json_object_set(one, "limits", limits);
    }
}

static bool put_users(struct export *export)
{
    struct listing limits;
    if (!put(export, "users", &users, NULL) ||
        !listing_read(&limits, export->call, &user_limits, NULL, export->reply))
        return false;
    for (size_t i = 0; i < limits.count; i++) {
        json_t *row = rows_object(&limits.rows, limits.row[i], NULL);
        limit(json_object_get(export->all, "users"), table_cell(&limits.table, limits.row[i], "user"),
              json_object_get(row, "value"));
        json_decref(row);
    }
    listing_free(&limits);
    return true;
}

/* ---- all of it ------------------------------------------------------------------------------------------
 */

static void remember_queues(struct export *export)
{
    json_t *queue;
    size_t i;
    json_array_foreach(json_object_get(export->all, "queues"), i, queue)
    {
        char key[2 * PATH_NAME_BYTES + 2];
        const char *vhost = json_string_value(json_object_get(queue, "vhost"));
        const char *name = json_string_value(json_object_get(queue, "name"));
        put_key(key, sizeof key, vhost ? vhost : export->vhost, name ? name : "");
        json_object_set_new(export->queues, key, json_true());
    }
}

static bool put_whole(struct export *export)
{
    return put_users(export) && put(export, "vhosts", &vhosts, NULL) &&
           put(export, "permissions", &permissions, NULL) &&
           put(export, "topic_permissions", &topic_permissions, NULL) &&
           put(export, "global_parameters", &globals, NULL);
}

static bool put_vhosts(struct export *export)
{
    if (!put(export, "parameters", &parameters, NULL) || !put(export, "policies", &policies, NULL) ||
        !put(export, "queues", &queues, keep_queue))
        return false;
    remember_queues(export);
    return put(export, "exchanges", &exchanges, keep_exchange) &&
           put(export, "bindings", &bindings, keep_binding);
}

static void answer(const struct call *call, const char *vhost, struct reply *reply)
{
    struct export export = {.call = call, .reply = reply, .vhost = vhost, .queues = json_object()};
    export.all = json_pack("{ss,ss,ss,ss}", "rabbit_version", RABBITMQ_VERSION, "rabbitmq_version",
                           RABBITMQ_VERSION, "product_name", "Gannet", "product_version", GANNET_VERSION);
    if ((vhost || put_whole(&export)) && put_vhosts(&export))
        reply_json(reply, json_incref(export.all));
    json_decref(export.all);
    json_decref(export.queues);
}

void get_definitions(const struct call *call, struct reply *reply)
{
    answer(call, NULL, reply);
}

void get_definitions_of_vhost(const struct call *call, struct reply *reply)
{
    if (ask(call, reply, NULL, "list_permissions", call->argument[0], NULL))
        answer(call, call->argument[0], reply);
}
