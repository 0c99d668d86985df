/*
 * Page by page: the page is read back if need be, each record that a queue still needs is appended anew with
 * the same sequence numbers, and the entries point to the copy. What a replay finds later in the log replaces
 * what it found before, so no record but the copy is wanted. Parts of large bodies come last, each followed
 * by where the parts of its message now are.
 */
#include "router/compact.h"

#include "base/check.h"
#include "base/log.h"
#include "router/agent.h"
#include "router/deliver.h"
#include "router/large.h"
#include "router/stream.h"

#ifndef GANNET_TINY
enum { AGE = 8 };
#else
enum { AGE = 2 };
#endif

/* The entry that this route of the record at lsn still stands for, or NULL. */
static struct entry *alive(struct router *router, const struct route *route, uint64_t lsn,
                           struct queue **queue)
{
    uint64_t seq = (uint64_t)route->seq_high << 32 | route->seq_low;
    *queue = catalog_queue_by_number(&router->catalog, route->queue);
    struct entry *entry = *queue ? index_at(&(*queue)->index, seq) : NULL;
    return entry && entry_position(entry) == lsn ? entry : NULL;
}

static unsigned alive_routes(struct router *router, const struct message *m, uint64_t lsn)
{
    unsigned n = 0;
    struct queue *queue;
    for (unsigned i = 0; i < m->routes; i++)
        n += alive(router, &message_routes(m)[i], lsn, &queue) != NULL;
    return n;
}

/* The copy names only the queues that still have the message, and its parts (large: NULL if it has none)
 * where they are now: those that the record names may have been moved and be gone. It doesn't say who has
 * published it: the record is older than the last checkpoint, which knows, and what an MQTT client has since
 * released must not be in use again. */
static uint64_t copy_record(struct router *router, const struct message *m, uint64_t lsn, unsigned routes,
                            const struct large *large, uint32_t *length)
{
    size_t produced = m->flags & MESSAGE_PRODUCED ? sizeof(struct produced) : 0;
    size_t dropped = (m->routes - routes) * sizeof(struct route) + produced;
    struct span body = message_body(m);
    struct queue *queue;
    persist_settled_flush(router);
    size_t exact = (size_t)(body.at + body.len - (const uint8_t *)m); /* its length is rounded up */
    struct message *copy = (struct message *)store_begin(&router->store, true, exact - dropped);
    copy->record.type = RECORD_MESSAGE;
    memcpy(&copy->record + 1, &m->record + 1, sizeof *m - sizeof m->record);
    copy->routes = (uint16_t)routes;
    copy->flags = (uint8_t)((m->flags & ~MESSAGE_PRODUCED) | MESSAGE_MOVED);
    uint8_t *at = (uint8_t *)(copy + 1);
    for (unsigned i = 0; i < m->routes; i++)
        if (alive(router, &message_routes(m)[i], lsn, &queue))
            at = put_span(at, span_of(&message_routes(m)[i], sizeof(struct route)));
    if (large)
        at = put_span(at, span_of(large->part, large->parts * sizeof(struct part)));
    at = put_span(at, span_of(message_behind_parts(m), message_arrival_bytes(m)));
    const uint8_t *rest = message_exchange(m).at;
    put_span(at, span_of(rest, (size_t)(body.at + body.len - rest)));
    *length = copy->record.length;
    return store_end(&router->store);
}

static void move_entry(struct router *router, struct entry *entry, uint64_t position, uint32_t share)
{
    uint64_t old = entry_position(entry);
    uint32_t old_share = entry->share;
    entry->position = position >> 3;
    entry->share = share;
    store_keep(&router->store, position, share);
    store_drop(&router->store, old, old_share);
}

static void move_message(struct router *router, const struct message *m, uint64_t lsn)
{
    unsigned routes = alive_routes(router, m, lsn);
    uint32_t length;
    if (routes == 0)
        return;
    struct large *large = m->parts ? large_find(&router->large, lsn) : NULL;
    uint64_t position = copy_record(router, m, lsn, routes, large, &length);
    if (large)
        large_move(&router->large, large, position);
    for (unsigned i = 0; i < m->routes; i++) {
        struct queue *queue;
        struct entry *entry = alive(router, &message_routes(m)[i], lsn, &queue);
        if (entry)
            move_entry(router, entry, position, length / routes);
    }
}

static void move_page(struct router *router, struct page *page, const uint8_t *bytes)
{
    struct record_scan scan;
    const struct record *record;
    uint64_t lsn;
    store_pin(page);
    record_scan_begin(&scan, bytes, page->at, router->store.broker);
    while ((record = record_next(&scan, &lsn))) {
        if (record->type == RECORD_MESSAGE)
            move_message(router, (const struct message *)record, lsn);
    }
    store_unpin(&router->store, page->at, 1);
}

/* The bytes of an old page; NULL while they are being read back, or if they can't be (*damaged). */
static const uint8_t *bytes_of(struct router *router, struct page *page, bool *damaged)
{
    const uint8_t *bytes = store_bytes(&router->store, page, page->at);
    *damaged = page->state == PAGE_DAMAGED;
    if (!bytes && !*damaged)
        store_load(&router->store, page, NULL);
    return bytes;
}

/* ---- parts ------------------------------------------------------------------------------------- */

struct search {
    uint64_t segment;
    struct large *large;
    uint32_t part;
};

static void find_part(struct map_node *node, void *owner)
{
    struct search *s = owner;
    struct large *large = container_of(node, struct large, by_position);
    for (uint32_t i = 0; !s->large && i < large->parts; i++)
        if (large->part[i].position / SEGMENT_BYTES == s->segment)
            *s = (struct search){s->segment, large, i};
}

static void forget_gathering(struct map_node *node, void *owner)
{
    struct queue *queue = container_of(node, struct queue, by_name);
    deliver_reset(owner, queue);
    if (queue->stream)
        stream_reset_readers(owner, queue->stream);
}

static void move_part(struct router *router, struct large *large, struct part *part, const struct message *m)
{
    struct span body = message_body(m);
    map_each(&router->catalog.queues, forget_gathering, router);
    persist_settled_flush(router);
    struct message *copy = (struct message *)store_begin(&router->store, true, m->record.length);
    copy->record.type = RECORD_MESSAGE;
    memcpy(&copy->record + 1, &m->record + 1,
           (size_t)(body.at + body.len - (const uint8_t *)(&m->record + 1)));
    uint64_t old = part->position;
    part->position = store_end(&router->store);
    store_keep(&router->store, part->position, part->length);
    if (!(large->position & POSITION_TRANSIENT))
        persist_large(router, large);
    store_drop(&router->store, old, part->length);
}

/* One part of a large message out of the segment. Returns 0 when there is nothing more to be done there. */
static unsigned move_parts(struct router *router)
{
    struct search s = {.segment = router->compaction.segment};
    bool damaged;
    map_each(&router->large, find_part, &s);
    if (!s.large)
        return 0;
    struct part *part = &s.large->part[s.part];
    struct page *page = store_page(&router->store, part->position);
    const uint8_t *bytes = bytes_of(router, page, &damaged);
    if (!bytes)
        return !damaged;
    store_pin(page);
    move_part(router, s.large, part, (const struct message *)(bytes + part->position % PAGE_BYTES));
    store_unpin(&router->store, page->at, 1);
    return 1;
}

/* ---- the walk ---------------------------------------------------------------------------------- */

static void finish(struct router *router)
{
    struct compaction *c = &router->compaction;
    if (store_segment_alive(&router->store, c->segment)) {
        log_line(LOG_WARNING, "router",
                 "segment %llu of router %u's journal could not be emptied: part of it is damaged or in use",
                 (unsigned long long)c->segment, router->options.index);
        c->tried = c->segment;
    }
    c->segment = 0;
}

static void choose(struct router *router)
{
    struct compaction *c = &router->compaction;
    uint64_t segment = store_sparse_segment(&router->store, AGE);
    if (segment == 0 || segment == c->tried)
        return;
    c->segment = segment;
    c->page = segment * PAGES_PER_SEGMENT;
}

uint64_t compact_begins(uint64_t segment)
{
    return (segment + AGE + 1) * SEGMENT_BYTES;
}

unsigned compact_poll(struct router *router)
{
    struct compaction *c = &router->compaction;
    bool damaged;
    if (router->store.failed || router->stopping)
        return 0;
    if (!c->segment) {
        if (router->store.end[1] / SEGMENT_BYTES != c->looked) {
            c->looked = router->store.end[1] / SEGMENT_BYTES;
            choose(router);
        }
        return 0;
    }
    if (c->page == (c->segment + 1) * PAGES_PER_SEGMENT) {
        if (!move_parts(router)) {
            finish(router);
            choose(router);
        }
        return 1;
    }
    struct page *page = store_page(&router->store, c->page * PAGE_BYTES);
    const uint8_t *bytes = page && page->live ? bytes_of(router, page, &damaged) : NULL;
    if (page && page->live && !bytes && !damaged)
        return 0;
    if (bytes)
        move_page(router, page, bytes);
    c->page++;
    return 1;
}
