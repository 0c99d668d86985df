/* Permissions, and topic permissions. */
#include "fields.h"
#include "handlers.h"
#include "listing.h"

static const struct list permissions = {"list_all_permissions", NULL, NULL, 0, LIST_SHORT};
static const struct list topics = {"list_all_topic_permissions", NULL, NULL, 0, LIST_SHORT};

/* A user's or virtual host's, if that is there. */
static void answer_of(const struct call *call, const struct list *list, const char *check, const char *column,
                      struct reply *reply)
{
    const char *name = call->argument[0];
    if (ask(call, reply, NULL, check, name, NULL))
        list_answer(call, list, (struct match[]){{column, name}, {NULL}}, reply);
}

void list_of_permissions(const struct call *call, struct reply *reply)
{
    list_answer(call, &permissions, NULL, reply);
}

void list_of_topic_permissions(const struct call *call, struct reply *reply)
{
    list_answer(call, &topics, NULL, reply);
}

void permissions_of_user(const struct call *call, struct reply *reply)
{
    answer_of(call, &permissions, "list_user_permissions", "user", reply);
}

void topic_permissions_of_user(const struct call *call, struct reply *reply)
{
    answer_of(call, &topics, "list_user_permissions", "user", reply);
}

void permissions_of_vhost(const struct call *call, struct reply *reply)
{
    answer_of(call, &permissions, "list_permissions", "vhost", reply);
}

void topic_permissions_of_vhost(const struct call *call, struct reply *reply)
{
    answer_of(call, &topics, "list_permissions", "vhost", reply);
}

/* ---- /{vhost}/{user} ------------------------------------------------------------------------------------
 */

#define THIS(call) ((struct match[]){{"vhost", (call)->argument[0]}, {"user", (call)->argument[1]}, {NULL}})

void get_permission(const struct call *call, struct reply *reply)
{
    list_answer_one(call, &permissions, THIS(call), reply);
}

/* RabbitMQ answers with a list, but with 404 if it would be empty. */
void get_topic_permission(const struct call *call, struct reply *reply)
{
    bool there = false;
    if (!list_has(call, &topics, THIS(call), &there, reply))
        return;
    if (there)
        list_answer(call, &topics, THIS(call), reply);
    else
        reply_error(reply, 404, "Not Found");
}

struct body {
    const char *exchange, *configure, *write, *read;
};

static const struct field permission_fields[] = {
    FIELD(struct body, configure, "configure", TEXT, true),
    FIELD(struct body, write, "write", TEXT, true),
    FIELD(struct body, read, "read", TEXT, true),
};
static const struct field topic_fields[] = {
    FIELD(struct body, exchange, "exchange", TEXT, true),
    FIELD(struct body, write, "write", TEXT, true),
    FIELD(struct body, read, "read", TEXT, true),
};

/* RabbitMQ says 400 of a user or virtual host that isn't there. */
static void done(struct reply *reply, bool ok, bool was_there)
{
    if (ok)
        reply_done(reply, !was_there);
    else if (reply->status == 404)
        reply_status(reply, 400);
}

void put_permission(const struct call *call, struct reply *reply)
{
    struct body body = {0};
    bool there = false;
    if (fields_read(call->body, permission_fields, 3, &body, reply) &&
        list_has(call, &permissions, THIS(call), &there, reply))
        done(reply,
             ask(call, reply, NULL, "set_permissions", call->argument[0], call->argument[1], body.configure,
                 body.write, body.read, NULL),
             there);
}

void put_topic_permission(const struct call *call, struct reply *reply)
{
    struct body body = {0};
    bool there = false;
    if (fields_read(call->body, topic_fields, 3, &body, reply) &&
        list_has(call, &topics, THIS(call), &there, reply))
        done(reply,
             ask(call, reply, NULL, "set_topic_permissions", call->argument[0], call->argument[1],
                 body.exchange, body.write, body.read, NULL),
             there);
}

static void take_away(const struct call *call, const struct list *list, const char *word, struct reply *reply)
{
    bool there = false;
    if (!list_has(call, list, THIS(call), &there, reply))
        return;
    if (!there)
        reply_error(reply, 404, "Not Found");
    else if (ask(call, reply, NULL, word, call->argument[0], call->argument[1], NULL))
        reply_done(reply, false);
}

void delete_permission(const struct call *call, struct reply *reply)
{
    take_away(call, &permissions, "clear_permissions", reply);
}

void delete_topic_permission(const struct call *call, struct reply *reply)
{
    take_away(call, &topics, "clear_topic_permissions", reply);
}
