/* A consumer: one connection that takes messages from one queue or topic, checks every one of them and acks.
 * Owner: one worker thread. */
#ifndef BENCH_CONSUMER_H
#define BENCH_CONSUMER_H

#include "conn.h"
#include "ledger.h"
#include "meter.h"
#include "options.h"
#include "producer.h"

struct consumer {
    struct conn conn; /* first, so that the worker can cast */
    const struct options *o;
    struct meter *meter;
    struct ledger *ledger; /* of its queue; shared with those that share the queue, same thread */
    const struct producer
        *producers; /* of this run; looked at only with --survive, then on the same thread */
    uint32_t run;
    char queue[256];

    uint64_t *expected; /* by index of source in the ledger: the lowest number that keeps the order */
    uint32_t expected_n;

    bool redelivered; /* the message that is being checked */

    uint64_t taken;        /* messages processed on all its connections, for -D and -R */
    uint64_t rate_from_ns; /* when the counting for -R began */
    uint64_t unacked;      /* processed and not acked yet */
    bool finished;         /* has had what -D asked for */
};

void consumer_init(struct consumer *k, const struct options *o, struct meter *m, struct carrier *carrier,
                   uint32_t index, uint32_t run);
void consumer_free(struct consumer *k);
/* Connects and subscribes. 0, or -1 with conn.why. */
int consumer_open(struct consumer *k);
/* Takes whole messages; returns the bytes used, or -1 with conn.why. */
int64_t consumer_input(struct consumer *k, const uint8_t *bytes, size_t n, uint64_t now);
/* Acks what is processed and not acked because of -A. */
void consumer_ack_rest(struct consumer *k);
/* When -R allows the next message. */
uint64_t consumer_due_ns(const struct consumer *k);

#endif
