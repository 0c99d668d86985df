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
    X(EXCHANGE, exchange) /* an update of the table of exchanges (from the registrar) */
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
    GATE_DURABLE = 1, /* persistent publishes wait: no room on disk */
    GATE_ALL = 2,     /* every publish waits: no memory */
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

union event {
    uint8_t kind;
    struct event_deliver deliver;
    struct event_confirm confirm;
    struct event_cancel cancel;
    struct event_op op;
    struct event_gate gate;
    struct event_exchange exchange;
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

/* ---- everything that is not on the message path -------------------------------------------------- */

enum op_kind {
    OP_EXCHANGE_DECLARE, /* name, type, flags, arguments          → registrar */
    OP_EXCHANGE_DELETE,  /* name, IF_UNUSED                       → registrar */
    OP_EXCHANGE_BIND,    /* name: destination, other: source, key, arguments → registrar */
    OP_EXCHANGE_UNBIND,
    OP_QUEUE_DECLARE, /* name, flags, arguments                → owner of the queue; so for all below */
    OP_QUEUE_DELETE,  /* name, IF_UNUSED, IF_EMPTY */
    OP_QUEUE_PURGE,   /* name */
    OP_QUEUE_BIND,    /* name, other: exchange, key, arguments */
    OP_QUEUE_UNBIND,
    OP_CONSUME, /* name, tag, prefetch, window, flags, arguments */
    OP_CANCEL,  /* consumer */
    OP_GET,     /* name, NO_ACK: a DELIVER with DELIVER_GET comes before the op if there is a message */
    OP_SESSION_ATTACH, /* name: the session's queue, ANEW, expiry_s → got: the queue is there, arguments: its
                          bindings (session_binding_next); when nobody else has the session any more */
    OP_RELEASE,        /* name, arguments: identifiers of QoS 2 → to each router: sender.h */
    OP_SESSION_DETACH, /* name, expiry_s, will: conn has it no longer */
    OP_ANNOUNCE, /* other: the exchange, arguments: keys and texts (session_binding_next), to be published
                  * with RETAIN → registrar
                  */
    OP_BARRIER,  /* flags → answered when all that came before on this ring is safe; durable: or refused */
    OP_LIST_QUEUES, /* to each router: list, one line a queue: vhost id, name, ready, unacknowledged,
                       consumers, bytes, flags, policy, operator policy, with tabs between */
    OP_POLICY_SET, /* OPERATOR, name, key: pattern, type: what it is for, priority, arguments: its definition,
                      a table by the keys of policies         → registrar */
    OP_POLICY_CLEAR, /* OPERATOR, name                          → registrar */
    OP_POLICY_LIST,  /* OPERATOR → registrar: list, one line a policy: name, pattern, what it is for,
                        definition  as JSON, priority, with tabs between */
};

enum {
    OP_PASSIVE = 1,
    OP_DURABLE = 2,
    OP_EXCLUSIVE = 4,
    OP_AUTO_DELETE = 8,
    OP_INTERNAL = 16,
    OP_IF_UNUSED = 32,
    OP_IF_EMPTY = 64,
    OP_NO_ACK = 128,
    OP_NO_LOCAL = 256,
    OP_UNNAMED = 1024,  /* QUEUE_DECLARE: the front has made up the name */
    OP_OF_OWNER = 512,  /* QUEUE_DELETE: only if the queue is exclusive to conn (its connection is closing) */
    OP_OPERATOR = 2048, /* POLICY_*: an operator policy */
    OP_NO_PREFETCH = 4096,   /* CONSUME: the client has set no bound for the consumer, */
    OP_LIMITED = 8192,       /* but one for all of its channel */
    OP_RETAINED = 32768,     /* QUEUE_BIND: the queue gets what was retained and fits the key */
    OP_ANY_WAY = 65536,      /* QUEUE_DECLARE: one that is there will do, however it was declared */
    OP_WITHDRAWN = 131072,   /* RELEASE: some router has refused the message; others may have it */
    OP_SESSION_ANEW = 16384, /* SESSION_ATTACH: what there is of it is deleted */
};

struct name {
    uint8_t len;
    char bytes[NAME_MAX_BYTES];
};

/* Of the queues of sessions, which are told from others by it. */
#define SESSION_PREFIX "mqtt-subscription-"

/* What is published for a connection when it is gone. malloc'd in one piece. */
struct will {
    uint32_t delay_s; /* unless the session has a connection again by then */
    uint8_t protocol; /* as in a publish */
    bool persistent;
    uint8_t exchange_len, key_len;
    uint32_t properties_len, body_len;
    uint8_t bytes[]; /* exchange, routing key, properties, body */
};

/* A binding of a session's queue, in a list of them. */
struct session_binding {
    struct span key, arguments;
};

/* Takes the first off the list: a length of one byte and the key, one of four and the arguments. */
static inline bool session_binding_next(struct span *list, struct session_binding *b)
{
    if (!list->len)
        return false;
    b->key = span_of(list->at + 1, list->at[0]);
    b->arguments = span_of(b->key.at + b->key.len + 4, get_be32(b->key.at + b->key.len));
    const uint8_t *end = b->arguments.at + b->arguments.len;
    *list = span_of(end, (size_t)(list->at + list->len - end));
    return true;
}

static inline struct span name_span(const struct name *n)
{
    return span_of(n->bytes, n->len);
}

/* The router that a queue belongs to. */
static inline unsigned router_of_queue(uint32_t vhost, struct span queue, unsigned routers)
{
    return routers == 1 ? 0 : (unsigned)((hash_bytes(queue, vhost) >> 32) % routers);
}

/* The router where an exchange's delayed messages wait. */
static inline unsigned router_of_delays(uint64_t exchange, unsigned routers)
{
    return (unsigned)(hash_id(exchange) % routers);
}

/* The router that keeps what is retained with this key. */
static inline unsigned router_of_retained(uint64_t exchange, struct span key, unsigned routers)
{
    return routers == 1 ? 0 : (unsigned)((hash_bytes(key, exchange) >> 32) % routers);
}

/* s.len must be at most NAME_MAX_BYTES. */
void name_set(struct name *n, struct span s);

/*
 * One request and its answer. Allocated and freed by the front (op.h's pool); between sending and EVENT_OP it
 * belongs to the routers, which may pass it among themselves. Exactly one EVENT_OP comes back for each.
 */
struct op {
    enum op_kind kind;
    uint32_t flags; /* OP_* */
    uint32_t front; /* where to answer */
    uint16_t channel;
    uint16_t reply; /* the codec's own: which method to answer with, 0 for none (no-wait) */
    uint64_t conn;  /* also names the owner of an exclusive queue, together with front */
    uint32_t vhost;
    struct name name, other, key, type;
    struct span arguments; /* an AMQP field table without its length; owned by the op, malloc'd */

    int32_t priority; /* POLICY_SET */

    /* OP_CONSUME */
    uint64_t tag;      /* the front's name for the consumer, echoed in each DELIVER */
    uint32_t prefetch; /* messages unacknowledged at most; 0 for a consumer without acknowledgement */
    uint32_t window;   /* bytes in flight at most */

    /* OP_SESSION_* */
    uint32_t expiry_s; /* how long the session outlives its connection; UINT32_MAX: for ever */
    struct will *will; /* owned */

    /* The answer. */
    enum error error;
    char text[3 * NAME_MAX_BYTES + 256]; /* what is wrong, without its name: "no queue 'q' in vhost '/'" */
    uint64_t consumer;                   /* CONSUME: the router's name for it. CANCEL: the same, as input */
    uint32_t messages;                   /* QUEUE_DECLARE, _DELETE, _PURGE: ready messages */
    uint32_t consumers;
    uint32_t number; /* SESSION_ATTACH: the kept session's; a later one has a higher number */
    bool got;        /* GET: a DELIVER went before */
    char *list;      /* LIST_QUEUES, POLICY_LIST: malloc'd; NULL when there was no memory for it */

    /* The router's own, while it has the op. */
    struct op *next;
    uint64_t lsn;    /* what must be safe, */
    uint64_t update; /* and what must be known to all, before the answer */
};
