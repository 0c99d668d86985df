/* Parameters of virtual hosts, global ones, and the one of these that names the broker. */
#include <stdio.h>
#include <stdlib.h>

#include "component.h"
#include "fields.h"
#include "handlers.h"
#include "listing.h"
#include "nodes.h"

static const struct list parameters = {"list_all_parameters", "vhost", NULL, 0, LIST_SHORT};
static const struct list globals = {"list_global_parameters", NULL, NULL, 0, LIST_SHORT};

/* {component}/{vhost}/{name} */
#define THIS(call)                                                                                           \
    ((struct match[]){{"component", (call)->argument[0]},                                                    \
                      {"vhost", (call)->argument[1]},                                                        \
                      {"name", (call)->argument[2]},                                                         \
                      {NULL}})
#define THIS_GLOBAL(call) ((struct match[]){{"name", (call)->argument[0]}, {NULL}})

enum { ERROR_BYTES = 4096 };

/* Takes the line over. NULL: error says why there is none. */
static void change(const struct call *call, char *line, const char *error, bool is_new, struct reply *reply)
{
    if (!line)
        reply_error(reply, 400, "%s", error);
    else if (ask_line(call, reply, NULL, line))
        reply_done(reply, is_new);
    free(line);
}

/* A body's value may be anything. NULL: the reply says that there is none. */
static const json_t *value_of(const struct call *call, struct reply *reply)
{
    const json_t *value = json_object_get(call->body, "value");
    if (!value)
        reply_error(reply, 400, "the field 'value' is missing");
    return value;
}

/* ---- of virtual hosts -----------------------------------------------------------------------------------
 */

void list_of_parameters(const struct call *call, struct reply *reply)
{
    list_answer(call, &parameters, NULL, reply);
}

void parameters_of_component(const struct call *call, struct reply *reply)
{
    list_answer(call, &parameters, (struct match[]){{"component", call->argument[0]}, {NULL}}, reply);
}

void parameters_of_vhost(const struct call *call, struct reply *reply)
{
    list_answer(call, &parameters,
                (struct match[]){{"component", call->argument[0]}, {"vhost", call->argument[1]}, {NULL}},
                reply);
}

void get_parameter(const struct call *call, struct reply *reply)
{
    list_answer_one(call, &parameters, THIS(call), reply);
}

void put_parameter(const struct call *call, struct reply *reply)
{
    char error[ERROR_BYTES];
    bool there = false;
    const json_t *value = value_of(call, reply);
    if (value && list_has(call, &parameters, THIS(call), &there, reply))
        change(call,
               component_set(call->argument[0], call->argument[1], call->argument[2], value, error,
                             sizeof error),
               error, !there, reply);
}

void delete_parameter(const struct call *call, struct reply *reply)
{
    char error[ERROR_BYTES];
    change(call,
           component_clear(call->argument[0], call->argument[1], call->argument[2], error, sizeof error),
           error, false, reply);
}

/* ---- global ones ----------------------------------------------------------------------------------------
 */

void list_of_global_parameters(const struct call *call, struct reply *reply)
{
    list_answer(call, &globals, NULL, reply);
}

void get_global_parameter(const struct call *call, struct reply *reply)
{
    list_answer_one(call, &globals, THIS_GLOBAL(call), reply);
}

void put_global_parameter(const struct call *call, struct reply *reply)
{
    char error[ERROR_BYTES];
    bool there = false;
    const json_t *value = value_of(call, reply);
    if (value && list_has(call, &globals, THIS_GLOBAL(call), &there, reply))
        change(call, component_set_global(call->argument[0], value, error, sizeof error), error, !there,
               reply);
}

void delete_global_parameter(const struct call *call, struct reply *reply)
{
    if (ask(call, reply, NULL, "clear_global_parameter", call->argument[0], NULL))
        reply_done(reply, false);
}

/* ---- the broker's name ----------------------------------------------------------------------------------
 */

json_t *cluster_name(const struct call *call, struct reply *reply)
{
    struct listing found;
    json_t *name = NULL;
    if (!listing_read(&found, call, &globals, (struct match[]){{"name", "cluster_name"}, {NULL}}, reply))
        return NULL;
    json_t *row = found.count ? rows_object(&found.rows, found.row[0], NULL) : NULL;
    name = json_incref(json_object_get(row, "value"));
    json_decref(row);
    listing_free(&found);
    if (json_is_string(name))
        return name;
    json_decref(name);
    return json_string(call->mgmtd->node);
}

void get_cluster_name(const struct call *call, struct reply *reply)
{
    json_t *name = cluster_name(call, reply);
    if (name)
        reply_json(reply, json_pack("{so}", "name", name));
}

struct body {
    const char *name;
};

static const struct field fields[] = {FIELD(struct body, name, "name", TEXT, true)};

void put_cluster_name(const struct call *call, struct reply *reply)
{
    char error[ERROR_BYTES];
    struct body body = {0};
    if (!fields_read(call->body, fields, 1, &body, reply))
        return;
    json_t *value = json_string(body.name);
    change(call, component_set_global("cluster_name", value, error, sizeof error), error, false, reply);
    json_decref(value);
}
