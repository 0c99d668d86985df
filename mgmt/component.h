/*
 * What RabbitMQ calls parameters, made requests of the control socket (dataplane/users.h, policies.h,
 * parameters.h). Those of a virtual host belong to a component, and two of RabbitMQ's are here: vhost-limits,
 * which are a virtual host's limits, and operator_policy. Global parameters are values that tools keep.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* The requests that set a parameter and take it away. malloc'd; NULL with one sentence in error: nothing here
 * has such a parameter, or the value isn't right. */
char *component_set(const char *component, const char *vhost, const char *name, const json_t *value,
                    char *error, size_t error_size);
char *component_clear(const char *component, const char *vhost, const char *name, char *error,
                      size_t error_size);
/* The same of a global one; its value may be anything that is JSON. */
char *component_set_global(const char *name, const json_t *value, char *error, size_t error_size);
/* Why there are no parameters of that component. */
void component_unknown(const char *component, char *error, size_t error_size);

/* The request of one of gannetctl's verbs about parameters (verbs.def), which is the first of the words.
 * Returns as above. */
char *component_request(char **words, const char *vhost, char *error, size_t error_size);
