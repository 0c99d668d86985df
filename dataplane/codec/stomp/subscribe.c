/*
 * SUBSCRIBE and UNSUBSCRIBE, and the queues for replies. A frame is looked at twice: what it asks of the
 * routers is sent, and when they have done it, input goes on with the same frame, which then is done.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "codec/stomp/connection.h"
#include "codec/stomp/permission.h"

#define QUEUE_PREFIX "stomp-subscription-"
#define REPLY_PREFIX "stomp-reply-"

struct stomp_subscription *stomp_subscription_find(struct stomp *c, struct span name)
{
    for (struct stomp_subscription *s = c->subscriptions; s; s = s->next)
        if (span_equal(s->name, name))
            return s;
    return NULL;
}

static struct stomp_subscription *add(struct stomp *c, struct span name, struct span queue, struct span to)
{
    struct stomp_subscription *s = calloc(1, sizeof *s);
    CHECK(s);
    s->name = stomp_keep(name);
    s->queue = stomp_keep(queue);
    s->to = stomp_keep(to);
    s->handle = slots_add(&c->handles, s);
    s->window = CONSUMER_WINDOW;
    s->router = host_router_of(c->host, c->vhost, queue);
    s->next = c->subscriptions;
    c->subscriptions = s;
    c->subscription_count++;
    return s;
}

static void drop(struct stomp *c, struct stomp_subscription *s)
{
    struct stomp_subscription **at = &c->subscriptions;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    c->subscription_count--;
    slots_remove(&c->handles, s->handle);
    stomp_drop(&s->name);
    stomp_drop(&s->queue);
    stomp_drop(&s->to);
    free(s);
}

/* ---- ops -------------------------------------------------------------------------------------------------
 */

/* What a SUBSCRIBE wants of its queue and its consumer. */
struct wish {
    struct stomp_queue queue;
    struct span arguments; /* of the consumer */
    uint64_t prefetch;
};

static void bind(struct stomp *c, const struct stomp_subscription *s, const struct stomp_destination *d)
{
    struct op *op = stomp_op(c, OP_QUEUE_BIND, STOMP_BIND, s->queue);
    name_set(&op->other, d->exchange);
    name_set(&op->key, d->key);
    stomp_send_op(c, op);
}

static void consume(struct stomp *c, const struct stomp_subscription *s, uint64_t prefetch,
                    struct span arguments)
{
    struct op *op = stomp_op(c, OP_CONSUME, STOMP_CONSUME, s->queue);
    if (arguments.len)
        op->arguments = stomp_keep(arguments);
    bool bound = prefetch && prefetch < UNACKED_MAX;
    op->flags = s->ack == STOMP_ACK_AUTO ? OP_NO_ACK | OP_NO_PREFETCH : bound ? 0 : OP_NO_PREFETCH;
    op->prefetch = s->ack == STOMP_ACK_AUTO ? 0 : bound ? (uint32_t)prefetch : UNACKED_MAX;
    op->tag = s->handle;
    op->window = s->window;
    stomp_send_op(c, op);
}

void stomp_subscription_back(struct stomp *c, const struct op *op)
{
    struct stomp_subscription *s = slots_get(&c->handles, op->tag);
    if (!s)
        return;
    if (op->reply == STOMP_CONSUME) {
        s->id = op->consumer;
    } else {
        drop(c, s);
        c->unsubscribed = true;
    }
}

/* ---- SUBSCRIBE -------------------------------------------------------------------------------------------
 */

static struct span random_name(struct stomp *c, const char *prefix, char *text, size_t size)
{
    int n = snprintf(text, size, "%s%016llx%016llx", prefix, (unsigned long long)host_random(c->host),
                     (unsigned long long)host_random(c->host));
    return span_of(text, (size_t)n);
}

static bool read_ack(const struct stomp_frame *f, enum stomp_ack *ack)
{
    struct span text = stomp_value(f, "ack");
    *ack = span_is(text, "client")              ? STOMP_ACK_CLIENT
           : span_is(text, "client-individual") ? STOMP_ACK_INDIVIDUAL
                                                : STOMP_ACK_AUTO;
    return !text.len || *ack != STOMP_ACK_AUTO || span_is(text, "auto");
}

/* RabbitMQ's plugin has two words for it. */
static bool is_durable(const struct stomp_frame *f)
{
    return stomp_is(f, "durable", "true") || stomp_is(f, "persistent", "true");
}

/* The queue that a subscription of that name to a topic or exchange has. */
static struct span own_queue(struct stomp *c, const struct stomp_frame *f, struct span name, char *text,
                             size_t size)
{
    struct span given = stomp_value(f, "x-queue-name"), to = stomp_value(f, "destination");
    if (given.len)
        return given;
    if (!is_durable(f))
        return random_name(c, QUEUE_PREFIX, text, size);
    int n = snprintf(text, size, QUEUE_PREFIX "%.*s-%.*s", (int)name.len, (const char *)name.at, (int)to.len,
                     (const char *)to.at);
    return span_of(text, (size_t)n);
}

static const char *fault(struct stomp *c, const struct stomp_frame *f, struct span name,
                         struct stomp_destination *d)
{
    uint64_t prefetch;
    enum stomp_ack ack;
    if (!name.len || (c->version > STOMP_10 && !stomp_find(f, "id")))
        return "SUBSCRIBE without an id";
    if (stomp_subscription_find(c, name))
        return "there is a subscription of that id already";
    if (!stomp_destination_read(stomp_value(f, "destination"), d))
        return "SUBSCRIBE with no destination that there is";
    if (d->kind == STOMP_TO_TEMPORARY)
        return "a /temp-queue is subscribed to by naming it in reply-to";
    if (!read_ack(f, &ack))
        return "ack is none of auto, client and client-individual";
    if (stomp_find(f, "prefetch-count") && !stomp_number(stomp_value(f, "prefetch-count"), &prefetch))
        return "prefetch-count isn't a number";
    if (stomp_find(f, "selector"))
        return "selectors aren't supported";
    if (c->subscription_count >= c->options->consumers_max)
        return "too many subscriptions";
    return NULL;
}

/* In 1.0 a subscription may have no name but its destination. */
static struct span name_of(const struct stomp_frame *f)
{
    const struct span *id = stomp_find(f, "id");
    return id ? *id : stomp_value(f, "destination");
}

/* What the frame says of queue and consumer; NULL, or what is wrong. The tables are valid until the next. */
static const char *read_wish(const struct stomp_frame *f, const struct stomp_destination *d, struct wish *w)
{
    static _Thread_local uint8_t of_queue[STOMP_HEAD_MAX + 16 * STOMP_HEADERS_MAX],
        of_consumer[sizeof of_queue];
    const char *wrong = stomp_queue_read(of_queue, f, d, &w->queue);
    w->prefetch = 0;
    stomp_number(stomp_value(f, "prefetch-count"), &w->prefetch);
    if (stomp_has_own_queue(d) && !is_durable(f) && !stomp_find(f, "x-queue-name"))
        w->queue.flags = (w->queue.flags & ~(uint32_t)OP_ANY_WAY) | OP_UNNAMED;
    return wrong ? wrong : stomp_consumer_read(of_consumer, f, &w->arguments);
}

static struct stomp_subscription *begin(struct stomp *c, const struct stomp_frame *f, struct span name,
                                        const struct stomp_destination *d, const struct wish *wish)
{
    char text[STOMP_HEAD_MAX + 64];
    struct span queue = stomp_has_own_queue(d) ? own_queue(c, f, name, text, sizeof text) : d->key;
    if (queue.len > NAME_MAX_BYTES) {
        stomp_fail(c, f,
                   "the queue of a durable subscription is named after its id and destination, and may "
                   "have 255 bytes; x-queue-name gives another");
        return NULL;
    }
    if (!stomp_subscribe_permitted(c, f, d, queue, &wish->queue))
        return NULL;
    struct stomp_subscription *s = add(c, name, queue, stomp_value(f, "destination"));
    read_ack(f, &s->ack);
    s->subscriber = stomp_has_own_queue(d);
    s->bound = !s->subscriber;
    s->declared = !s->subscriber && d->kind != STOMP_TO_QUEUE;
    s->fresh = true;
    return s;
}

/* One thing after the other: a queue that isn't as the client wants it must have no consumer. */
static void go_on(struct stomp *c, struct stomp_subscription *s, const struct stomp_destination *d,
                  const struct wish *wish)
{
    if (!s->declared) {
        s->declared = true;
        s->own = wish->queue.flags & OP_EXCLUSIVE;
        stomp_queue_declare(c, s->queue, &wish->queue, s->handle);
    } else if (!s->bound) {
        s->bound = true;
        bind(c, s, d);
    } else {
        consume(c, s, wish->prefetch, wish->arguments);
    }
}

bool stomp_subscribe(struct stomp *c, const struct stomp_frame *f)
{
    struct stomp_destination d;
    struct wish wish;
    struct span name = name_of(f);
    struct stomp_subscription *s = stomp_subscription_find(c, name);
    if (s && s->fresh && s->id) {
        s->fresh = false;
        stomp_receipt(c, f, false);
        return true;
    }
    const char *wrong = s && s->fresh ? NULL : fault(c, f, name, &d);
    if (!wrong && s)
        stomp_destination_read(stomp_value(f, "destination"), &d);
    if (!wrong)
        wrong = read_wish(f, &d, &wish);
    if (wrong)
        stomp_fail(c, f, "%s", wrong);
    else if (!s)
        s = begin(c, f, name, &d, &wish);
    if (!wrong && s)
        go_on(c, s, &d, &wish);
    return false;
}

const struct stomp_subscription *stomp_temporary(struct stomp *c, const struct stomp_frame *f, struct span to)
{
    char text[64];
    struct stomp_subscription *s = stomp_subscription_find(c, to);
    if (s && s->id)
        return s;
    if (c->subscription_count >= c->options->consumers_max) {
        stomp_fail(c, f, "too many subscriptions");
        return NULL;
    }
    s = add(c, to, random_name(c, REPLY_PREFIX, text, sizeof text), to);
    s->own = s->temporary = true;
    struct stomp_queue queue = {OP_EXCLUSIVE | OP_AUTO_DELETE | OP_UNNAMED, span_of("", 0)};
    stomp_queue_declare(c, s->queue, &queue, s->handle);
    if (c->stage == STOMP_CLOSED)
        return NULL;
    consume(c, s, 0, span_of("", 0));
    return NULL;
}

/* ---- UNSUBSCRIBE ------------------------------------------------------------------------------------------
 */

bool stomp_unsubscribe(struct stomp *c, const struct stomp_frame *f)
{
    struct stomp_subscription *s = stomp_subscription_find(c, name_of(f));
    if (c->unsubscribed) {
        c->unsubscribed = false;
        stomp_receipt(c, f, false);
        return true;
    }
    if (!s) {
        stomp_fail(c, f, "UNSUBSCRIBE of no subscription that there is");
        return false;
    }
    s->cancelling = true;
    bool delete = s->subscriber && !s->own && is_durable(f);
    struct op *op = stomp_op(c, OP_CANCEL, delete ? STOMP_RELEASE : STOMP_CANCEL, s->queue);
    op->consumer = s->id;
    op->tag = s->handle;
    stomp_send_op_to(c, s->router, op);
    if (delete) {
        op = stomp_op(c, OP_QUEUE_DELETE, STOMP_CANCEL, s->queue);
        op->tag = s->handle;
        stomp_send_op(c, op);
    }
    return false;
}

void stomp_cancelled(struct stomp *c, const struct event_cancel *event)
{
    struct stomp_subscription *s = slots_get(&c->handles, event->tag);
    if (!s || c->stage == STOMP_CLOSED || s->cancelling)
        return;
    stomp_fail(c, NULL, "%s: subscription '%.*s'",
               event->flags & CANCEL_LAPSED ? "a message was not acknowledged in time"
                                            : "the queue has been deleted",
               (int)(s->name.len < 128 ? s->name.len : 128), (const char *)s->name.at);
}

/* ---- going ------------------------------------------------------------------------------------------------
 */

static void abort_rest(struct stomp *c)
{
    struct command_part part = {.flags = PART_ABORT, .conn = host_conn(c->host)};
    if (c->rest.going && !c->rest.into)
        host_part(c->host, c->rest.routers, &part, NULL);
    c->rest.going = false;
}

static void give_back(struct stomp *c)
{
    struct delivery *d;
    while ((d = unacked_oldest(&c->unacked))) {
        const struct stomp_subscription *s = slots_get(&c->handles, d->consumer);
        settle_add(&c->settle, c->host, d->router, d->queue, d->seq, SETTLE_REQUEUE, s ? s->id : 0);
        unacked_remove(&c->unacked, d);
    }
    settle_flush(&c->settle, c->host);
}

static void leave(struct stomp *c, struct stomp_subscription *s)
{
    if (s->id) {
        struct op *op = stomp_op(c, OP_CANCEL, STOMP_RELEASE, s->queue);
        op->consumer = s->id;
        stomp_send_op_to(c, s->router, op);
    }
    if (s->own) {
        struct op *op = stomp_op(c, OP_QUEUE_DELETE, STOMP_RELEASE, s->queue);
        op->flags = OP_OF_OWNER;
        stomp_send_op(c, op);
    }
    drop(c, s);
}

static void decided(void *owner, const struct kept_return *kept, bool routed)
{
    (void)owner, (void)kept, (void)routed;
}

void stomp_release(struct stomp *c)
{
    if (c->stage == STOMP_CLOSED)
        return;
    c->stage = STOMP_CLOSED;
    abort_rest(c);
    give_back(c);
    while (c->subscriptions)
        leave(c, c->subscriptions);
    for (struct stomp_receipt *r; (r = c->receipt);) {
        c->receipt = r->next;
        free(r);
    }
    stomp_transactions_free(c);
    unconfirmed_free(&c->unconfirmed, decided, NULL);
    unacked_free(&c->unacked);
    slots_free(&c->handles);
    stomp_queues_free(c);
    stomp_again_free(c);
}
