/*
 * Requests that are not on the message path, and their answers: the other half of the vocabulary between
 * fronts and routers (command.h).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "base/map.h"
#include "base/span.h"
#include "router/errors.h"

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
    OP_ANNOUNCE,       /* other: the exchange (in every virtual host), arguments: keys and texts
                        * (session_binding_next), to be published       with RETAIN → registrar
                        */
    OP_BARRIER, /* flags → answered when all that came before on this ring is safe; durable: or refused */
    OP_LIST, /* place, vhost (0: all), other: its name → list: rows (rows.h; columns: listing.h) from place
                on, and place is where to go on. Queues and bindings: each router has its own; exchanges:
                registrar */
    OP_POLICY_SET, /* OPERATOR, name, key: pattern, type: what it is for, priority, arguments: its definition,
                      a table by the keys of policies         → registrar */
    OP_POLICY_CLEAR,  /* OPERATOR, name                          → registrar */
    OP_POLICY_LIST,   /* OPERATOR → registrar: list, one line a policy: name, pattern, what it is for,
                         definition  as JSON, priority, with tabs between */
    OP_ACCESS_CHANGE, /* NEW, arguments: the change, packed (access_change.h) → registrar */
    OP_ACCESS_LIST, /* type: what, name: of which user, other: of which virtual host → registrar: list, one
                       line each, with tabs between */
    OP_ROOM, /* arguments: a struct command_publish and its bytes but for the body → got: it may come though
                the gate is shut. Sent with got: it is answered later (reservation.h) */
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
    OP_ALL = 1048576,   /* POLICY_LIST: of every virtual host, whose name stands first in each line */
    OP_CLOSES = 4194304,   /* LIST of connections: closes the one whose name is `arguments`, or else those of
                              the user `name`; text: why. messages: how many */
    OP_DRAINS = 8388608,   /* LIST of connections: the front takes no new ones, and number of those that there
                              are are told at most that the broker ends, and closed; others are read from no
                              more until what they have published is confirmed, unless got, which closes them,
                              too. text: why. messages: how many were closed, consumers: how many wait */
    OP_REVIVES = 16777216, /* LIST of connections: the front takes new ones again */
    OP_ONE = 33554432, /* LIST of queues or exchanges: only the one `name`; of connections or channels: only
                            those of the connection whose name is `arguments`, and of its channels only the
                          one of number `prefetch`, if that isn't 0 */
    OP_TRACES = 67108864, /* LIST of connections or queues: traces the one whose name (or a client's address)
                            is `arguments`, into `tap`; NULL: no longer. messages: whether it is there */
    OP_ONLY_CHECK = 2097152,  /* POLICY_SET: nothing is changed */
    OP_NO_PREFETCH = 4096,    /* CONSUME: the client has set no bound for the consumer, */
    OP_LIMITED = 8192,        /* but one for all of its channel */
    OP_RETAINED = 32768,      /* QUEUE_BIND: the queue gets what was retained and fits the key */
    OP_ANY_WAY = 65536,       /* QUEUE_DECLARE: one that is there will do, however it was declared */
    OP_SESSION_ANEW = 16384,  /* SESSION_ATTACH: what there is of it is deleted */
    OP_MAY_NOT_MAKE = 262144, /* QUEUE_DECLARE, EXCHANGE_DECLARE: refused unless it is there; text says why */
    OP_WITHDRAWN = 131072,    /* RELEASE: some router has refused the message; others may have it */
    OP_NEW = 524288,          /* ACCESS_CHANGE: the user must not be there yet */
};

enum list_of {
    LIST_QUEUES,
    LIST_EXCHANGES,
    LIST_BINDINGS,
    LIST_SEGMENTS, /* each router's: pinned.h */
    LIST_PINS,
    LIST_CONNECTIONS, /* these are a front's own: */
    LIST_CHANNELS,
    LIST_CONSUMERS,
    LIST_DELIVERIES,
    LISTS
};

struct tap;

/* How far a list has come. It is made in slices, each of which looks at LIST_SLICE_STEPS entries at most.
 * What comes or goes between two of them may be in it or not; what is there all the time is in it once.
 * Zeroed but for of: at the beginning. */
struct list_place {
    uint8_t of;          /* enum list_of */
    uint8_t stage;       /* the lister's own, as what follows */
    bool end;            /* there is no more */
    uint64_t at, within; /* within: what stands at `at` */
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
    uint32_t router;  /* of an operator's op: whom it is for */

    struct list_place place; /* LIST */
    struct tap *tap;         /* with OP_TRACES: the tracer's */
    uint64_t which[3]; /* LIST of pins: from which segment to which; of deliveries: the queue's handle at
                          `router`, and from which of its numbers to which */

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
    char *list;      /* LIST, POLICY_LIST, ACCESS_LIST: malloc'd; NULL: nothing */

    /* The router's own, while it has the op. */
    struct op *next;
    uint64_t lsn;    /* what must be safe, */
    uint64_t update; /* and what must be known to all, before the answer */
};
