/*
 * What is wrong with queues, exchanges and bindings of a file: by themselves, beside those that there are,
 * and because the user who calls, as whom they are made, may not.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amqp_json.h"
#include "import.h"
#include "router/arguments.h"
#include "router/exchange_type.h"
#include "router/pattern.h"
#include "router/settings.h"

enum { WHAT_BYTES = 2 * PATH_NAME_BYTES + 64, TEXT_BYTES = 2048 };

/* ---- tables ---------------------------------------------------------------------------------------------
 */

/* Arguments as a field table, without its length. */
struct arguments {
    uint8_t *bytes;
    struct span table;
};

/* What JSON says in few bytes, such as a number in a list, may be nine in a table. */
static bool arguments_of(const json_t *object, struct arguments *arguments, const char **wrong)
{
    amqp_pool_t pool;
    amqp_table_t table;
    size_t size =
               64 + 16 * json_dumpb(object ? object : json_null(), NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY),
           end = 0;
    *arguments = (struct arguments){.bytes = malloc(size)};
    *wrong = "there is no memory for a table";
    init_amqp_pool(&pool, 4096);
    bool ok = arguments->bytes && amqp_table_of(object, &table, &pool, wrong) &&
              amqp_encode_table((amqp_bytes_t){size, arguments->bytes}, &table, &end) == AMQP_STATUS_OK;
    empty_amqp_pool(&pool);
    if (ok)
        arguments->table = span_of(arguments->bytes + 4, end - 4);
    return ok;
}

/* ---- who may --------------------------------------------------------------------------------------------
 */

struct caller_rights {
    char vhost[PATH_NAME_BYTES + 1];
    bool any; /* he may use it */
    struct pattern *configure, *write, *read;
    struct pattern_scratch scratch;
};

static void clear(struct caller_rights *rights)
{
    pattern_free(rights->configure);
    pattern_free(rights->write);
    pattern_free(rights->read);
    rights->configure = rights->write = rights->read = NULL;
}

void import_rights_free(struct caller_rights *rights)
{
    if (!rights)
        return;
    clear(rights);
    pattern_scratch_free(&rights->scratch);
    free(rights);
}

static struct pattern *compiled(const json_t *permission, const char *what)
{
    char why[256];
    const char *source = json_string_value(json_object_get(permission, what));
    return source && *source ? pattern_compile(span_str(source), why, sizeof why) : NULL;
}

/* Those that he will have when the file's permissions are given. NULL: the reply says why there are none. */
static struct caller_rights *rights_in(struct import *import, const char *vhost)
{
    char key[IMPORT_KEY_BYTES];
    struct caller_rights *rights = import->rights;
    if (rights && strcmp(rights->vhost, vhost) == 0)
        return rights;
    if (!rights)
        rights = import->rights = calloc(1, sizeof *rights);
    if (!rights) {
        reply_error(import->reply, 503, "no memory");
        return NULL;
    }
    const json_t *permission =
        json_object_get(import->known.permissions, import_key(key, vhost, import->user));
    clear(rights);
    snprintf(rights->vhost, sizeof rights->vhost, "%s", vhost);
    rights->any = permission;
    rights->configure = compiled(permission, "configure");
    rights->write = compiled(permission, "write");
    rights->read = compiled(permission, "read");
    return rights;
}

static bool may(struct import *import, const char *vhost, const char *right, const char *kind,
                const char *name)
{
    struct caller_rights *rights = rights_in(import, vhost);
    if (!rights)
        return false;
    const struct pattern *pattern = *right == 'c'   ? rights->configure
                                    : *right == 'w' ? rights->write
                                                    : rights->read;
    if (pattern && pattern_match(pattern, &rights->scratch, span_str(name)) == PATTERN_FITS)
        return true;
    reply_error(import->reply, 400,
                "%s access to %s '%s' in vhost '%s' refused for user '%s', as whom it is made", right, kind,
                name, vhost, import->user);
    return false;
}

/* What needs an AMQP connection. */
static bool may_use(struct import *import, const struct item *item)
{
    struct caller_rights *rights;
    if (!*import->user && !session_user(import->call, import->user, import->reply))
        return false;
    if (!json_object_get(import->known.vhosts, item->vhost))
        reply_error(import->reply, 400, "virtual host '%s' does not exist", item->vhost);
    else if (!(rights = rights_in(import, item->vhost)))
        return false;
    else if (!rights->any)
        reply_error(import->reply, 400, "user '%s', as whom it is made, may not use virtual host '%s'",
                    import->user, item->vhost);
    else
        return true;
    return false;
}

/* ---- queues and exchanges -------------------------------------------------------------------------------
 */

static bool same_flag(const char *name, bool received, const json_t *current, const char *what, char *text)
{
    return flag_equivalent(name, received, json_is_true(json_object_get(current, name)), what, text,
                           TEXT_BYTES);
}

/* Of arguments that JSON can't say nothing is known. */
static bool same_arguments(struct span received, const json_t *current, bool queue, const char *what,
                           char *text)
{
    struct arguments arguments;
    const char *wrong;
    bool ok = !arguments_of(json_object_get(current, "arguments"), &arguments, &wrong) ||
              (queue ? settings_equivalent : arguments_equivalent)(received, arguments.table, what, text,
                                                                   TEXT_BYTES);
    free(arguments.bytes);
    return ok;
}

static bool queue_fits(const struct item *queue, struct span arguments, const json_t *there, const char *what,
                       char *text)
{
    struct settings settings;
    const struct declared declared = {
        .what = what, .durable = queue->durable, .auto_delete = queue->auto_delete};
    if (json_is_true(json_object_get(there, "exclusive"))) {
        snprintf(text, TEXT_BYTES, "there is one that is another connection's alone");
        return false;
    }
    if (!there && strncmp(queue->name, "amq.", 4) == 0) {
        snprintf(text, TEXT_BYTES, "queue name '%s' contains reserved prefix 'amq.*'", queue->name);
        return false;
    }
    return settings_read(&settings, arguments, &declared, text, TEXT_BYTES) &&
           (!there || (same_flag("durable", queue->durable, there, what, text) &&
                       same_flag("auto_delete", queue->auto_delete, there, what, text) &&
                       same_arguments(arguments, there, true, what, text)));
}

static bool exchange_fits(const struct item *exchange, struct span arguments, const json_t *there,
                          const char *what, char *text)
{
    const char *delayed = json_string_value(json_object_get(exchange->arguments, "x-delayed-type"));
    const char *type = json_string_value(json_object_get(there, "type"));
    bool delays = strcmp(exchange->type, "x-delayed-message") == 0;
    const char *routes = !delays ? exchange->type : delayed ? delayed : "";
    if (exchange_type_of(span_str(routes)) == EXCHANGE_TYPES)
        snprintf(text, TEXT_BYTES, "unknown exchange type '%s'", exchange->type);
    else if (!there && strncmp(exchange->name, "amq.", 4) == 0)
        snprintf(text, TEXT_BYTES, "exchange name '%s' contains reserved prefix 'amq.*'", exchange->name);
    else if (there && type && strcmp(type, exchange->type) != 0)
        snprintf(text, TEXT_BYTES, "inequivalent arg 'type' for %s: received '%s' but current is '%s'", what,
                 exchange->type, type);
    else
        return !there || (same_flag("durable", exchange->durable, there, what, text) &&
                          same_flag("auto_delete", exchange->auto_delete, there, what, text) &&
                          same_flag("internal", exchange->internal, there, what, text) &&
                          same_arguments(arguments, there, false, what, text));
    return false;
}

/* What is found twice in a file must say the same both times. */
static bool remember(json_t *known, const char *key, const struct item *item)
{
    json_t *arguments = item->arguments ? json_copy((json_t *)item->arguments) : json_object();
    return json_object_set_new(known, key,
                               json_pack("{sb,sb,sb,ss,so}", "durable", item->durable, "auto_delete",
                                         item->auto_delete, "internal", item->internal, "type", item->type,
                                         "arguments", arguments)) == 0;
}

typedef bool fits(const struct item *item, struct span arguments, const json_t *there, const char *what,
                  char *text);

static bool check_thing(struct import *import, const struct item *item, const char *kind, json_t *known,
                        fits *item_fits)
{
    char key[IMPORT_KEY_BYTES], what[WHAT_BYTES], text[TEXT_BYTES];
    const char *wrong;
    struct arguments arguments;
    if (!may_use(import, item) || !may(import, item->vhost, "configure", kind, item->name))
        return false;
    snprintf(what, sizeof what, "%s '%s' in vhost '%s'", kind, item->name, item->vhost);
    bool ok = arguments_of(item->arguments, &arguments, &wrong);
    if (!ok)
        snprintf(text, sizeof text, "the field 'arguments': %s", wrong);
    import_key(key, item->vhost, item->name);
    ok = ok && item_fits(item, arguments.table, json_object_get(known, key), what, text);
    free(arguments.bytes);
    if (!ok)
        reply_error(import->reply, 400, "%s", text);
    return ok && remember(known, key, item);
}

bool check_queue(struct import *import, const struct item *queue)
{
    if (*queue->name)
        return check_thing(import, queue, "queue", import->known.queues, queue_fits);
    reply_error(import->reply, 400, "the queue has no name");
    return false;
}

bool check_exchange(struct import *import, const struct item *exchange)
{
    if (*exchange->name)
        return check_thing(import, exchange, "exchange", import->known.exchanges, exchange_fits);
    reply_error(import->reply, 400, "the exchange has no name");
    return false;
}

/* ---- bindings -------------------------------------------------------------------------------------------
 */

/* A virtual host that is new will have those of RabbitMQ's names. */
static bool has(struct import *import, const char *vhost, bool queue, const char *name)
{
    char key[IMPORT_KEY_BYTES];
    bool is_new = json_is_true(json_object_get(import->known.vhosts, vhost));
    import_key(key, vhost, name);
    if (json_object_get(queue ? import->known.queues : import->known.exchanges, key) ||
        (is_new && !queue && strncmp(name, "amq.", 4) == 0))
        return true;
    reply_error(import->reply, 400, "no %s '%s' in vhost '%s'", queue ? "queue" : "exchange", name, vhost);
    return false;
}

bool check_binding(struct import *import, const struct item *binding)
{
    struct arguments arguments;
    const char *wrong;
    bool queue = strcmp(binding->destination_type, "queue") == 0;
    if (!queue && strcmp(binding->destination_type, "exchange") != 0)
        reply_error(import->reply, 400, "the field 'destination_type' must be queue or exchange");
    else if (!*binding->source || !*binding->destination)
        reply_error(import->reply, 400, "the default exchange's bindings can't be made");
    else if (may_use(import, binding) && has(import, binding->vhost, false, binding->source) &&
             has(import, binding->vhost, queue, binding->destination) &&
             may(import, binding->vhost, "write", queue ? "queue" : "exchange", binding->destination) &&
             may(import, binding->vhost, "read", "exchange", binding->source)) {
        bool ok = arguments_of(binding->arguments, &arguments, &wrong);
        if (!ok)
            reply_error(import->reply, 400, "the field 'arguments': %s", wrong);
        free(arguments.bytes);
        return ok;
    }
    return false;
}
