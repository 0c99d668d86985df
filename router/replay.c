/*
 * Recovery: the records of persist.h, applied in order. A record about a queue or exchange that isn't known
 * is passed over: what it was about was deleted later, or comes later in the checkpoint that is being read.
 *
 * Router 0 finds policies in its log where they came; the others know from the start what they are at its end
 * (catalog_adopt). So after a kill, a message that such a router's last checkpoint didn't see lives as long
 * as the policy says that held last, not as the one that held when it came.
 *
 * The replay itself holds every large message until its end: in a checkpoint, one queue's entry may be
 * settled before the record that says what another queue has.
 */
#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "router/access_ops.h"
#include "router/agent.h"
#include "router/hidden.h"
#include "router/image.h"
#include "router/large.h"
#include "router/persist.h"
#include "router/policy_effect.h"
#include "router/shape.h"
#include "router/stream.h"

static struct entry old_entry(const struct queue *queue, uint64_t seq)
{
    struct entry *entry = index_at(&queue->index, seq);
    return entry ? *entry : (struct entry){0};
}

static void unrefer(struct router *router, const struct entry *entry)
{
    if (entry->state == ENTRY_DEAD)
        return;
    struct large *large = entry->large ? large_find(&router->large, entry_position(entry)) : NULL;
    if (large)
        large_unref(&router->large, &router->store, large);
    store_drop(&router->store, entry_position(entry), entry->share);
    stat_add(&router->stats.messages, -1);
}

/* Returns whether it is new there, not another copy of what was. */
static bool put(struct router *router, struct queue *queue, uint64_t seq, struct entry entry)
{
    struct entry old;
    store_keep(&router->store, entry_position(&entry), entry.share);
    stat_add(&router->stats.messages, 1);
    index_put(&queue->index, seq, entry, &old);
    unrefer(router, &old);
    return old.state == ENTRY_DEAD;
}

/* What its queue noted of it when it came. */
static void note(struct router *router, struct queue *queue, uint64_t seq, const struct message *m)
{
    if (queue->stream && !queue->stream->image) {
        stream_replay_mark(queue->stream, seq, message_arrival(m), 0);
        return;
    }
    if (queue->stream)
        image_replay(router, queue, seq, m);
    struct marks marks;
    marks_read(&marks, message_properties(m));
    marks.arrival_ms = message_arrival(m);
    if (marks.arrival_ms && marks.expiration_ms != NO_LIMIT)
        shape_for_expiration(queue);
    if (queue->shape)
        index_set_note(&queue->index, seq, shape_note(queue, &marks));
}

static void replay_message(struct router *router, const struct message *m, uint64_t lsn)
{
    if (m->flags & MESSAGE_PRODUCED) {
        producer_replay_message(router, m);
        sender_replay_message(router, m);
    }
    struct entry entry = {.position = lsn >> 3, .large = m->parts != 0};
    entry.share = m->record.length / (m->routes ? m->routes : 1);
    entry.body = m->body_len;
    for (unsigned i = 0; i < m->parts; i++)
        entry.body += message_part(m, i).length;
    uint32_t refs = 0;
    struct queue *queues[ROUTES_MAX];
    for (unsigned i = 0; i < m->routes; i++)
        refs += (queues[i] = catalog_queue_by_number(&router->catalog, message_routes(m)[i].queue)) != NULL;
    if (m->parts && refs) {
        struct part parts[PARTS_MAX];
        for (unsigned i = 0; i < m->parts; i++) {
            parts[i] = message_part(m, i);
            store_keep(&router->store, parts[i].position, parts[i].length);
        }
        large_new(&router->large, lsn, parts, m->parts, refs + 1);
    }
    for (unsigned i = 0; i < m->routes; i++) {
        const struct route *r = &message_routes(m)[i];
        uint64_t seq = (uint64_t)r->seq_high << 32 | r->seq_low;
        if (queues[i] && put(router, queues[i], seq, entry) && (queues[i]->shape || m->flags & MESSAGE_TIMED))
            note(router, queues[i], seq, m);
    }
}

static void kill_range(struct router *router, struct queue *queue, uint64_t seq, uint64_t end)
{
    for (struct entry *entry; (entry = index_alive_below(&queue->index, &seq, end)); seq++)
        queue_kill(router, queue, seq, entry);
}

static void replay_settled(struct router *router, const struct record_settled *r)
{
    struct queue *queue = catalog_queue_by_number(&router->catalog, r->queue);
    if (queue)
        kill_range(router, queue, r->seq, r->seq + r->count);
}

/* A queue is there already: it has been told another expiry since (session.h), or the checkpoint repeats it.
 */
static void replay_arguments(struct router *router, struct queue *queue, struct span arguments)
{
    if (is_hidden(queue->vhost) || span_equal(queue->arguments, arguments))
        return;
    free((void *)(uintptr_t)queue->arguments.at);
    queue->arguments = span_copy(arguments);
    queue_reshape(router, queue);
}

static void replay_queue(struct router *router, const struct record_queue *r)
{
    const uint8_t *at = (const uint8_t *)(r + 1);
    struct queue *queue = catalog_queue_by_number(&router->catalog, r->number);
    if (queue) {
        replay_arguments(router, queue, span_of(at + r->name_len, r->arguments_len));
        return;
    }
    queue = queue_new(router, r->vhost, span_of(at, r->name_len));
    queue->number = r->number;
    queue->durable = true;
    queue->auto_delete = r->flags & RECORD_AUTO_DELETE;
    queue->arguments = span_copy(span_of(at + r->name_len, r->arguments_len));
    if (!is_hidden(queue->vhost))
        queue_reshape(router, queue);
    else if (!hidden_recover(router, queue))
        log_line(LOG_WARNING, "router",
                 "what waited for a deleted exchange, or was remembered by it, is gone with it");
    queue->index.tail = queue->index.next = r->tail;
    catalog_queue_add(&router->catalog, queue);
    if (r->number >= router->catalog.queue_next)
        router->catalog.queue_next = r->number + 1;
}

static void replay_queue_gone(struct router *router, uint64_t number)
{
    struct queue *queue = catalog_queue_by_number(&router->catalog, (uint32_t)number);
    if (queue)
        queue_delete(router, queue);
}

static struct destination *destination_of(struct router *router, const struct record_binding *r)
{
    if (r->record.type == RECORD_BOUND || r->record.type == RECORD_UNBOUND) {
        struct queue *queue = catalog_queue_by_number(&router->catalog, (uint32_t)r->destination);
        return queue ? &queue->destination : NULL;
    }
    struct catalog_exchange *e = catalog_exchange_by_id(&router->catalog, r->destination);
    return e ? &e->exchange.self : NULL;
}

static void replay_binding(struct router *router, const struct record_binding *r, bool bind)
{
    const uint8_t *at = (const uint8_t *)(r + 1);
    struct span key = span_of(at, r->key_len), arguments = span_of(at + r->key_len, r->arguments_len);
    struct catalog_exchange *source = catalog_exchange_by_id(&router->catalog, r->source);
    struct destination *destination = destination_of(router, r);
    if (!source || !destination)
        return;
    struct binding *binding = exchange_binding(&source->exchange, destination, key, arguments);
    if (bind && !binding) {
        binding = exchange_bind(&source->exchange, destination, key, arguments);
        binding->durable = true;
    } else if (!bind && binding) {
        exchange_unbind(binding);
        binding = NULL;
    } else {
        return;
    }
    if (!destination->exchange) {
        source->queue_bindings += bind ? 1 : (size_t)-1;
        stat_add(&router->stats.bindings, bind ? 1 : -1);
    }
}

static void replay_exchange(struct router *router, const struct record_exchange *r)
{
    const uint8_t *name = (const uint8_t *)(r + 1), *alternate = name + r->name_len;
    if (r->id >= router->catalog.exchange_next)
        router->catalog.exchange_next = r->id + 1;
    if (catalog_exchange_by_id(&router->catalog, r->id))
        return;
    struct span arguments = span_copy(span_of(alternate + r->alternate_len, r->arguments_len));
    struct catalog_exchange *e = catalog_exchange_new(&router->catalog, r->id, r->vhost,
                                                      span_of(name, r->name_len), r->type, arguments);
    e->durable = true;
    e->auto_delete = r->flags & RECORD_AUTO_DELETE;
    e->internal = r->flags & RECORD_INTERNAL;
    e->delayed = r->flags & RECORD_DELAYED;
    name_set(&e->alternate, span_of(alternate, r->alternate_len));
    if (!e->alternate.len)
        alternate_wanted(router, e, &e->alternate);
    e->shadowed = e->alternate.len;
    exchange_confirms(router, e);
}

static void replay_policy(struct router *router, const struct record_policy *r)
{
    const uint8_t *name = (const uint8_t *)(r + 1), *pattern = name + r->name_len;
    struct policy policy = {
        .vhost = r->vhost,
        .is_operator = r->flags & RECORD_OPERATOR,
        .target = r->target,
        .priority = r->priority,
        .definition = span_of(pattern + r->pattern_len, r->definition_len),
    };
    name_set(&policy.name, span_of(name, r->name_len));
    name_set(&policy.pattern, span_of(pattern, r->pattern_len));
    if (r->record.type == RECORD_POLICY_GONE)
        policy_gone_here(router, &policy);
    else
        policy_set_here(router, policy_adopted(&policy));
}

static void replay_exchange_gone(struct router *router, uint64_t id)
{
    struct catalog_exchange *e = catalog_exchange_by_id(&router->catalog, id);
    if (e)
        catalog_exchange_delete(&router->catalog, e);
}

static void replay_checkpoint(struct router *router, const struct record_checkpoint *r)
{
    if (r->exchange_next > router->catalog.exchange_next)
        router->catalog.exchange_next = r->exchange_next;
    if (r->queue_next > router->catalog.queue_next)
        router->catalog.queue_next = r->queue_next;
}

static void replay_entries(struct router *router, const struct record_entries *r)
{
    struct queue *queue = catalog_queue_by_number(&router->catalog, r->queue);
    if (!queue)
        return;
    uint64_t dead = r->from;
    for (uint32_t i = 0; i < r->count; i++) {
        struct saved_entry s = r->entries[i];
        struct entry entry = {.body = s.body, .share = s.share};
        memcpy(&entry, &s.bits, sizeof s.bits);
        kill_range(router, queue, dead, s.seq);
        struct entry old = old_entry(queue, s.seq);
        struct large *large = entry.large ? large_find(&router->large, entry_position(&entry)) : NULL;
        if (large && !(old.state != ENTRY_DEAD && old.position == entry.position))
            large->refs++;
        if (old.state == ENTRY_DEAD || old.position != entry.position)
            put(router, queue, s.seq, entry);
        else
            index_at(&queue->index, s.seq)->redelivered = entry.redelivered;
        dead = s.seq + 1;
    }
    kill_range(router, queue, dead, r->to);
    if (r->to > queue->index.tail)
        index_move_tail(&queue->index, r->to);
}

static void replay_keys(struct router *router, const struct record_keys *r)
{
    struct queue *queue = catalog_queue_by_number(&router->catalog, r->queue);
    if (queue && queue->stream && queue->stream->image)
        image_replay_keys(router, queue, r);
}

static void replay_notes(struct router *router, const struct record_notes *r)
{
    struct queue *queue = catalog_queue_by_number(&router->catalog, r->queue);
    for (uint32_t i = 0; queue && i < r->count; i++) {
        struct entry_note note;
        memcpy(&note, &r->notes[i].bits, sizeof note);
        if (queue->stream && !queue->stream->image) {
            stream_replay_mark(queue->stream, r->notes[i].seq, note.expires, note.attempts);
            continue;
        }
        if (note.expires || note.attempts)
            shape_for_expiration(queue);
        if (index_at(&queue->index, r->notes[i].seq))
            index_set_note(&queue->index, r->notes[i].seq, note);
    }
}

static void replay_gap(struct router *router, const struct record_gap *r)
{
    struct queue *queue = catalog_queue_by_number(&router->catalog, r->queue);
    if (queue && queue->shape)
        gaps_add(&queue->shape->gaps, r->from, r->to, (enum gap_reason)r->reason);
    /* Of what was shed nothing else may be left, if it was transient: its number isn't given again. */
    if (queue && r->to >= queue->index.tail)
        index_move_tail(&queue->index, r->to + 1);
}

/* In a checkpoint it comes before the entries that refer to it; elsewhere, parts have been copied forward. */
static void replay_large(struct router *router, const struct record_large *r)
{
    struct part parts[PARTS_MAX];
    struct large *large = large_find(&router->large, r->position);
    CHECK(r->parts <= PARTS_MAX && (!large || large->parts == r->parts));
    memcpy(parts, r + 1, r->parts * sizeof *parts);
    for (uint32_t i = 0; i < r->parts; i++)
        store_keep(&router->store, parts[i].position, parts[i].length);
    if (!large) {
        large_new(&router->large, r->position, parts, r->parts, 1);
        return;
    }
    for (uint32_t i = 0; i < r->parts; i++)
        store_drop(&router->store, large->part[i].position, large->part[i].length);
    memcpy(large->part, parts, r->parts * sizeof *parts);
}

/* Of what exists. */
static void replay_topology(struct router *router, const struct record *record)
{
    switch (record->type) {
    case RECORD_QUEUE:
        replay_queue(router, (const struct record_queue *)record);
        return;
    case RECORD_QUEUE_GONE:
        replay_queue_gone(router, ((const struct record_id *)record)->id);
        return;
    case RECORD_BOUND:
    case RECORD_LINKED:
        replay_binding(router, (const struct record_binding *)record, true);
        return;
    case RECORD_UNBOUND:
    case RECORD_UNLINKED:
        replay_binding(router, (const struct record_binding *)record, false);
        return;
    case RECORD_EXCHANGE:
        replay_exchange(router, (const struct record_exchange *)record);
        return;
    case RECORD_EXCHANGE_GONE:
        replay_exchange_gone(router, ((const struct record_id *)record)->id);
        return;
    case RECORD_POLICY:
    case RECORD_POLICY_GONE:
        replay_policy(router, (const struct record_policy *)record);
        return;
    case RECORD_ACCESS:
        access_replay(router, span_of((const struct record_access *)record + 1,
                                      ((const struct record_access *)record)->len));
        return;
    }
}

void persist_replay(void *owner, const struct record *record, uint64_t lsn)
{
    struct router *router = owner;
    if (record->type < RECORD_OWN)
        return;
    router->clean = record->type == RECORD_CLEAN;
    switch (record->type) {
    case RECORD_MESSAGE:
        replay_message(router, (const struct message *)record, lsn);
        return;
    case RECORD_SETTLED:
        replay_settled(router, (const struct record_settled *)record);
        return;
    case RECORD_CHECKPOINT:
        replay_checkpoint(router, (const struct record_checkpoint *)record);
        return;
    case RECORD_ENTRIES:
        replay_entries(router, (const struct record_entries *)record);
        return;
    case RECORD_LARGE:
        replay_large(router, (const struct record_large *)record);
        return;
    case RECORD_KEYS:
        replay_keys(router, (const struct record_keys *)record);
        return;
    case RECORD_GAP:
        replay_gap(router, (const struct record_gap *)record);
        return;
    case RECORD_NOTES:
        replay_notes(router, (const struct record_notes *)record);
        return;
    case RECORD_PRODUCER:
        producer_replay(router, (const struct record_producer *)record, lsn);
        return;
    case RECORD_PRODUCER_GONE:
        producer_replay_gone(router, ((const struct record_id *)record)->id);
        return;
    case RECORD_SENDER:
        sender_replay(router, (const struct record_sender *)record, lsn);
        return;
    case RECORD_SENDER_GONE:
        sender_replay_gone(router, ((const struct record_id *)record)->id);
        return;
    case RECORD_RELEASED:
        sender_replay_released(router, (const struct record_ids *)record);
        return;
    default:
        replay_topology(router, record);
    }
}

static void mark_redelivered(struct map_node *node, void *owner)
{
    struct queue *queue = container_of(node, struct queue, by_name);
    uint64_t seq = 0;
    (void)owner;
    if (queue->stream || is_hidden(queue->vhost))
        return;
    for (struct entry *entry; (entry = index_ready_from(&queue->index, &seq)); seq++)
        entry->redelivered = 1;
}

static void let_go(struct map_node *node, void *owner)
{
    struct router *router = owner;
    large_unref(&router->large, &router->store, container_of(node, struct large, by_position));
}

static void start_at_first(struct map_node *node, void *owner)
{
    struct queue *queue = container_of(node, struct queue, by_name);
    (void)owner;
    queue->index.next = index_first(&queue->index);
    if (queue->stream && queue->stream->image)
        image_replayed(queue);
    if (queue->stream)
        stream_replayed(queue->stream);
}

void persist_replayed(struct router *router)
{
    map_each(&router->large, let_go, router);
    map_each(&router->catalog.queues, start_at_first, NULL);
    if (!router->clean)
        persist_mark_redelivered(router);
}

void persist_mark_redelivered(struct router *router)
{
    map_each(&router->catalog.queues, mark_redelivered, NULL);
}
