/* A protocol as the load generator sees it: how to log in, what a publish looks like, what comes back. The
 * rest (schedules, windows, checks, reports) knows nothing of it. One row of functions for each protocol, in
 * amqp.c, mqtt.c and stomp.c. All are called by the one thread that owns the connection. */
#ifndef BENCH_PROTOCOL_H
#define BENCH_PROTOCOL_H

#include "buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct carrier;
struct conn;
struct options;
struct uri;

/* What a piece of input says. */
enum incoming_kind {
    INCOMING_NOTHING,    /* nobody needs to know */
    INCOMING_DELIVERY,   /* a message: body, size, redelivered */
    INCOMING_CONFIRM,    /* tag, multiple, acked */
    INCOMING_HALFWAY,    /* of the publish with this tag: the broker has it, a handshake is left */
    INCOMING_RETURN,     /* one of ours could not be routed */
    INCOMING_BLOCKED,    /* the broker asks publishers to wait */
    INCOMING_WELCOME,    /* logged in */
    INCOMING_SUBSCRIBED, /* the subscription asked for is there */
    INCOMING_DONE,       /* what a small request asked for is done */
};

struct incoming {
    enum incoming_kind kind;
    bool redelivered, multiple, acked;
    const uint8_t *body; /* valid until the next call of read */
    size_t size;
    uint64_t tag; /* of the publish, counted from 1 on each connection; modulo tags_max where there is one */
};

/* What the messages of a producer have in common. */
struct posting {
    const struct options *o;
    uint32_t index, run; /* of the producer, from 0; of the run */
    const char *key;     /* where they go: routing key, topic, destination */
    uint32_t frame_max;
};

/* Where in an encoded publish is what changes from one to the next; 0: there is no such thing. */
struct layout {
    size_t body_at;
    size_t seq_at; /* a number of the message, from 1, big endian, 64 bits */
    size_t tag_at; /* for stamp_tag */
};

struct protocol {
    const char *name, *title; /* on the command line; for people */
    const char *scheme, *port, *tls_port;
    size_t state_size; /* bytes of conn.state; zeroed once, lives on over reconnects */
    uint64_t tags_max; /* publishes under way at most, whose tags come back modulo this; 0: no limit */

    /* Logs in, in a connection that has just been opened. 0, or -1 with c->why. */
    int (*login)(struct conn *c, const struct uri *u);
    /* Says good-bye, so that what was sent before is seen. 0, or -1. Blocks shortly. */
    int (*leave)(struct conn *c);

    /* Makes and removes what a run needs in the broker. 0, or -1 with a sentence in why. */
    int (*make)(const struct options *o, struct carrier *carrier, char *why, size_t why_size);
    int (*remove)(const struct options *o, struct carrier *carrier, char *why, size_t why_size);

    /* Readies a connection for publishing. 0, or -1 with c->why. */
    int (*produce)(struct conn *c);
    /* Appends one publish. */
    void (*encode)(const struct posting *p, const uint8_t *body, size_t size, struct buffer *to,
                   struct layout *at);
    /* NULL: publishes don't carry their tag. */
    void (*stamp_tag)(uint8_t *at, uint64_t tag);

    /* After another log-in: whether the broker knows what was under way, so that it goes on with its tags:
     * not yet halfway, the publish is marked and sent again; else only the handshake is. NULL: no broker
     * does. */
    bool (*resumes)(const struct conn *c);
    void (*mark_again)(uint8_t *publish);
    void (*go_on)(struct conn *c, uint64_t tag);

    /* Asks for the messages of a queue, topic or destination. 0, or -1 with c->why. */
    int (*consume)(struct conn *c, const char *queue);
    /* Answers the last delivery read; multiple: and all before it. */
    void (*ack)(struct conn *c, bool multiple);

    /* Reads one piece of input. Bytes used, 0 when it is not here wholly (c->wanted may tell how many bytes
     * there will be), or -1 with c->why. */
    int64_t (*read)(struct conn *c, const uint8_t *bytes, size_t n, struct incoming *in);

    /* Subscribes to n patterns that match nothing, the first with this number. NULL: not known here. */
    int (*filters)(struct conn *c, uint64_t first, uint64_t n);

    /* The life of a connection that is never waited for (--churn): each writes to c->out what comes before
     * the answer that read will tell of: WELCOME; CONFIRM, SUBSCRIBED or DONE; the end. NULL: not known here.
     */
    void (*greet)(struct conn *c, const struct uri *u);
    void (*errand)(struct conn *c, bool subscribe);
    void (*goodbye)(struct conn *c);
};

extern const struct protocol protocol_amqp, protocol_mqtt, protocol_stomp;

/* NULL when there is none of that name. */
const struct protocol *protocol_named(const char *name);

#endif
