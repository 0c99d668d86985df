/* What publish.c and open.c share: finding who gets a message, and keeping it. */
#pragma once

#include "router/command.h"
#include "router/exchange.h"
#include "router/message.h"

struct catalog_exchange;
struct router;

/* Queues, by their destinations; the list is the router's, until the next match. */
struct recipients {
    struct destination **list;
    size_t count;
};

/* e: NULL when the exchange is gone. */
struct recipients publish_match(struct router *router, struct catalog_exchange *e, const struct command_publish *p);
/* Whether the message belongs on disk: it is persistent and a durable queue gets it. */
bool publish_is_durable(const struct router *router, struct recipients to, const struct command_publish *p);
/* Writes the record; returns its position. router->written: its length. p gives key, properties and flags. */
uint64_t publish_write(struct router *router, struct recipients to, bool durable, const struct command_publish *p,
                       struct span exchange, const struct part *parts, uint32_t part_count, struct span body);
/* A complete message: keeps it for its recipients or gives it back, and answers the publisher. */
void publish_end(struct router *router, unsigned front, struct recipients to, bool durable,
                 const struct command_publish *p, struct span exchange, const struct part *parts, uint32_t part_count,
                 struct span body);

/* open.c: messages whose body comes in parts. */
void open_begin(struct router *router, unsigned front, const struct command_publish *p, struct recipients to,
                struct span exchange);
/* The parts, all in memory, pinned for a front; NULL of none. */
struct parts *publish_parts(struct router *router, const struct part *parts, uint32_t count);
void open_free(struct router *router);
