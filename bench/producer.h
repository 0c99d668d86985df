/* A producer: one connection that publishes numbered, time-stamped messages on a schedule or flat out, and
 * keeps account of their confirms. All messages of a batch are encoded once; publishing one again costs the
 * stamp only. Owner: one worker thread; after the run, the main thread. */
#ifndef BENCH_PRODUCER_H
#define BENCH_PRODUCER_H

#include "conn.h"
#include "meter.h"
#include "options.h"
#include "seen.h"

/* A message on its way; in the ring of tags, or waiting to be sent again. */
struct flight {
    uint64_t seq;     /* FLIGHT_SETTLED once its confirm came; with FLIGHT_HALFWAY before that, perhaps */
    uint64_t sent_ns; /* the intended send time */
};
#define FLIGHT_SETTLED UINT64_MAX
#define FLIGHT_HALFWAY (1ull << 62)

enum producer_wait {
    PRODUCER_READY,
    PRODUCER_WAITS_SOCKET,
    PRODUCER_WAITS_CONFIRM,
    PRODUCER_WAITS_TIME,
    PRODUCER_IDLE
};

struct producer {
    struct conn conn; /* first, so that the worker can cast */
    const struct options *o;
    struct meter *meter;
    uint32_t index, run; /* as they stand in the bodies */
    uint64_t places;     /* queues, topics it publishes to in turn: 1, or all of them (--spread) */

    struct buffer encoded; /* `slots` publishes of slot_size bytes */
    size_t slot_size;
    struct layout at; /* of each slot */
    size_t slots, batch_slots,
        slot; /* slots: all; a batch has at most batch_slots, the next begins at `slot` */

    uint64_t next_seq;
    uint64_t start_ns;  /* when message 0 is due */
    double interval_ns; /* between messages; 0 is flat out */
    bool stopped;       /* sends nothing new */
    bool resuming;      /* what goes on from a lost connection is in conn.out and goes first */

    struct flight *ring; /* by tag, which counts from 1 on every connection; NULL without confirms */
    uint64_t ring_mask, tag_low, tag_next, outstanding;
    struct seen confirmed, resent;
    struct buffer again; /* struct flight[]: unconfirmed messages of a lost connection, in order */
    size_t again_at;     /* bytes of it done */
    uint64_t nacked, returned;
};

void producer_init(struct producer *p, const struct options *o, struct meter *m, struct carrier *carrier,
                   uint32_t index, uint32_t run);
void producer_free(struct producer *p);
/* Connects and encodes the batch; whatever was unconfirmed goes on, or is queued to be sent again as new. 0,
 * or -1 with conn.why. */
int producer_open(struct producer *p);
/* Stamps and sends what may go now. Tells in *wait why nothing more can go. 0, or -1 with conn.why. */
int producer_poll(struct producer *p, uint64_t now, enum producer_wait *wait);
/* When the next message is due; meaningful after PRODUCER_WAITS_TIME. */
uint64_t producer_due_ns(const struct producer *p);
/* Reads what is here wholly; returns the bytes used, or -1 with conn.why. */
int64_t producer_input(struct producer *p, const uint8_t *bytes, size_t n, uint64_t now);
/* True when all it sent is confirmed, or confirms are off. */
bool producer_settled(const struct producer *p);

#endif
