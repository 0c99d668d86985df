/* Publishes on their way out, and the answers to them. */
#include "codec/amqp/publisher.h"
#include "codec/body.h"

#include <stdlib.h>

#include "base/check.h"
#include "codec/amqp/write_message.h"
#include "router/message.h"

struct publisher *publisher_of(struct amqp *c, struct channel *ch)
{
    if (ch->publisher)
        return ch->publisher;
    struct publisher *p = calloc(1, sizeof *p);
    CHECK(p);
    p->since = c->seq_floor + 1;
    unconfirmed_init(&p->unconfirmed, p->since);
    return ch->publisher = p;
}

const struct exchange_row *publisher_row(struct amqp *c, struct publisher *p, struct span exchange)
{
    if (p->row && p->version == c->exchange_version && span_equal(name_span(&p->exchange), exchange))
        return p->row;
    p->row = host_exchange(c->host, c->vhost, exchange);
    p->doubts = (host_may(c->host, RIGHT_WRITE, THING_EXCHANGE, exchange) ? 0 : DOUBT_REFUSED) |
                (host_has_topics(c->host) ? DOUBT_TOPIC : 0);
    p->version = c->exchange_version;
    name_set(&p->exchange, exchange);
    return p->row;
}

/* ---- sent
 * --------------------------------------------------------------------------------------------------- */

static void track(struct channel *ch, unsigned routers, bool mandatory)
{
    struct unconfirmed *unconfirmed = &ch->publisher->unconfirmed;
    if (ch->mode != MODE_PLAIN || (mandatory && routers > 1))
        unconfirmed_add(unconfirmed, routers, ch->mode == MODE_CONFIRM);
    else
        unconfirmed_skip(unconfirmed);
}

bool publisher_send(struct amqp *c, struct channel *ch, const struct exchange_row *row,
                    struct command_publish *publish, void *owned)
{
    publish->protocol = PROPERTIES_AMQP;
    publish->channel = ch->number;
    publish->conn = host_conn(c->host);
    publish->seq = ch->publisher->unconfirmed.next;
    if (ch->mode != MODE_PLAIN)
        publish->flags |= PUBLISH_CONFIRM;
    bool mandatory = publish->flags & PUBLISH_MANDATORY;
    unsigned routers = host_publish(c->host, row, publish, owned);
    if (!routers)
        return false;
    track(ch, routers, mandatory);
    return true;
}

/* A copy: the piece is the host's once it is sent. */
static struct command_publish publish_of(const struct piece *piece)
{
    return (struct command_publish){
        .flags = piece->flags | (piece->last ? 0 : PUBLISH_MORE),
        .key_len = (uint8_t)piece->key_len,
        .bytes = piece->bytes + piece->exchange_len,
        .properties_at = piece->key_len,
        .properties_len = piece->properties_len,
        .body_at = piece->key_len + piece->properties_len + piece->copies_len,
        .body_len = piece->body_len,
        .total_len = piece->total_len,
        .headers_in = piece->headers_len ? piece->headers_at : 0,
    };
}

/* An exchange that is gone since the transaction got the publish: nobody gets it. */
static bool send_first(struct amqp *c, struct channel *ch, struct piece *piece, uint64_t *routers)
{
    const struct exchange_row *row =
        publisher_row(c, ch->publisher, span_of(piece->bytes, piece->exchange_len));
    if (!row) {
        host_buffer_free(c->host, (uint8_t *)piece);
        *routers = 0;
        return true;
    }
    struct command_publish publish = publish_of(piece);
    if (!publisher_send(c, ch, row, &publish, piece))
        return false;
    *routers = host_published_to(c->host);
    return true;
}

bool piece_send(struct amqp *c, struct channel *ch, struct piece *piece, uint64_t *routers)
{
    if (piece->first)
        return send_first(c, ch, piece, routers);
    if (!*routers) {
        host_buffer_free(c->host, (uint8_t *)piece);
        return true;
    }
    struct command_part part = {
        .flags = piece->last ? PART_LAST : 0,
        .channel = ch->number,
        .len = piece->body_len,
        .conn = host_conn(c->host),
        .bytes = piece->bytes,
    };
    return host_part(c->host, *routers, &part, piece);
}

/* ---- answered
 * ----------------------------------------------------------------------------------------------- */

struct decision {
    struct amqp *c;
    struct channel *ch; /* NULL: it is closing */
};

static void decided(void *owner, const struct kept_return *kept, bool routed)
{
    const struct decision *d = owner;
    if (routed || !d->ch)
        body_drop(d->c->host, kept->router, &kept->event);
    else
        write_return(d->c, d->ch, kept->router, &kept->event);
}

void publisher_confirm(struct amqp *c, struct channel *ch, const struct event_confirm *event)
{
    if (!ch || !ch->publisher)
        return;
    struct decision decision = {c, ch};
    unconfirmed_answer(&ch->publisher->unconfirmed, event->seq, event->count, event->flags, decided,
                       &decision);
    if (ch->mode == MODE_CONFIRM)
        channel_dirty(c, ch);
    else
        tx_progress(c, ch);
}

void publisher_return(struct amqp *c, struct channel *ch, unsigned router, const struct event_deliver *event)
{
    if (!ch || !ch->publisher || event->tag < ch->publisher->since)
        body_drop(c->host, router, event);
    else if (!unconfirmed_keep(&ch->publisher->unconfirmed, router, event))
        write_return(c, ch, router, event);
}

void publisher_release(struct amqp *c, struct channel *ch)
{
    struct publisher *p = ch->publisher;
    tx_free(c, ch);
    if (!p)
        return;
    content_drop(c, ch);
    struct decision decision = {c, NULL};
    unconfirmed_free(&p->unconfirmed, decided, &decision);
    c->seq_floor = c->seq_floor > p->unconfirmed.next ? c->seq_floor : p->unconfirmed.next;
    free(p);
    ch->publisher = NULL;
}
