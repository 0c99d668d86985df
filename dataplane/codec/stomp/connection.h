/*
 * One STOMP connection, and all that dies with it. All of it is used on the front's thread, from within the
 * codec's callbacks.
 *
 * A frame whose work the routers must do first (a queue to declare, a subscription) stops the input until
 * they have: frames are done in order, one by one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/slots.h"
#include "codec/codec.h"
#include "codec/host.h"
#include "codec/settle.h"
#include "codec/stomp/destination.h"
#include "codec/stomp/frame.h"
#include "codec/stomp/queue.h"
#include "codec/unacked.h"
#include "codec/unconfirmed.h"

struct stomp_transaction;
struct stomp_known;
struct stomp_again;

enum stomp_stage {
    STOMP_NEW, /* CONNECT is awaited */
    STOMP_OPEN,
    STOMP_ENDING, /* DISCONNECT has come: what was published before is waited for */
    STOMP_CLOSED, /* host_close was called */
};

enum stomp_ack { STOMP_ACK_AUTO, STOMP_ACK_CLIENT, STOMP_ACK_INDIVIDUAL };

struct stomp_subscription {
    struct stomp_subscription *next;
    uint64_t handle; /* in stomp.handles: the tag in DELIVER */
    uint64_t id;     /* the router's name for the consumer; 0 until it has answered */
    uint32_t router, window, debt;
    enum stomp_ack ack;
    bool own;              /* its queue is exclusive to the connection */
    bool subscriber;       /* its queue was made for it, bound to a topic or an exchange */
    bool temporary;        /* of a /temp-queue */
    bool cancelling;       /* UNSUBSCRIBE is at the routers */
    bool fresh;            /* its SUBSCRIBE isn't done yet: */
    bool declared, bound;  /* so much of it is */
    struct span name;      /* what the client calls it; owned, as what follows */
    struct span queue, to; /* the queue; the destination as the client wrote it */
};

/* A receipt that is due when all up to that publish are confirmed, and so many barriers have answered. */
struct stomp_receipt {
    struct stomp_receipt *next;
    uint64_t seq, number;
    uint32_t barriers;
    bool last; /* then the connection ends */
    uint32_t len;
    uint8_t id[];
};

/* The rest of a SEND that is too large for one piece. */
struct stomp_rest {
    bool going;
    bool kept;                      /* it comes from a transaction that is being committed, */
    struct stomp_transaction *into; /* or is kept in this one */
    uint64_t left, routers;         /* bytes of body to come; routers that have the beginning */
};

struct stomp {
    struct host *host;
    const struct host_options *options;
    enum stomp_stage stage;
    enum stomp_version version;
    bool parked;                        /* input has stopped at a publish that must wait */
    bool unsubscribed;                  /* the routers have done the UNSUBSCRIBE at hand */
    bool committing;                    /* frames come from a transaction */
    uint32_t vhost, pending;            /* ops that the frame at hand waits for */
    uint32_t send_ms, hear_ms;          /* heart-beats; 0: none */
    uint64_t heard_ns, send_at_ns, tag; /* tag: of the last delivery */
    size_t backlog;                     /* as of the last tick */
    struct stomp_known *known;          /* queues that it has declared (queue.c) */
    unsigned known_count, exclusive_count;
    struct stomp_queue declaring;           /* the one on its way; its arguments are owned */
    bool declared;                          /* the queue of the frame at hand has been */
    struct stomp_again *again, **again_end; /* messages that came back (again.c) */
    struct name again_queue;                /* has been declared for them */
    uint64_t told;          /* routers that were sent something of which nothing is to be heard, a bit each */
    uint64_t receipt_count; /* the number of the last receipt */
    struct stomp_rest rest;
    struct unconfirmed unconfirmed;
    struct stomp_receipt *receipt, **receipt_end;
    struct unacked unacked;
    struct slots handles;
    struct stomp_subscription *subscriptions;
    uint32_t subscription_count;
    struct stomp_transaction *transactions;
    uint32_t transaction_count;
    struct settle_run settle;
};

/* ---- failure, output (connection.c) --------------------------------------------------------------- */

/* ERROR with that text, and the receipt that the frame wanted; closes. f: or NULL. */
void stomp_fail(struct stomp *c, const struct stomp_frame *f, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The frame's receipt, if it wants one, behind all that was published before. */
void stomp_receipt(struct stomp *c, const struct stomp_frame *f, bool last);
/* The same, and what those routers (a bit each) were sent before is safe there. */
void stomp_receipt_behind(struct stomp *c, const struct stomp_frame *f, uint64_t routers, bool last);
/* Writes the receipts that are due. */
void stomp_receipts(struct stomp *c);
struct span stomp_keep(struct span s);
void stomp_drop(struct span *s);

/* ---- ops ------------------------------------------------------------------------------------------ */

enum stomp_purpose {
    STOMP_RELEASE, /* nothing waits for it */
    STOMP_QUEUE,   /* a queue is declared */
    STOMP_BIND,
    STOMP_CONSUME,
    STOMP_CANCEL,
    STOMP_BARRIER, /* a receipt waits for it, the input doesn't */
    STOMP_AGAIN,   /* a queue is declared once more, for messages that came back */
};

struct op *stomp_op(struct stomp *c, enum op_kind kind, enum stomp_purpose purpose, struct span queue);
void stomp_send_op(struct stomp *c, struct op *op);
void stomp_send_op_to(struct stomp *c, unsigned router, struct op *op);

/* ---- frames ---------------------------------------------------------------------------------------- */

/* Does a frame. True: it is done; false: it must wait, or the connection is closed. */
bool stomp_frame_do(struct stomp *c, const struct stomp_frame *f, struct span body, struct span whole);

/* connect.c */
void stomp_connect(struct stomp *c, const struct stomp_frame *f);
void stomp_tick_beats(struct stomp *c);
/* publish.c: body: as much of it as is there, all if it is INLINE_BODY_MAX at most */
bool stomp_publish(struct stomp *c, const struct stomp_frame *f, struct span body);
/* Whether it could be published; its queue is declared. False: that is asked for first, or it is closed. */
bool stomp_publishable(struct stomp *c, const struct stomp_frame *f, struct span body);
/* The exchange that it goes to; NULL: the connection is closed. */
const struct exchange_row *stomp_exchange(struct stomp *c, const struct stomp_frame *f,
                                          const struct stomp_destination *d);
/* owned: the host's buffer that it stands in, which is the host's again if something was used; or NULL. */
size_t stomp_publish_rest(struct stomp *c, struct span in, void *owned);
void stomp_confirmed(struct stomp *c, const struct event_confirm *event);
/* again.c: messages to a queue that somebody has deleted since it was declared. */
void stomp_returned(struct stomp *c, unsigned router, const struct event_deliver *event);
/* Publishes what came back, in order, as far as it can be. */
void stomp_again_run(struct stomp *c);
/* The same of one that had to wait: no input may come that would do it. */
void stomp_again_retry(struct stomp *c);
void stomp_again_free(struct stomp *c);
/* subscribe.c */
bool stomp_subscribe(struct stomp *c, const struct stomp_frame *f);
bool stomp_unsubscribe(struct stomp *c, const struct stomp_frame *f);
void stomp_subscription_back(struct stomp *c, const struct op *op);
void stomp_cancelled(struct stomp *c, const struct event_cancel *event);
struct stomp_subscription *stomp_subscription_find(struct stomp *c, struct span name);
/* The queue for replies that the client calls so; NULL: it has been asked for, or the connection is closed.
 */
const struct stomp_subscription *stomp_temporary(struct stomp *c, const struct stomp_frame *f,
                                                 struct span to);
/* ack.c */
void stomp_ack(struct stomp *c, const struct stomp_frame *f, bool positive);
/* Whether the message that it names waits for an answer; false: the connection is closed. */
bool stomp_ack_known(struct stomp *c, const struct stomp_frame *f);
/* deliver.c */
void stomp_deliver(struct stomp *c, unsigned router, const struct event_deliver *event);
void stomp_credit(struct stomp *c);
/* transaction.c */
void stomp_begin(struct stomp *c, const struct stomp_frame *f);
bool stomp_commit(struct stomp *c, const struct stomp_frame *f);
void stomp_abort(struct stomp *c, const struct stomp_frame *f);
/* Keeps a SEND, ACK or NACK that is part of one, whole with its NUL. False as of stomp_frame_do. */
bool stomp_hold(struct stomp *c, const struct stomp_frame *f, struct span body, struct span whole);
/* The same of the head of a SEND whose body comes in pieces; then for each of these. */
bool stomp_hold_head(struct stomp *c, const struct stomp_frame *f, struct span head);
bool stomp_hold_piece(struct stomp *c, struct span piece);
void stomp_transactions_free(struct stomp *c);
/* facts.c: for lists, as codec.h has them */
void stomp_about(const void *state, struct connection_facts *facts);
bool stomp_consumer(const void *state, uint64_t *at, unsigned *steps, struct consumer_facts *facts);
bool stomp_delivery(const void *state, const struct delivery_wish *wish, uint64_t *at, unsigned *steps,
                    struct delivery_facts *facts);
/* subscribe.c: gives up all that the connection has; once. */
void stomp_release(struct stomp *c);
