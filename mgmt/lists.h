/*
 * gannetctl's lists (dataplane/lists.h has the requests): list_queues and its like with rabbitmqctl's columns
 * and formats, and queues and its like for people.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "table.h"

struct list_options {
    const char *vhost;     /* NULL: not given */
    const char *formatter; /* table, json or csv */
    bool quiet;            /* says only what was asked for */
    bool no_headers;
};

/* Whether the word is one of these commands. */
bool lists_command(const char *word);
/* The request for argv[0] (the command), malloc'd; what follows it are columns. NULL, with one sentence in
 * error: it makes none. */
char *lists_request(int argc, char **argv, const struct list_options *options, char *error,
                    size_t error_size);
/* Prints the answer. False, with one sentence in error: there is no such column, or it isn't complete. */
bool lists_print(int argc, char **argv, const struct list_options *options, struct table *table, char *error,
                 size_t error_size);
