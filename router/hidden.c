#include "router/hidden.h"

#include "base/check.h"
#include "router/agent.h"
#include "router/delay.h"
#include "router/history.h"
#include "router/retain.h"

enum { NO_VHOST = 0 };

struct hidden_name {
    uint64_t exchange;
    uint8_t kind;
};

enum { NAME_BYTES = sizeof(uint64_t) + 1 };

static struct span name_of(struct hidden_name *name)
{
    static_assert(offsetof(struct hidden_name, kind) == NAME_BYTES - 1, "the first bytes are the name");
    return span_of(name, NAME_BYTES);
}

static struct hidden_name named(const struct queue *queue)
{
    struct hidden_name name;
    CHECK(queue->name.len == NAME_BYTES);
    memcpy(&name, queue->name.bytes, NAME_BYTES);
    return name;
}

struct queue *hidden_find(struct router *router, const struct catalog_exchange *exchange, enum hidden kind)
{
    struct hidden_name name = {exchange->exchange.id, (uint8_t)kind};
    return catalog_queue(&router->catalog, NO_VHOST, name_of(&name));
}

static void become(struct queue *queue, const struct hidden_name *name,
                   const struct catalog_exchange *exchange)
{
    if (name->kind == HIDDEN_DELAY)
        delay_become(queue, name->exchange);
    else if (name->kind == HIDDEN_RETAIN)
        retain_become(queue);
    else
        history_become(queue, exchange);
}

struct queue *hidden_queue(struct router *router, const struct catalog_exchange *exchange, enum hidden kind)
{
    struct hidden_name name = {exchange->exchange.id, (uint8_t)kind};
    struct queue *queue = hidden_find(router, exchange, kind);
    if (queue)
        return queue;
    queue = queue_new(router, NO_VHOST, name_of(&name));
    queue->durable = exchange->durable; /* if the journal has failed, what is to be kept there is refused */
    if (queue->durable)
        queue->number = router->catalog.queue_next++;
    become(queue, &name, exchange);
    catalog_queue_add(&router->catalog, queue);
    if (queue->durable && !router->store.failed)
        persist_queue(router, queue);
    return queue;
}

bool hidden_recover(struct router *router, struct queue *queue)
{
    struct hidden_name name = named(queue);
    const struct catalog_exchange *exchange = catalog_exchange_by_id(&router->catalog, name.exchange);
    become(queue, &name, exchange);
    return exchange;
}

const struct catalog_exchange *hidden_whose(struct router *router, const struct queue *queue,
                                            enum hidden *kind)
{
    struct hidden_name name = named(queue);
    *kind = (enum hidden)name.kind;
    return catalog_exchange_by_id(&router->catalog, name.exchange);
}

void hidden_drop(struct router *router, const struct catalog_exchange *exchange)
{
    for (int kind = HIDDEN_DELAY; kind <= HIDDEN_RETAIN; kind++) {
        struct queue *queue = hidden_find(router, exchange, (enum hidden)kind);
        if (queue)
            router_delete_queue(router, queue);
    }
}
