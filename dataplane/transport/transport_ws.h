/*
 * WebSocket (RFC 6455) over any other transport, with the contract of transport.h on both sides. What comes
 * in messages is handed up as one stream of bytes: where a message or a frame ends means nothing to the
 * owner. What one send() takes goes out as one message of one frame, from where it lies.
 *
 *     ws = transport_ws_new(&options, up);
 *     below = transport_uring_new(..., transport_ws_user(ws), ...);
 *     transport_ws_wrap(ws, below);
 *
 * A stream is told to the owner (accepted) when its request has been found good and is answered. Those of
 * which no whole request has come are bounded in number, the oldest gives way, and in time. A wrong one gets
 * an answer of HTTP, and a line in the log.
 *
 * resume() and rx_release() may leave work that wait_fd does not tell of: poll before sleeping on it.
 */
#pragma once

#include "transport/transport.h"
#include "transport/ws_handshake.h"

struct transport_ws_options {
    const char *agent;              /* who it logs as */
    const struct ws_speech *speech; /* by the tag of the listener; outlives the transport */
    unsigned speeches;
    struct ws_origins origins; /* outlive it too */
    uint64_t message_max;      /* bytes of one message that comes */
    uint32_t handshakes_max;   /* requests under way at once */
    uint32_t handshake_ms;     /* a request that takes longer is ended */
    uint32_t linger_ms;        /* what close() leaves is given up after this; 0 for the default */
};

struct transport *transport_ws_new(const struct transport_ws_options *options, struct transport_user up);
/* What the transport below calls up into. */
struct transport_user transport_ws_user(struct transport *ws);
/* The transport below, which is freed with this one. Once, before anything else is asked of it. */
void transport_ws_wrap(struct transport *ws, struct transport *below);
