/* What changes of access do to a router. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "router/access_change.h"

struct op;
struct router;

/* OP_ACCESS_CHANGE (registrar): checks it, journals it, hands it to everybody, and answers when all have it.
 */
void access_on_op(struct router *router, struct op *op);
/* OP_ACCESS_LIST. */
void access_list(struct router *router, struct op *op);
/* Applies a packed change to this router: a virtual host that goes takes all that is in it with it. */
void access_change_here(struct router *router, struct span packed);
/* During a replay, the same. */
void access_replay(struct router *router, struct span packed);
/* All there is, as records. */
void access_save(struct router *router);
/* What another router has, before this one recovers. */
void access_adopt(struct router *router, const struct router *registrar);
/* A new registrar has the configured virtual hosts, in case the journal knows none yet. */
void access_begin(struct router *router);
/* At the end of the registrar's replay: those that the journal doesn't have go. */
void access_replayed(struct router *router);
/* Before clients come: the first user is made, what was left of a virtual host goes. */
void access_start(struct router *router);
/* Sends all there is to the fronts. */
void access_tell_fronts(struct router *router);
/* Whether a packed change takes a virtual host away. An operator who is told that it is gone may make it
 * again: then what was in it must not come back. */
bool access_takes(struct span packed);
/* An update has been applied at this router, which isn't the registrar; took: such a one. */
void access_applied(struct router *router, uint64_t update, bool took);
/* Tells the registrar of those, in their order, when what was taken away is safely so. Returns how many. */
unsigned access_poll(struct router *router);
