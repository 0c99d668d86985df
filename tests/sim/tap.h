/*
 * The taps: each front's transport is wrapped, and what the front takes from a stream and gives to one is
 * read there, in the order in which the broker does it. So the model judges without the network's
 * uncertainty; and what a client reads must be, byte for byte, what was given (memory that the broker lends
 * to the network and uses again too early shows here).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "network.h"
#include "talk.h"

struct taps;

/* Who listens. stream: as in network_connect. */
struct tap_watch {
    void *owner;
    void (*opened)(void *owner, uint64_t stream);
    /* The front has taken a method (and its content), or the beginning of one. */
    void (*client_begun)(void *owner, uint64_t stream, const struct said *said);
    void (*client_said)(void *owner, uint64_t stream, const struct said *said);
    /* The front has given a method, with all of its content, to the transport. */
    void (*broker_said)(void *owner, uint64_t stream, const struct said *said);
    /* The front has given the stream up, or knows that it is gone: it takes and gives nothing any more. */
    void (*left)(void *owner, uint64_t stream);
};

struct taps *taps_new(struct network *network, struct tap_watch watch);
void taps_free(struct taps *taps);

/* A transport for a front. */
struct transport *taps_transport(struct taps *taps, struct transport_user up);
enum tap_speaks { TAP_MQTT, TAP_STOMP, TAP_GUARDED };
/* The stream that has just been connected is none of AMQP, or its user is guarded: it goes to that codec, and
 * its client judges what is said there. */
void taps_expect(struct taps *taps, uint64_t stream, enum tap_speaks speaks);
/* The broker has been killed: streams end without a word. */
void taps_cut(struct taps *taps);

/* A client has read this. */
void taps_read(struct taps *taps, uint64_t stream, const void *bytes, size_t n);
/* The client has forgotten the stream. */
void taps_forget(struct taps *taps, uint64_t stream);
/* Whether no front has the stream. */
bool taps_left(const struct taps *taps, uint64_t stream);
/* Whether all that the front has for the stream has been given to the transport. */
/* How often the transport has taken less than the front had for the stream. */
uint64_t taps_shortfalls(const struct taps *taps, uint64_t stream);
bool taps_flushed(const struct taps *taps, uint64_t stream);
/* Whether the clients have read all that was given. */
bool taps_all_read(const struct taps *taps);
