#include "router/persist.h"

#include <stddef.h>

#include "base/check.h"
#include "router/agent.h"
#include "router/large.h"
#include "router/policy_effect.h"

/* A record of `fixed` bytes and then the spans; the caller has filled in nothing yet. */
static void *begin(struct router *router, enum router_record type, size_t fixed, size_t more)
{
    persist_settled_flush(router);
    struct record *record = store_begin(&router->store, true, fixed + more);
    memset(record + 1, 0, fixed - sizeof *record);
    record->type = (uint8_t)type;
    return record;
}

void persist_id(struct router *router, enum router_record type, uint64_t id)
{
    struct record_id *r = begin(router, type, sizeof *r, 0);
    r->id = id;
    store_end(&router->store);
}

void persist_queue_gone(struct router *router, uint32_t number)
{
    persist_id(router, RECORD_QUEUE_GONE, number);
}

void persist_exchange_gone(struct router *router, uint64_t id)
{
    persist_id(router, RECORD_EXCHANGE_GONE, id);
}

void persist_queue(struct router *router, const struct queue *queue)
{
    struct record_queue *r = begin(router, RECORD_QUEUE, sizeof *r, queue->name.len + queue->arguments.len);
    r->number = queue->number;
    r->vhost = queue->vhost;
    r->tail = queue->index.tail;
    r->flags = queue->auto_delete ? RECORD_AUTO_DELETE : 0;
    r->name_len = queue->name.len;
    r->arguments_len = (uint32_t)queue->arguments.len;
    put_span(put_span((uint8_t *)(r + 1), name_span(&queue->name)), queue->arguments);
    store_end(&router->store);
}

static uint64_t destination_id(const struct binding *binding)
{
    const struct destination *d = binding->destination;
    return d->exchange ? d->exchange->id : container_of(d, struct queue, destination)->number;
}

void persist_binding(struct router *router, const struct binding *binding, enum router_record type)
{
    struct record_binding *r = begin(router, type, sizeof *r, binding->key.len + binding->arguments.len);
    r->source = binding->source->id;
    r->destination = destination_id(binding);
    r->key_len = (uint32_t)binding->key.len;
    r->arguments_len = (uint32_t)binding->arguments.len;
    put_span(put_span((uint8_t *)(r + 1), binding->key), binding->arguments);
    store_end(&router->store);
}

void persist_exchange(struct router *router, const struct catalog_exchange *e)
{
    struct name alternate; /* a policy's is not its own */
    alternate_by_arguments(e->arguments, &alternate);
    struct record_exchange *r =
        begin(router, RECORD_EXCHANGE, sizeof *r, e->name.len + (size_t)alternate.len + e->arguments.len);
    r->id = e->exchange.id;
    r->vhost = e->vhost;
    r->arguments_len = (uint32_t)e->arguments.len;
    r->type = (uint8_t)e->exchange.type;
    r->flags = (e->auto_delete ? RECORD_AUTO_DELETE : 0) | (e->internal ? RECORD_INTERNAL : 0) |
               (e->delayed ? RECORD_DELAYED : 0);
    r->name_len = e->name.len;
    r->alternate_len = alternate.len;
    uint8_t *at = put_span((uint8_t *)(r + 1), name_span(&e->name));
    put_span(put_span(at, name_span(&alternate)), e->arguments);
    store_end(&router->store);
}

void persist_policy(struct router *router, const struct policy *p, enum router_record type)
{
    bool gone = type == RECORD_POLICY_GONE;
    struct span pattern = gone ? (struct span){NULL, 0} : name_span(&p->pattern);
    struct span definition = gone ? (struct span){NULL, 0} : p->definition;
    struct record_policy *r = begin(router, type, sizeof *r, p->name.len + pattern.len + definition.len);
    r->vhost = p->vhost;
    r->priority = p->priority;
    r->definition_len = (uint32_t)definition.len;
    r->flags = p->is_operator ? RECORD_OPERATOR : 0;
    r->target = p->target;
    r->name_len = p->name.len;
    r->pattern_len = (uint8_t)pattern.len;
    put_span(put_span(put_span((uint8_t *)(r + 1), name_span(&p->name)), pattern), definition);
    store_end(&router->store);
}

void persist_access(struct router *router, struct span packed)
{
    struct record_access *r = begin(router, RECORD_ACCESS, sizeof *r, packed.len);
    r->len = (uint32_t)packed.len;
    put_span((uint8_t *)(r + 1), packed);
    store_end(&router->store);
}

void persist_large(struct router *router, const struct large *large)
{
    size_t parts = large->parts * sizeof(struct part);
    struct record_large *r = begin(router, RECORD_LARGE, sizeof *r, parts);
    r->position = large->position;
    r->parts = large->parts;
    memcpy(r + 1, large->part, parts);
    store_end(&router->store);
}

void persist_gap(struct router *router, uint32_t queue, const struct gap *gap)
{
    struct record_gap *r = begin(router, RECORD_GAP, sizeof *r, 0);
    r->queue = queue;
    r->reason = gap->reason;
    r->from = gap->from;
    r->to = gap->to;
    store_end(&router->store);
}

uint64_t persist_producer(struct router *router, const struct producer *producer)
{
    const struct taken *kept = &producer->kept;
    size_t bits = kept->last ? sizeof kept->bits : 0;
    struct record_producer *r = begin(router, RECORD_PRODUCER, sizeof *r, bits + producer->id_len);
    r->number = producer->number;
    r->last = kept->last;
    r->vhost = producer->vhost;
    r->words = (uint16_t)(bits / sizeof *r->bits);
    r->id_len = producer->id_len;
    put_span(put_span((uint8_t *)r->bits, span_of(kept->bits, bits)),
             span_of(producer->id, producer->id_len));
    return store_end(&router->store);
}

struct record_sender *persist_sender_begin(struct router *router, size_t bytes)
{
    return begin(router, RECORD_SENDER, sizeof(struct record_sender), bytes);
}

void persist_released(struct router *router, uint64_t number, struct span ids)
{
    struct record_ids *r = begin(router, RECORD_RELEASED, sizeof *r, ids.len);
    r->number = number;
    r->count = (uint32_t)(ids.len / 2);
    put_span((uint8_t *)(r + 1), ids);
    store_end(&router->store);
}

void persist_note(struct router *router, uint32_t queue, uint64_t seq, struct entry_note note)
{
    struct record_notes *r = begin(router, RECORD_NOTES, sizeof *r, sizeof *r->notes);
    struct saved_note saved = {.seq = seq};
    memcpy(&saved.bits, &note, sizeof note);
    r->queue = queue;
    r->count = 1;
    r->notes[0] = saved;
    store_end(&router->store);
}

void persist_settled_flush(struct router *router)
{
    struct settled settled = router->settled;
    if (settled.count == 0)
        return;
    router->settled.count = 0;
    struct record_settled *r = begin(router, RECORD_SETTLED, sizeof *r, 0);
    r->queue = settled.queue;
    r->count = settled.count;
    r->seq = settled.seq;
    store_end(&router->store);
}

void persist_settled(struct router *router, uint32_t queue, uint64_t seq)
{
    struct settled *s = &router->settled;
    if (router->recovering)
        return;
    if (s->count && s->queue == queue && s->seq + s->count == seq) {
        s->count++;
        return;
    }
    persist_settled_flush(router);
    *s = (struct settled){.queue = queue, .count = 1, .seq = seq};
}
