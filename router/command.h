/*
 * The vocabulary between fronts and routers. Commands go from a front to a router, events back; each is at
 * most one 64-byte ring entry, and one ring is FIFO, so order per channel, exchange and queue holds.
 *
 * Live things are named by ids that are never reused (a slot and its generation), so a name that outlived
 * its thing is recognised. Bytes behind a `bytes` pointer are lent: the router has copied what it keeps when
 * it has taken the command from the ring. Pages behind a `message` pointer are pinned until the front's DONE.
 * A `struct op` is handed over whole and always comes back.
 *
 * Handlers carry the row's name: router_on_publish, front_on_deliver.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "base/map.h"
#include "base/ring.h"
#include "base/span.h"
#include "router/errors.h"
#include "router/op.h"

struct message;

/* ---- front -> router ---------------------------------------------------------------------------- */

#define COMMANDS(X)                                                                                          \
    X(PUBLISH, publish) /* a message, or the head of one that comes in parts */                              \
    X(PART, part)       /* more of its body, or its end */                                                   \
    X(SETTLE, settle)   /* deliveries are acknowledged, dropped or given back */                             \
    X(CREDIT, credit)   /* a consumer may be sent more */                                                    \
    X(DONE, done)       /* pages are no longer looked at */                                                  \
    X(OP, op)           /* anything that is not on the message path */                                       \
    X(KNOWN, known)     /* an update of the exchanges has been applied (to the registrar) */

enum command_kind {
#define X(name, handler) COMMAND_##name,
    COMMANDS(X)
#undef X
        COMMAND_KINDS
};

enum {
    PUBLISH_PERSISTENT = 1, /* delivery-mode 2 */
    PUBLISH_CONFIRM = 2,    /* answer with CONFIRM when every router that keeps it has it safe */
    PUBLISH_MANDATORY = 4,  /* answer with RETURN when it goes to no queue */
    PUBLISH_SHARED = 8,  /* sent to several routers: if CONFIRM or MANDATORY answer with one CONFIRM anyway */
    PUBLISH_KEEPER = 16, /* of several routers, the one that keeps an unroutable message for its return */
    PUBLISH_MORE = 32,   /* the body is not complete: PARTs follow */
    PUBLISH_COPIES = 64, /* between properties and body stand more routing keys (command_copies) */
    PUBLISH_MARKED = 128, /* its properties have an expiration, a priority or a header named "x-..." */
};

/* bytes: routing key, then properties, headers (within them) and body at their offsets, all in one lent
 * buffer. */
struct command_publish {
    uint8_t kind;
    uint8_t flags; /* PUBLISH_* */
    uint8_t key_len;
    uint8_t protocol; /* of the properties: PROPERTIES_* */
    uint16_t channel; /* with conn and seq: whom to answer; also names the message of later PARTs */
    uint16_t properties_at;
    uint64_t conn;
    uint64_t seq; /* the publisher's own number, per channel, from 1 */
    uint64_t exchange;
    const uint8_t *bytes;
    uint32_t properties_len : 22; /* PROPERTIES_MAX at most */
    uint32_t
        headers_in : 10; /* where in the properties their header table stands, behind its length; 0: none */
    uint32_t body_at;
    uint32_t body_len;   /* of the bytes lent here */
    uint32_t total_len;  /* of the whole body, parts included */
    uint32_t expiration; /* the property, in ms, and 1; 0: the properties must be read, if there are any */
    /* own_headers.h: own_headers_pick; 0: the table must be read. Of MQTT's QoS 2, which has no such headers:
     * where the sender's name stands in bytes, a length of one byte before it, or 0, and the identifier. */
    uint16_t producer_at, number_at;
};

static_assert(PROPERTIES_MAX < 1 << 22, "properties_len");

static inline struct span command_headers(const struct command_publish *p)
{
    const uint8_t *at = p->bytes + p->properties_at + p->headers_in;
    return p->headers_in ? span_of(at, get_be32(at - 4)) : span_of(at, 0);
}

/* The list of more routing keys, mostly empty: each a length of four bytes, big-endian, and so many bytes. */
static inline struct span command_copies(const struct command_publish *p)
{
    uint32_t at = p->properties_at + p->properties_len;
    return span_of(p->bytes + at, p->flags & PUBLISH_COPIES ? p->body_at - at : 0);
}

/* Takes the first key off the list; false at the end. */
static inline bool copies_next(struct span *copies, struct span *key)
{
    if (!copies->len)
        return false;
    *key = span_of(copies->at + 4, get_be32(copies->at));
    *copies = span_of(key->at + key->len, copies->len - 4 - key->len);
    return true;
}

enum { PART_LAST = 1, PART_ABORT = 2 }; /* ABORT: the publisher is gone, forget the message */

struct command_part {
    uint8_t kind;
    uint8_t flags; /* PART_* */
    uint16_t channel;
    uint32_t len;
    uint64_t conn;
    const uint8_t *bytes;
};

/* How a delivery ends. */
enum settle {
    SETTLE_ACK,      /* it is done with */
    SETTLE_DROP,     /* refused: dead-lettered or dropped */
    SETTLE_REQUEUE,  /* given back to its old place, marked redelivered */
    SETTLE_UNSEEN,   /* given back without the client ever having been sent it */
    SETTLE_RECEIVED, /* the client has it and will say so once more: it stays out, and if it is delivered
                        again that is said with it */
};

/* count deliveries of consecutive sequence numbers. consumer: whose window they leave, 0 if nobody's. */
struct command_settle {
    uint8_t kind;
    uint8_t how; /* enum settle */
    uint16_t unused;
    uint32_t count;
    uint64_t queue; /* as in the delivery */
    uint64_t seq;
    uint64_t consumer;
};

enum { CREDIT_PAUSE = 1, CREDIT_RESUME = 2 };

/* Adds to what a consumer may be sent. Its prefetch count is the router's own affair. */
struct command_credit {
    uint8_t kind;
    uint8_t flags;  /* CREDIT_* */
    uint16_t round; /* RESUME: what the consumer is sent from now on carries it */
    uint32_t bytes;
    uint64_t consumer; /* as in the answer to OP_CONSUME */
    uint64_t seen;     /* RESUME: seq of the last delivery that was passed on to the client, 0 for none */
};

/* count deliveries or returns that pointed into the page have been copied or sent. */
struct command_done {
    uint8_t kind;
    uint8_t unused[3];
    uint32_t count;
    uint64_t page;
};

struct command_op {
    uint8_t kind;
    uint8_t unused[7];
    struct op *op; /* handed over */
};

struct command_known {
    uint8_t kind;
    uint8_t unused[7];
    uint64_t update;
};

union command {
    uint8_t kind;
    struct command_publish publish;
    struct command_part part;
    struct command_settle settle;
    struct command_credit credit;
    struct command_done done;
    struct command_op op;
    struct command_known known;
    uint64_t words[8];
};

static_assert(sizeof(union command) == RING_ENTRY_BYTES, "a command is a ring entry");

/* ---- router -> front ---------------------------------------------------------------------------- */

/* clang-format takes "return" for the statement. */
/* clang-format off */
#define EVENTS(X)                                                                                            \
    X(DELIVER, deliver)   /* a message for a consumer, or the answer to OP_GET */                            \
    X(RETURN, return)     /* a mandatory message that went to no queue */                                    \
    X(CONFIRM, confirm)   /* publishes are safe, or refused */                                               \
    X(CANCEL, cancel)     /* a consumer is gone: its queue is, or it has lapsed */                                      \
    X(OP, op)             /* an op comes back */                                                             \
    X(GATE, gate)         /* publishes must wait, or may go on */                                            \
    X(EXCHANGE, exchange) /* an update of the table of exchanges (from the registrar) */                     \
    X(ACCESS, access)     /* a change of who may do what (from the registrar) */
/* clang-format on */

enum event_kind {
#define X(name, handler) EVENT_##name,
    EVENTS(X)
#undef X
        EVENT_KINDS
};

/* Numbers of a queue that no consumer will get, and why. */
enum gap_reason { GAP_EXPIRED, GAP_MAXLEN, GAP_CONFLATED, GAP_SEVERAL };

struct gap {
    uint64_t from, to;
    enum gap_reason reason;
};

#define GAPS_MAX 8u /* told with one delivery */

/* What a delivery has besides: the parts of a large body, in order, before message_body(), and the gaps right
 * before it, nearest first. malloc'd by the router, freed by the front. */
struct parts {
    uint32_t n;
    uint32_t gaps;
    struct gap gap[GAPS_MAX];
    struct {
        const uint8_t *at;
        uint32_t len;
        uint64_t page; /* each pinned once of its own */
    } part[];
};

enum {
    DELIVER_REDELIVERED = 1,
    DELIVER_GET = 2,
    /* What the client is told in headers besides: */
    DELIVER_ATTEMPTS = 4,  /* x-delivery-count: deliver_attempts() */
    DELIVER_OFFSET = 8,    /* x-stream-offset: seq less 1 */
    DELIVER_SEQUENCE = 16, /* x-sequence: seq; and the gaps, if there are any */
    DELIVER_RECEIVED = 32, /* it has been settled as received before */
    DELIVER_EARLY = 64,    /* MQTT's QoS 2: the journal has failed before it was on disk */
    DELIVER_ANNOTATED = DELIVER_ATTEMPTS | DELIVER_OFFSET | DELIVER_SEQUENCE,
};

/* DELIVER and RETURN. The message and its page are pinned until DONE (one for the message, one per part). */
struct event_deliver {
    uint8_t kind;
    uint8_t flags;    /* DELIVER_* */
    uint16_t channel; /* of the consumer, the getter or the publisher */
    uint32_t
        ready; /* GET: messages left in the queue; DELIVER: the consumer's round, and above it attempts */
    uint64_t conn;
    uint64_t tag;   /* DELIVER: the front's name for the consumer; RETURN: the publish's seq; GET: attempts */
    uint64_t queue; /* for SETTLE */
    uint64_t seq;   /* for SETTLE */
    uint64_t page;  /* for DONE */
    const struct message *message;
    struct parts *parts; /* or NULL */
};

#define DELIVER_ROUND_BITS 16

/* Deliveries of the message before this one that came to nothing. */
static inline uint64_t deliver_attempts(const struct event_deliver *event)
{
    return event->flags & DELIVER_GET ? event->tag : event->ready >> DELIVER_ROUND_BITS;
}

enum {
    CONFIRM_REFUSED = 1,   /* not safe and never will be: negative acknowledgement */
    CONFIRM_UNROUTED = 2,  /* of a SHARED publish: this router has no queue for it */
    CONFIRM_ELSEWHERE = 4, /* of a publish that isn't MANDATORY: another router was picked to keep it. If none
                              did, because bindings were just changing, it is refused */
};

/* count publishes of one channel with consecutive seq. */
struct event_confirm {
    uint8_t kind;
    uint8_t flags; /* CONFIRM_* */
    uint16_t channel;
    uint32_t count;
    uint64_t conn;
    uint64_t seq;
};

enum { CANCEL_LAPSED = 1, CANCEL_SESSION = 2 };

/* A consumer is gone; or, SESSION, another connection wants the session that this one has; or, LAPSED, has
 * kept a delivery unanswered for too long, and is sent nothing more: the front gives back what it has with
 * SETTLE_REQUEUE, and then cancels it. */
struct event_cancel {
    uint8_t kind;
    uint8_t flags; /* CANCEL_* */
    uint16_t channel;
    uint32_t unused2;
    uint64_t conn;
    uint64_t tag;
};

struct event_op {
    uint8_t kind;
    uint8_t unused[7];
    struct op *op; /* handed back */
};

enum gate {
    GATE_DURABLE = 1,  /* persistent publishes wait: no room on disk */
    GATE_ALL = 2,      /* every publish waits: no memory */
    GATE_RESERVED = 4, /* with DURABLE: some queue has a reservation; it is to be asked with OP_ROOM */
};

struct event_gate {
    uint8_t kind;
    uint8_t shut; /* GATE_* that are shut now */
};

struct event_exchange {
    uint8_t kind;
    uint8_t unused[7];
    struct exchange_update *update; /* handed over; the front frees it */
};

struct event_access {
    uint8_t kind;
    uint8_t unused[7];
    struct access_update *update; /* handed over; the front frees it */
};

union event {
    uint8_t kind;
    struct event_deliver deliver;
    struct event_confirm confirm;
    struct event_cancel cancel;
    struct event_op op;
    struct event_gate gate;
    struct event_exchange exchange;
    struct event_access access;
    uint64_t words[8];
};

static_assert(sizeof(union event) == RING_ENTRY_BYTES, "an event is a ring entry");

/* ---- what a front must know to send a publish on its way ---------------------------------------- */

/* exchange ids are never reused. Every virtual host's default exchange is a row of its own, named "". */
struct exchange_update {
    uint64_t update; /* its number, for KNOWN */
    uint64_t id;
    uint64_t interest; /* routers that must be sent its publishes, a bit each */
    bool gone;         /* the exchange is deleted */
    bool internal;     /* clients may not publish to it */
    bool delayed;      /* what its header x-delay delays goes to one router: router_of_delays() */
    bool is_default;   /* the key names the queue, and so the one router */
    uint32_t vhost;
    uint8_t name_len;
    char name[NAME_MAX_BYTES];
};

/* A change of access (access_change.h). malloc'd in one piece. */
struct access_update {
    uint64_t update; /* its number, for KNOWN */
    uint32_t len;
    uint8_t packed[];
};
