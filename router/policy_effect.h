/*
 * What policies do at a router: to the settings of its queues and to the alternates of exchanges. Whenever a
 * policy of a virtual host changes, all of its queues are looked at again, before the old one is freed: what
 * they are told points into it.
 */
#pragma once

#include <stdbool.h>

#include "base/span.h"

struct catalog_exchange;
struct name;
struct op;
struct policy;
struct queue;
struct router;

/* Gives the queue the shape that its arguments and the policies that hold for it ask for. */
void queue_reshape(struct router *router, struct queue *queue);

/* The alternate that an exchange's arguments name; len 0: none. */
void alternate_by_arguments(struct span arguments, struct name *alternate);
/* The one it is to have: by its arguments, or else by the policy that holds for it. */
void alternate_wanted(struct router *router, const struct catalog_exchange *exchange, struct name *alternate);
/* Notes what policies say of when its publishes are confirmed. */
void exchange_confirms(struct router *router, struct catalog_exchange *exchange);

/* A copy for this router's table. One whose pattern can't be compiled (made by another version) fits nothing,
 * and the log says so. */
struct policy *policy_adopted(const struct policy *policy);
/* Takes the policy over, in place of the one of its name, and applies it. */
void policy_set_here(struct router *router, struct policy *policy);
/* Forgets the one of that virtual host, kind and name, if there is one. */
void policy_gone_here(struct router *router, const struct policy *which);
/* The policies that router 0 has after its recovery, for another that is about to recover. */
void policies_adopt(struct router *router, const struct router *registrar);

/* ---- the registrar's own side (policy_ops.c) ------------------------------------------------------- */

/* OP_POLICY_SET, OP_POLICY_CLEAR; answers them, when every router has applied them. */
void policy_on_op(struct router *router, struct op *op);
/* Goes on with those that every router has applied: exchanges get their alternates. Returns the work done. */
unsigned policies_settle(struct router *router);
