#include "router/checkpoint.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "router/access_ops.h"
#include "router/agent.h"
#include "router/image.h"
#include "router/large.h"
#include "router/shape.h"
#include "router/stream.h"

#ifndef GANNET_TINY
enum { ENTRIES_AT_ONCE = 4096, SEGMENTS_BETWEEN = 8 };
#else
enum { ENTRIES_AT_ONCE = 4, SEGMENTS_BETWEEN = 2 };
#endif

static_assert(sizeof(struct record_entries) + ENTRIES_AT_ONCE * sizeof(struct saved_entry) +
                      2 * BLOCK_BYTES <=
                  PAGE_BYTES,
              "a range of entries fits a page");

/* ---- exchanges, queues, bindings ----------------------------------------------------------------- */

static void save_exchange(struct map_node *node, void *owner)
{
    struct router *router = owner;
    struct catalog_exchange *e = container_of(node, struct catalog_exchange, by_name);
    bool counted = !(e->exchange.id >> 63); /* the others exist by themselves */
    if (e->durable && counted && is_registrar(router))
        persist_exchange(router, e);
}

struct gap_owner {
    struct router *router;
    uint32_t queue;
};

static void save_gap(const struct gap *gap, void *owner)
{
    const struct gap_owner *o = owner;
    persist_gap(o->router, o->queue, gap);
}

static void save_policies(struct router *router)
{
    for (const struct policy *p = router->policies.first; p && is_registrar(router); p = p->next)
        persist_policy(router, p, RECORD_POLICY);
}

static void save_queue(struct map_node *node, void *owner)
{
    struct queue *queue = container_of(node, struct queue, by_name);
    struct gap_owner o = {owner, queue->number};
    if (!queue->number)
        return;
    persist_queue(owner, queue);
    if (queue->shape)
        gaps_each(&queue->shape->gaps, save_gap, &o);
}

static void save_bindings(struct map_node *node, void *owner)
{
    struct router *router = owner;
    struct catalog_exchange *e = container_of(node, struct catalog_exchange, by_name);
    for (struct binding *b = e->exchange.bindings; b; b = b->on_exchange) {
        bool linked = b->destination->exchange != NULL;
        if (b->durable && (!linked || is_registrar(router)))
            persist_binding(router, b, linked ? RECORD_LINKED : RECORD_BOUND);
    }
}

static void save_large(struct map_node *node, void *owner)
{
    const struct large *large = container_of(node, struct large, by_position);
    if (!(large->position & POSITION_TRANSIENT))
        persist_large(owner, large);
}

static void begin(struct router *router, bool last)
{
    struct checkpoint *c = &router->checkpoint;
    *c = (struct checkpoint){.running = true, .last = last, .written = c->written};
    persist_settled_flush(router);
    struct record_checkpoint *r = (struct record_checkpoint *)store_begin(&router->store, true, sizeof *r);
    r->record.type = RECORD_CHECKPOINT;
    r->exchange_next = router->catalog.exchange_next;
    r->queue_next = router->catalog.queue_next;
    r->unused = 0;
    uint64_t lsn = store_end(&router->store);
    c->from = lsn / SEGMENT_BYTES * SEGMENT_BYTES + BLOCK_BYTES;
    if (is_registrar(router))
        access_save(router);
    save_policies(router);
    map_each(&router->catalog.exchanges, save_exchange, router);
    map_each(&router->catalog.queues, save_queue, router);
    map_each(&router->catalog.exchanges, save_bindings, router);
    map_each(&router->large, save_large, router);
}

/* ---- entries ------------------------------------------------------------------------------------- */

static struct saved_entry saved(uint64_t seq, const struct entry *entry)
{
    struct saved_entry s = {.seq = seq, .body = entry->body, .share = entry->share};
    struct entry bits = *entry;
    /* A clean end does not wait for ever until what is out has been given back. */
    if (entry->state == ENTRY_OUT)
        bits.redelivered = 1;
    bits.period = 0;
    memcpy(&s.bits, &bits, sizeof s.bits);
    return s;
}

/* What is noted of the entries of that range, where anything is. */
static void save_notes(struct router *router, const struct queue *queue, const struct saved_entry *entries,
                       uint32_t count)
{
    static _Thread_local struct saved_note notes[ENTRIES_AT_ONCE];
    uint32_t noted = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct entry_note note = index_note(&queue->index, entries[i].seq);
        notes[noted] = (struct saved_note){.seq = entries[i].seq};
        memcpy(&notes[noted].bits, &note, sizeof note);
        noted += notes[noted].bits != 0;
    }
    if (!noted)
        return;
    size_t bytes = noted * sizeof *notes;
    struct record_notes *r = (struct record_notes *)store_begin(&router->store, true, sizeof *r + bytes);
    r->record.type = RECORD_NOTES;
    r->queue = queue->number;
    r->count = noted;
    memcpy(r->notes, notes, bytes);
    store_end(&router->store);
}

/* One range of one queue, from *seq on. Returns false when the queue has no more. */
static bool save_range(struct router *router, const struct queue *queue, uint64_t *seq)
{
    static _Thread_local struct saved_entry entries[ENTRIES_AT_ONCE];
    uint32_t count = 0;
    uint64_t from = *seq;
    struct entry *entry;
    while (count < ENTRIES_AT_ONCE && (entry = index_alive_from(&queue->index, seq))) {
        if (!(entry_position(entry) & POSITION_TRANSIENT))
            entries[count++] = saved(*seq, entry);
        ++*seq;
    }
    persist_settled_flush(router);
    size_t bytes = count * sizeof *entries;
    struct record_entries *r = (struct record_entries *)store_begin(&router->store, true, sizeof *r + bytes);
    r->record.type = RECORD_ENTRIES;
    r->queue = queue->number;
    r->count = count;
    r->from = from;
    r->to = *seq;
    memcpy(r->entries, entries, bytes);
    store_end(&router->store);
    if (queue->stream && !queue->stream->image)
        stream_save_marks(router, queue->stream, from, *seq);
    else if (queue->index.noted)
        save_notes(router, queue, entries, count);
    return *seq < queue->index.tail;
}

/* What the queue holds, a range at a time; then, of a last-value queue, its keys. False: that was all. */
static bool save_queue_more(struct router *router, const struct queue *queue)
{
    struct checkpoint *c = &router->checkpoint;
    bool begin = !c->keys;
    if (begin && save_range(router, queue, &c->seq))
        return true;
    c->keys = true;
    return queue->stream && queue->stream->image && image_save(router, queue, begin);
}

/* Goes on with producers, senders and queues. Returns false when all are saved. */
static bool save_more(struct router *router)
{
    struct checkpoint *c = &router->checkpoint;
    if (!c->producers) {
        c->producers = !producers_save(router, &c->producer);
        return true;
    }
    if (!c->senders) {
        c->senders = !senders_save(router, &c->sender);
        return true;
    }
    for (; c->slot < router->queues.count; c->slot++, c->seq = 0, c->keys = false) {
        struct queue *queue = router->queues.slot[c->slot].thing;
        if (!queue || !queue->number)
            continue;
        if (!save_queue_more(router, queue)) {
            c->slot++;
            c->seq = 0;
            c->keys = false;
        }
        return true;
    }
    return false;
}

static void finish(struct router *router)
{
    struct checkpoint *c = &router->checkpoint;
    persist_id(router, RECORD_CHECKPOINT_END, c->from);
    if (c->last)
        persist_id(router, RECORD_CLEAN, 0);
    c->end = store_lsn(&router->store);
}

/* ---- when ---------------------------------------------------------------------------------------- */

/* Bytes of the log from one to the next. */
static uint64_t bytes_between(const struct router *router)
{
    uint64_t most = router->options.checkpoint_bytes ? router->options.checkpoint_bytes
                                                     : (uint64_t)SEGMENTS_BETWEEN * SEGMENT_BYTES;
    /* A large state is not written more often than the log grows by four times as much. */
    return most < 4 * router->checkpoint.written ? 4 * router->checkpoint.written : most;
}

uint64_t checkpoint_waits(const struct router *router)
{
    uint64_t due = router->checkpoint_from + bytes_between(router), end = router->store.end[1];
    return !router->checkpoint.running && due > end ? due - end : 0;
}

/* What the queues hold takes most of a checkpoint by far. */
static uint64_t estimate(const struct router *router)
{
    return router->stats.messages * sizeof(struct saved_entry);
}

/* On a full disk one is written to what is left for acknowledgements, and then a segment of its own names it.
 * bytes: yet to come. */
static bool has_room(const struct router *router, uint64_t bytes)
{
    return !router->store.full || store_fits(&router->store, bytes, 1);
}

/* It must free more than that segment, and come to its end, or it would only take what it is to give. A small
 * one may wait for a file: the journal makes that of the last of the disk. */
static bool pays(const struct router *router)
{
    const struct checkpoint *c = &router->checkpoint;
    uint64_t bytes = estimate(router);
    return store_dead_segments(&router->store) > 1 &&
           (bytes < PAGE_BYTES ||
            (has_room(router, bytes) && (!c->given_up || router->stats.messages <= c->given_up / 2)));
}

static bool is_due(const struct router *router)
{
    const struct store *store = &router->store;
    if (store->failed || router->stopping)
        return false;
    if (store->full)
        return store->end[1] != router->checkpoint_from && pays(router);
    return store->end[1] - router->checkpoint_from > bytes_between(router);
}

static void complete(struct router *router)
{
    struct checkpoint *c = &router->checkpoint;
    c->running = false;
    c->written = c->end - c->from;
    store_checkpoint(&router->store, c->from);
    /* Segments may go when a header says where to start: where room is wanted, that is not left to the next
     * record, which may never come. (At a clean end it is left to the next start: ends would use up what is
     * left, one by one.) */
    if (router->store.full && !c->last) {
        store_new_segment(&router->store);
        persist_id(router, RECORD_CHECKPOINT_END, c->from);
    }
    router->checkpoint_from = store_lsn(&router->store);
    if (c->last)
        router->stopped = true;
}

/* A replay begins with the one before, as it does when one was cut short by a kill. */
static void give_up(struct router *router)
{
    struct checkpoint *c = &router->checkpoint;
    *c = (struct checkpoint){.last = c->last, .written = c->written, .given_up = router->stats.messages};
    if (!c->last)
        return;
    log_line(
        LOG_WARNING, "router",
        "router %u ends on a full disk: there is no room for a checkpoint. Nothing is lost by that, but the "
        "next start reads more of the journal, and what had been delivered comes as redelivered",
        router->options.index);
    router->stopped = true;
}

unsigned checkpoint_poll(struct router *router)
{
    struct checkpoint *c = &router->checkpoint;
    if (!c->running) {
        if (!is_due(router))
            return 0;
        begin(router, false);
        return 1;
    }
    if (router->store.failed) {
        c->running = false;
        router->stopped |= c->last;
        return 1;
    }
    if (!c->end) {
        if (!has_room(router, 0) && (c->last || estimate(router) >= PAGE_BYTES))
            give_up(router);
        else if (!save_more(router))
            finish(router);
        return 1;
    }
    if (c->end > router->store.safe)
        return 0;
    complete(router);
    return 1;
}

bool checkpoint_is_closed(const struct router *router)
{
    return router->stopped || (router->checkpoint.last && router->checkpoint.end);
}

bool checkpoint_last(struct router *router)
{
    struct checkpoint *c = &router->checkpoint;
    if (c->running)
        return false;
    if (!has_room(router, estimate(router))) {
        c->last = true;
        give_up(router);
    } else {
        begin(router, true);
    }
    return true;
}
