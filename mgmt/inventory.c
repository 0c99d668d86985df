/* What there is in virtual hosts, and who is connected: the broker's long lists. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "handlers.h"
#include "inventory.h"
#include "listing.h"

#define MATCH(...) ((struct match[]){__VA_ARGS__, {NULL}})

const char *inventory_exchange(const char *name)
{
    return strcmp(name, "amq.default") == 0 ? "" : name;
}

/* ---- queues -------------------------------------------------------------------------------------------- */

static const struct column queue_columns[] = {
    {"name"},
    {"vhost"},
    {"type"},
    {"durable"},
    {"auto_delete"},
    {"exclusive"},
    {"arguments"},
    {"node", COLUMN_NODE},
    {"state"},
    {"policy", COLUMN_OR_NULL},
    {"operator_policy", COLUMN_OR_NULL},
    {"messages"},
    {"messages_ready"},
    {"messages_unacknowledged"},
    {"message_bytes"},
    {"consumers"},
    {"message_stats.publish", COLUMN_SAME, "publish"},
    {"message_stats.deliver_get", COLUMN_SAME, "deliver_get"},
    {"message_stats.ack", COLUMN_SAME, "ack"},
};
static const struct list_named one_queue[] = {{"queue", "name", true}, {NULL}};
static const struct list queues = LONG_LIST("queues", "vhost", queue_columns, LIST_BY_VHOST, one_queue);

/* ?type=stream: those of one type, which RabbitMQ can't be asked for. */
void list_of_queues(const struct call *call, struct reply *reply)
{
    const char *type = query_value(&call->query, "type");
    list_answer(call, &queues, MATCH({type ? "type" : NULL, type}), reply);
}

void queues_of_vhost(const struct call *call, struct reply *reply)
{
    const char *type = query_value(&call->query, "type");
    list_answer(call, &queues, MATCH({"vhost", call->argument[0]}, {type ? "type" : NULL, type}), reply);
}

void get_queue(const struct call *call, struct reply *reply)
{
    list_answer_one(call, &queues, MATCH({"vhost", call->argument[0]}, {"name", call->argument[1]}), reply);
}

/* ---- exchanges ----------------------------------------------------------------------------------------- */

static const struct list_named one_exchange[] = {{"exchange", "name", true}, {NULL}};
static const struct list exchanges = {"exchanges", "vhost", NULL, 0, LIST_BY_VHOST, one_exchange};

void list_of_exchanges(const struct call *call, struct reply *reply)
{
    list_answer(call, &exchanges, NULL, reply);
}

void exchanges_of_vhost(const struct call *call, struct reply *reply)
{
    list_answer(call, &exchanges, MATCH({"vhost", call->argument[0]}), reply);
}

void get_exchange(const struct call *call, struct reply *reply)
{
    list_answer_one(call, &exchanges,
                    MATCH({"vhost", call->argument[0]}, {"name", inventory_exchange(call->argument[1])}),
                    reply);
}

/* ---- bindings ------------------------------------------------------------------------------------------ */

static const struct list bindings = {"bindings", "vhost", NULL, 0, LIST_BY_VHOST};

void list_of_bindings(const struct call *call, struct reply *reply)
{
    list_answer(call, &bindings, NULL, reply);
}

void bindings_of_vhost(const struct call *call, struct reply *reply)
{
    list_answer(call, &bindings, MATCH({"vhost", call->argument[0]}), reply);
}

/* Of a queue or exchange that is there. */
static void bindings_of(const struct call *call, const struct list *of, const char *name,
                        const struct match *matches, struct reply *reply)
{
    bool there = false;
    if (!list_has(call, of, MATCH({"vhost", call->argument[0]}, {"name", name}), &there, reply))
        return;
    if (there)
        list_answer(call, &bindings, matches, reply);
    else
        reply_error(reply, 404, "Not Found");
}

void bindings_of_queue(const struct call *call, struct reply *reply)
{
    const char *name = call->argument[1];
    bindings_of(call, &queues, name,
                MATCH({"vhost", call->argument[0]}, {"destination", name}, {"destination_type", "queue"}),
                reply);
}

void bindings_from_exchange(const struct call *call, struct reply *reply)
{
    const char *name = inventory_exchange(call->argument[1]);
    bindings_of(call, &exchanges, name, MATCH({"vhost", call->argument[0]}, {"source", name}), reply);
}

void bindings_to_exchange(const struct call *call, struct reply *reply)
{
    const char *name = inventory_exchange(call->argument[1]);
    bindings_of(call, &exchanges, name,
                MATCH({"vhost", call->argument[0]}, {"destination", name}, {"destination_type", "exchange"}),
                reply);
}

/* /{vhost}/e/{source}/TYPE/{destination} */
#define BETWEEN(call, type)                                                                                  \
    {"vhost", (call)->argument[0]}, {"source", inventory_exchange((call)->argument[1])},                     \
        {"destination", (call)->argument[2]},                                                                \
    {                                                                                                        \
        "destination_type", type                                                                             \
    }

void bindings_to_a_queue(const struct call *call, struct reply *reply)
{
    list_answer(call, &bindings, MATCH(BETWEEN(call, "queue")), reply);
}

void bindings_to_an_exchange(const struct call *call, struct reply *reply)
{
    list_answer(call, &bindings, MATCH(BETWEEN(call, "exchange")), reply);
}

void get_queue_binding(const struct call *call, struct reply *reply)
{
    list_answer_one(call, &bindings, MATCH(BETWEEN(call, "queue"), {"properties_key", call->argument[3]}),
                    reply);
}

void get_exchange_binding(const struct call *call, struct reply *reply)
{
    list_answer_one(call, &bindings, MATCH(BETWEEN(call, "exchange"), {"properties_key", call->argument[3]}),
                    reply);
}

json_t *inventory_binding(const struct call *call, bool to_queue, const char *properties_key,
                          struct reply *reply)
{
    struct reply listed = {0};
    list_answer_one(call, &bindings,
                    MATCH(BETWEEN(call, to_queue ? "queue" : "exchange"), {"properties_key", properties_key}),
                    &listed);
    if (listed.status == 200)
        return listed.json;
    *reply = listed;
    return NULL;
}

static char *path_of(const struct call *call, bool to_queue, const char *key)
{
    char *path = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&path, &size);
    const char *names[] = {call->argument[0], "e", call->argument[1], to_queue ? "q" : "e",
                           call->argument[2], key};
    if (!out)
        return NULL;
    fputs("/api/bindings", out);
    for (unsigned i = 0; i < 6; i++)
        path_put(out, names[i]);
    if (fclose(out) == 0)
        return path;
    free(path);
    return NULL;
}

char *inventory_binding_path(const struct call *call, bool to_queue, const char *routing_key,
                             const json_t *arguments)
{
    struct listing found;
    struct reply unwanted = {0};
    json_t *wanted = arguments ? json_deep_copy(arguments) : json_object();
    char *path = NULL;
    if (!listing_read(&found, call, &bindings,
                      MATCH(BETWEEN(call, to_queue ? "queue" : "exchange"), {"routing_key", routing_key}),
                      &unwanted)) {
        json_decref(unwanted.json);
        json_decref(wanted);
        return NULL;
    }
    for (size_t i = 0; i < found.count && !path; i++) {
        json_t *has = json_loads(table_cell(&found.table, found.row[i], "arguments"), 0, NULL);
        if (has && json_equal(has, wanted))
            path = path_of(call, to_queue, table_cell(&found.table, found.row[i], "properties_key"));
        json_decref(has);
    }
    listing_free(&found);
    json_decref(wanted);
    return path;
}

/* ---- connections, channels ----------------------------------------------------------------------------- */

static const struct column connection_columns[] = {
    {"name"},
    {"node", COLUMN_NODE},
    {"type", COLUMN_FIXED, "\"network\""},
    {"user"},
    {"vhost"},
    {"protocol"},
    {"peer_host"},
    {"peer_port"},
    {"host"},
    {"port"},
    {"ssl"},
    {"connected_at"},
    {"client_properties"},
    {"user_provided_name", COLUMN_SAME, "client"},
    {"state"},
    {"channels"},
    {"channel_max"},
    {"frame_max"},
    {"timeout"},
    {"recv_oct"},
    {"send_oct"},
};
static const struct column channel_columns[] = {
    {"name"},
    {"node", COLUMN_NODE},
    {"number"},
    {"connection_details.name", COLUMN_SAME, "connection"},
    {"user"},
    {"vhost"},
    {"state", COLUMN_FIXED, "\"running\""},
    {"consumer_count"},
    {"confirm"},
    {"transactional"},
    {"prefetch_count"},
    {"global_prefetch_count"},
    {"messages_unacknowledged"},
    {"messages_unconfirmed"},
};
static const struct list_named one_connection[] = {{"connection", "name", false}, {NULL}};
static const struct list_named one_channel[] = {
    {"channel", "name", false}, {"channels_of_connection", "connection", false}, {NULL}};
static const struct list connections =
    LONG_LIST("connections", NULL, connection_columns, LIST_LONG, one_connection);
static const struct list channels = LONG_LIST("channels", NULL, channel_columns, LIST_LONG, one_channel);

/* Who may not monitor sees his own only. column NULL: all that he sees. */
static void answer_own(const struct call *call, const struct list *list, const char *column,
                       const char *value, bool one, struct reply *reply)
{
    struct match matches[3] = {{NULL}}, *next = matches;
    if (column)
        *next++ = (struct match){column, value};
    if (!(call->caller.rights & MAY_MONITOR))
        *next = (struct match){"user", call->caller.name};
    if (one)
        list_answer_one(call, list, matches, reply);
    else
        list_answer(call, list, matches, reply);
}

void list_of_connections(const struct call *call, struct reply *reply)
{
    answer_own(call, &connections, NULL, NULL, false, reply);
}

void connections_of_vhost(const struct call *call, struct reply *reply)
{
    answer_own(call, &connections, "vhost", call->argument[0], false, reply);
}

void connections_of_user(const struct call *call, struct reply *reply)
{
    answer_own(call, &connections, "user", call->argument[0], false, reply);
}

void get_connection(const struct call *call, struct reply *reply)
{
    answer_own(call, &connections, "name", call->argument[0], true, reply);
}

/* What the clients are told. NULL: the reply says why that can't be. */
static const char *reason_of(const struct call *call, struct reply *reply)
{
    if (!call->reason || !*call->reason)
        return "Closed via management plugin";
    json_t *text = json_string(call->reason);
    bool ok = text;
    json_decref(text);
    if (!ok)
        reply_error(reply, 400, "the header X-Reason is not UTF-8");
    return ok ? call->reason : NULL;
}

/* Who may monitor all may close his own. */
void delete_connection(const struct call *call, struct reply *reply)
{
    const char *name = call->argument[0], *reason = reason_of(call, reply);
    bool there = false, his = false;
    if (!reason || !list_has(call, &connections, MATCH({"name", name}), &there, reply) ||
        !list_has(call, &connections, MATCH({"name", name}, {"user", call->caller.name}), &his, reply))
        return;
    if (!there || !(his || call->caller.rights & MAY_MONITOR))
        reply_error(reply, 404, "Not Found");
    else if (!(his || call->caller.rights & MAY_ADMINISTER))
        reply_forbidden(reply, "User not authorised to access object");
    else if (ask(call, reply, NULL, "close_connection", name, reason, NULL))
        reply_done(reply, false);
}

void delete_connections_of_user(const struct call *call, struct reply *reply)
{
    const char *reason = reason_of(call, reply);
    if (reason && ask(call, reply, NULL, "close_all_user_connections", call->argument[0], reason, NULL))
        reply_done(reply, false);
}

void list_of_channels(const struct call *call, struct reply *reply)
{
    answer_own(call, &channels, NULL, NULL, false, reply);
}

void channels_of_vhost(const struct call *call, struct reply *reply)
{
    answer_own(call, &channels, "vhost", call->argument[0], false, reply);
}

void channels_of_connection(const struct call *call, struct reply *reply)
{
    answer_own(call, &channels, "connection", call->argument[0], false, reply);
}

void get_channel(const struct call *call, struct reply *reply)
{
    answer_own(call, &channels, "name", call->argument[0], true, reply);
}

/* ---- consumers ----------------------------------------------------------------------------------------- */

static const struct column consumer_columns[] = {
    {"queue.name", COLUMN_SAME, "queue"},
    {"queue.vhost", COLUMN_SAME, "vhost"},
    {"consumer_tag"},
    {"channel_details.name", COLUMN_SAME, "channel_name"},
    {"channel_details.number", COLUMN_SAME, "channel"},
    {"channel_details.connection_name", COLUMN_SAME, "connection"},
    {"channel_details.node", COLUMN_NODE},
    {"ack_required"},
    {"exclusive"},
    {"prefetch_count"},
    {"arguments"},
    {"active", COLUMN_FIXED, "true"},
    {"activity_status", COLUMN_FIXED, "\"up\""},
};
static const struct list consumers = LONG_LIST("consumers", "vhost", consumer_columns, LIST_BY_VHOST, NULL);

void list_of_consumers(const struct call *call, struct reply *reply)
{
    list_answer(call, &consumers, NULL, reply);
}

/* ?queue=NAME: those of one queue, which RabbitMQ can't be asked for. */
void consumers_of_vhost(const struct call *call, struct reply *reply)
{
    const char *queue = query_value(&call->query, "queue");
    list_answer(call, &consumers, MATCH({"vhost", call->argument[0]}, {queue ? "queue" : NULL, queue}),
                reply);
}
