/* What others ask of the lists of bindings. The paths are /{vhost}/e/{source}/q or e/{destination}. */
#pragma once

#include "call.h"

/* What stands for the exchange that has no name is amq.default. */
const char *inventory_exchange(const char *name);
/* The binding with this properties_key; NULL: the reply says why not. */
json_t *inventory_binding(const struct call *call, bool to_queue, const char *properties_key,
                          struct reply *reply);
/* Where the binding with this key and these arguments (NULL: none) is, as a path; malloc'd, NULL: nowhere. */
char *inventory_binding_path(const struct call *call, bool to_queue, const char *routing_key,
                             const json_t *arguments);
