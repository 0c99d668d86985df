/*
 * What routers say to each other, each at most one ring entry: the others tell the registrar what is bound at
 * them, the registrar tells the others how the exchanges change. Heap objects are handed over; the receiver
 * frees them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ring.h"
#include "router/command.h"
#include "router/exchange.h"

enum peer_kind {
    PEER_BOUND,    /* to the registrar: what is bound at this router has changed */
    PEER_KNOWN,    /* from the registrar: everyone knows the changes up to `number` of yours */
    PEER_UPDATE,   /* from the registrar: the exchanges have changed */
    PEER_APPLIED,  /* to the registrar: update `number` is in force here */
    PEER_REPOST,   /* publish this: repost.h */
    PEER_HISTORY,  /* what does `exchange` remember? history.h */
    PEER_RETAINED, /* what does `exchange` retain? retain.h */
    PEER_REPOSTED, /* what was to be published is as safe as it is to be: number (row) and exchange (queue)
                      are its ticket, bound: whether a queue has it */
};

enum bound { BOUND_FIRST, BOUND_LAST, BOUND_ADD, BOUND_REMOVE };

struct policy;
struct history_request;
struct repost_letter;
struct retain_request;

/* A binding of a queue at one router, for the others: they need to know that it would match (see
 * registrar.h). */
struct shadow {
    uint64_t router, queue;     /* together name the queue */
    uint64_t identity;          /* its destination's */
    struct span key, arguments; /* malloc'd */
};

enum update_kind {
    UPDATE_PUT,
    UPDATE_GONE,
    UPDATE_INTEREST,
    UPDATE_BIND,
    UPDATE_UNBIND,
    UPDATE_ALTERNATE, /* a policy gives the exchange another alternate, or none */
    UPDATE_POLICY,
    UPDATE_POLICY_GONE,
    UPDATE_ACCESS, /* arguments: the change, packed */
    UPDATE_SHADOW,
    UPDATE_UNSHADOW
};

struct update {
    uint64_t number;
    enum update_kind kind;
    uint64_t id;           /* the exchange; of a binding: its source */
    uint64_t other;        /* BIND, UNBIND: the destination; INTEREST: the routers */
    struct name alternate; /* PUT, ALTERNATE */
    /* PUT */
    enum exchange_type type;
    uint32_t vhost;
    struct name name;
    bool durable, auto_delete, internal, is_default, delayed;
    /* PUT, ACCESS: arguments; BIND, UNBIND: key and arguments. malloc'd. */
    struct span key, arguments;
    struct shadow shadow;
    struct policy *policy; /* POLICY; of POLICY_GONE its name, kind and virtual host matter */
};

struct peer_message {
    uint8_t kind;  /* enum peer_kind */
    uint8_t bound; /* enum bound */
    uint16_t unused;
    uint32_t unused2;
    uint64_t number;
    uint64_t exchange;
    struct update *update;           /* UPDATE */
    struct shadow *shadow;           /* BOUND: ADD, REMOVE */
    struct repost_letter *letter;    /* REPOST */
    struct history_request *request; /* HISTORY */
    struct retain_request *retained; /* RETAINED */
};

static_assert(sizeof(struct peer_message) == RING_ENTRY_BYTES, "a ring entry");
