/* gannetctl's commands about policies: from rabbitmqctl's words to a request of the control socket
 * (dataplane/policies.h has them). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct policy_options {
    const char *vhost, *priority, *apply_to;
};

/* Whether the word is one of these commands. */
bool policy_command(const char *word);
/* The request for argv[0] (the command) and what follows it: one line, without its end; malloc'd. NULL, with
 * one sentence in error: they make none. */
char *policy_request(int argc, char **argv, const struct policy_options *options, char *error,
                     size_t error_size);
