#include "policy.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct command {
    const char *word;
    int arguments;
    const char *usage;
} commands[] = {
    {"set_policy", 3, "NAME PATTERN DEFINITION"},
    {"clear_policy", 1, "NAME"},
    {"list_policies", 0, ""},
    {"set_operator_policy", 3, "NAME PATTERN DEFINITION"},
    {"clear_operator_policy", 1, "NAME"},
    {"list_operator_policies", 0, ""},
};

struct request {
    FILE *out;
    char *error;
    size_t error_size;
};

static const struct command *find(const char *word)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(word, commands[i].word) == 0)
            return &commands[i];
    return NULL;
}

bool policy_command(const char *word)
{
    return find(word);
}

/* A word of the request; tabs and ends of lines are the protocol's. */
static bool put(const struct request *r, const char *what, const char *word)
{
    for (const char *c = word; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127) {
            snprintf(r->error, r->error_size, "%s may not hold control characters", what);
            return false;
        }
    fputs(word, r->out);
    return true;
}

static bool put_word(const struct request *r, const char *what, const char *word)
{
    fputc('\t', r->out);
    return put(r, what, word);
}

/* ---- the definition -------------------------------------------------------------------------------- */

static bool put_value(const struct request *r, const char *key, const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_STRING:
        fputs("=s:", r->out);
        return put(r, key, json_string_value(value));
    case JSON_INTEGER:
        fprintf(r->out, "=i:%lld", (long long)json_integer_value(value));
        return true;
    case JSON_TRUE:
    case JSON_FALSE:
        fputs(json_is_true(value) ? "=b:true" : "=b:false", r->out);
        return true;
    default:
        snprintf(r->error, r->error_size, "the value of '%s' must be a string, a whole number, true or false",
                 key);
        return false;
    }
}

static bool put_object(const struct request *r, json_t *object)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        if (strchr(key, '=')) {
            snprintf(r->error, r->error_size, "'%s' is not something a policy can say", key);
            return false;
        }
        if (!put_word(r, "a key", key) || !put_value(r, key, value))
            return false;
    }
    return true;
}

static bool put_definition(const struct request *r, const char *text)
{
    json_error_t error;
    json_t *definition = json_loads(text, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    bool ok = json_is_object(definition) && put_object(r, definition);
    if (!definition)
        snprintf(r->error, r->error_size, "the definition is not JSON: %s", error.text);
    else if (!json_is_object(definition))
        snprintf(r->error, r->error_size,
                 "the definition must be a JSON object, such as {\"max-length\": 1000}");
    json_decref(definition);
    return ok;
}

/* ---- the request ------------------------------------------------------------------------------------ */

static bool is_whole(const char *word)
{
    char *end;
    errno = 0;
    strtol(word, &end, 10);
    return *word && !*end && errno == 0;
}

static bool write_request(const struct request *r, const struct command *command, char **words,
                          const struct policy_options *options)
{
    if (!put(r, "a command", command->word) || !put_word(r, "a virtual host's name", options->vhost))
        return false;
    if (command->arguments == 3 && !is_whole(options->priority)) {
        snprintf(r->error, r->error_size, "--priority must be a whole number, not '%s'", options->priority);
        return false;
    }
    if (command->arguments == 3)
        return put_word(r, "a priority", options->priority) && put_word(r, "apply-to", options->apply_to) &&
               put_word(r, "a policy's name", words[0]) &&
               put_word(r, "a pattern (\\t stands for a tab in one)", words[1]) &&
               put_definition(r, words[2]);
    return command->arguments == 0 || put_word(r, "a policy's name", words[0]);
}

char *policy_request(int argc, char **argv, const struct policy_options *options, char *error,
                     size_t error_size)
{
    const struct command *command = find(argv[0]);
    char *line = NULL;
    size_t size = 0;
    if (argc - 1 != command->arguments) {
        snprintf(error, error_size, "usage: gannetctl %s %s%s", command->word,
                 command->arguments == 3 ? "[-p VHOST] [--priority N] [--apply-to WHAT] " : "[-p VHOST] ",
                 command->usage);
        return NULL;
    }
    struct request request = {open_memstream(&line, &size), error, error_size};
    snprintf(error, error_size, "no memory");
    bool ok = request.out && write_request(&request, command, argv + 1, options);
    if (request.out && fclose(request.out) == 0 && ok)
        return line;
    free(line);
    return NULL;
}
