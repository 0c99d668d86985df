/* What was checked is made. */
#include <stdlib.h>
#include <string.h>

#include "amqp_json.h"
#include "ask.h"
#include "component.h"
#include "handlers.h"
#include "import.h"

/* ---- by the control socket ------------------------------------------------------------------------------
 */

static bool put_limits(struct import *import, const char *word, const char *of, const json_t *limits)
{
    char *text = json_dumps(limits, JSON_COMPACT);
    bool ok = text && ask(import->call, import->reply, NULL, word, of, text, NULL);
    if (!text)
        reply_error(import->reply, 503, "no memory");
    free(text);
    return ok;
}

static bool put_hash(struct import *import, const struct item *user, const char *tags)
{
    char hash[512];
    snprintf(hash, sizeof hash, "%s:%s", user->algorithm ? user->algorithm : "rabbit_password_hashing_sha256",
             user->hash);
    return ask(import->call, import->reply, NULL, "put_user_hash", user->name, hash, tags, NULL);
}

bool make_user(struct import *import, const struct item *user)
{
    const char *tags = user->tags ? user->tags : "";
    bool ok = user->password
                  ? ask(import->call, import->reply, NULL, "put_user", user->name, user->password, tags, NULL)
              : user->hash && *user->hash ? put_hash(import, user, tags)
                                          : ask(import->call, import->reply, NULL,
                                                "put_user_without_password", user->name, tags, NULL);
    return ok && (!json_object_size(user->limits) ||
                  put_limits(import, "set_user_limits", user->name, user->limits));
}

/* What isn't said of one that is there stays as it was. */
/* What it is now, if it is there. */
static const char *now(const json_t *vhost, const char *what)
{
    const char *text = json_string_value(json_object_get(vhost, what));
    return text ? text : "";
}

/* What the file doesn't say stays as it is. */
bool make_vhost(struct import *import, const struct item *vhost)
{
    struct item said;
    const json_t *there = json_object_get(import->known.vhosts, vhost->name);
    bool ok = import_metadata(import, vhost, &said) &&
              ask(import->call, import->reply, NULL, "put_vhost", vhost->name,
                  said.description ? said.description : now(there, "description"),
                  said.queue_type ? vhost_queue_type(said.queue_type) : now(there, "default_queue_type"),
                  said.tags ? said.tags : now(there, "tags"), NULL);
    free(said.tags);
    return ok;
}

bool make_permission(struct import *import, const struct item *p)
{
    return ask(import->call, import->reply, NULL, "set_permissions", p->vhost, p->user, p->configure,
               p->write, p->read, NULL);
}

bool make_topic_permission(struct import *import, const struct item *p)
{
    return ask(import->call, import->reply, NULL, "set_topic_permissions", p->vhost, p->user, p->exchange,
               p->write, p->read, NULL);
}

static bool make_rule(struct import *import, const struct item *policy, const char *word)
{
    char *line = import_policy_line(import, policy, word, policy->vhost);
    bool ok = line && ask_line(import->call, import->reply, NULL, line);
    free(line);
    return ok;
}

bool make_policy(struct import *import, const struct item *policy)
{
    return make_rule(import, policy, "set_policy");
}

bool make_parameter(struct import *import, const struct item *parameter)
{
    struct item policy;
    if (strcmp(parameter->component, "vhost-limits") == 0)
        return put_limits(import, "set_vhost_limits", parameter->vhost, parameter->value);
    return import_operator_policy(import, parameter, &policy) &&
           make_rule(import, &policy, "set_operator_policy");
}

bool make_global_parameter(struct import *import, const struct item *parameter)
{
    char error[1024];
    char *line = component_set_global(parameter->name, parameter->value, error, sizeof error);
    bool ok = line && ask_line(import->call, import->reply, NULL, line);
    if (!line)
        reply_error(import->reply, 400, "%s", error);
    free(line);
    return ok;
}

/* ---- by AMQP --------------------------------------------------------------------------------------------
 */

void import_deeds_end(struct import *import)
{
    if (import->session.connection)
        session_close(&import->session);
}

/* One connection serves as long as definitions are of one virtual host. */
static bool is_in(struct import *import, const char *vhost)
{
    if (import->session.connection && strcmp(import->session_vhost, vhost) == 0)
        return true;
    import_deeds_end(import);
    snprintf(import->session_vhost, sizeof import->session_vhost, "%s", vhost);
    return session_open(&import->session, import->call, vhost, import->reply);
}

typedef void asks(const struct session *session, const struct item *item, amqp_table_t arguments);

static bool make(struct import *import, const struct item *item, asks *deed)
{
    amqp_pool_t pool;
    amqp_table_t arguments;
    const char *wrong;
    if (!is_in(import, item->vhost))
        return false;
    init_amqp_pool(&pool, 4096);
    bool ok = amqp_table_of(item->arguments, &arguments, &pool, &wrong);
    if (ok) {
        deed(&import->session, item, arguments);
        ok = session_done(&import->session, import->reply);
    } else {
        reply_error(import->reply, 400, "the field 'arguments': %s", wrong);
    }
    empty_amqp_pool(&pool);
    return ok;
}

static void declare_queue(const struct session *s, const struct item *queue, amqp_table_t arguments)
{
    amqp_queue_declare(s->connection, s->channel, session_bytes(queue->name), 0, queue->durable, 0,
                       queue->auto_delete, arguments);
}

static void declare_exchange(const struct session *s, const struct item *exchange, amqp_table_t arguments)
{
    amqp_exchange_declare(s->connection, s->channel, session_bytes(exchange->name),
                          session_bytes(exchange->type), 0, exchange->durable, exchange->auto_delete,
                          exchange->internal, arguments);
}

static void bind(const struct session *s, const struct item *binding, amqp_table_t arguments)
{
    const amqp_bytes_t source = session_bytes(binding->source), key = session_bytes(binding->routing_key),
                       destination = session_bytes(binding->destination);
    if (*binding->destination_type == 'q')
        amqp_queue_bind(s->connection, s->channel, destination, source, key, arguments);
    else
        amqp_exchange_bind(s->connection, s->channel, destination, source, key, arguments);
}

bool make_queue(struct import *import, const struct item *queue)
{
    return make(import, queue, declare_queue);
}

bool make_exchange(struct import *import, const struct item *exchange)
{
    return make(import, exchange, declare_exchange);
}

bool make_binding(struct import *import, const struct item *binding)
{
    return make(import, binding, bind);
}
