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
 * resume() and rx_release() may leave work that wait_fd does not tell of: poll before sleeping on it.
 */
#pragma once

#include "transport/tls_context.h"
#include "transport/transport.h"

struct transport_tls_options {
    const struct tls_context *context;
    const char *agent;       /* who it logs as */
    uint32_t handshakes_max; /* under way at once */
    uint32_t handshake_ms;   /* a handshake that takes longer is ended */
    uint32_t linger_ms;      /* what close() leaves is given up after this; 0 for the default */
};

struct transport *transport_tls_new(const struct transport_tls_options *options, struct transport_user up);
/* What the transport below calls up into. */
struct transport_user transport_tls_user(struct transport *tls);
/* The transport below, which is freed with this one. Once, before anything else is asked of it. */
void transport_tls_wrap(struct transport *tls, struct transport *below);
