/*
 * One AMQP connection: its negotiation, its channels, and what they share. All of it is used on the front's
 * thread, from within the codec's callbacks.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/map.h"
#include "base/slots.h"
#include "base/span.h"
#include "codec/amqp/methods.h"
#include "codec/host.h"
#include "codec/settle.h"
#include "router/errors.h"

struct channel;
struct consumer;

enum phase {
    PHASE_HEADER,  /* the protocol header is awaited */
    PHASE_START,   /* then connection.start-ok */
    PHASE_TUNE,    /* then tune-ok */
    PHASE_OPEN,    /* then open */
    PHASE_RUNNING, /* channels are served */
    PHASE_ENDING,  /* the client has sent connection.close: close-ok follows when the routers have answered */
    PHASE_CLOSING, /* we have sent connection.close: close-ok is awaited, the rest is ignored */
    PHASE_CLOSED,  /* host_close was called */
};

/* What the client has said it understands (client-properties, "capabilities"). */
enum {
    CAPABLE_CANCEL_NOTIFY = 1,
    CAPABLE_BLOCKED = 2,
    CAPABLE_AUTH_FAILURE_CLOSE = 4,
};

struct amqp {
    struct host *host; /* the front's name for this connection, as given to the callback that runs */
    enum phase phase;
    uint8_t capabilities; /* CAPABLE_* */
    bool wrote;           /* output was made since the last flush */
    bool parked;          /* the last input ended with a frame that must wait */
    bool blocked;         /* connection.blocked was sent */
    bool look_again;      /* some consumers may not be allowed any more */
    uint16_t channel_max, heartbeat_s;
    uint32_t frame_max; /* bytes, head and end octet included */
    uint32_t vhost;
    uint32_t ops; /* handed to the routers and not back */

    const struct host_options *options;

    /* The frame that is being looked at: for the close method, if it is wrong. */
    enum method method;
    uint16_t frame_channel;

    struct channel **channels; /* by number; NULL: not open. Freed with the connection */
    uint32_t channel_room, channel_count;
    struct channel *dirty;       /* have confirms to write at the end of the turn */
    uint64_t seq_floor;          /* no publish of a channel that is closed has a larger number */
    uint64_t exchange_version;   /* as of this call of input() */
    struct slots consumers;      /* struct consumer by the tag in DELIVER */
    struct map consumer_tags;    /* struct consumer by channel and tag */
    struct consumer *in_debt;    /* consumers whose window has been used up by half or more */
    struct map exclusive_queues; /* struct exclusive_queue by name: deleted with the connection */
    struct settle_run settle;

    uint64_t input_ns, output_ns; /* when something last came, and was last written */
    size_t input_rest;            /* bytes that the last input left */
    size_t backlog;               /* as of the last tick: a peer that takes its output is alive */
    struct name user, vhost_name;
    struct span client;     /* what it calls itself, until it is told the host; owned */
    struct span properties; /* client-properties, for lists; owned. Empty if they are large */
};

/* ---- output ------------------------------------------------------------------------------------- */

/* Writes a method frame; args is its struct args_. */
void send_method(struct amqp *c, uint16_t channel, enum method method, const void *args);

#define SEND(c, channel, name, ...)                                                                          \
    send_method((c), (channel), METHOD_##name, &(struct args_##name){__VA_ARGS__})

/* ---- failure ------------------------------------------------------------------------------------- */

/* Tells the client what is wrong with c->method: closes the channel, or the connection if the error is a hard
 * one or ch is NULL. The text of what is wrong comes without the error's name. */
void amqp_fail(struct amqp *c, struct channel *ch, enum error error, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The same of a method that was sent before. */
void amqp_fail_method(struct amqp *c, struct channel *ch, enum method method, enum error error,
                      const char *format, ...) __attribute__((format(printf, 5, 6)));
/* Closes the connection without a word (but for the log). */
void amqp_drop(struct amqp *c, const char *why);

/* A name that a client gave, for "%.*s". */
#define TEXT_OF(s) (int)(s).len, (const char *)(s).at

/* ---- the life of a connection (connection.c, handshake.c, heartbeat.c)
 * ------------------------------------------ */

/* Reads the protocol header; returns the bytes used. */
size_t protocol_header(struct amqp *c, struct span bytes);
/* Settles, cancels and deletes all that dies with the connection. Once. */
void connection_release(struct amqp *c);
/* An op has come back to a connection that is ending: answers the client if it was the last. */
void connection_op_back(struct amqp *c, struct op *op);
/* Sends and expects heartbeats from now on. */
void heartbeat_start(struct amqp *c);
void heartbeat_tick(struct amqp *c);

/* ---- ops ------------------------------------------------------------------------------------------ */

/* What an op is for: op->reply. */
enum purpose {
    PURPOSE_METHOD,      /* the channel's request */
    PURPOSE_RELEASE,     /* part of the end of a channel or the connection */
    PURPOSE_BARRIER,     /* of a commit */
    PURPOSE_REPLY_QUEUE, /* the declaration of a queue for direct replies */
};

/* A fresh op of the channel (NULL: the connection's own), counted as under way. */
struct op *op_new(struct amqp *c, struct channel *ch, enum op_kind kind, enum purpose purpose);
/* Sends it behind all that is collected. */
void op_send(struct amqp *c, struct op *op);
void op_send_to(struct amqp *c, unsigned router, struct op *op);
/* Gives the op a copy of the table. */
void op_arguments(struct op *op, struct span arguments);

/* ---- names --------------------------------------------------------------------------------------------- */

/* `prefix` and 22 random characters that may stand in a URL. */
void random_name(struct amqp *c, const char *prefix, struct name *name);

/* A copy that the caller frees by name_drop. */
struct span name_keep(struct span s);
void name_drop(struct span *s);
