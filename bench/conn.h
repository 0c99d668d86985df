/* One AMQP connection with one channel (number 1): the log-in, methods sent and awaited while
 * it is set up, and, while the load runs, buffered non-blocking input and output. Owner: one worker thread,
 * or the main thread for topology.c. */
#ifndef BENCH_CONN_H
#define BENCH_CONN_H

#include "buffer.h"
#include "carrier.h"
#include "uri.h"
#include "wire.h"

#include <stdbool.h>
#include <stdint.h>

/* What a client must be able to take in one frame whatever the broker proposes (4.2.3); more is bargained
 * down. */
#define CONN_FRAME_MAX 131072u

enum conn_role { CONN_CONTROL, CONN_PRODUCER, CONN_CONSUMER };

struct conn {
    enum conn_role role;
    uint32_t number; /* counted from 1, for messages to people */
    struct carrier *carrier;
    int fd;       /* the carrier's: of a socket; -1 for none */
    void *stream; /* the carrier's: of our own TCP */
    bool is_open;
    uint32_t frame_max; /* bytes a frame with its overhead may have */
    struct buffer in;   /* bytes received and not yet understood: less than a frame, except during set-up */
    size_t in_used;     /* of those, what conn_await has already handed out */
    uint8_t *batch;     /* frames that go out before `out`; memory of the producer that encoded them */
    size_t batch_len, batch_sent;
    struct buffer out; /* small frames: acks, answers; whole frames only */
    size_t out_sent;
    uint32_t watching; /* epoll events asked for */
    bool polled;       /* read when its owner says, not when something comes (-R) */
    bool held;         /* `in` may hold whole frames: look at it even when nothing new comes */
    char why[640];     /* after a failure: one sentence on what happened and what to do */
};

/* Connects, logs in and opens the channel; 0, or -1 with c->why. Blocks for at most some seconds. */
int conn_open(struct conn *c, const struct uri *u);
/* Closes the socket at once; what was buffered is forgotten. */
void conn_drop(struct conn *c);
/* Closes in AMQP's manner, so that the acks sent before it are seen, then drops. */
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

/* Sends what is in c->out and waits for `method`; its arguments stay valid until the next call on c. */
int conn_await(struct conn *c, enum wire_method method, struct reader *arguments);
/* For methods that any connection must understand: closes, which fail it, and blocked notices, which it
 * ignores. 0 when the load can go on. */
int conn_on_method(struct conn *c, const struct frame *f);

/* Writes what the carrier takes of batch and out. The batch must stay untouched while conn_lent counts it. 0,
 * or -1 with c->why. */
int conn_flush(struct conn *c);
static inline bool conn_has_output(const struct conn *c)
{
    return c->batch_sent < c->batch_len || c->out.len > 0;
}

/* Bytes of batches that must not be written to: they may have to be sent again. */
static inline uint64_t conn_lent(struct conn *c)
{
    return c->carrier->ops->lent ? c->carrier->ops->lent(c) : 0;
}

/* Set-up is over: what comes, and what is left in c->in, goes to the carrier's user. */
void conn_adopt(struct conn *c);

#endif
