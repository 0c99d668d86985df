/* What publish.c and open.c share: finding who gets a message, and keeping it. */
#pragma once

#include "router/command.h"
#include "router/exchange.h"
#include "router/message.h"
#include "router/own_headers.h"

struct catalog_exchange;
struct producer;
struct router;

/* Queues, by their destinations; the list is the router's, until the next match. */
struct recipients {
    struct destination **list;
    size_t count;
};

/* What a message says of itself that queues with a shape want to know (shape_publish). */
struct marks {
    uint64_t expiration_ms; /* its own; NO_LIMIT: none */
    uint64_t arrival_ms;    /* since 1970; 0: no queue wants to know */
    uint64_t delay_ms;      /* what x-delay says; 0: none */
    uint8_t priority;
};

/* Of a message that is marked: whose it is, and which of his. */
struct numbering {
    struct own_headers own;
    bool of_sender;            /* producer and seq are a sender and an identifier: sender.h */
    struct producer *producer; /* whose it is, if he is known and it has a number */
    struct produced produced;  /* for the record, if its number goes to disk with it */
};

/* A message that is being kept: what its record is made of. */
struct publishing {
    const struct command_publish *publish; /* key, properties, flags, whom to answer */
    unsigned front;
    bool durable; /* it belongs on disk: a durable queue gets it, and it is persistent or that is a stream */
    bool wants_disk; /* the same, were the journal sound */
    bool shaped;  /* marks are to be read: a recipient has a shape, or the message an expiration, perhaps */
    bool at_once; /* it has been delayed already: delay.h */
    bool unretained;     /* it has deleted what was retained, and that must be safe before it is confirmed */
    bool refused;        /* a queue that is full has refused it: the publisher is told so */
    bool elsewhere;      /* another router was picked to get it (match.elsewhere) */
    bool whole;          /* all queues here get it, or none: it comes again when one has refused it */
    bool reposted;       /* on a router's own account: what its headers ask for has been done before */
    uint32_t vhost;      /* 0 if the exchange is gone */
    uint64_t arrived_ms; /* when it came; 0: now */
    bool ram, disk;      /* where it must be to be confirmed; neither: its queues say */
    struct recipients to;
    struct span exchange; /* name */
    struct span body;     /* what stands in the record itself, behind the parts */
    const struct part *parts;
    uint32_t part_count;
    const struct marks *marks;   /* NULL: nobody wants to know */
    struct numbering *numbering; /* NULL: it isn't marked, or reposted */
};

/* The number of a message that has one; 0: none. */
static inline uint64_t publish_number(const struct publishing *p)
{
    return p->numbering ? p->numbering->own.seq : 0;
}

/* Finds the recipients and what depends on them. */
void publish_match(struct router *router, struct catalog_exchange *e, struct publishing *p);
/* Reads whose message it is, and which of his, and what else its headers ask of the broker: of one that isn't
 * reposted, before the match. Fills in numbering, which is p's from now on, if there is anything. */
void publish_read_numbering(struct publishing *p, struct numbering *numbering);
/* The name of the sender of a publish with QoS 2 (sender.h); empty: it has none. */
struct span publish_sender(const struct command_publish *publish);
/* The latter alone, of recipients that are known. */
void publish_look(struct router *router, struct publishing *p);
/* Keeps a piece of the body in a record of its own, which the caller gives up by store_drop when the message
 * is kept. p: only its protocol and durable count. */
struct part publish_part(struct router *router, const struct publishing *p, struct span body);
/* Appends the record; returns its position. router->written: its length. */
uint64_t publish_write(struct router *router, const struct publishing *p, struct recipients to, bool durable);
/* A complete message: keeps it for its recipients or gives it back, and answers the publisher. */
void publish_end(struct router *router, struct publishing *p);

/* open.c: messages whose body comes in parts. */
void open_begin(struct router *router, const struct publishing *p);
/* The parts, all in memory, pinned for a front; NULL of none. */
struct parts *publish_parts(struct router *router, const struct part *parts, uint32_t count);
void open_free(struct router *router);
