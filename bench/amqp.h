/* AMQP 0-9-1, what the files that speak it tell each other. */
#ifndef BENCH_AMQP_H
#define BENCH_AMQP_H

#include "amqp_wire.h"
#include "conn.h"

enum amqp_expects { EXPECT_METHOD, EXPECT_HEADER, EXPECT_BODY };

/* conn.state */
struct amqp {
    enum amqp_expects expects; /* where the content that comes in several pieces stands */
    bool redelivered;
    bool returned; /* that content is one of ours that came back */
    uint64_t tag, body_size;
};

static inline struct amqp *amqp_of(const struct conn *c)
{
    return c->state;
}

int amqp_login(struct conn *c, const struct uri *u);
int amqp_leave(struct conn *c);
/* Sends what is in c->out and waits for `method`; its arguments stay valid until the next call on c. */
int amqp_await(struct conn *c, enum wire_method method, struct reader *arguments);
/* For methods that any connection must understand: closes, which fail it, and blocked notices, which it
 * ignores. 0 when the load can go on. */
int amqp_on_method(struct conn *c, const struct frame *f);

/* The exchange, queues and bindings of a run, made and removed over a connection of its own: protocol.h. */
int amqp_make(const struct options *o, struct carrier *carrier, char *why, size_t why_size);
int amqp_remove(const struct options *o, struct carrier *carrier, char *why, size_t why_size);

#endif
