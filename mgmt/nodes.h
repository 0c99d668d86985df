/* The broker as a whole, to tools that look for a cluster of nodes. */
#pragma once

#include "call.h"

/* What the cluster is called: what an operator has called it (the global parameter cluster_name), or the
 * node's name. A text. NULL: the reply says why it can't be said. */
json_t *cluster_name(const struct call *call, struct reply *reply);
