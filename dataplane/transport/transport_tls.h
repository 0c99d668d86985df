/*
 * TLS (1.2: RFC 5246, 1.3: RFC 8446) over any other transport, with the contract of transport.h on both
 * sides. It does no I/O of its own: OpenSSL reads what the transport below hands up and writes into buffers
 * that are lent to it.
 *
 *     tls = transport_tls_new(&options, up);
 *     below = transport_uring_new(..., transport_tls_user(tls), ...);
 *     transport_tls_wrap(tls, below);
 *
 * A stream is told to the owner (accepted) when its handshake is done. Those that have begun one are bounded
 * in number, the oldest gives way, and in time. What is no TLS is closed with a line in the log.
 *
 * transport_tls_offer() gives it another context, for handshakes that begin later.
 *
 * resume() and rx_release() may leave work that wait_fd does not tell of: poll before sleeping on it.
 */
#pragma once

#include "transport/tls_context.h"
#include "transport/transport.h"

/* Counters of base/stats.h, of the thread that polls. Handshakes: */
struct transport_tls_counts {
    uint64_t *whole;
    uint64_t *resumed; /* with an earlier session's keys */
    uint64_t *failed;  /* begun, but for nothing */
};

struct transport_tls_options {
    struct tls_context *context;       /* shared: the caller keeps its own hold */
    const char *agent;                 /* who it logs as */
    uint32_t handshakes_max;           /* under way at once */
    uint32_t handshake_ms;             /* a handshake that takes longer is ended */
    struct transport_tls_counts count; /* each may be NULL */
    uint32_t linger_ms;                /* what close() leaves is given up after this; 0 for the default */
};

struct transport *transport_tls_new(const struct transport_tls_options *options, struct transport_user up);
/* What the transport below calls up into. */
struct transport_user transport_tls_user(struct transport *tls);
/* What handshakes use from the next poll on; taken over. Those under way go on with the one before. Any
 * thread, one at a time; the transport is in use. */
void transport_tls_offer(struct transport *tls, struct tls_context *context);
/* The transport below, which is freed with this one. Once, before anything else is asked of it. */
void transport_tls_wrap(struct transport *tls, struct transport *below);
