/* Queues, exchanges and bindings made and deleted, as a client does it. */
#include <string.h>

#include "amqp_json.h"
#include "fields.h"
#include "handlers.h"
#include "inventory.h"
#include "listing.h"
#include "session.h"

struct body {
    const char *type, *routing_key;
    const json_t *arguments;
    bool durable, auto_delete, internal;
};

static const struct field queue_fields[] = {
    FIELD(struct body, durable, "durable", TRUTH, false),
    FIELD(struct body, auto_delete, "auto_delete", TRUTH, false),
    FIELD(struct body, arguments, "arguments", OBJECT, false),
};
static const struct field exchange_fields[] = {
    FIELD(struct body, type, "type", TEXT, false),
    FIELD(struct body, durable, "durable", TRUTH, false),
    FIELD(struct body, auto_delete, "auto_delete", TRUTH, false),
    FIELD(struct body, internal, "internal", TRUTH, false),
    FIELD(struct body, arguments, "arguments", OBJECT, false),
};
static const struct field binding_fields[] = {
    FIELD(struct body, routing_key, "routing_key", TEXT, false),
    FIELD(struct body, arguments, "arguments", OBJECT, false),
};
#define READ(call, fields, into, reply)                                                                      \
    fields_read((call)->body, fields, sizeof(fields) / sizeof *(fields), into, reply)

/* A call under way: the session, and memory for tables. */
struct deed {
    const struct call *call;
    struct reply *reply;
    struct session session;
    amqp_pool_t pool;
    amqp_table_t arguments;
};

static bool begin(struct deed *deed, const struct call *call, const json_t *arguments, struct reply *reply)
{
    const char *wrong;
    *deed = (struct deed){.call = call, .reply = reply};
    init_amqp_pool(&deed->pool, 4096);
    bool ok = amqp_table_of(arguments, &deed->arguments, &deed->pool, &wrong);
    if (!ok)
        reply_error(reply, 400, "the field 'arguments': %s", wrong);
    if (ok && session_open(&deed->session, call, call->argument[0], reply))
        return true;
    empty_amqp_pool(&deed->pool);
    return false;
}

static void end(struct deed *deed)
{
    session_close(&deed->session);
    empty_amqp_pool(&deed->pool);
}

/* What was asked for last, passively, closes the channel if it isn't there. False: the reply says what else
 * there was. */
static bool is_there(struct deed *deed, bool *there)
{
    *there = session_done(&deed->session, deed->reply);
    if (*there)
        return true;
    if (deed->reply->status != 404)
        return false;
    json_decref(deed->reply->json);
    *deed->reply = (struct reply){0};
    return session_channel(&deed->session, deed->reply);
}

static bool is_queue(struct deed *deed, const char *name, bool *there)
{
    amqp_queue_declare(deed->session.connection, deed->session.channel, session_bytes(name), 1, 0, 0, 0,
                       amqp_empty_table);
    return is_there(deed, there);
}

static bool is_exchange(struct deed *deed, const char *name, bool *there)
{
    amqp_exchange_declare(deed->session.connection, deed->session.channel, session_bytes(name),
                          session_bytes("direct"), 1, 0, 0, 0, amqp_empty_table);
    return is_there(deed, there);
}

static void done(struct deed *deed, bool is_new)
{
    if (session_done(&deed->session, deed->reply))
        reply_done(deed->reply, is_new);
}

/* ---- queues -------------------------------------------------------------------------------------------- */

void put_queue(const struct call *call, struct reply *reply)
{
    struct body body = {0};
    struct deed deed;
    bool there;
    const char *name = call->argument[1];
    if (!READ(call, queue_fields, &body, reply) || !begin(&deed, call, body.arguments, reply))
        return;
    if (is_queue(&deed, name, &there)) {
        amqp_queue_declare(deed.session.connection, deed.session.channel, session_bytes(name), 0,
                           body.durable, 0, body.auto_delete, deed.arguments);
        done(&deed, !there);
    }
    end(&deed);
}

static bool asks_for(const struct call *call, const char *name)
{
    const char *value = query_value(&call->query, name);
    return value && strcmp(value, "true") == 0;
}

/* AMQP has nothing against deleting what isn't there. */
void delete_queue(const struct call *call, struct reply *reply)
{
    struct deed deed;
    bool there;
    const char *name = call->argument[1];
    if (!begin(&deed, call, NULL, reply))
        return;
    if (is_queue(&deed, name, &there) && there) {
        amqp_queue_delete(deed.session.connection, deed.session.channel, session_bytes(name),
                          asks_for(call, "if-unused"), asks_for(call, "if-empty"));
        done(&deed, false);
    } else if (!reply->status) {
        reply_error(reply, 404, "Not Found");
    }
    end(&deed);
}

void purge_queue(const struct call *call, struct reply *reply)
{
    struct deed deed;
    if (!begin(&deed, call, NULL, reply))
        return;
    amqp_queue_purge(deed.session.connection, deed.session.channel, session_bytes(call->argument[1]));
    done(&deed, false);
    end(&deed);
}

/* ---- exchanges ----------------------------------------------------------------------------------------- */

void put_exchange(const struct call *call, struct reply *reply)
{
    struct body body = {.type = "direct"};
    struct deed deed;
    bool there;
    const char *name = call->argument[1];
    if (!READ(call, exchange_fields, &body, reply) || !begin(&deed, call, body.arguments, reply))
        return;
    if (is_exchange(&deed, name, &there)) {
        amqp_exchange_declare(deed.session.connection, deed.session.channel, session_bytes(name),
                              session_bytes(body.type), 0, body.durable, body.auto_delete, body.internal,
                              deed.arguments);
        done(&deed, !there);
    }
    end(&deed);
}

void delete_exchange(const struct call *call, struct reply *reply)
{
    struct deed deed;
    bool there;
    const char *name = call->argument[1];
    if (!begin(&deed, call, NULL, reply))
        return;
    if (is_exchange(&deed, name, &there) && there) {
        amqp_exchange_delete(deed.session.connection, deed.session.channel, session_bytes(name),
                             asks_for(call, "if-unused"));
        done(&deed, false);
    } else if (!reply->status) {
        reply_error(reply, 404, "Not Found");
    }
    end(&deed);
}

/* ---- bindings: /{vhost}/e/{source}/TYPE/{destination} ----------------------------------------------------
 */

static void bind(struct deed *deed, bool to_queue, const char *key)
{
    amqp_bytes_t source = session_bytes(inventory_exchange(deed->call->argument[1])),
                 destination = session_bytes(deed->call->argument[2]);
    if (to_queue)
        amqp_queue_bind(deed->session.connection, deed->session.channel, destination, source,
                        session_bytes(key), deed->arguments);
    else
        amqp_exchange_bind(deed->session.connection, deed->session.channel, destination, source,
                           session_bytes(key), deed->arguments);
}

static void unbind(struct deed *deed, bool to_queue, const char *key)
{
    amqp_bytes_t source = session_bytes(inventory_exchange(deed->call->argument[1])),
                 destination = session_bytes(deed->call->argument[2]);
    if (to_queue)
        amqp_queue_unbind(deed->session.connection, deed->session.channel, destination, source,
                          session_bytes(key), deed->arguments);
    else
        amqp_exchange_unbind(deed->session.connection, deed->session.channel, destination, source,
                             session_bytes(key), deed->arguments);
}

static void make_binding(const struct call *call, bool to_queue, struct reply *reply)
{
    struct body body = {.routing_key = ""};
    struct deed deed;
    if (!READ(call, binding_fields, &body, reply))
        return;
    if (strlen(body.routing_key) > PATH_NAME_BYTES) {
        reply_error(reply, 400, "the field 'routing_key' is longer than 255 bytes");
        return;
    }
    if (!begin(&deed, call, body.arguments, reply))
        return;
    bind(&deed, to_queue, body.routing_key);
    done(&deed, true);
    end(&deed);
    if (reply->status == 201)
        reply->location = inventory_binding_path(call, to_queue, body.routing_key, body.arguments);
}

/* Its key and arguments are those of the list. */
static void delete_binding(const struct call *call, bool to_queue, struct reply *reply)
{
    struct deed deed;
    json_t *binding = inventory_binding(call, to_queue, call->argument[3], reply);
    if (!binding)
        return;
    if (begin(&deed, call, json_object_get(binding, "arguments"), reply)) {
        unbind(&deed, to_queue, json_string_value(json_object_get(binding, "routing_key")));
        done(&deed, false);
        end(&deed);
    }
    json_decref(binding);
}

void post_queue_binding(const struct call *call, struct reply *reply)
{
    make_binding(call, true, reply);
}

void post_exchange_binding(const struct call *call, struct reply *reply)
{
    make_binding(call, false, reply);
}

void delete_queue_binding(const struct call *call, struct reply *reply)
{
    delete_binding(call, true, reply);
}

void delete_exchange_binding(const struct call *call, struct reply *reply)
{
    delete_binding(call, false, reply);
}

/* ---- actions --------------------------------------------------------------------------------------------
 */

struct action {
    const char *action;
};

static const struct field action_fields[] = {FIELD(struct action, action, "action", TEXT, true)};

void act_on_queue(const struct call *call, struct reply *reply)
{
    struct action action = {0};
    if (!fields_read(call->body, action_fields, 1, &action, reply))
        return;
    if (strcmp(action.action, "sync") == 0 || strcmp(action.action, "cancel_sync") == 0)
        reply_error(reply, 400, "'%s': a queue has no mirrors here", action.action);
    else
        reply_error(reply, 400, "Unknown action: %.100s", action.action);
}
