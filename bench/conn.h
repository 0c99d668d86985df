/* One connection: opened and logged in by its protocol, and, while the load runs, buffered non-blocking input
 * and output. Owner: one worker thread, or the main thread while the run is made ready. */
#ifndef BENCH_CONN_H
#define BENCH_CONN_H

#include "buffer.h"
#include "carrier.h"
#include "protocol.h"
#include "uri.h"

#include <stdbool.h>
#include <stdint.h>

/* A receive buffer has room for this much behind what is read at once. */
#define CONN_FRAME_MAX 131072u

enum conn_role { CONN_CONTROL, CONN_PRODUCER, CONN_CONSUMER, CONN_IDLE, CONN_CHURN };

struct conn {
    enum conn_role role;
    uint32_t number; /* counted from 1, for messages to people */
    const struct options *o;
    const struct protocol *protocol;
    void *state; /* the protocol's, state_size bytes */
    struct carrier *carrier;
    int fd;             /* the carrier's: of a socket; -1 for none */
    void *stream;       /* the carrier's: of our own TCP */
    struct ssl_st *tls; /* of a socket; NULL: it is plain */
    size_t tls_sent;    /* of what is encrypted */
    size_t tls_unsent;  /* bytes taken by send() that the socket has no room for yet */
    bool tls_more;      /* it may have read more than was taken */
    bool is_open;
    uint32_t frame_max; /* bytes a frame with its overhead may have, where the protocol has frames */
    uint64_t window;    /* publishes under way that the broker allows; UINT64_MAX: any */
    struct buffer in;   /* bytes received and not yet understood: less than a frame, except during set-up */
    size_t in_used;     /* of those, what has already been understood, during set-up */
    size_t wanted;      /* bytes that the message at the beginning of `in` will have, if known and large */
    uint8_t *batch;     /* frames that go out before `out`; memory of the producer that encoded them */
    size_t batch_len, batch_sent;
    struct buffer out; /* small frames: acks, answers; whole frames only */
    size_t out_sent;
    struct buffer partial; /* the protocol's: a message that comes in pieces */
    uint32_t watching;     /* epoll events asked for */
    bool polled;           /* read when its owner says, not when something comes (-R) */
    bool held;             /* `in` may hold whole frames: look at it even when nothing new comes */
    char why[640];         /* after a failure: one sentence on what happened and what to do */
};

void conn_init(struct conn *c, const struct options *o, enum conn_role role, uint32_t number,
               struct carrier *carrier);
/* Connects and logs in; 0, or -1 with c->why. Blocks for at most some seconds. */
int conn_open(struct conn *c);
/* Closes the socket at once; what was buffered is forgotten. */
void conn_drop(struct conn *c);
/* Closes in the protocol's manner, so that the acks sent before it are seen, then drops. */
void conn_close(struct conn *c);
void conn_free(struct conn *c);
/* Notes why the connection is of no use any more and drops it. Returns -1. */
int conn_fail(struct conn *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same, when the carrier cannot connect; finds it broken while sending; finds it ended (error 0: in good
 * order). */
int conn_refused(struct conn *c, const struct uri *u, int error);
int conn_broke(struct conn *c, int error);
int conn_ended(struct conn *c, int error);
/* "producer 3" */
const char *conn_name(const struct conn *c, char text[32]);

/* During set-up: sends all of c->out; waits until more has come into c->in. 0, or -1 with c->why. */
int conn_flush_wholly(struct conn *c);
int conn_more(struct conn *c);
/* Sends what is in c->out and reads until this comes. What else comes before it is passed over. 0, or -1 with
 * c->why. */
int conn_expect(struct conn *c, enum incoming_kind kind, struct incoming *in);
/* Sends what is in c->out, reads until the peer has closed. 0, or -1 when it did not. */
int conn_await_end(struct conn *c);

/* Writes what the carrier takes of batch and out. The batch must stay untouched while conn_lent counts it. 0,
 * or -1 with c->why. */
int conn_flush(struct conn *c);
static inline bool conn_has_batch(const struct conn *c)
{
    return c->batch_sent < c->batch_len;
}
static inline bool conn_has_output(const struct conn *c)
{
    return conn_has_batch(c) || c->out.len > 0 || c->tls_unsent;
}

/* Bytes of batches that must not be written to: they may have to be sent again. */
static inline uint64_t conn_lent(struct conn *c)
{
    return c->carrier->ops->lent ? c->carrier->ops->lent(c) : 0;
}

/* Set-up is over: what comes, and what is left in c->in, goes to the carrier's user. */
void conn_adopt(struct conn *c);

#endif
