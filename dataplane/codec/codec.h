/*
 * A codec turns a stream's bytes into commands and events into bytes, for one protocol. It does no I/O, has
 * no clock and allocates nothing per message; everything it needs from outside it gets through host.h.
 *
 * One state per connection, of state_bytes, zeroed by the front before open(). All calls come from the
 * front's thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "router/command.h"

struct host;

/* What operators are shown and only the codec knows. Spans point into its state; what isn't known or doesn't
 * exist in the protocol stays 0. */
struct connection_facts {
    uint32_t channels, channel_max, frame_max, heartbeat_s;
    struct span client_properties; /* a field table */
    struct span client_id;
};

struct channel_facts {
    uint32_t number, consumers, prefetch;
    uint32_t global_prefetch; /* of all consumers together */
    uint64_t unacknowledged, unconfirmed;
    bool confirm, transactional;
};

struct consumer_facts {
    uint32_t channel, prefetch;
    bool ack_required, exclusive;
    struct span queue, tag;
    struct span arguments; /* a field table */
};

/* A message that has been delivered and not yet answered for. */
struct delivery_facts {
    uint32_t channel;
    struct span tag; /* of the consumer; empty: it was got */
    uint64_t number; /* the delivery's, as the client knows it */
    uint64_t seq;    /* in the queue */
};

/* Which deliveries are wanted: of that queue (its router's handle), from one of its numbers to another. */
struct delivery_wish {
    unsigned router;
    uint64_t queue, first, last;
};

static inline bool delivery_is_wanted(const struct delivery_wish *wish, unsigned router, uint64_t queue,
                                      uint64_t seq)
{
    return router == wish->router && queue == wish->queue && seq >= wish->first && seq <= wish->last;
}

struct codec {
    const char *name; /* as in listeners.<name> and in the log */
    size_t state_bytes;

    /* A connection has been accepted. */
    void (*open)(void *state, struct host *host);
    /* Bytes have arrived (or input goes on after having been parked, perhaps with none). Returns how many are
     * used up; fewer than all when the rest is not complete, when host_publish parked, or when the connection
     * is closing. */
    size_t (*input)(void *state, struct host *host, struct span bytes);
    /* An event of router number `router` for this connection. */
    void (*event)(void *state, struct host *host, unsigned router, const union event *event);
    /* End of the front's turn, after any of the others was called in it: write out what was collected
     * (confirms, acks). */
    void (*flush)(void *state, struct host *host);
    /* What the peer has not yet taken has shrunk below the low mark: give consumers their windows back. */
    void (*drained)(void *state, struct host *host);
    /* The time given to host_wake_at has come. */
    void (*tick)(void *state, struct host *host);
    /* The gate for this connection's parked publish changed: blocked or not (connection.blocked). */
    void (*blocked)(void *state, struct host *host, const char *reason); /* NULL: no longer */
    /* The broker is ending: say so to the peer, then host_close. */
    void (*shutdown)(void *state, struct host *host, const char *why);
    /* The user or his virtual host is gone, or else an operator wants the connection closed: say so to the
     * peer, then host_close. */
    void (*expel)(void *state, struct host *host, const char *why, bool gone);
    /* What the user may do has changed: what he may no longer do ends. */
    void (*access_changed)(void *state, struct host *host);
    /* The stream is gone: settle what is unacknowledged, cancel consumers, delete exclusive queues, free what
     * is held. Events for this connection are from now on answered by the front itself. */
    void (*gone)(void *state, struct host *host);

    /* For lists. channel, consumer, delivery: the first at place *at (from 0) or behind it, and *at is behind
     * that. *steps, which counts what is looked at down, may end it early. False: there is none, or *steps is
     * 0. NULL: the protocol has none. */
    void (*about)(const void *state, struct connection_facts *facts);
    bool (*channel)(const void *state, uint64_t *at, unsigned *steps, struct channel_facts *facts);
    bool (*consumer)(const void *state, uint64_t *at, unsigned *steps, struct consumer_facts *facts);
    bool (*delivery)(const void *state, const struct delivery_wish *wish, uint64_t *at, unsigned *steps,
                     struct delivery_facts *facts);
};
