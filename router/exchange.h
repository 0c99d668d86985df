/*
 * Who gets a message: one router's exchanges and the bindings on them. Direct and headers exchanges are
 * hashed, topic exchanges are tries (trie.h): the time of a match depends on the words of the key and on what
 * matches, never on the number of bindings; so does that of a removal.
 *
 * Owned by one router, used on its thread. Knows queues only as `struct destination`, embedded in whatever
 * can be bound.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/map.h"
#include "base/span.h"
#include "router/exchange_type.h"

/* Whether its exchanges give a message to one of their bindings only. */
bool exchange_type_picks(enum exchange_type type);

struct binding;
struct exchange;
struct header_view;
struct rule;
struct share;
struct spot;

/* What a binding leads to: a queue (embedded in struct queue) or an exchange. Zeroed, then `exchange` and
 * `identity` set, by its owner. */
struct destination {
    struct binding *bindings;  /* those that lead here, linked by for_destination */
    struct exchange *exchange; /* not NULL: it is that exchange */
    uint64_t matched;          /* the last match that found it: each is found once per match */
    uint64_t identity : 63;    /* destination_identity: the same at every router and after every start */
    uint64_t remote : 1;       /* a queue of another router: it counts as a match but gets nothing here (it
                                  stands for the bindings that every router must know: exchange_shown) */
};

struct exchange {
    struct map_node by_id;
    uint64_t id; /* never reused */
    enum exchange_type type;
    struct destination self;
    struct binding *bindings; /* on this exchange, linked by on_exchange: newest first */
    size_t binding_count;
    struct map by_identity; /* the same bindings by destination, key and arguments */
    void *index;            /* of the type's own: trie, hash; NULL before the first binding */
    struct span arguments;  /* of its declaration, for types that look at them; not its own */
};

/* A hash of the kind and name of what a binding leads to. */
uint64_t destination_identity(struct span name, bool is_exchange);

/* A binding's place in a spot (spot.h). */
struct member {
    struct spot *spot;
    struct binding *binding;
    uint32_t place;
};

struct binding {
    struct binding *for_destination, *for_destination_prev;
    struct binding *on_exchange, *on_exchange_prev;
    struct exchange *source;
    struct destination *destination;
    struct span key, arguments; /* owned by the binding */
    bool durable; /* its source and destination are (set by the caller, for whoever lists bindings) */

    /* The exchange's own. */
    struct map_node by_identity;
    struct member member;
    union {
        struct rule *rule;   /* on a headers exchange: its arguments, taken apart (headers.c) */
        struct share *share; /* on one that picks one binding: its places (sorted.h) */
    };
};

void exchange_init(struct exchange *exchange, uint64_t id, enum exchange_type type);
/* Removes all bindings on it and to it. */
void exchange_clear(struct exchange *exchange);

/* Whether the type takes the arguments of a declaration, or a binding's key and arguments. Where it does not,
 * a client is to be refused with the text. */
bool exchange_arguments_valid(enum exchange_type type, struct span arguments, char *text, size_t size);
bool exchange_binding_valid(enum exchange_type type, const struct destination *destination, struct span key,
                            struct span arguments, char *text, size_t size);

/* The binding of source to destination with key and arguments (a checked table), or NULL. */
struct binding *exchange_binding(const struct exchange *source, const struct destination *destination,
                                 struct span key, struct span arguments);
/* Adds it; the caller has made sure with exchange_binding that it isn't there. Copies key and arguments. */
struct binding *exchange_bind(struct exchange *source, struct destination *destination, struct span key,
                              struct span arguments);
void exchange_unbind(struct binding *binding);
/* Removes all bindings that lead to the destination; gone is called for each before (or NULL). */
void exchange_forget(struct destination *destination, void (*gone)(struct binding *binding, void *owner),
                     void *owner);

/* Pointers that wait for their turn in a match; keeps its memory from one to the next. */
struct pile {
    void **items;
    uint32_t count, room;
};

/* The destinations of one match, each once. Zeroed, made once per router and used again; grows as needed. */
struct match {
    struct destination **found;
    size_t count, room;
    uint64_t number; /* of this match; 0 before the first */
    bool any;        /* a queue was found, be it another router's */
    bool elsewhere;  /* of several bindings, another router's was picked */

    /* Scratch of the match under way. */
    bool hit;                     /* a binding of the exchange that is being looked at matched */
    struct pile exchanges;        /* found, not looked at yet */
    struct pile states[2], loops; /* of a topic's walk: trie.c */
    uint64_t walk;                /* of this walk: a match takes one for each key */
    struct header_view *headers;  /* the message's, taken apart: headers.c */
};

void match_free(struct match *match);

/* What exchanges look at. */
struct message_facts {
    struct span key;
    struct span copies;     /* more keys (copies_next), or empty: it goes where any of them leads */
    struct span headers;    /* the header table (checked), empty if there is none */
    struct span properties; /* as AMQP encodes them (checked) */
    uint64_t chance;        /* the same for one publish at every router, and another for the next */
};

/* Nothing is found yet. */
void match_begin(struct match *match);

/*
 * Collects the queues (not exchanges) that a message published to the exchange goes to, through bindings
 * between exchanges (each exchange is visited once) and alternate exchanges: where an exchange matches
 * nothing at all and has an alternate, the message goes there. alternate(exchange, owner) gives an exchange's
 * alternate or NULL.
 */
void exchange_match(struct exchange *exchange, const struct message_facts *facts, struct match *match,
                    struct exchange *(*alternate)(struct exchange *exchange, void *owner), void *owner);
