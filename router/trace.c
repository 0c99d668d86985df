#include "router/trace.h"

#include "base/tap.h"
#include "router/agent.h"

/* As in dataplane/trace_format.h, which is no business of a router's but for these. */
enum { KIND_EVENT = 2, KIND_ENDED = 3 };

static struct tap_record record_of(const struct router *router, unsigned kind)
{
    return (struct tap_record){.kind = (uint8_t)kind, .ns = router->options.epoch_ns + router->now_ns};
}

static void put(struct router *router, struct queue_event *event, const struct message *m)
{
    struct iovec piece[5] = {{event, sizeof *event}};
    struct tap_record record = record_of(router, KIND_EVENT);
    int pieces = 1;
    if (m) {
        const struct span parts[] = {message_exchange(m), message_key(m), message_properties(m),
                                     message_body(m)};
        event->exchange_len = m->exchange_len;
        event->key_len = m->key_len;
        event->properties_len = m->properties_len;
        /* Of a body in parts the beginning stands elsewhere. */
        event->body_len = (uint16_t)(m->parts                         ? 0
                                     : m->body_len < QUEUE_EVENT_BODY ? m->body_len
                                                                      : QUEUE_EVENT_BODY);
        for (unsigned i = 0; i < 4; i++)
            piece[pieces++] = (struct iovec){(void *)(uintptr_t)parts[i].at, parts[i].len};
        piece[4].iov_len = event->body_len;
    }
    for (int i = 0; i < pieces; i++)
        record.bytes += (uint32_t)piece[i].iov_len;
    tap_put(router->tap, record, piece, pieces);
}

void trace_published(struct router *router, uint64_t seq, uint64_t position, uint32_t body)
{
    struct queue_event event = {.what = QUEUE_PUBLISHED, .seq = seq, .count = 1, .body_bytes = body};
    struct page *page = store_page(&router->store, position);
    put(router, &event, page ? store_bytes(&router->store, page, position) : NULL);
}

void trace_delivered(struct router *router, const struct event_deliver *event, uint32_t body)
{
    struct queue_event e = {.what = event->flags & DELIVER_GET ? QUEUE_GOT : QUEUE_DELIVERED,
                            .redelivered = (event->flags & DELIVER_REDELIVERED) != 0,
                            .channel = event->channel,
                            .seq = event->seq,
                            .count = 1,
                            .body_bytes = body};
    put(router, &e, event->message);
}

void trace_settled(struct router *router, uint64_t seq, uint32_t count, unsigned how)
{
    static const uint8_t what[] = {[SETTLE_ACK] = QUEUE_ACKED,
                                   [SETTLE_DROP] = QUEUE_REJECTED,
                                   [SETTLE_REQUEUE] = QUEUE_REQUEUED,
                                   [SETTLE_UNSEEN] = QUEUE_RETURNED,
                                   [SETTLE_RECEIVED] = QUEUE_RECEIVED};
    struct queue_event event = {.what = what[how], .seq = seq, .count = count};
    put(router, &event, NULL);
}

void trace_gone(struct router *router)
{
    tap_put(router->tap, record_of(router, KIND_ENDED), NULL, 0);
    router->tap = NULL;
}

void trace_on_op(struct router *router, struct op *op)
{
    struct queue *queue = router->tap ? slots_get(&router->queues, router->traced) : NULL;
    if (queue)
        queue->traced = false;
    router->tap = NULL;
    queue = op->tap ? catalog_queue(&router->catalog, op->vhost, name_span(&op->name)) : NULL;
    if (op->tap && !queue) {
        router_refuse(router, op, ERR_NOT_FOUND, "no queue '%.*s' in vhost '%.*s'", op->name.len,
                      op->name.bytes, op->other.len, op->other.bytes);
        return;
    }
    if (queue) {
        queue->traced = true;
        router->traced = queue->handle;
        router->tap = op->tap;
    }
    router_answer_now(router, op);
}
