/* Policies, and operator policies. */
#include <stdio.h>
#include <stdlib.h>

#include "fields.h"
#include "handlers.h"
#include "listing.h"
#include "policy.h"

static const struct list policies = {"list_all_policies", "vhost", NULL, 0, LIST_SHORT};
static const struct list operator_policies = {"list_all_operator_policies", "vhost", NULL, 0, LIST_SHORT};

#define OF_VHOST(call) ((struct match[]){{"vhost", (call)->argument[0]}, {NULL}})
#define THIS(call)     ((struct match[]){{"vhost", (call)->argument[0]}, {"name", (call)->argument[1]}, {NULL}})

struct body {
    const char *pattern, *apply_to;
    const json_t *definition;
    json_int_t priority;
};

static const struct field fields[] = {
    FIELD(struct body, pattern, "pattern", TEXT, true),
    FIELD(struct body, definition, "definition", OBJECT, true),
    FIELD(struct body, priority, "priority", WHOLE, false),
    FIELD(struct body, apply_to, "apply-to", TEXT, false),
};

static char *request_of(const struct call *call, const char *word, const struct body *body,
                        struct reply *reply)
{
    char priority[32], error[4096];
    char *definition = json_dumps(body->definition, 0);
    snprintf(priority, sizeof priority, "%lld", (long long)body->priority);
    const struct policy_options options = {call->argument[0], priority, body->apply_to};
    char *words[] = {(char *)word, (char *)call->argument[1], (char *)body->pattern, definition};
    char *line = definition ? policy_request(4, words, &options, error, sizeof error) : NULL;
    if (!line)
        reply_error(reply, definition ? 400 : 503, "%s", definition ? error : "no memory");
    free(definition);
    return line;
}

static void put(const struct call *call, const struct list *list, const char *word, struct reply *reply)
{
    struct body body = {.apply_to = "all"};
    bool there = false;
    if (!fields_read(call->body, fields, sizeof fields / sizeof *fields, &body, reply) ||
        !list_has(call, list, THIS(call), &there, reply))
        return;
    char *line = request_of(call, word, &body, reply);
    if (line && ask_line(call, reply, NULL, line))
        reply_done(reply, !there);
    free(line);
}

static void clear(const struct call *call, const char *word, struct reply *reply)
{
    if (ask(call, reply, NULL, word, call->argument[0], call->argument[1], NULL))
        reply_done(reply, false);
}

void list_of_policies(const struct call *call, struct reply *reply)
{
    list_answer(call, &policies, NULL, reply);
}

void policies_of_vhost(const struct call *call, struct reply *reply)
{
    list_answer(call, &policies, OF_VHOST(call), reply);
}

void get_policy(const struct call *call, struct reply *reply)
{
    list_answer_one(call, &policies, THIS(call), reply);
}

void put_policy(const struct call *call, struct reply *reply)
{
    put(call, &policies, "set_policy", reply);
}

void delete_policy(const struct call *call, struct reply *reply)
{
    clear(call, "clear_policy", reply);
}

void list_of_operator_policies(const struct call *call, struct reply *reply)
{
    list_answer(call, &operator_policies, NULL, reply);
}

void operator_policies_of_vhost(const struct call *call, struct reply *reply)
{
    list_answer(call, &operator_policies, OF_VHOST(call), reply);
}

void get_operator_policy(const struct call *call, struct reply *reply)
{
    list_answer_one(call, &operator_policies, THIS(call), reply);
}

void put_operator_policy(const struct call *call, struct reply *reply)
{
    put(call, &operator_policies, "set_operator_policy", reply);
}

void delete_operator_policy(const struct call *call, struct reply *reply)
{
    clear(call, "clear_operator_policy", reply);
}
