/*
 * SEND. Routing key and properties are written anew, and a small body behind them; a large one stays in the
 * input and goes in parts.
 */
#include "codec/stomp/connection.h"
#include "codec/stomp/permission.h"
#include "codec/stomp/translation.h"

#define REPLY_QUEUE "/reply-queue/"

/* ---- sending ------------------------------------------------------------------------------------------- */

/* What is sent: where to, and whether it is to be confirmed. */
struct send {
    const struct stomp_frame *f;
    const struct exchange_row *row;
    struct stomp_destination to;
    struct span reply_to, body;
    bool whole, confirm;
    bool named; /* it goes to a queue that was declared: it comes back if that is gone */
};

/* Writes what is published to `to`; returns its bytes, 0 if it can't be said. */
static size_t compose(struct stomp *c, const struct send *m, uint8_t *to, struct command_publish *command)
{
    struct stomp_form form;
    uint8_t *properties = put_span(to, m->to.key);
    const char *wrong = stomp_to_amqp(properties, m->f, m->reply_to, &form);
    if (wrong) {
        stomp_fail(c, m->f, "%s", wrong);
        return 0;
    }
    uint8_t *body = properties + form.len;
    *command = (struct command_publish){
        .flags = (uint8_t)((form.persistent ? PUBLISH_PERSISTENT : 0) | (m->confirm ? PUBLISH_CONFIRM : 0) |
                           (m->named ? PUBLISH_MANDATORY : 0) | (m->whole ? 0 : PUBLISH_MORE) |
                           (form.marked ? PUBLISH_MARKED : 0)),
        .protocol = PROPERTIES_AMQP,
        .key_len = (uint8_t)m->to.key.len,
        .conn = host_conn(c->host),
        .seq = c->unconfirmed.next,
        .bytes = to,
        .properties_at = (uint16_t)m->to.key.len,
        .properties_len = (uint32_t)form.len,
        .headers_in = form.headers_in < 1024 ? form.headers_in : 0,
        .body_at = (uint32_t)(body - to),
        .body_len = m->whole ? (uint32_t)m->body.len : 0,
        .total_len = (uint32_t)(m->whole ? m->body.len : m->f->length),
    };
    if (m->whole)
        body = put_span(body, m->body);
    return (size_t)(body - to);
}

/* The same in the front's scratch room. */
static size_t write(struct stomp *c, const struct send *m, struct command_publish *command)
{
    uint8_t *scratch =
        host_scratch(c->host, NAME_MAX_BYTES + stomp_properties_max(m->f) + (m->whole ? m->body.len : 0));
    if (scratch)
        return compose(c, m, scratch, command);
    stomp_fail(c, m->f, "no memory for a message");
    return 0;
}

/* False: it must wait, or the connection is closed. */
static bool send(struct stomp *c, const struct send *m)
{
    struct command_publish command;
    size_t bytes = write(c, m, &command);
    if (c->stage == STOMP_CLOSED)
        return false;
    unsigned routers = host_publish(c->host, m->row, &command, NULL);
    if (!routers) {
        c->parked = true;
        return false;
    }
    host_scratch_keep(c->host, bytes);
    if (m->confirm)
        unconfirmed_add(&c->unconfirmed, routers, true);
    else
        unconfirmed_skip(&c->unconfirmed), c->told |= host_published_to(c->host);
    if (!m->whole)
        c->rest = (struct stomp_rest){.going = true,
                                      .kept = c->committing,
                                      .left = m->f->length,
                                      .routers = host_published_to(c->host)};
    stomp_receipt(c, m->f, false);
    return true;
}

const struct exchange_row *stomp_exchange(struct stomp *c, const struct stomp_frame *f,
                                          const struct stomp_destination *d)
{
    const struct exchange_row *row = host_exchange(c->host, c->vhost, d->exchange);
    if (row && !row->internal)
        return row;
    stomp_fail(c, f, row ? "the exchange '%.*s' is internal" : "there is no exchange '%.*s'",
               (int)d->exchange.len, (const char *)d->exchange.at);
    return NULL;
}

/* Whether its queue is there; if not, it has been asked for, or the connection is closed. A large message
 * can't be sent a second time if it comes back, and so asks each time. */
static bool declared(struct stomp *c, const struct send *m)
{
    static _Thread_local uint8_t arguments[STOMP_HEAD_MAX + 16 * STOMP_HEADERS_MAX];
    struct stomp_queue queue;
    const char *wrong = stomp_queue_read(arguments, m->f, &m->to, &queue);
    if (wrong) {
        stomp_fail(c, m->f, "%s", wrong);
        return false;
    }
    if (c->declared || c->committing || (m->whole && stomp_queue_known(c, m->to.key, &queue))) {
        c->declared = false;
        return true;
    }
    if (stomp_queue_permitted(c, m->f, m->to.key, &queue))
        stomp_queue_declare(c, m->to.key, &queue, 0);
    return false;
}

/* Where it goes to, and where answers do. False: that must be asked for first, or the connection is closed.
 */
static bool resolve(struct stomp *c, struct send *m, uint8_t *reply)
{
    struct span to = stomp_value(m->f, "destination"), reply_to = stomp_value(m->f, "reply-to");
    if (span_starts(reply_to, "/temp-queue/")) {
        const struct stomp_subscription *s = stomp_temporary(c, m->f, reply_to);
        if (!s)
            return false;
        uint8_t *end = put_span(put_span(reply, span_str(REPLY_QUEUE)), s->queue);
        m->reply_to = span_of(reply, (size_t)(end - reply));
    }
    if (!stomp_destination_read(to, &m->to) || m->to.kind == STOMP_TO_TEMPORARY) {
        stomp_fail(c, m->f, "'%.*s' is no destination to send to", (int)(to.len < 128 ? to.len : 128),
                   (const char *)to.at);
        return false;
    }
    if (!stomp_may_send(c, m->f, &m->to))
        return false;
    m->named = m->to.kind == STOMP_TO_QUEUE;
    if (m->named && !declared(c, m))
        return false;
    m->row = stomp_exchange(c, m->f, &m->to);
    return m->row;
}

/* False as of resolve(). */
static bool prepare(struct stomp *c, const struct stomp_frame *f, struct span body, struct send *m,
                    uint8_t *reply)
{
    *m = (struct send){.f = f,
                       .body = body,
                       .reply_to = span_of("", 0),
                       .whole = !f->has_length || f->length <= INLINE_BODY_MAX,
                       .confirm = c->committing || stomp_find(f, "receipt")};
    if (body.len > c->options->max_message_size) {
        stomp_fail(c, f, "a message of %zu bytes; %u at most", body.len, c->options->max_message_size);
        return false;
    }
    return resolve(c, m, reply);
}

enum { REPLY_MAX = sizeof REPLY_QUEUE + NAME_MAX_BYTES };

bool stomp_publish(struct stomp *c, const struct stomp_frame *f, struct span body)
{
    uint8_t reply[REPLY_MAX];
    struct send m;
    return prepare(c, f, body, &m, reply) && send(c, &m);
}

bool stomp_publishable(struct stomp *c, const struct stomp_frame *f, struct span body)
{
    uint8_t reply[REPLY_MAX];
    struct command_publish command;
    struct send m;
    return prepare(c, f, body, &m, reply) && write(c, &m, &command);
}

static bool send_part(struct stomp *c, const uint8_t *bytes, uint32_t len, bool last, void *owned)
{
    struct command_part part = {
        .flags = last ? PART_LAST : 0, .len = len, .conn = host_conn(c->host), .bytes = bytes};
    c->parked = !host_part(c->host, c->rest.routers, &part, owned);
    return !c->parked;
}

/* The last part waits for the NUL behind it. */
size_t stomp_publish_rest(struct stomp *c, struct span in, void *owned)
{
    struct stomp_rest *rest = &c->rest;
    uint32_t n = rest->left < INLINE_BODY_MAX ? (uint32_t)rest->left : INLINE_BODY_MAX;
    bool last = n == rest->left;
    if (in.len < n + (size_t)last)
        return 0;
    if (last && in.at[n]) {
        stomp_fail(c, NULL, "no NUL behind the body");
        return 0;
    }
    if (!(rest->into ? stomp_hold_piece(c, span_of(in.at, n + (size_t)last))
                     : send_part(c, in.at, n, last, owned)))
        return 0;
    rest->left -= n;
    rest->going = !last;
    return n + (size_t)last;
}

/* ---- confirmed -------------------------------------------------------------------------------------------
 */

/* What comes back came from one router, and isn't kept there. */
static void decided(void *owner, const struct kept_return *kept, bool routed)
{
    (void)owner, (void)kept, (void)routed;
}

void stomp_confirmed(struct stomp *c, const struct event_confirm *event)
{
    struct confirmed confirmed;
    if (c->stage == STOMP_CLOSED)
        return;
    unconfirmed_answer(&c->unconfirmed, event->seq, event->count, event->flags, decided, NULL);
    while (unconfirmed_take(&c->unconfirmed, &confirmed))
        if (confirmed.refused) {
            stomp_fail(c, NULL, "a message can't be kept; no receipt that isn't sent yet will be");
            return;
        }
    stomp_receipts(c);
}
