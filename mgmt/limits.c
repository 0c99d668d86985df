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

/* The others stay. */
static void put_one(const struct call *call, const char *word, struct reply *reply)
{
    struct body body = {0};
    if (!fields_read(call->body, fields, 1, &body, reply))
        return;
    json_t *limits = json_pack("{sI}", call->argument[1], body.value);
    char *text = limits ? json_dumps(limits, JSON_COMPACT) : NULL;
    if (!text)
        reply_error(reply, 503, "no memory");
    else if (ask(call, reply, NULL, word, call->argument[0], text, NULL))
        reply_done(reply, false);
    free(text);
    json_decref(limits);
}

static void delete_one(const struct call *call, const char *word, struct reply *reply)
{
    if (ask(call, reply, NULL, word, call->argument[0], call->argument[1], NULL))
        reply_done(reply, false);
}

void put_user_limit(const struct call *call, struct reply *reply)
{
    put_one(call, "set_user_limits", reply);
}

void delete_user_limit(const struct call *call, struct reply *reply)
{
    delete_one(call, "clear_user_limits", reply);
}

void put_vhost_limit(const struct call *call, struct reply *reply)
{
    put_one(call, "add_vhost_limits", reply);
}

void delete_vhost_limit(const struct call *call, struct reply *reply)
{
    delete_one(call, "clear_vhost_limits", reply);
}
