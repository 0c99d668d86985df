/*
 * Definitions imported: a file as get_definitions and RabbitMQ write it. All of it is checked before any of
 * it is made (import_check.c, import_topology.c), as far as one can without doing it; then it is made, users
 * and what is about them by the broker's control socket, queues, exchanges and bindings by AMQP as the user
 * who calls (import_deeds.c).
 */
#pragma once

#include <stdio.h>

#include "session.h"

struct caller_rights; /* of the user who calls, in a virtual host: import_topology.c */
struct item;

struct import {
    const struct call *call;
    struct reply *reply;
    const char *vhost; /* all of it goes there; NULL: each definition says where */
    /* What there is, or will be when what was checked so far is made: by name, or by virtual host and name.
     */
    struct known {
        json_t *users, *vhosts, *permissions, *queues, *exchanges;
    } known;
    struct caller_rights *rights; /* NULL: not looked at yet */
    struct session session;
    char user[PATH_NAME_BYTES + 1];          /* as whom it is made; "": not known yet */
    char session_vhost[PATH_NAME_BYTES + 1]; /* with a connection: where it is */
};

/* A definition. Texts that aren't there are "", but for those that say otherwise. */
struct item {
    const char *vhost, *name, *user, *configure, *write, *read, *exchange, *pattern, *apply_to, *component;
    const char *type, *source, *destination, *destination_type, *routing_key, *queue_type;
    const char *password, *hash, *algorithm, *description;            /* NULL: not there */
    char *tags;                                                       /* NULL: not there; malloc'd */
    const json_t *limits, *metadata, *definition, *value, *arguments; /* NULL: not there */
    json_t *made; /* arguments or value, if they were made here */
    json_int_t priority;
    bool durable, auto_delete, internal, tracing;
};

enum { IMPORT_KEY_BYTES = 2 * PATH_NAME_BYTES + 2 };

/* What known has something by. */
static inline const char *import_key(char key[IMPORT_KEY_BYTES], const char *vhost, const char *name)
{
    snprintf(key, IMPORT_KEY_BYTES, "%s\t%s", vhost, name);
    return key;
}

/* A policy, or the value of an operator policy's parameter, as a request's line: malloc'd. NULL: the reply
 * says why not. */
char *import_policy_line(struct import *import, const struct item *policy, const char *word,
                         const char *vhost);
/* What is said of a virtual host beside its name: description and tags, which are NULL if nothing is; tags
 * are to be freed either way. False: the reply says what is wrong. */
bool import_metadata(struct import *import, const struct item *vhost, struct item *said);
/* The value of a parameter that is an operator policy, as a policy. */
bool import_operator_policy(struct import *import, const struct item *parameter, struct item *policy);

/* False: the field isn't one that a request of the control socket can have, or too long; the reply says so.
 */
bool import_is_text(struct import *import, const char *field, const char *text, size_t most);

typedef bool import_step(struct import *import, const struct item *item);

/* import_check.c */
import_step check_user, check_vhost, check_permission, check_topic_permission, check_parameter,
    check_global_parameter, check_policy;
/* import_topology.c */
import_step check_queue, check_exchange, check_binding;
void import_rights_free(struct caller_rights *rights);
/* import_deeds.c */
import_step make_user, make_vhost, make_permission, make_topic_permission, make_parameter,
    make_global_parameter, make_policy, make_queue, make_exchange, make_binding;
/* Ends the AMQP connection, if there is one. */
void import_deeds_end(struct import *import);
