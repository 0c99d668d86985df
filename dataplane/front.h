/*
 * A front: one core's connections. Bytes from the transport become commands to the routers, the routers'
 * events become bytes. What dies with a connection lives here. Used by one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/histogram.h"
#include "base/limits.h"
#include "base/stats.h"
#include "codec/codec.h"
#include "codec/host.h"
#include "transport/transport.h"

struct front;
struct op;
struct tallies;

struct front_options {
    unsigned index, routers;
    struct ring *to_router[ROUTERS_MAX], *from_router[ROUTERS_MAX];
    struct ring *to_login, *from_login;
    struct tallies *tallies; /* of all routers and fronts */
    struct host_options host;
    enum certificate_name certificate_login; /* which name of a certificate is its user's */
    uint32_t connections_max;
    uint64_t buffer_bytes; /* bound of host_buffer memory: bodies being put together and open transactions */
    uint64_t seed;         /* for host_random */
    uint64_t epoch_ns;     /* since 1970, when the clock of front_poll was 0 */
    /* The clock of front_poll: to measure how long a turn takes, and for nothing else. NULL: none, turns take
     * no time. */
    uint64_t (*clock_ns)(void);
};

struct front *front_new(const struct front_options *options);
/* Ends its connections and transports at once: no log page is lent to them any more. Only front_free may
 * follow. */
void front_unplug(struct front *front);
/* After the routers', who leave what they had for it in their rings. */
void front_free(struct front *front);

/* A front may have several transports, each a port of its own: sockets, our own TCP, TLS over either. */
enum { FRONT_PORTS_MAX = 8 };

/* With the codec in the tag of a listener: who may connect there may log in as any user, without a password.
 */
enum { FRONT_TRUSTED = 0x100 };

/* What the next transport calls up into; the transport is made with it and then given to the front, which
 * frees it. Before the first poll; a transport is attached before the upcalls for the next are asked for. The
 * tag of a listener is the index of its codec in `codecs` (codec/codecs.h). */
struct transport_user front_transport_user(struct front *front);
void front_attach(struct front *front, struct transport *transport);
/* In the order in which they were attached; NULL behind the last. */
struct transport *front_transport(const struct front *front, unsigned port);

/* One turn; never blocks. Returns the work found. */
unsigned front_poll(struct front *front, uint64_t now_ns);
/* When poll wants to be called again though nothing arrives; UINT64_MAX for never. */
uint64_t front_deadline(const struct front *front);

/* A clean end: no new connections, every open one is told why and closed. */
void front_stop(struct front *front, const char *why);
/* Whether that is done: no connection is left, nothing is on its way to the routers. */
bool front_stopped(const struct front *front);

/* Asks on behalf of nobody's connection; any thread (and then wake the front's). The op is handed over to the
 * router that it names, or to the front itself if it lists what is the front's own; router, kind, vhost and
 * what belongs to the kind are filled in, and tag, by which the asker knows its answer. One at a time: an
 * earlier one that hasn't been sent yet is dropped. */
void front_ask(struct front *front, struct op *op);
/* The op that came back last, or NULL: it is the caller's, to be freed with front_free_answer; any thread. */
struct op *front_take_answer(struct front *front);
/* Waits for one, until clock_gettime(CLOCK_MONOTONIC) is so far; NULL: none has come. */
struct op *front_await_answer(struct front *front, uint64_t until_ns);
void front_free_answer(struct op *op);

/* The columns of what a front lists, as in router/listing.h. */
#define CONNECTION_COLUMNS                                                                                   \
    "name\tuser\tvhost\tprotocol\tpeer_host\tpeer_port#\thost\tport#\tssl?\tconnected_at#\tclient\t"         \
    "client_properties{\tstate\tchannels#\tchannel_max#\tframe_max#\ttimeout#\trecv_oct#\tsend_oct#"
#define CHANNEL_COLUMNS                                                                                      \
    "name\tconnection\tnumber#\tuser\tvhost\tconsumer_count#\tprefetch_count#\tglobal_prefetch_count#\t"     \
    "messages_unacknowledged#\tmessages_unconfirmed#\tconfirm?\ttransactional?"
#define CONSUMER_COLUMNS                                                                                     \
    "vhost\tqueue\tconnection\tchannel_name\tchannel#\tconsumer_tag\tack_required?\texclusive?\tprefetch_"   \
    "count#"                                                                                                 \
    "\targuments{"

#define DELIVERY_COLUMNS "connection\tuser\tconnected_at#\tchannel#\tconsumer_tag\tdelivery_tag#\tmessage#"

struct front_stats {
    uint64_t connections, accepted, closed, logins, refused, bytes_in, bytes_out, parked, blocked;
    uint64_t channels, channels_opened, channels_closed, publishers;
    uint64_t received, received_confirm, confirmed, queues_declared, drained;
    struct histogram message_bytes, receive, deliver; /* the latter two in ns: measure.c */
    uint64_t tls_handshakes, tls_resumed, tls_failed;
};
const struct front_stats *front_stats(const struct front *front);
/* Where its transports over TLS count, on its thread: whole handshakes, resumed ones, those that failed. */
struct front_tls_counters {
    uint64_t *whole, *resumed, *failed;
};
struct front_tls_counters front_tls_counters(struct front *front);
