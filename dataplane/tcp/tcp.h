/*
 * TCP (RFC 9293) for one front, on its thread. Time and chance are arguments; there is no I/O but through
 * ip.h.
 *
 * Of the standard: window scaling, timestamps and PAWS (RFC 7323), SACK and D-SACK (2018, 2883), RACK-TLP
 * (8985), RTO (6298), CUBIC and NewReno (9438, 5681, 6582), proportional rate reduction (6937), initial
 * window 10 (6928), limited transmit (3042), SYN cookies (4987), initial sequence numbers by keyed hash
 * (6528), challenge ACKs (5961), validated ICMP (5927).
 *
 * A connection is named by an id that is never reused. What is sent is lent, not copied: it must stay
 * untouched until tcp_released() has counted it. What is received is handed up in the device's buffers.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/span.h"
#include "tcp/ip.h"

struct tcp;

struct tcp_options {
    uint8_t secret[32];       /* keys initial sequence numbers and SYN cookies */
    uint64_t seed;            /* of chances that are no secrets */
    uint32_t connections_max; /* open at once, half-open ones among them */
    uint32_t half_open_max;   /* more SYNs than these are answered with cookies; default 1024 */
    uint32_t time_wait_max;   /* the oldest is forgotten for a new one; default 65536 */
    uint32_t rto_min_us;      /* default 20,000 */
    uint32_t time_wait_ms;    /* default 60,000 */
    uint32_t keepalive_ms;    /* idle time before the first probe; 0: default 60,000; UINT32_MAX: none */
    uint32_t give_up_ms;      /* a peer that acknowledges nothing for so long is gone; default 60,000 */
    uint32_t rx_window_max;   /* bytes one connection may be sent ahead of what is read; default 4 MiB */
    const char *congestion;   /* "cubic" (default) or "newreno" */
    bool nagle;               /* RFC 896; off by default */
};

enum tcp_state {
    TCP_CLOSED,
    TCP_LISTEN,
    TCP_SYN_SENT,
    TCP_SYN_RECEIVED,
    TCP_ESTABLISHED,
    TCP_FIN_WAIT_1,
    TCP_FIN_WAIT_2,
    TCP_CLOSE_WAIT,
    TCP_CLOSING,
    TCP_LAST_ACK,
    TCP_TIME_WAIT,
};

/* Upcalls, made from within tcp_input and tcp_run_timers only. One per listener or connection. user: what
 * accepted returned, or what tcp_connect was given. */
struct tcp_upcalls {
    void *owner;
    /* A connection to the listener is established. NULL refuses it (a reset). */
    void *(*accepted)(void *owner, uint64_t id, int tag, const struct ip_address *peer, uint16_t peer_port,
                      const struct ip_address *local, uint16_t local_port);
    /* What tcp_connect began is established. */
    void (*connected)(void *owner, void *user);
    /* Bytes have come, in order. Their buffer is the callee's, to be given back to the device with
     * tcp_free_buffer. room: the first byte in front of `bytes` that the callee may write. Returns false to
     * have them kept, and none come until tcp_resume. */
    bool (*data)(void *owner, void *user, struct span bytes, uint8_t *room, void *buffer);
    /* The peer has sent its FIN: no more data comes. */
    void (*ended)(void *owner, void *user);
    /* tcp_released() has grown, or tcp_send would take more again after having taken less. */
    void (*progress)(void *owner, void *user);
    /* It is gone (errno; 0: both sides have closed); the last upcall. Not after tcp_abort. */
    void (*gone)(void *owner, void *user, int error);
};

/* Counters, since the start; gauges at the end. */
struct tcp_stats {
    uint64_t segments_in, segments_out, bytes_in, bytes_out, retransmitted, rto, tlp, fast_recoveries,
        spurious;
    uint64_t sum_errors, out_of_window, paws_drops, challenge_acks, resets_in, resets_out, opened_active,
        opened_passive, failed_opens;
    uint64_t cookies_sent, cookies_good, cookies_bad, half_open_dropped, out_of_order, out_of_order_dropped,
        zero_windows, keepalives, duplicates, icmp_ignored, pmtu_lowered, buffers_copied;
    uint32_t connections, half_open, time_wait;
};

struct tcp *tcp_new(const struct tcp_options *options, struct ip *ip);
void tcp_free(struct tcp *tcp);

/* From ip (struct ip_user). */
enum ip_taken tcp_input(struct tcp *tcp, const struct ip_packet *packet, struct frame *frame);
void tcp_refuse(struct tcp *tcp, const struct ip_packet *packet, const struct frame *frame);
void tcp_on_error(struct tcp *tcp, const struct ip_error *error);
/* What is due by now. Returns how many timers were. */
unsigned tcp_run_timers(struct tcp *tcp, uint64_t now_ns);
/* Time goes on; before anything else of a turn. */
void tcp_set_now(struct tcp *tcp, uint64_t now_ns);
/* Whether the device has more to receive than the turn took: then no window need grow. False at the start. */
void tcp_set_behind(struct tcp *tcp, bool behind);
/* Sends the acknowledgements owed that no data has carried. */
void tcp_flush(struct tcp *tcp);
uint64_t tcp_deadline(struct tcp *tcp);

/* Listens on the address (all zero: each of ours) and port (0: a free one, in *port). 0, or an errno
 * (EADDRINUSE, EADDRNOTAVAIL). */
int tcp_listen(struct tcp *tcp, const struct ip_address *address, uint16_t *port, int tag,
               struct tcp_upcalls user);
/* The listeners of this owner refuse who comes (a reset) until they are told not to. */
void tcp_rest(struct tcp *tcp, void *owner, bool rests);
/* The listeners of this owner end; connections go on. */
void tcp_stop_listening(struct tcp *tcp, void *owner);
/* Begins a connection. Returns its id, or 0 with an errno in *error. */
uint64_t tcp_connect(struct tcp *tcp, const struct ip_address *peer, uint16_t port, struct tcp_upcalls up,
                     void *user, int *error);

/* Takes bytes to send; returns how many. Empty iovecs are passed over. */
size_t tcp_send(struct tcp *tcp, uint64_t id, const struct iovec *iov, int n);
/* How many of the bytes ever taken by tcp_send are acknowledged, and no longer looked at by the device.
 * UINT64_MAX: gone. */
uint64_t tcp_released(struct tcp *tcp, uint64_t id);
/* Bytes handed up by data() and true returned are used up: the window opens again. */
void tcp_consumed(struct tcp *tcp, uint64_t id, size_t bytes);
/* Data that was kept comes again, and more, before the call returns to the next turn: from tcp_run_timers. */
void tcp_resume(struct tcp *tcp, uint64_t id);
/* FIN behind what was sent; data that still comes is dropped; gone() follows at the latest after linger_ms.
 */
void tcp_close(struct tcp *tcp, uint64_t id, uint32_t linger_ms);
/* A reset, and no upcall any more. */
void tcp_abort(struct tcp *tcp, uint64_t id);
void tcp_free_buffer(struct tcp *tcp, void *buffer);
/* Every connection of this owner, as by tcp_abort, but those who have no user yet. The users are told:
 * gone(ECANCELED). */
void tcp_abort_all(struct tcp *tcp, void *owner);
/* The user of the connection; NULL: it is gone, or has none yet. */
void *tcp_user(const struct tcp *tcp, uint64_t id);
enum tcp_state tcp_state(const struct tcp *tcp, uint64_t id);
/* What tcp_connect chose; 0: it is gone. */
uint16_t tcp_local_port(const struct tcp *tcp, uint64_t id);
const struct tcp_stats *tcp_stats(const struct tcp *tcp);
