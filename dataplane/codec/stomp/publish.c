/*
 * SEND. Routing key and properties are written anew, and a small body behind them; a large one stays in the
 * input and goes in parts.
 */
#include <stdlib.h>

#include "base/check.h"
#include "codec/stomp/connection.h"
#include "codec/stomp/translation.h"

#define REPLY_QUEUE "/reply-queue/"

/* ---- queues that are sent to --------------------------------------------------------------------------- */

void stomp_declared(struct stomp *c, struct span queue)
{
    if (!c->declared) {
        c->declared = calloc(STOMP_DECLARED, sizeof *c->declared);
        CHECK(c->declared);
    }
    name_set(&c->declared[c->declared_next], queue);
    c->declared_next = (c->declared_next + 1) % STOMP_DECLARED;
    if (c->declared_count < STOMP_DECLARED)
        c->declared_count++;
}

bool stomp_declare(struct stomp *c, struct span queue)
{
    for (unsigned i = 0; i < c->declared_count; i++)
        if (span_equal(name_span(&c->declared[i]), queue))
            return true;
    struct op *op = stomp_op(c, OP_QUEUE_DECLARE, STOMP_QUEUE, queue);
    op->flags = OP_DURABLE | OP_ANY_WAY;
    stomp_send_op(c, op);
    return false;
}

/* ---- sending ------------------------------------------------------------------------------------------- */

/* What is sent: where to, and whether it is to be confirmed. */
struct send {
    const struct stomp_frame *f;
    const struct exchange_row *row;
    struct stomp_destination to;
    struct span reply_to, body;
    bool whole, confirm;
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
                           (m->whole ? 0 : PUBLISH_MORE) | (form.marked ? PUBLISH_MARKED : 0)),
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

/* False: it must wait, or the connection is closed. */
static bool send(struct stomp *c, const struct send *m)
{
    struct command_publish command;
    uint8_t *scratch =
        host_scratch(c->host, NAME_MAX_BYTES + stomp_properties_max(m->f) + (m->whole ? m->body.len : 0));
    if (!scratch) {
        stomp_fail(c, m->f, "no memory for a message");
        return false;
    }
    size_t bytes = compose(c, m, scratch, &command);
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
        unconfirmed_skip(&c->unconfirmed);
    if (!m->whole)
        c->rest = (struct stomp_rest){true, m->f->length, host_published_to(c->host)};
    stomp_receipt(c, m->f, false);
    return true;
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
    if (m->to.kind == STOMP_TO_QUEUE && !stomp_declare(c, m->to.key))
        return false;
    m->row = host_exchange(c->host, c->vhost, m->to.exchange);
    if (!m->row || m->row->internal) {
        stomp_fail(c, m->f, m->row ? "the exchange '%.*s' is internal" : "there is no exchange '%.*s'",
                   (int)m->to.exchange.len, (const char *)m->to.exchange.at);
        return false;
    }
    return true;
}

bool stomp_publish(struct stomp *c, const struct stomp_frame *f, struct span body)
{
    uint8_t reply[sizeof REPLY_QUEUE + NAME_MAX_BYTES];
    struct send m = {.f = f,
                     .body = body,
                     .reply_to = span_of("", 0),
                     .whole = !f->has_length || f->length <= INLINE_BODY_MAX,
                     .confirm = c->committing || stomp_find(f, "receipt")};
    if (body.len > c->options->max_message_size) {
        stomp_fail(c, f, "a message of %zu bytes; %u at most", body.len, c->options->max_message_size);
        return false;
    }
    return resolve(c, &m, reply) && send(c, &m);
}

/* The last part waits for the NUL behind it. */
size_t stomp_publish_rest(struct stomp *c, struct span in)
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
    struct command_part part = {
        .flags = last ? PART_LAST : 0, .len = n, .conn = host_conn(c->host), .bytes = in.at};
    if (!host_part(c->host, rest->routers, &part, NULL)) {
        c->parked = true;
        return 0;
    }
    rest->left -= n;
    rest->going = !last;
    return n + (size_t)last;
}

/* ---- confirmed -------------------------------------------------------------------------------------------
 */

/* Nothing is returned, since no publish is mandatory. */
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
