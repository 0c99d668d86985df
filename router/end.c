/*
 * A router's end. After a clean one nothing is left on its way; when the process is to forget everything at
 * once (the simulator's kill -9), what the router holds or has not yet handed over is freed here, and what is
 * in the rings by whoever reads them.
 */
#include <stdlib.h>

#include "base/check.h"
#include "router/agent.h"
#include "router/large.h"
#include "router/session.h"

static void free_op(struct op *op)
{
    free((void *)(uintptr_t)op->arguments.at);
    free(op->list);
    free(op);
}

static void free_ops(struct op *op)
{
    for (struct op *next; op; op = next) {
        next = op->next;
        free_op(op);
    }
}

static void free_event(const union event *event)
{
    if (event->kind == EVENT_OP)
        free_op(event->op.op);
    if (event->kind == EVENT_EXCHANGE)
        free(event->exchange.update);
    if (event->kind == EVENT_ACCESS)
        free(event->access.update);
    if (event->kind == EVENT_DELIVER || event->kind == EVENT_RETURN)
        free(event->deliver.parts);
}

static void free_peer_message(const struct peer_message *message)
{
    if (message->kind == PEER_UPDATE)
        update_free(message->update);
    if (message->kind == PEER_BOUND && message->shadow)
        shadow_free(message->shadow);
    if (message->kind == PEER_HISTORY)
        free(message->request);
    if (message->kind == PEER_RETAINED)
        free(message->retained);
    if (message->kind == PEER_REPOST)
        free(message->letter);
}

static void free_links(struct router *router)
{
    for (unsigned f = 0; f < router->options.fronts; f++) {
        struct link *link = &router->front[f];
        link_flush(link);
        for (; link->late_from < link->late_to; link->late_from++)
            free_event((const union event *)&link->late[link->late_from]);
        link_free(link);
    }
    for (unsigned i = 0; i < router->options.routers; i++) {
        struct link *link = &router->peer[i];
        if (i == router->options.index)
            continue;
        link_flush(link);
        for (; link->late_from < link->late_to; link->late_from++)
            free_peer_message((const struct peer_message *)&link->late[link->late_from]);
        link_free(link);
    }
}

/* Of two routers the one that is freed last finds what the other sent it last. */
static void drain_peers(struct router *router)
{
    struct peer_message message;
    for (unsigned i = 0; i < router->options.routers; i++) {
        if (i == router->options.index)
            continue;
        while (ring_take(router->options.from_router[i], &message, 1))
            free_peer_message(&message);
        while (ring_take(router->options.to_router[i], &message, 1))
            free_peer_message(&message);
    }
}

static void free_queue(struct map_node *node, void *owner)
{
    struct router *router = owner;
    struct queue *queue = container_of(node, struct queue, by_name);
    free_ops(queue->getters);
    queue->getters = NULL;
    queue_delete(router, queue);
}

static void free_large(struct map_node *node, void *owner)
{
    map_remove(owner, node);
    free(container_of(node, struct large, by_position));
}

void router_free(struct router *router)
{
    router->recovering = true; /* nothing more is written */
    sessions_free(router);
    free_ops(router->waiting);
    free_ops(router->reservations.declares);
    free_ops(router->reservations.rooms);
    map_each(&router->catalog.queues, free_queue, router);
    free_links(router);
    drain_peers(router);
    shadows_free(router);
    catalog_free(&router->catalog);
    open_free(router);
    producers_free(&router->producers);
    senders_free(&router->senders);
    map_each(&router->large, free_large, &router->large);
    map_free(&router->large);
    fifo_free(&router->confirms);
    free(router->scratch.at);
    free_ops(router->registrar.policies);
    registrar_free(router);
    policies_free(&router->policies);
    access_free(router->access);
    free(router->first_seen);
    fifo_free(&router->applied);
    match_free(&router->match);
    timers_free(&router->timers);
    slots_free(&router->queues);
    slots_free(&router->consumers);
    store_free(&router->store);
    free(router);
}
