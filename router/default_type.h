/* Queues that are declared without a type get that of their virtual host. */
#pragma once

struct op;
struct queue;
struct router;

/* Completes a QUEUE_DECLARE's arguments, before it is looked at. there: the queue of that name, whose own
 * type is meant then, whatever queues get now; NULL: there is none. */
void default_type_complete(const struct router *router, struct op *op, const struct queue *there);
