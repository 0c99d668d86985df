/* What is wrong with users, virtual hosts, permissions, parameters and policies of a file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ask.h"
#include "component.h"
#include "fields.h"
#include "handlers.h"
#include "import.h"
#include "policy.h"
#include "router/access_change.h"
#include "router/limits.h"
#include "router/password.h"
#include "router/pattern.h"
#include "router/settings.h"

/* ---- users ----------------------------------------------------------------------------------------------
 */

static bool check_hash(const struct item *user, struct reply *reply)
{
    char hash[512], text[PASSWORD_TEXT_BYTES], why[256] = "the field 'password_hash' is no password's hash";
    int n = snprintf(hash, sizeof hash, "%s:%s",
                     user->algorithm ? user->algorithm : "rabbit_password_hashing_sha256", user->hash);
    bool ok = n < (int)sizeof hash && password_import(text, span_str(hash), why, sizeof why);
    if (!ok)
        reply_error(reply, 400, "%s", why);
    return ok;
}

static bool check_limits(const json_t *limits, bool of_user, struct reply *reply)
{
    char why[256];
    struct limits read;
    char *text = json_dumps(limits, JSON_COMPACT);
    limits_init(&read);
    bool ok = !text || limits_read(&read, span_str(text), of_user, why, sizeof why);
    if (!ok)
        reply_error(reply, 400, "%s", why);
    free(text);
    return ok;
}

bool check_user(struct import *import, const struct item *user)
{
    struct reply *reply = import->reply;
    if (!*user->name)
        reply_error(reply, 400, "the user has no name");
    else if (user->hash && user->password)
        reply_error(reply, 400, "both_password_and_password_hash_are_provided");
    else if ((!user->hash || check_hash(user, reply)) &&
             (!json_object_size(user->limits) || check_limits(user->limits, true, reply)))
        return json_object_set_new(import->known.users, user->name, json_true()) == 0;
    return false;
}

/* ---- virtual hosts, permissions -------------------------------------------------------------------------
 */

bool import_is_text(struct import *import, const char *field, const char *text, size_t most)
{
    const char *c = text;
    while (*c && (unsigned char)*c >= ' ' && *c != 127)
        c++;
    if (*c)
        reply_error(import->reply, 400, "the field '%s' has control characters", field);
    else if (strlen(text) > most)
        reply_error(import->reply, 400, "the field '%s' is longer than %zu bytes", field, most);
    else
        return true;
    return false;
}

bool import_metadata(struct import *import, const struct item *vhost, struct item *said)
{
    static const struct field fields[] = {
        FIELD(struct item, description, "description", TEXT, false),
        FIELD(struct item, tags, "tags", WORDS, false),
        FIELD(struct item, queue_type, "default_queue_type", TEXT, false),
    };
    *said = (struct item){.description = vhost->description,
                          .tags = vhost->tags ? strdup(vhost->tags) : NULL,
                          .queue_type = *vhost->queue_type ? vhost->queue_type : NULL};
    return fields_read(vhost->metadata, fields, sizeof fields / sizeof *fields, said, import->reply) &&
           (!said->description ||
            import_is_text(import, "description", said->description, PATH_NAME_BYTES)) &&
           (!said->tags || import_is_text(import, "tags", said->tags, PATH_NAME_BYTES));
}

static bool check_metadata(struct import *import, const struct item *vhost)
{
    struct item said;
    enum queue_type type;
    bool ok = import_metadata(import, vhost, &said);
    const char *name = ok && said.queue_type ? vhost_queue_type(said.queue_type) : "";
    free(said.tags);
    if (!*name || settings_type_named(span_str(name), &type))
        return ok;
    reply_error(import->reply, 400, "default_queue_type: unknown queue type '%.100s'", name);
    return false;
}

bool check_vhost(struct import *import, const struct item *vhost)
{
    if (!*vhost->name)
        reply_error(import->reply, 400, "the virtual host has no name");
    else if (vhost->tracing)
        reply_error(import->reply, 400, "tracing is not something that a virtual host can be");
    else if (json_is_true(json_object_get(vhost->metadata, "protected_from_deletion")))
        reply_error(import->reply, 400, "a virtual host can't be protected from deletion");
    else if (!check_metadata(import, vhost))
        return false;
    else if (json_object_get(import->known.vhosts, vhost->name))
        return true;
    else
        return json_object_set_new(import->known.vhosts, vhost->name, json_true()) == 0;
    return false;
}

static bool has_vhost(struct import *import, const char *name)
{
    if (json_object_get(import->known.vhosts, name))
        return true;
    reply_error(import->reply, 400, "virtual host '%s' does not exist", name);
    return false;
}

static bool is_pattern(struct import *import, const char *what, const char *source)
{
    char why[256];
    struct pattern *pattern = pattern_compile(span_str(source), why, sizeof why);
    if (!pattern)
        reply_error(import->reply, 400, "the field '%s': %s", what, why);
    pattern_free(pattern);
    return pattern;
}

static bool is_between(struct import *import, const struct item *permission)
{
    if (!has_vhost(import, permission->vhost))
        return false;
    if (json_object_get(import->known.users, permission->user))
        return true;
    reply_error(import->reply, 400, "user '%s' does not exist", permission->user);
    return false;
}

bool check_permission(struct import *import, const struct item *permission)
{
    char key[IMPORT_KEY_BYTES];
    json_t *given;
    if (!is_between(import, permission) || !is_pattern(import, "configure", permission->configure) ||
        !is_pattern(import, "write", permission->write) || !is_pattern(import, "read", permission->read))
        return false;
    given = json_pack("{ss,ss,ss}", "configure", permission->configure, "write", permission->write, "read",
                      permission->read);
    return json_object_set_new(import->known.permissions,
                               import_key(key, permission->vhost, permission->user), given) == 0;
}

bool check_topic_permission(struct import *import, const struct item *permission)
{
    return is_between(import, permission) && is_pattern(import, "write", permission->write) &&
           is_pattern(import, "read", permission->read);
}

/* ---- policies -------------------------------------------------------------------------------------------
 */

char *import_policy_line(struct import *import, const struct item *policy, const char *word,
                         const char *vhost)
{
    char priority[32], error[4096];
    char *definition = json_dumps(policy->definition, 0);
    snprintf(priority, sizeof priority, "%lld", (long long)policy->priority);
    const struct policy_options options = {vhost, priority, policy->apply_to};
    char *words[] = {(char *)word, (char *)policy->name, (char *)policy->pattern, definition};
    char *line = definition ? policy_request(4, words, &options, error, sizeof error) : NULL;
    if (!line)
        reply_error(import->reply, definition ? 400 : 503, "%s", definition ? error : "no memory");
    free(definition);
    return line;
}

/* What the broker says of it stands behind its name, and the name of a virtual host that isn't its. */
static void say_why(struct reply *reply)
{
    json_t *said = reply->json;
    const char *reason = json_string_value(json_object_get(said, "reason"));
    const char *vhost = reason ? strstr(reason, "' in vhost '") : NULL;
    const char *why = vhost ? strstr(vhost, "': ") : NULL;
    if (why)
        json_object_set_new(said, "reason", json_string(why + 3));
}

/* The broker is asked whether it could be made, in a virtual host that there is already. */
static bool check_rule(struct import *import, const struct item *policy, const char *word)
{
    const char *vhost;
    json_t *there;
    json_object_foreach(import->known.vhosts, vhost, there)
    {
        char *checked = NULL;
        if (!json_is_object(there))
            continue;
        char *line = import_policy_line(import, policy, word, vhost);
        bool ok = line && asprintf(&checked, "check%s", line + strlen("set")) >= 0 &&
                  ask_line(import->call, import->reply, NULL, checked);
        if (line && !ok)
            say_why(import->reply);
        free(checked);
        free(line);
        return ok;
    }
    return true;
}

bool check_policy(struct import *import, const struct item *policy)
{
    return has_vhost(import, policy->vhost) && check_rule(import, policy, "set_policy");
}

bool import_operator_policy(struct import *import, const struct item *parameter, struct item *policy)
{
    static const struct field fields[] = {
        FIELD(struct item, pattern, "pattern", TEXT, true),
        FIELD(struct item, apply_to, "apply-to", TEXT, false),
        FIELD(struct item, definition, "definition", OBJECT, true),
        FIELD(struct item, priority, "priority", WHOLE, false),
    };
    *policy = *parameter;
    return fields_read(parameter->value, fields, sizeof fields / sizeof *fields, policy, import->reply);
}

/* ---- parameters -----------------------------------------------------------------------------------------
 */

bool check_parameter(struct import *import, const struct item *parameter)
{
    struct item policy;
    char error[512];
    if (!has_vhost(import, parameter->vhost))
        return false;
    if (strcmp(parameter->component, "vhost-limits") == 0)
        return check_limits(parameter->value, false, import->reply);
    if (strcmp(parameter->component, "operator_policy") == 0)
        return import_operator_policy(import, parameter, &policy) &&
               check_rule(import, &policy, "set_operator_policy");
    component_unknown(parameter->component, error, sizeof error);
    reply_error(import->reply, 400, "%s", error);
    return false;
}

bool check_global_parameter(struct import *import, const struct item *parameter)
{
    char *text = json_dumps(parameter->value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
    bool ok = text && strlen(text) <= ACCESS_VALUE_BYTES && *parameter->name;
    if (!*parameter->name)
        reply_error(import->reply, 400, "the global parameter has no name");
    else if (!ok)
        reply_error(import->reply, 400, "the value is longer than %u bytes", ACCESS_VALUE_BYTES);
    free(text);
    return ok;
}
