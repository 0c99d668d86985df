/*
 * A router's start: its journal is read back (replay.c), the store goes on where the log ends, and what is
 * bound here is told to the registrar.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "journal/storage.h"
#include "router/access_ops.h"
#include "router/agent.h"
#include "router/history.h"
#include "router/shape.h"

static void find_segments(struct router *router, struct storage *storage, const struct journal_end *end)
{
    unsigned count = journal_segments(storage, end, NULL, 0);
    uint64_t *segments = calloc(count + 1, sizeof *segments);
    CHECK(segments);
    count = journal_segments(storage, end, segments, count);
    store_found_segments(&router->store, segments, count);
    free(segments);
}

/* Appending goes on in the middle of a page: what it holds already is read back, for deliveries from it. */
static int read_tail(struct storage *storage, uint64_t from, uint8_t *bytes, size_t len)
{
    struct storage_done done = {0};
    storage->table->read(storage, from / SEGMENT_BYTES, from % SEGMENT_BYTES, bytes, len, 0);
    storage->table->submit(storage);
    while (storage->table->poll(storage, &done, 1) == 0)
        storage->table->wait(storage);
    return (int)done.error;
}

static int open_store(struct router *router, struct storage *storage, const struct journal_end *end,
                      char *error, size_t error_size)
{
    uint64_t page = end->lsn / PAGE_BYTES * PAGE_BYTES;
    uint8_t *tail = store_open(&router->store, end, router->options.broker, router->options.start);
    router->checkpoint_from = end->lsn;
    int errnum = tail ? read_tail(storage, page, tail, (size_t)(end->lsn - page)) : 0;
    if (errnum == 0)
        return 0;
    char path[STORAGE_PATH_BYTES];
    storage->table->path(storage, page / SEGMENT_BYTES, path);
    snprintf(error, error_size, "%s can't be read at offset %llu: %s", path,
             (unsigned long long)(page % SEGMENT_BYTES), strerror(errnum));
    return -1;
}

int router_recover(struct router *router, const struct router *registrar, struct storage *storage,
                   struct journal_end *end, char *error, size_t error_size)
{
    if (registrar != router)
        catalog_adopt(router, registrar);
    router->recovering = true;
    if (journal_recover(storage, router->options.index, end, persist_replay, router, error, error_size) < 0)
        return -1;
    find_segments(router, storage, end);
    if (registrar == router)
        access_replayed(router);
    persist_replayed(router);
    router->recovering = false;
    router->options.broker = end->broker ? end->broker : registrar->options.broker;
    return open_store(router, storage, end, error, error_size);
}

static void tell_bound(struct map_node *node, void *owner)
{
    struct router *router = owner;
    struct catalog_exchange *e = container_of(node, struct catalog_exchange, by_name);
    size_t bindings = e->queue_bindings;
    e->queue_bindings = 0;
    stat_add(&router->stats.bindings, -(int64_t)bindings);
    for (struct binding *b = e->exchange.bindings; b; b = b->on_exchange)
        if (!b->destination->exchange && !b->destination->remote)
            bound_changed(router, e, b, true);
}

static void attach_history(struct map_node *node, void *owner)
{
    history_attach(owner, container_of(node, struct catalog_exchange, by_name));
}

static void start_queue(struct map_node *node, void *owner)
{
    struct queue *queue = container_of(node, struct queue, by_name);
    if (queue->shape)
        shape_started(owner, queue);
}

void router_start(struct router *router)
{
    access_start(router);
    reservations_start(router);
    map_each(&router->catalog.queues, start_queue, router);
    map_each(&router->catalog.exchanges, tell_bound, router);
    map_each(&router->catalog.exchanges, attach_history, router);
    if (is_registrar(router))
        registrar_start(router);
    if (!router->clean)
        return;
    persist_id(router, RECORD_STARTED, 0);
    router->started = store_lsn(&router->store);
}

/* Before the first delivery the log must no longer end with a clean end. Where nothing can be written now,
 * all is marked instead. */
unsigned start_poll(struct router *router)
{
    const struct store *store = &router->store;
    if (!router->started || (store->safe < router->started && !store->full && !store->failed))
        return 0;
    if (store->safe < router->started)
        persist_mark_redelivered(router);
    router->started = 0;
    return 1;
}

bool router_ready(const struct router *router)
{
    const struct registrar *r = &router->registrar;
    return !router->started && r->known == r->number && r->doubt_count == 0 && r->waits.count == 0;
}
