/* A message for the client becomes a MESSAGE. */
#include <stdio.h>
#include <stdlib.h>

#include "codec/stomp/connection.h"
#include "codec/stomp/translation.h"

/* A piece of a body of this size and more is lent to the output; a smaller one is copied. */
#define LEND_MIN 1024u

static void give_up(struct stomp *c, unsigned router, const struct event_deliver *event,
                    const struct stomp_subscription *s)
{
    struct parts *parts = event->parts;
    settle_add(&c->settle, c->host, router, event->queue, event->seq, SETTLE_UNSEEN, s ? s->id : 0);
    for (uint32_t i = 0; parts && i < parts->n; i++)
        host_done(c->host, router, parts->part[i].page);
    free(parts);
    host_done(c->host, router, event->page);
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

static uint64_t body_bytes(const struct event_deliver *event)
{
    const struct parts *parts = event->parts;
    uint64_t len = event->message->body_len;
    for (uint32_t i = 0; parts && i < parts->n; i++)
        len += parts->part[i].len;
    return len;
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

/* Each piece in one page; the last use of a page gives it back. */
static void write_piece(struct stomp *c, unsigned router, struct span piece, uint64_t page)
{
    if (piece.len >= LEND_MIN) {
        host_lend(c->host, router, page, piece);
        return;
    }
    host_write(c->host, piece);
    host_done(c->host, router, page);
}

static void write_message(struct stomp *c, unsigned router, const struct event_deliver *event,
                          const struct stomp_subscription *s)
{
    static _Thread_local uint8_t head[3 * PROPERTIES_MAX + 3 * STOMP_HEAD_MAX];
    struct parts *parts = event->parts;
    uint8_t *end = put_head(c, head, event, s);
    host_write(c->host, span_of(head, (size_t)(end - head)));
    for (uint32_t i = 0; parts && i < parts->n; i++)
        write_piece(c, router, span_of(parts->part[i].at, parts->part[i].len), parts->part[i].page);
    free(parts);
    write_piece(c, router, message_body(event->message), event->page);
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
