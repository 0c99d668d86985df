#include "component.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy.h"

static char *refuse(char *error, size_t error_size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static char *refuse(char *error, size_t error_size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(error, error_size, format, args);
    va_end(args);
    return NULL;
}

/* Words with tabs between, which they may not have themselves; ended by NULL. */
static char *line_of(char *error, size_t error_size, const char *word, ...)
{
    char *line = NULL;
    size_t size = 0;
    bool ok = true;
    FILE *out = open_memstream(&line, &size);
    va_list args;
    if (!out)
        return refuse(error, error_size, "no memory");
    fputs(word, out);
    va_start(args, word);
    for (const char *next; (next = va_arg(args, const char *));) {
        fprintf(out, "\t%s", next);
        for (; *next && ok; next++)
            ok = (unsigned char)*next >= ' ' && *next != 127;
    }
    va_end(args);
    if (fclose(out) == 0 && ok)
        return line;
    free(line);
    return refuse(error, error_size, ok ? "no memory" : "names and values may not hold control characters");
}

/* ---- components -----------------------------------------------------------------------------------------
 */

static const char limits[] = "vhost-limits", rule[] = "operator_policy";

void component_unknown(const char *component, char *error, size_t error_size)
{
    if (strcmp(component, "policy") == 0)
        refuse(error, error_size, "policies may not be set using this method: they have one of their own");
    else
        refuse(error, error_size,
               "component '%.100s' not found: of parameters this broker has those of %s and %s, and nothing "
               "that would do what others say",
               component, rule, limits);
}

static char *set_limits(const char *vhost, const char *name, const json_t *value, char *error,
                        size_t error_size)
{
    if (strcmp(name, "limits") != 0)
        return refuse(error, error_size, "the one parameter of %s is 'limits', not '%.100s'", limits, name);
    char *text = json_dumps(value, JSON_COMPACT);
    char *line = text ? line_of(error, error_size, "set_vhost_limits", vhost, text, NULL)
                      : refuse(error, error_size, "no memory");
    free(text);
    return line;
}

/* RabbitMQ's own tools write whole numbers as texts, too. */
static bool read_priority(const json_t *priority, char text[32])
{
    if (json_is_string(priority) && json_string_length(priority) < 32)
        snprintf(text, 32, "%s", json_string_value(priority));
    else if (json_is_integer(priority))
        snprintf(text, 32, "%lld", (long long)json_integer_value(priority));
    else
        return !priority;
    return true;
}

static char *set_rule(const char *vhost, const char *name, const json_t *value, char *error,
                      size_t error_size)
{
    const json_t *pattern = json_object_get(value, "pattern"), *apply_to = json_object_get(value, "apply-to");
    char priority[32] = "0";
    if (!json_is_string(pattern) || (apply_to && !json_is_string(apply_to)) ||
        !read_priority(json_object_get(value, "priority"), priority))
        return refuse(
            error, error_size,
            "the value of an operator policy has a pattern, a definition, and may have apply-to and "
            "a priority");
    char *definition = json_dumps(json_object_get(value, "definition"), JSON_ENCODE_ANY);
    const struct policy_options options = {vhost, priority, apply_to ? json_string_value(apply_to) : "all"};
    char *words[] = {(char *)"set_operator_policy", (char *)name, (char *)json_string_value(pattern),
                     definition};
    char *line = definition ? policy_request(4, words, &options, error, error_size)
                            : refuse(error, error_size, "the value of an operator policy has a definition");
    free(definition);
    return line;
}

char *component_set(const char *component, const char *vhost, const char *name, const json_t *value,
                    char *error, size_t error_size)
{
    bool of_limits = strcmp(component, limits) == 0;
    if (!of_limits && strcmp(component, rule) != 0) {
        component_unknown(component, error, error_size);
        return NULL;
    }
    if (!json_is_object(value))
        return refuse(error, error_size, "the value must be a JSON object");
    return (of_limits ? set_limits : set_rule)(vhost, name, value, error, error_size);
}

char *component_clear(const char *component, const char *vhost, const char *name, char *error,
                      size_t error_size)
{
    if (strcmp(component, rule) == 0)
        return line_of(error, error_size, "clear_operator_policy", vhost, name, NULL);
    if (strcmp(component, limits) != 0)
        component_unknown(component, error, error_size);
    else if (strcmp(name, "limits") == 0)
        return line_of(error, error_size, "clear_vhost_limits", vhost, NULL);
    else
        refuse(error, error_size, "the one parameter of %s is 'limits', not '%.100s'", limits, name);
    return NULL;
}

char *component_set_global(const char *name, const json_t *value, char *error, size_t error_size)
{
    /* What isn't ASCII is escaped, so that no control character is left. */
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
    char *line = text ? line_of(error, error_size, "set_global_parameter", name, text, NULL)
                      : refuse(error, error_size, "no memory");
    free(text);
    return line;
}

/* ---- gannetctl's verbs ----------------------------------------------------------------------------------
 */

/* With a value as JSON. */
static char *set(char **words, const char *vhost, char *error, size_t error_size)
{
    json_error_t wrong;
    bool global = strcmp(words[0], "set_global_parameter") == 0;
    json_t *value = json_loads(words[global ? 2 : 3], JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &wrong);
    char *line = NULL;
    if (!value)
        refuse(error, error_size, "the value is not JSON: %s", wrong.text);
    else if (global)
        line = component_set_global(words[1], value, error, error_size);
    else
        line = component_set(words[1], vhost, words[2], value, error, error_size);
    json_decref(value);
    return line;
}

static char *set_cluster_name(const char *name, char *error, size_t error_size)
{
    json_t *value = json_string(name);
    char *line = value ? component_set_global("cluster_name", value, error, error_size)
                       : refuse(error, error_size, "the name is not UTF-8");
    json_decref(value);
    return line;
}

char *component_request(char **words, const char *vhost, char *error, size_t error_size)
{
    if (strcmp(words[0], "clear_parameter") == 0)
        return component_clear(words[1], vhost, words[2], error, error_size);
    if (strcmp(words[0], "set_cluster_name") == 0)
        return set_cluster_name(words[1], error, error_size);
    return set(words, vhost, error, error_size);
}
