/*
 * A queue that a connection has declared may be deleted by others, or lapse. So messages to it are
 * mandatory: one that comes back waits here, its queue is declared once more, and it is published again,
 * ahead of all that the client has sent since. Its receipt, and those behind, wait with it.
 */
#include <stdlib.h>

#include "base/check.h"
#include "codec/body.h"
#include "codec/stomp/connection.h"
#include "router/message.h"
#include "router/properties.h"

struct stomp_again {
    struct stomp_again *next;
    struct event_deliver event; /* its page is pinned */
    unsigned router;
};

static void drop_first(struct stomp *c)
{
    struct stomp_again *a = c->again;
    c->again = a->next;
    if (!c->again)
        c->again_end = &c->again;
    body_drop(c->host, a->router, &a->event);
    free(a);
}

void stomp_again_free(struct stomp *c)
{
    while (c->again)
        drop_first(c);
}

void stomp_returned(struct stomp *c, unsigned router, const struct event_deliver *event)
{
    struct span queue = message_key(event->message);
    bool first = !c->again;
    if (c->stage == STOMP_CLOSED) {
        body_drop(c->host, router, event);
        return;
    }
    if (event->parts && event->parts->n) {
        stomp_fail(c, NULL, "the queue '%.*s' was deleted while a message came for it: send that again",
                   (int)queue.len, (const char *)queue.at);
        body_drop(c->host, router, event);
        return;
    }
    struct stomp_again *a = calloc(1, sizeof *a);
    CHECK(a);
    a->event = *event;
    a->router = router;
    *c->again_end = a;
    c->again_end = &a->next;
    c->again_queue.len = first ? 0 : c->again_queue.len;
    if (first)
        stomp_queue_again(c, queue);
}

/* Those that waited for the publish under its first number wait for it under the new one. */
static void move_receipts(struct stomp *c, uint64_t from, uint64_t to)
{
    for (struct stomp_receipt *r = c->receipt; r; r = r->next)
        if (r->seq >= from && r->seq < to)
            r->seq = to;
}

static void fill(struct command_publish *command, const struct stomp *c, const struct message *m, uint8_t *to)
{
    struct span key = message_key(m), properties = message_properties(m), body = message_body(m);
    struct properties p;
    size_t headers = 0;
    if (properties_read(properties, &p) && p.flags & HAS_HEADERS)
        headers = (size_t)(p.headers.at - properties.at);
    put_span(put_span(put_span(to, key), properties), body);
    *command = (struct command_publish){
        .flags = (uint8_t)((m->flags & MESSAGE_PERSISTENT ? PUBLISH_PERSISTENT : 0) | PUBLISH_CONFIRM |
                           PUBLISH_MANDATORY | PUBLISH_MARKED),
        .protocol = PROPERTIES_AMQP,
        .key_len = (uint8_t)key.len,
        .conn = host_conn(c->host),
        .seq = c->unconfirmed.next,
        .bytes = to,
        .properties_at = (uint16_t)key.len,
        .properties_len = (uint32_t)properties.len,
        .headers_in = headers < 1024 ? (uint32_t)headers : 0,
        .body_at = (uint32_t)(key.len + properties.len),
        .body_len = (uint32_t)body.len,
        .total_len = (uint32_t)body.len,
    };
}

/* False: it must wait, or the connection is closed. */
static bool send_first(struct stomp *c)
{
    const struct stomp_again *a = c->again;
    const struct message *m = a->event.message;
    struct command_publish command;
    size_t bytes = message_key(m).len + m->properties_len + m->body_len;
    uint8_t *scratch = host_scratch(c->host, bytes);
    const struct exchange_row *row = host_exchange(c->host, c->vhost, span_of("", 0));
    if (!scratch || !row) {
        stomp_fail(c, NULL, "no memory for a message");
        return false;
    }
    fill(&command, c, m, scratch);
    unsigned routers = host_publish(c->host, row, &command, NULL);
    if (!routers) {
        c->parked = true;
        return false;
    }
    host_scratch_keep(c->host, bytes);
    move_receipts(c, a->event.tag, c->unconfirmed.next);
    unconfirmed_add(&c->unconfirmed, routers, true);
    drop_first(c);
    return true;
}

void stomp_again_run(struct stomp *c)
{
    if (!c->again || c->parked || c->rest.going)
        return;
    while (c->again && c->again_queue.len) {
        struct span queue = message_key(c->again->event.message);
        if (!span_equal(queue, name_span(&c->again_queue))) {
            c->again_queue.len = 0;
            stomp_queue_again(c, queue);
        } else if (!send_first(c)) {
            return;
        }
    }
    stomp_receipts(c);
}

void stomp_again_retry(struct stomp *c)
{
    if (!c->again || !c->parked || c->rest.going)
        return;
    c->parked = false;
    stomp_again_run(c);
}
