/* Limits of users and virtual hosts. */
#include <stdlib.h>
#include <string.h>

#include "fields.h"
#include "handlers.h"
#include "listing.h"

static const struct column user_columns[] = {{"user"}, {"value", COLUMN_PARSED, "limits"}};
static const struct column vhost_columns[] = {{"vhost"}, {"value", COLUMN_PARSED, "limits"}};
static const struct list user_limits = LIST("list_user_limits", NULL, user_columns);
static const struct list vhost_limits = LIST("list_vhost_limits", "vhost", vhost_columns);

void list_of_user_limits(const struct call *call, struct reply *reply)
{
    list_answer(call, &user_limits, NULL, reply);
}

void list_of_vhost_limits(const struct call *call, struct reply *reply)
{
    list_answer(call, &vhost_limits, NULL, reply);
}

void limits_of_user(const struct call *call, struct reply *reply)
{
    if (ask(call, reply, NULL, "list_user_limits", call->argument[0], NULL))
        list_answer(call, &user_limits, (struct match[]){{"user", call->argument[0]}, {NULL}}, reply);
}

void limits_of_vhost(const struct call *call, struct reply *reply)
{
    list_answer(call, &vhost_limits, (struct match[]){{"vhost", call->argument[0]}, {NULL}}, reply);
}

/* ---- changes ------------------------------------------------------------------------------------------- */

struct body {
    json_int_t value;
};

static const struct field fields[] = {FIELD(struct body, value, "value", WHOLE, true)};

static void set(const struct call *call, const char *word, json_t *limits, struct reply *reply)
{
    char *text = json_dumps(limits, JSON_COMPACT);
    if (!text)
        reply_error(reply, 503, "no memory");
    else if (ask(call, reply, NULL, word, call->argument[0], text, NULL))
        reply_done(reply, false);
    free(text);
}

/* The others stay. */
void put_user_limit(const struct call *call, struct reply *reply)
{
    struct body body = {0};
    if (!fields_read(call->body, fields, 1, &body, reply))
        return;
    json_t *limits = json_pack("{sI}", call->argument[1], body.value);
    set(call, "set_user_limits", limits, reply);
    json_decref(limits);
}

void delete_user_limit(const struct call *call, struct reply *reply)
{
    if (ask(call, reply, NULL, "clear_user_limits", call->argument[0], call->argument[1], NULL))
        reply_done(reply, false);
}

/* A virtual host's are set all together: those that there are. NULL: the reply says why not. */
static json_t *limits_now(const struct call *call, struct reply *reply)
{
    struct table table;
    json_t *limits = NULL;
    if (!ask(call, reply, &table, "list_vhost_limits", call->argument[0], NULL))
        return NULL;
    if (table.rows > 1)
        limits = json_loads(table_cell(&table, 1, "limits"), 0, NULL);
    table_free(&table);
    return limits ? limits : json_object();
}

void put_vhost_limit(const struct call *call, struct reply *reply)
{
    struct body body = {0};
    json_t *limits = fields_read(call->body, fields, 1, &body, reply) ? limits_now(call, reply) : NULL;
    if (!limits)
        return;
    json_object_set_new(limits, call->argument[1], json_integer(body.value));
    set(call, "set_vhost_limits", limits, reply);
    json_decref(limits);
}

void delete_vhost_limit(const struct call *call, struct reply *reply)
{
    json_t *limits = limits_now(call, reply);
    if (!limits)
        return;
    if (json_object_del(limits, call->argument[1]) != 0)
        reply_error(reply, 404, "Not Found");
    else if (json_object_size(limits))
        set(call, "set_vhost_limits", limits, reply);
    else if (ask(call, reply, NULL, "clear_vhost_limits", call->argument[0], NULL))
        reply_done(reply, false);
    json_decref(limits);
}
