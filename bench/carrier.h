/* What carries the connections of one thread: the kernel's sockets, or our own TCP on a port of DPDK. A small
 * table of calls; protocols know nothing of this. Owner: one thread at a time. */
#ifndef BENCH_CARRIER_H
#define BENCH_CARRIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct carrier;
struct conn;
struct port;
struct uri;

/* Bytes kept of a connection that is read when its owner says (-R), beyond a frame's beginning. */
#define CARRIER_READ_SIZE (256u << 10)

/* Who gets what comes on adopted connections: a worker. Called from within turn and look only. */
struct carrier_user {
    void *owner;
    /* Returns how many of the bytes are used up; the others come again with more behind them. -1: the
     * connection is of no use any more. */
    int64_t (*input)(void *owner, struct conn *c, const uint8_t *bytes, size_t n, uint64_t now);
    /* Nothing more comes or goes: c->why. */
    void (*lost)(void *owner, struct conn *c);
};

struct carrier_ops {
    /* Opens the stream of c; 0, or -1 with c->why. Blocks for some seconds at most. */
    int (*connect)(struct carrier *carrier, struct conn *c, const struct uri *u);
    /* Ends it at once. */
    void (*drop)(struct conn *c);
    /* Ends it in an orderly manner; blocks shortly. */
    void (*close)(struct conn *c);
    /* Returns how many bytes were taken, or -1 with c->why. lasting: they stay untouched while lent() counts
     * them; others are copied. */
    int64_t (*send)(struct conn *c, const uint8_t *bytes, size_t n, bool lasting);
    /* Bytes sent that must stay untouched. NULL: this carrier copies. */
    uint64_t (*lent)(struct conn *c);
    /* During set-up: waits until something can be received, or sent. False: not in this time. */
    bool (*wait)(struct conn *c, bool to_send, int timeout_ms);
    /* During set-up: puts behind c->in what has come; 0, or -1 when the peer has gone. */
    int (*receive)(struct conn *c);
    /* Set-up is over: from now on what comes goes to the user's input(), what is in c->in first. */
    void (*adopt)(struct conn *c);
    /* From now on what comes goes to c->in again: the end has begun. NULL: nothing is to be done. */
    void (*disown)(struct conn *c);
    /* The next turn is to look for what c wants now. NULL: there is nothing to be told. */
    void (*watch)(struct conn *c);
    /* Makes input() of what has come; the only way for connections that are polled. */
    void (*look)(struct conn *c, uint64_t now);
    /* Rests for at most pause_ns, then does all that is due. Returns the work found. */
    unsigned (*turn)(struct carrier *carrier, uint64_t pause_ns);
    void (*free)(struct carrier *carrier);
};

/* Every carrier begins with this. */
struct carrier {
    const struct carrier_ops *ops;
    struct carrier_user user;
    bool spins;       /* turn() never rests */
    uint64_t woke_ns; /* by turn: when it ended its rest; 0: it found work at once */
};

struct carrier *carrier_socket_new(void);
/* Begins to connect a socket and does not wait: 0, EINPROGRESS, or what went wrong. c->fd may then be open.
 */
struct sockaddr;
int carrier_socket_begin(struct conn *c, const struct sockaddr *to, unsigned len);
/* The port has one; one thread at a time polls. */
struct carrier *carrier_stream_new(struct port *port);

#endif
