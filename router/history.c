#include "router/history.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "router/agent.h"
#include "router/hidden.h"
#include "router/shape.h"
#include "router/table.h"

enum { LENGTH_DEFAULT = 20 };

static const char length_argument[] = "x-recent-history-length";

/* ---- the exchange -------------------------------------------------------------------------------- */

bool history_arguments_valid(struct span arguments, char *text, size_t size)
{
    struct field field;
    int64_t length;
    if (!table_find(arguments, length_argument, &field))
        return true;
    if (field_int(&field, &length) && length > 0 && length <= HISTORY_LENGTH_MAX)
        return true;
    snprintf(text, size, "Invalid argument, '%s' must be a positive integer, at most %u", length_argument,
             HISTORY_LENGTH_MAX);
    return false;
}

static bool remembers(const struct catalog_exchange *exchange)
{
    return exchange->exchange.type == EXCHANGE_RECENT_HISTORY;
}

static unsigned home(const struct router *router, const struct catalog_exchange *exchange)
{
    return router_of_delays(exchange->exchange.id, router->options.routers);
}

uint64_t history_interest(const struct router *router, const struct catalog_exchange *exchange)
{
    return remembers(exchange) ? UINT64_C(1) << home(router, exchange) : 0;
}

void history_become(struct queue *queue, const struct catalog_exchange *exchange)
{
    struct field field;
    int64_t length = LENGTH_DEFAULT;
    if (exchange && table_find(exchange->arguments, length_argument, &field))
        field_int(&field, &length);
    shape_for_history(queue);
    queue->shape->settings.value[SETTING_LENGTH] = (uint64_t)length;
}

void history_attach(struct router *router, struct catalog_exchange *exchange)
{
    struct span none = {NULL, 0};
    if (!remembers(exchange) || home(router, exchange) != router->options.index)
        return;
    struct queue *queue = hidden_queue(router, exchange, HIDDEN_HISTORY);
    if (!exchange_binding(&exchange->exchange, &queue->destination, none, none))
        exchange_bind(&exchange->exchange, &queue->destination, none, none);
}

/* ---- messages ------------------------------------------------------------------------------------ */

bool history_takes(const struct queue *queue, const struct publishing *p)
{
    const struct command_publish *c = p->publish;
    struct field field;
    bool no_store;
    (void)queue;
    return !table_find(command_headers(c), "x-recent-history-no-store", &field) ||
           !field_bool(&field, &no_store) || !no_store;
}

static void send_here(struct router *router, struct catalog_exchange *exchange, uint32_t vhost,
                      struct span name)
{
    struct queue *queue = hidden_find(router, exchange, HIDDEN_HISTORY);
    struct copy_target *target = queue ? copy_target_new(vhost, name, 0) : NULL;
    uint64_t seq = 0;
    for (; queue && index_ready_from(&queue->index, &seq); seq++)
        dead_letter_copy(router, queue, seq, target);
    if (!queue)
        return;
    copy_target_drop(target);
    dead_letter_run(router, queue, HISTORY_LENGTH_MAX);
}

void history_send(struct router *router, struct catalog_exchange *exchange, uint32_t vhost, struct span queue)
{
    if (!remembers(exchange))
        return;
    unsigned to = home(router, exchange);
    if (to == router->options.index) {
        send_here(router, exchange, vhost, queue);
        return;
    }
    struct history_request *request = calloc(1, sizeof *request);
    CHECK(request);
    request->vhost = vhost;
    name_set(&request->queue, queue);
    *(struct peer_message *)link_add(&router->peer[to]) =
        (struct peer_message){.kind = PEER_HISTORY, .exchange = exchange->exchange.id, .request = request};
}

void router_on_history(struct router *router, uint64_t id, struct history_request *request)
{
    struct catalog_exchange *exchange = catalog_exchange_by_id(&router->catalog, id);
    if (exchange)
        send_here(router, exchange, request->vhost, name_span(&request->queue));
    free(request);
}
