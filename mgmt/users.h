/* gannetctl's commands about users, virtual hosts, permissions and closing connections: from rabbitmqctl's
 * words to a request of the control socket (dataplane/users.h has them). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct users_options {
    const char *vhost;
    const char *user;      /* of list_user_limits, or NULL */
    bool global;           /* of all users, or virtual hosts */
    bool hashed;           /* what is given as a password is a hash, */
    const char *algorithm; /* of this */
};

/* Whether the word is one of these commands. */
bool users_command(const char *word);
/* The request for argv[0] (the command) and what follows it: one line, without its end; malloc'd. A password
 * that isn't among the words is read from stdin. NULL, with one sentence in error: they make none. */
char *users_request(int argc, char **argv, const struct users_options *options, char *error,
                    size_t error_size);
