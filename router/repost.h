/*
 * Publishing on a router's own account: what leaves a queue for an exchange (a dead letter). It goes to every
 * router that has an interest in the exchange, as a client's publish would, and each that is asked answers
 * when it is as safe there as it is to be. Here it is safe with the log so far.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "router/command.h"

struct router;

/* Names who wants to know, in answers. */
struct ticket {
    uint64_t queue; /* handle */
    uint64_t row;
};

struct repost {
    uint32_t vhost;
    struct span exchange; /* name */
    struct span only; /* not empty: it goes to the queue of this name, whatever is bound to the exchange, */
    uint64_t only_handle;    /* if it is still the one with this handle; 0: to any */
    struct span key, copies; /* copies: as in command_copies */
    struct span properties, body;
    uint8_t protocol;
    uint64_t arrived_ms; /* when the message came, if that isn't now; since 1970 */
    bool persistent;
    bool whole;   /* it comes again if a queue refuses it: publishing.whole */
    bool dead;    /* a dead letter: circles are broken (death.h) */
    bool at_once; /* it has been delayed: delay.h */
};

struct reposted {
    unsigned asked; /* routers that will answer: dead_letter_answered */
    bool routed;    /* a queue here has it */
};

/* The exchange may be gone: then it goes nowhere. All spans are copied. */
struct reposted repost(struct router *router, const struct repost *r, struct ticket ticket);

/* Another router's, on its way here. malloc'd in one piece with its bytes. */
struct repost_letter {
    struct repost repost;
    struct ticket ticket;
    uint8_t bytes[];
};

void router_on_repost(struct router *router, unsigned from, struct repost_letter *letter);
/* confirm.c: what router `to` asked for is safe here. */
void repost_answer(struct router *router, unsigned to, struct ticket ticket, bool routed);
