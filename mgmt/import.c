#include "import.h"

#include <stdlib.h>
#include <string.h>

#include "fields.h"
#include "handlers.h"
#include "listing.h"
#include "router/access_change.h"

/* The lists that a file has, in the order in which they are made. */
struct import_kind {
    const char *list;
    bool whole;   /* it is of the broker, not of a virtual host */
    bool by_amqp; /* so that names may have control characters */
    const struct field *fields;
    size_t count;
    /* False: the reply says what is wrong, or not done. */
    bool (*check)(struct import *import, const struct item *item);
    bool (*apply)(struct import *import, const struct item *item);
};

#define TEXT_FIELD(member, name, needed) FIELD(struct item, member, name, TEXT, needed)

static const struct field user_fields[] = {
    TEXT_FIELD(name, "name", true),
    TEXT_FIELD(password, "password", false),
    TEXT_FIELD(hash, "password_hash", false),
    TEXT_FIELD(algorithm, "hashing_algorithm", false),
    FIELD(struct item, tags, "tags", WORDS, false),
    FIELD(struct item, limits, "limits", OBJECT, false),
};
static const struct field vhost_fields[] = {
    TEXT_FIELD(name, "name", true),
    TEXT_FIELD(description, "description", false),
    TEXT_FIELD(queue_type, "default_queue_type", false),
    FIELD(struct item, tags, "tags", WORDS, false),
    FIELD(struct item, metadata, "metadata", OBJECT, false),
    FIELD(struct item, tracing, "tracing", TRUTH, false),
};
static const struct field permission_fields[] = {
    TEXT_FIELD(vhost, "vhost", true),         TEXT_FIELD(user, "user", true),
    TEXT_FIELD(configure, "configure", true), TEXT_FIELD(write, "write", true),
    TEXT_FIELD(read, "read", true),
};
static const struct field topic_fields[] = {
    TEXT_FIELD(vhost, "vhost", true), TEXT_FIELD(user, "user", true), TEXT_FIELD(exchange, "exchange", true),
    TEXT_FIELD(write, "write", true), TEXT_FIELD(read, "read", true),
};
static const struct field parameter_fields[] = {
    TEXT_FIELD(vhost, "vhost", false),
    TEXT_FIELD(component, "component", true),
    TEXT_FIELD(name, "name", true),
    FIELD(struct item, value, "value", OBJECT, true),
};
static const struct field global_fields[] = {TEXT_FIELD(name, "name", true),
                                             FIELD(struct item, value, "value", ANY, true)};
static const struct field policy_fields[] = {
    TEXT_FIELD(vhost, "vhost", false),
    TEXT_FIELD(name, "name", true),
    TEXT_FIELD(pattern, "pattern", true),
    TEXT_FIELD(apply_to, "apply-to", false),
    FIELD(struct item, definition, "definition", OBJECT, true),
    FIELD(struct item, priority, "priority", WHOLE, false),
};
static const struct field queue_fields[] = {
    TEXT_FIELD(vhost, "vhost", false),
    TEXT_FIELD(name, "name", true),
    TEXT_FIELD(queue_type, "type", false),
    FIELD(struct item, durable, "durable", TRUTH, false),
    FIELD(struct item, auto_delete, "auto_delete", TRUTH, false),
    FIELD(struct item, arguments, "arguments", OBJECT, false),
};
static const struct field exchange_fields[] = {
    TEXT_FIELD(vhost, "vhost", false),
    TEXT_FIELD(name, "name", true),
    TEXT_FIELD(type, "type", true),
    FIELD(struct item, durable, "durable", TRUTH, false),
    FIELD(struct item, auto_delete, "auto_delete", TRUTH, false),
    FIELD(struct item, internal, "internal", TRUTH, false),
    FIELD(struct item, arguments, "arguments", OBJECT, false),
};
static const struct field binding_fields[] = {
    TEXT_FIELD(vhost, "vhost", false),
    TEXT_FIELD(source, "source", true),
    TEXT_FIELD(destination, "destination", true),
    TEXT_FIELD(destination_type, "destination_type", true),
    TEXT_FIELD(routing_key, "routing_key", false),
    FIELD(struct item, arguments, "arguments", OBJECT, false),
};

#define KIND(list, whole, by_amqp, fields, check, make)                                                      \
    {                                                                                                        \
        list, whole, by_amqp, fields, sizeof(fields) / sizeof *(fields), check, make                         \
    }

static const struct import_kind kinds[] = {
    KIND("users", true, false, user_fields, check_user, make_user),
    KIND("vhosts", true, false, vhost_fields, check_vhost, make_vhost),
    KIND("permissions", true, false, permission_fields, check_permission, make_permission),
    KIND("topic_permissions", true, false, topic_fields, check_topic_permission, make_topic_permission),
    KIND("parameters", false, false, parameter_fields, check_parameter, make_parameter),
    KIND("global_parameters", true, false, global_fields, check_global_parameter, make_global_parameter),
    KIND("policies", false, false, policy_fields, check_policy, make_policy),
    KIND("queues", false, true, queue_fields, check_queue, make_queue),
    KIND("exchanges", false, true, exchange_fields, check_exchange, make_exchange),
    KIND("bindings", false, true, binding_fields, check_binding, make_binding),
};

enum { KINDS = sizeof kinds / sizeof *kinds };

/* ---- reading --------------------------------------------------------------------------------------------
 */

/* As the broker bounds them: patterns of permissions and passwords may be longer than names. */
static size_t most_of(const struct import_kind *kind, const struct field *field)
{
    bool pattern = field->offset == offsetof(struct item, configure) ||
                   field->offset == offsetof(struct item, write) ||
                   field->offset == offsetof(struct item, read);
    bool password = field->offset == offsetof(struct item, password);
    return kind->by_amqp ? PATH_NAME_BYTES
           : pattern     ? ACCESS_PATTERN_BYTES
           : password    ? CALLER_PASSWORD_BYTES
                         : PATH_NAME_BYTES;
}

static bool check_text(struct import *import, const struct import_kind *kind, const struct field *field,
                       const char *text)
{
    size_t most = most_of(kind, field);
    if (!kind->by_amqp)
        return import_is_text(import, field->name, text, most);
    if (strlen(text) <= most)
        return true;
    reply_error(import->reply, 400, "the field '%s' is longer than %zu bytes", field->name, most);
    return false;
}

static bool check_texts(struct import *import, const struct import_kind *kind, const struct item *item)
{
    for (size_t i = 0; i < kind->count; i++) {
        const struct field *field = &kind->fields[i];
        const char *text = field->kind == FIELD_TEXT || field->kind == FIELD_WORDS
                               ? *(const char *const *)((const char *)item + field->offset)
                               : NULL;
        if (text && !check_text(import, kind, field, text))
            return false;
    }
    return true;
}

/* RabbitMQ 4 says the type of a queue beside its arguments, too. */
static void take_type(struct item *item)
{
    if (!*item->queue_type || strcmp(item->queue_type, "classic") == 0 ||
        json_object_get(item->arguments, "x-queue-type"))
        return;
    item->made = item->arguments ? json_copy((json_t *)item->arguments) : json_object();
    json_object_set_new(item->made, "x-queue-type", json_string(item->queue_type));
    item->arguments = item->made;
}

/* Of [["max-length", 5]] an object, as rabbitmqctl writes an operator policy's definition; else NULL. */
static json_t *object_of_pairs(const json_t *pairs)
{
    json_t *pair, *object = json_object();
    size_t i;
    json_array_foreach((json_t *)pairs, i, pair)
    {
        const char *name = json_string_value(json_array_get(pair, 0));
        if (name && json_array_size(pair) == 2 && json_object_set(object, name, json_array_get(pair, 1)) == 0)
            continue;
        json_decref(object);
        return NULL;
    }
    return object;
}

static void take_pairs(struct item *item)
{
    const json_t *pairs = json_object_get(item->value, "definition");
    json_t *definition = json_is_array(pairs) ? object_of_pairs(pairs) : NULL;
    if (!definition)
        return;
    item->made = json_copy((json_t *)item->value);
    json_object_set_new(item->made, "definition", definition);
    item->value = item->made;
}

static bool read_item(struct import *import, const struct import_kind *kind, const json_t *json,
                      struct item *item)
{
    *item = (struct item){
        .vhost = "",
        .name = "",
        .user = "",
        .configure = "",
        .write = "",
        .read = "",
        .exchange = "",
        .pattern = "",
        .component = "",
        .type = "",
        .source = "",
        .destination = "",
        .routing_key = "",
        .queue_type = "",
        .apply_to = "all",
        .destination_type = "",
    };
    if (!json_is_object(json)) {
        reply_error(import->reply, 400, "it is not an object");
        return false;
    }
    if (!fields_read(json, kind->fields, kind->count, item, import->reply) ||
        !check_texts(import, kind, item))
        return false;
    if (kind->fields == queue_fields)
        take_type(item);
    if (kind->fields == parameter_fields)
        take_pairs(item);
    if (import->vhost)
        item->vhost = import->vhost;
    if (kind->whole || *item->vhost)
        return true;
    reply_error(import->reply, 400, "the field 'vhost' is missing");
    return false;
}

/* ---- errors ---------------------------------------------------------------------------------------------
 */

/* Which of the file's definitions it is that the reply's reason is about. */
static void name_item(const struct import *import, const struct import_kind *kind, size_t number,
                      const struct item *item, bool applying)
{
    struct reply *reply = import->reply;
    json_t *said = reply->json;
    const char *reason = json_string_value(json_object_get(said, "reason"));
    const char *name = item->name && *item->name ? item->name : item->user;
    char text[3 * PATH_NAME_BYTES + 64];
    int n = snprintf(text, sizeof text, "%s[%zu]", kind->list, number);
    if (item->source && *item->destination)
        n += snprintf(text + n, sizeof text - (size_t)n, " from '%.255s' to '%.255s'", item->source,
                      item->destination);
    else if (name && *name)
        n += snprintf(text + n, sizeof text - (size_t)n, " '%.255s'", name);
    if (item->vhost && *item->vhost && n < (int)sizeof text)
        snprintf(text + n, sizeof text - (size_t)n, " in vhost '%.100s'", item->vhost);
    json_object_set_new(said, "reason",
                        json_sprintf("%s: %s%s", text, reason ? reason : "it can't be read",
                                     applying ? "; what stands before it has been imported" : ""));
}

/* ---- steps ----------------------------------------------------------------------------------------------
 */

enum step { CHECK_ALL, MAKE_MOST, MAKE_LAST };

/* With what the call itself stands on, and what may be in the way of queues, one waits until the end. */
static bool is_last(const struct import *import, const struct import_kind *kind, const struct item *item)
{
    return (kind->check == check_user && strcmp(item->name, import->call->caller.name) == 0) ||
           strcmp(item->component, "vhost-limits") == 0;
}

static bool take_item(struct import *import, const struct import_kind *kind, size_t number,
                      const json_t *json, enum step step)
{
    struct item item = {0};
    bool ok = read_item(import, kind, json, &item);
    if (ok && step == CHECK_ALL)
        ok = kind->check(import, &item);
    else if (ok && is_last(import, kind, &item) == (step == MAKE_LAST))
        ok = kind->apply(import, &item);
    if (!ok)
        name_item(import, kind, number, &item, step != CHECK_ALL);
    free(item.tags);
    json_decref(item.made);
    return ok;
}

static bool take_list(struct import *import, const struct import_kind *kind, const json_t *list,
                      enum step step)
{
    size_t i;
    json_t *json;
    if (!list || json_is_null(list))
        return true;
    if (!json_is_array(list)) {
        reply_error(import->reply, 400, "the field '%s' must be a list", kind->list);
        return false;
    }
    json_array_foreach(list, i, json)
    {
        if (!take_item(import, kind, i, json, step))
            return false;
    }
    return true;
}

static bool take_all(struct import *import, enum step step)
{
    for (size_t i = 0; i < KINDS; i++)
        if (!(import->vhost && kinds[i].whole) &&
            !take_list(import, &kinds[i], json_object_get(import->call->body, kinds[i].list), step))
            return false;
    return true;
}

/* ---- what there is --------------------------------------------------------------------------------------
 */

static const struct list users = {"list_users", NULL, NULL, 0, LIST_SHORT};
static const struct list vhosts = {"list_vhosts", NULL, NULL, 0, LIST_SHORT};
static const struct list permissions = {"list_all_permissions", NULL, NULL, 0, LIST_SHORT};
static const struct list queues = {"queues", NULL, NULL, 0, LIST_LONG};
static const struct list exchanges = {"exchanges", NULL, NULL, 0, LIST_LONG};

/* By one column, or by the virtual host and another. */
static json_t *known(const struct import *import, const struct list *list, bool of_vhost, const char *column)
{
    struct listing listing;
    json_t *all;
    if (!listing_read(&listing, import->call, list, NULL, import->reply))
        return NULL;
    all = json_object();
    for (size_t i = 0; i < listing.count; i++) {
        char key[IMPORT_KEY_BYTES];
        const char *name = table_cell(&listing.table, listing.row[i], column);
        const char *vhost = table_cell(&listing.table, listing.row[i], "vhost");
        json_object_set_new(all, of_vhost ? import_key(key, vhost, name) : name,
                            rows_object(&listing.rows, listing.row[i], NULL));
    }
    listing_free(&listing);
    return all;
}

static bool read_known(struct import *import)
{
    struct known *k = &import->known;
    return (k->users = known(import, &users, false, "user")) &&
           (k->vhosts = known(import, &vhosts, false, "name")) &&
           (k->permissions = known(import, &permissions, true, "user")) &&
           (k->queues = known(import, &queues, true, "name")) &&
           (k->exchanges = known(import, &exchanges, true, "name"));
}

static void forget(struct import *import)
{
    json_decref(import->known.users);
    json_decref(import->known.vhosts);
    json_decref(import->known.permissions);
    json_decref(import->known.queues);
    json_decref(import->known.exchanges);
    import_rights_free(import->rights);
    import_deeds_end(import);
}

static void take(const struct call *call, const char *vhost, struct reply *reply)
{
    struct import import = {.call = call, .reply = reply, .vhost = vhost};
    if (read_known(&import) && take_all(&import, CHECK_ALL) && take_all(&import, MAKE_MOST) &&
        take_all(&import, MAKE_LAST))
        reply_done(reply, false);
    forget(&import);
}

void post_definitions(const struct call *call, struct reply *reply)
{
    take(call, NULL, reply);
}

void post_definitions_of_vhost(const struct call *call, struct reply *reply)
{
    if (ask(call, reply, NULL, "list_permissions", call->argument[0], NULL))
        take(call, call->argument[0], reply);
}
