/*
 * A channel: what it consumes, what it has published and is to hear of, and the one method of it that is
 * under way at the routers. While there is one, the frames of this channel that follow wait in the input.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "codec/amqp/connection.h"
#include "codec/unacked.h"
#include "codec/unconfirmed.h"

struct publisher;

enum channel_state {
    CHANNEL_OPEN,
    CHANNEL_ENDING,  /* the client has sent channel.close: close-ok follows when the routers have answered */
    CHANNEL_CLOSING, /* we have sent channel.close: close-ok is awaited, the rest is ignored */
};

enum channel_mode { MODE_PLAIN, MODE_CONFIRM, MODE_TX };

/* What must come next on a channel. */
enum content_stage { CONTENT_NONE, CONTENT_HEADER, CONTENT_BODY };

/* Owned by its connection. */
struct channel {
    uint16_t number;
    uint8_t state;               /* enum channel_state */
    uint8_t mode;                /* enum channel_mode */
    uint8_t content;             /* enum content_stage */
    bool flow_off;               /* channel.flow: the client wants no deliveries */
    bool dirty;                  /* is in amqp.dirty */
    bool get_no_ack;             /* the basic.get that is under way wants no acknowledgement */
    bool committing;             /* tx.commit waits for the routers */
    bool nowait;                 /* the request is not to be answered */
    uint8_t request;             /* enum method: what is under way if ops > 0 */
    uint32_t ops;                /* under way */
    struct publisher *publisher; /* NULL: has published nothing */
    struct tx *tx;               /* NULL unless MODE_TX */
    struct channel *next_dirty;

    struct unacked unacked;
    uint64_t delivery_tag; /* the last one given */
    uint64_t lapsed_tag;   /* the last one that was given back because its consumer took too long */
    uint32_t prefetch;     /* basic.qos: of consumers to come */
    uint32_t limit;        /* of all consumers together: basic.qos global, or UNACKED_MAX */
    uint32_t counted;      /* unacknowledged towards the limit */
    bool limit_met;        /* a consumer is paused for it */
    struct consumer *consumers;
    uint32_t consumer_count;
    struct span last_queue;  /* the name of the queue declared last; owned */
    struct span reply_queue; /* of direct replies; owned, empty if there is none */
};

/* NULL: no such channel. */
static inline struct channel *channel_of(const struct amqp *c, uint16_t number)
{
    return number < c->channel_room ? c->channels[number] : NULL;
}

/* Whether a header or body frame must come next on the channel. */
static inline bool content_expected(const struct channel *ch)
{
    return ch->content != CONTENT_NONE;
}

/* A method of the channel is under way: its frames must wait. */
static inline bool channel_busy(const struct channel *ch)
{
    return ch->ops > 0 || ch->committing;
}

/* Closes the channel with the error; what was under way and is consumed on it goes back. */
void channel_fail(struct amqp *c, struct channel *ch, enum method method, enum error error, const char *text);
/* The delivery, live or held, ends now. */
void channel_settle(struct amqp *c, struct channel *ch, struct delivery *d, enum settle how);
/* The delivery is given back because its consumer took too long. */
void channel_lapse(struct amqp *c, struct channel *ch, struct delivery *d);
/* Gives back what is unacknowledged, cancels consumers, forgets what is being published. */
void channel_release(struct amqp *c, struct channel *ch);
void channel_free(struct amqp *c, struct channel *ch);
/* An op of the channel's end has come back. */
void channel_op_back(struct amqp *c, struct channel *ch);
/* Asks for a call of channel_confirm at the end of the turn. */
void channel_dirty(struct amqp *c, struct channel *ch);
/* Begins the request whose method is being handled: makes its op. */
struct op *request_new(struct amqp *c, struct channel *ch, enum op_kind kind, bool nowait);
/* The request's answer, for its handler by kind. */
void request_back(struct amqp *c, struct channel *ch, unsigned router, struct op *op);

/* The queue that an empty name stands for is the last declared. False: told the client that there is none. */
bool queue_name(struct amqp *c, struct channel *ch, struct span *name);

/* ---- publishing (basic_publish.c, content.c, confirm.c, tx.c, reply_to.c) ----------------------------- */

/* A publish may stand at the start of `bytes`, which is a whole method frame at least. Returns the bytes
 * used, 0 to wait. */
size_t publish_input(struct amqp *c, struct channel *ch, struct span bytes);
/* Header and body frames of a publish that doesn't stand in one piece. False: the frame must wait. */
bool content_header(struct amqp *c, struct channel *ch, struct span payload);
bool content_body(struct amqp *c, struct channel *ch, struct span payload);

void publisher_release(struct amqp *c, struct channel *ch);
void publisher_confirm(struct amqp *c, struct channel *ch, const struct event_confirm *event);
void publisher_return(struct amqp *c, struct channel *ch, unsigned router, const struct event_deliver *event);
/* Writes the confirms that were collected. */
void channel_confirm(struct amqp *c, struct channel *ch);

void tx_free(struct amqp *c, struct channel *ch);
/* A barrier or an answer to a publish has come: ends the commit if it was the last. */
void tx_progress(struct amqp *c, struct channel *ch);
/* A router has answered. */
void tx_barrier_back(struct amqp *c, struct channel *ch, const struct op *op);

/* ---- answers to ops, by kind --------------------------------------------------------------------------- */

typedef void op_handler(struct amqp *c, struct channel *ch, unsigned router, struct op *op);
op_handler exchange_declared, exchange_deleted, exchange_bound, exchange_unbound;   /* exchange.c */
op_handler queue_declared, queue_deleted, queue_purged, queue_bound, queue_unbound; /* queue.c */
op_handler consume_answered, cancel_answered, get_answered;                         /* basic_consume.c */
op_handler reply_queue_declared;                                                    /* reply_to.c */
