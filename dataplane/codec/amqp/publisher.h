/*
 * What a channel publishes: the exchange it used last, a message that comes in several pieces, and the
 * publishes that wait for answers. Made with the channel's first publish.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "codec/amqp/channel.h"
#include "router/properties.h"

/*
 * A message or a part of one in memory of its own (host_buffer), because its frames don't stand behind each
 * other in the input, or because a transaction keeps it. It is what host_publish or host_part is given as
 * `owned`.
 */
struct piece {
    struct piece *next; /* of a transaction */
    uint16_t exchange_len, key_len;
    uint32_t properties_len, copies_len;
    uint32_t body_len;                /* of these bytes */
    uint32_t total_len;               /* of the whole body */
    uint32_t headers_at, headers_len; /* in the properties */
    uint8_t flags;                    /* PUBLISH_* of a first piece */
    bool first, last;
    uint8_t bytes[]; /* exchange, key, properties, copies (of a first piece), body */
};

/* A publish whose frames come one by one. */
struct assembly {
    bool mandatory;
    bool open;        /* a first piece has been sent, and a last one hasn't */
    uint64_t routers; /* that were sent it */
    uint32_t total;   /* of the body */
    uint32_t taken;   /* of the body, in all pieces */
    uint32_t skip;    /* of the body frame that had to wait: taken already */
    struct piece *piece;
    struct name exchange, key;
};

/* The user may not publish to the exchange, or not with every key. */
enum { DOUBT_REFUSED = 1, DOUBT_TOPIC = 2 };

struct publisher {
    const struct exchange_row *row; /* of `exchange`, as long as the version is the host's */
    uint8_t doubts;                 /* DOUBT_*: what of it must be looked at besides */
    uint64_t version;
    struct name exchange;
    uint64_t since;        /* the number of the channel's first publish */
    uint64_t confirm_base; /* what is taken off a publish's number to get its tag in confirms */
    struct unconfirmed unconfirmed;
    struct assembly assembly;
};

/* Makes it if there is none. */
struct publisher *publisher_of(struct amqp *c, struct channel *ch);
/* The row of an exchange, or NULL; and p->doubts are of it. */
const struct exchange_row *publisher_row(struct amqp *c, struct publisher *p, struct span exchange);
/* Sends a publish of which everything but seq, conn, channel and protocol is filled in. False: it must wait.
 */
bool publisher_send(struct amqp *c, struct channel *ch, const struct exchange_row *row,
                    struct command_publish *publish, void *owned);
/* The same with a piece; it is the routers' if it was sent. routers: of the message that it is part of. */
bool piece_send(struct amqp *c, struct channel *ch, struct piece *piece, uint64_t *routers);

/* What is wrong with a publish, if anything, is told the client. */
bool exchange_allows(struct amqp *c, struct channel *ch, const struct exchange_row *row, struct span exchange,
                     struct span key);
/* Of a first piece, when it is to be sent: its exchange may have gone since the method named it, permissions
 * too; and its headers may have more keys. */
bool piece_allowed(struct amqp *c, struct channel *ch, const struct piece *piece);
bool properties_allowed(struct amqp *c, struct channel *ch, const struct properties *p);
/* Whether properties_allowed has something to look at. */
static inline bool properties_special(const struct properties *p)
{
    return p->flags &
               (HAS_REPLY_TO | HAS_USER_ID | HAS_ODD_DELIVERY_MODE | HAS_ODD_EXPIRATION | HAS_COPIES) ||
           p->wrong;
}
/* The PUBLISH_* that follow from the properties. */
static inline uint8_t properties_publish_flags(const struct properties *p)
{
    bool marked = p->flags & (HAS_EXPIRATION | HAS_PRIORITY | HAS_X_HEADER);
    return (uint8_t)((p->delivery_mode == DELIVERY_PERSISTENT ? PUBLISH_PERSISTENT : 0) |
                     (marked ? PUBLISH_MARKED : 0));
}

/* Begins the assembly of a publish; its method is the one being handled. */
void content_begin(struct amqp *c, struct channel *ch, const struct args_BASIC_PUBLISH *m);
void content_drop(struct amqp *c, struct channel *ch);
/* Takes a piece into the channel's open transaction. */
void tx_add(struct channel *ch, struct piece *piece);
