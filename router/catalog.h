/*
 * What exists, by name and id: every exchange of the broker (each router has them all), and this router's
 * queues.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/map.h"
#include "router/command.h"
#include "router/exchange.h"

struct queue;

struct catalog_exchange {
    struct exchange exchange;
    struct map_node by_name;
    uint32_t vhost;
    struct name name, alternate; /* by its arguments or a policy; alternate.len 0: none */
    bool durable, auto_delete, internal, is_default;
    bool delayed;                   /* x-delayed-message: delay.h */
    bool confirm_ram, confirm_disk; /* a policy says when what is published to it is confirmed */
    bool shadowed; /* it has or had an alternate: its bindings are known to every router (registrar.h) */
    struct span arguments;
    size_t queue_bindings; /* of this router's queues */
    uint64_t interest;     /* routers that must see what is published to it, as everyone was told */

    /* The registrar's own. */
    uint64_t bound; /* routers with a queue bound to it */
    bool was_bound; /* auto-delete waits for a first binding */
    bool doubted;   /* in the registrar's list of those whose interest or life is to be looked at */
    size_t links;   /* exchanges bound to it */
    uint64_t
        shadowed_at; /* the update with which that began: before it is known, no policy gives an alternate */
    struct catalog_exchange *alternate_next; /* of those that are shadowed */
};

struct catalog {
    struct map exchanges, exchanges_by_id;
    struct map queues, queues_by_number;
    struct map shadows;                     /* other routers' queues (registrar.h) */
    struct catalog_exchange *last_exchange; /* found by id, and */
    struct queue *last_queue;               /* found by name, the last time: mostly it is wanted again */
    uint64_t exchange_next;                 /* the id of the next one */
    uint32_t queue_next;                    /* the number of the next durable queue */
};

void catalog_init(struct catalog *catalog);
void catalog_free(struct catalog *catalog);

uint64_t catalog_hash(uint32_t vhost, struct span name);

struct catalog_exchange *catalog_exchange(const struct catalog *catalog, uint32_t vhost, struct span name);
struct catalog_exchange *catalog_exchange_by_id(struct catalog *catalog, uint64_t id);
/* Takes over arguments (malloc'd). */
struct catalog_exchange *catalog_exchange_new(struct catalog *catalog, uint64_t id, uint32_t vhost,
                                              struct span name, enum exchange_type type,
                                              struct span arguments);
/* With all its bindings. */
void catalog_exchange_delete(struct catalog *catalog, struct catalog_exchange *exchange);
/* Whether every router must know the bindings of queues on it (as shadows: registrar.h): it has or had
 * an alternate, or picks one of its bindings. */
bool exchange_shown(const struct catalog_exchange *exchange);
/* For exchange_match. owner: the catalog. */
struct exchange *catalog_alternate(struct exchange *exchange, void *owner);

struct queue *catalog_queue(struct catalog *catalog, uint32_t vhost, struct span name);
struct queue *catalog_queue_by_number(const struct catalog *catalog, uint32_t number);
void catalog_queue_add(struct catalog *catalog, struct queue *queue);
void catalog_queue_remove(struct catalog *catalog, struct queue *queue);

/* A copy on the heap; {NULL, 0} of an empty span. */
struct span span_copy(struct span s);
