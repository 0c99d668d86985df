/*
 * The registrar (router 0) orders every change of the exchanges: it journals it, hands it to every router and
 * front as an update, and only when all have applied it may the client be answered. Bindings of queues live
 * with the queue's router, which tells the registrar when an exchange gets its first one there or loses its
 * last: from that the registrar makes each exchange's interest set, the routers that fronts must send its
 * publishes to.
 *
 * The interest of an exchange is that of its own bindings, of the exchanges bound to it and of its alternate.
 * Whether a message goes to the alternate depends on the bindings of all routers; so the bindings of an
 * exchange that has an alternate are known to every router, as shadows: they match but keep nothing. Then
 * each router decides alike, on its own. An exchange that gets an alternate by a policy is shadowed first and
 * has it when all have told what they have bound; once shadowed it stays so, until the broker ends. So it is
 * with an exchange that gives a message to one of its bindings: which one is the same everywhere, since it
 * depends on names, keys and arguments only (sorted.h).
 *
 * While a binding is on its way to all routers (until bind-ok or unbind-ok) they may decide differently: a
 * message of just that moment may be kept by two, or left by each to another. Of the latter, its publisher is
 * told: it comes back if it is mandatory, and is refused (basic.nack, a commit that fails) if it was to be
 * confirmed (CONFIRM_ELSEWHERE). What else would keep them together is a version with each publish, and two
 * sets of bindings at each router.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/fifo.h"
#include "router/peer.h"

struct catalog_exchange;
struct router;

struct peer_wait {
    unsigned router;
    uint64_t number; /* its own count */
    uint64_t update; /* to be known first */
};

struct registrar {
    uint64_t number; /* of the last update */
    uint64_t known;  /* updates up to this one are in force everywhere */
    struct pending_update {
        uint32_t waiting; /* agents that have not applied it */
    } * pending;          /* a ring: updates known + 1 ... number */
    size_t pending_mask;
    FIFO(struct peer_wait) waits;        /* routers to be told KNOWN */
    struct catalog_exchange *alternates; /* those that are shadowed, linked by alternate_next */
    uint64_t *doubts; /* ids of exchanges whose interest or life is to be looked at again */
    size_t doubt_count, doubt_room;
    struct op *policies; /* OP_POLICY_SETs and _CLEARs whose policy is on its way, oldest first */
};

/* ---- the registrar's own side (router 0) --------------------------------------------------------- */

void registrar_start(struct router *router);
void registrar_free(struct router *router);
/* Ops on exchanges; answers them. */
void registrar_on_op(struct router *router, struct op *op);
/* A front or router has applied update `number`. */
void registrar_applied(struct router *router, uint64_t number);
/* What is bound at a router has changed; number: its count of such changes. Takes over shadow. */
void registrar_bound(struct router *router, unsigned from, enum bound bound, uint64_t exchange,
                     uint64_t number, struct shadow *shadow);
/* Looks at what is in doubt, tells routers what has become known. Returns the work done. */
unsigned registrar_poll(struct router *router);
/* The exchange's interest or life is to be looked at. */
void registrar_doubt(struct router *router, struct catalog_exchange *exchange);
/* Hands an update to all other routers, and to the fronts if it concerns them. Applies nothing here. */
void registrar_spread(struct router *router, struct update *update, const struct catalog_exchange *exchange);
/* Hands a packed change of access (malloc'd, taken over) to the fronts, as an update of its own. */
void registrar_tell_access(struct router *router, struct span packed);
/* The exchange is shadowed from now on: as of the last update. */
void registrar_shadowed(struct router *router, struct catalog_exchange *exchange);

/* ---- every router's side --------------------------------------------------------------------------- */

/* A queue's binding was added to (or is about to be removed from) an exchange at this router. */
void bound_changed(struct router *router, struct catalog_exchange *exchange, const struct binding *binding,
                   bool added);
/* Tells what is bound here: every router is to know it from now on. */
void shadows_tell(struct router *router, struct catalog_exchange *exchange);
/* Applies an update and frees it. */
void update_apply(struct router *router, struct update *update);
void router_on_peer(struct router *router, unsigned from, const struct peer_message *message);
/* The table of exchanges that router 0 has after its recovery, for another that is about to recover. */
void catalog_adopt(struct router *router, const struct router *registrar);
/* Exchanges that exist from the start in a virtual host. */
void catalog_predeclare(struct router *router, uint32_t vhost);
void update_free(struct update *update);
void shadow_free(struct shadow *shadow);
/* The exchange goes from this router, with all its bindings. */
void exchange_forget_here(struct router *router, struct catalog_exchange *exchange);
void shadows_free(struct router *router);

/* exchange_ops.c: hands the exchange to everybody. */
void exchange_spread(struct router *router, const struct catalog_exchange *exchange);
/* The exchange goes, everywhere; with a record if it is durable. */
void exchange_gone(struct router *router, struct catalog_exchange *exchange);
