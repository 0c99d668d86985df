/* A message for the client becomes a MESSAGE. */
#include <stdio.h>

#include "codec/body.h"
#include "codec/stomp/connection.h"
#include "codec/stomp/translation.h"

static void give_up(struct stomp *c, unsigned router, const struct event_deliver *event,
                    const struct stomp_subscription *s)
{
    settle_add(&c->settle, c->host, router, event->queue, event->seq, SETTLE_UNSEEN, s ? s->id : 0);
    body_drop(c->host, router, event);
}

void stomp_credit(struct stomp *c)
{
    for (struct stomp_subscription *s = c->subscriptions; s; s = s->next) {
        if (!s->id || s->debt < s->window / 2)
            continue;
        host_credit(c->host, s->router, s->id, s->debt, 0);
        s->debt = 0;
    }
}

static uint8_t *put_head(struct stomp *c, uint8_t *to, const struct event_deliver *event,
                         const struct stomp_subscription *s)
{
    char id[64];
    uint8_t where[6 * 2 * NAME_MAX_BYTES + 32], *end;
    const struct message *m = event->message;
    int n = snprintf(id, sizeof id, "%llu-%llu", (unsigned long long)host_conn(c->host),
                     (unsigned long long)c->tag);
    end = stomp_destination_put(where, message_exchange(m), message_key(m));
    to = put_span(to, span_str("MESSAGE\n"));
    to = stomp_put_str(to, c->version, "subscription", s->name);
    to = stomp_put_str(to, c->version, "destination", span_of(where, (size_t)(end - where)));
    to = stomp_put_str(to, c->version, "message-id", span_of(id, (size_t)n));
    if (c->version == STOMP_12 && s->ack != STOMP_ACK_AUTO)
        to = stomp_put_str(to, c->version, "ack", span_of(id, (size_t)n));
    if (event->flags & DELIVER_REDELIVERED)
        to = stomp_put_str(to, c->version, "redelivered", span_str("true"));
    if (event->flags & DELIVER_OFFSET)
        to = stomp_put_number(to, "x-stream-offset", event->seq - 1);
    if (event->flags & DELIVER_ATTEMPTS)
        to = stomp_put_number(to, "x-delivery-count", deliver_attempts(event));
    to = stomp_put_number(to, "content-length", body_bytes(event));
    return put_u8(stomp_from_amqp(to, c->version, m), '\n');
}

static void write_message(struct stomp *c, unsigned router, const struct event_deliver *event,
                          const struct stomp_subscription *s)
{
    static _Thread_local uint8_t head[3 * PROPERTIES_MAX + 3 * STOMP_HEAD_MAX];
    uint8_t *end = put_head(c, head, event, s);
    host_write(c->host, span_of(head, (size_t)(end - head)));
    body_write(c->host, router, event);
    host_write(c->host, span_of("\0\n", 2));
}

static bool remember(struct stomp *c, unsigned router, const struct event_deliver *event, uint64_t handle)
{
    struct delivery d = {.tag = c->tag,
                         .queue = event->queue,
                         .seq = event->seq,
                         .consumer = handle,
                         .router = (uint8_t)router,
                         .state = UNACKED_LIVE};
    return unacked_push(&c->unacked, &d);
}

void stomp_deliver(struct stomp *c, unsigned router, const struct event_deliver *event)
{
    struct stomp_subscription *s = slots_get(&c->handles, event->tag);
    c->tag++;
    if (c->stage != STOMP_OPEN || !s ||
        (s->ack != STOMP_ACK_AUTO && !remember(c, router, event, s->handle))) {
        give_up(c, router, event, s);
        return;
    }
    uint64_t bytes = body_bytes(event) + 1;
    s->debt = s->debt + bytes < UINT32_MAX ? s->debt + (uint32_t)bytes : UINT32_MAX;
    write_message(c, router, event, s);
}
