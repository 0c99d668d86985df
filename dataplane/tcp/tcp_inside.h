/*
 * What the files of TCP share; included by nobody else.
 *
 *   tcp.c        connections: made, found, ended; the calls of tcp.h
 *   tcp_in       a segment has come: its state decides
 *   tcp_open     SYNs: listeners, half-open connections, cookies
 *   tcp_wait     TIME_WAIT
 *   tcp_data     received data: in order, kept, out of order; windows
 *   tcp_ack      acknowledgements: what is through, what is lost (RACK)
 *   tcp_out      what is sent
 *   tcp_timer    what time brings
 *   tcp_cc       congestion control
 *   queue, sent  the bytes to send; the segments on their way
 */
#pragma once

#include <sys/queue.h>

#include "base/limits.h"
#include "base/map.h"
#include "base/prng.h"
#include "base/slots.h"
#include "base/wheel.h"
#include "tcp/queue.h"
#include "tcp/segment.h"
#include "tcp/sent.h"
#include "tcp/seq.h"
#include "tcp/tcp.h"

enum {
    LISTENERS_MAX = 64,
    MSS_DEFAULT = 536, /* RFC 9293 section 3.7.1: without the option, IPv4 */
    MSS_DEFAULT_V6 = 1220,
    MSS_LEAST = 88, /* a peer that offers less gets segments of this size: RFC 9293 has no bound, sense has */
    MTU_LEAST = 552, /* no ICMP message makes us send smaller packets (IPv4; RFC 1191 section 3 lists 552's
                        neighbours) */
    MTU_LEAST_V6 = 1280,   /* RFC 8200 section 5 */
    INITIAL_SEGMENTS = 10, /* RFC 6928 */
    INITIAL_BYTES = 14600,
    DUPLICATES = 3, /* RFC 5681 section 3.2 */
    SYN_TRIES = 6,
    WINDOW_SCALE = 7, /* what we offer: 65535 << 7 covers rx_window_max */
    RX_WINDOW_FIRST = 256 * 1024,
    TUNE_US = 250000,     /* a window read in less may be too small */
    TUNE_SHRINK = 8,      /* a window that is larger than it need be gives up this part of it */
    CHALLENGES_PER_S = 5, /* RFC 5961 section 7: of one connection, so that none learns of another */
    RTO_FIRST_US = 1000000,
    RTO_AFTER_SYN_US = 3000000, /* RFC 6298 section 5.7 */
    RTO_MOST_US = 60000000,
    TLP_LEAST_US = 2000,
    MIN_RTT_S = 10, /* a shortest round trip older than this is forgotten */
};

/* A listener. */
struct tcp_listener {
    struct ip_address address; /* all zero: every one of ours */
    uint16_t port;
    bool rests; /* it refuses everybody */
    int tag;
    struct tcp_upcalls up;
};

/* Which connection: the key of the table. */
struct flow {
    struct ip_address local, peer;
    uint16_t local_port, peer_port;
};

/* Received data that nobody has taken yet: lies in the head of the buffer that holds it. */
struct kept {
    struct kept *next;
    uint8_t *at;
    void *buffer;             /* as handed to data(); a tagged pointer if it is a copy of ours */
    uint32_t seq, len, whole; /* whole: len as it came */
    bool fin;
};

struct cubic {
    double w_max, w_est, k; /* segments, segments, seconds */
    uint64_t epoch_us;      /* 0: none */
};

/* RFC 8985 section 5.3 */
struct rack {
    uint32_t xmit_us, end_seq, rtt_us; /* of the segment delivered that was sent last */
    uint32_t fack;                     /* highest sequence number delivered */
    uint32_t window_mult, window_persist, dsack_round;
    bool valid, reordering, dsack_seen;
};

struct conn;

struct tcp_cc {
    const char *name;
    void (*begin)(struct conn *c);
    /* bytes were acknowledged, and cwnd was what limited us. */
    void (*acked)(struct conn *c, uint32_t bytes);
    /* A loss: returns the new ssthresh. */
    uint32_t (*lost)(struct conn *c);
};

enum conn_list { LIST_ACK, LIST_OUT, LIST_LENT, LIST_RESUME, LISTS };

struct conn;

enum recovery { RECOVERY_NONE, RECOVERY_FAST, RECOVERY_RTO };

struct conn {
    struct map_node node; /* of tcp->conns */
    struct tcp *tcp;
    uint64_t id;
    struct ip_path path;
    uint16_t local_port, peer_port;
    uint8_t state;  /* enum tcp_state */
    uint8_t listed; /* bits of enum conn_list */
    int tag;        /* of the listener */
    struct tcp_upcalls up;
    void *user; /* NULL: nobody (yet, or any more) */

    bool passive : 1, detached : 1, syn_again : 1,
        dead : 1; /* dead: freed when the device is through with what was lent */
    bool sack : 1, timestamps : 1;
    bool fin_queued : 1, fin_sent : 1, fin_received : 1, ended_told : 1;
    bool ack_owed : 1, ack_now : 1, paused : 1, wants_room : 1, cwnd_limited : 1, probing : 1, tlp_out : 1,
        tlp_again : 1;
    uint8_t scale_in, scale_out; /* shift of the windows we are told, and of those we tell */
    uint8_t recovery;            /* enum recovery */
    uint8_t backoff, black_holes;

    /* send */
    uint32_t iss, snd_una, snd_nxt, snd_wnd, snd_wl1, snd_wl2, snd_wnd_max;
    uint32_t mss;      /* bytes of data in a segment, options of every segment taken off */
    uint32_t peer_mss; /* as the peer said */
    struct queue queue;
    struct sent_list sent;
    uint64_t acked, released;       /* bytes of data, ever */
    uint64_t through, through_mark; /* acked when the device had been given through_mark frames */

    /* congestion and loss */
    uint32_t cwnd, ssthresh, recover, duplicates;
    uint32_t prr_delivered, prr_out, prr_flight;
    uint32_t undo_cwnd, undo_ssthresh, undo_at; /* before the recovery; undo_at: snd_una then */
    int32_t undo_retransmits;                   /* not yet reported as duplicates; < 0: no undo */
    uint32_t retransmit_ts;
    struct rack rack;
    struct cubic cubic;
    uint32_t srtt_us, rttvar_us, rto_us, min_rtt_us,
        min_rtt_s; /* min_rtt_s: second of the clock when it was seen */
    uint32_t tlp_end;

    /* receive */
    uint32_t irs, rcv_nxt, rcv_adv; /* rcv_adv: right edge told */
    uint32_t rcv_buffer, rcv_unread;
    uint32_t ts_recent, ts_recent_ms, ts_offset, last_ack_sent;
    uint32_t fin_seq;
    struct kept *kept, **kept_end;   /* in order */
    struct kept *ahead, *ahead_last; /* out of order */
    uint32_t ahead_count;
    uint8_t sacks;
    bool dsack;
    struct sack_block sack_block[SEGMENT_SACKS]; /* the first is a D-SACK, if dsack */
    uint32_t tune_bytes;                         /* autotuning: read since tune_us */
    uint64_t tune_us;

    /* time */
    struct conn_timer {
        struct wheel_node node;
        bool is_late;
    } soon, late;              /* retransmissions and probes; idleness and ends */
    uint64_t soon_us, late_us; /* when; 0: not wanted */
    uint64_t heard_us, sent_us,
        stalled_us; /* stalled: since when nothing was acknowledged; 0: nothing is due */
    uint32_t challenge_s;
    uint8_t challenges, soon_kind, keepalives;
    struct conn *next[LISTS];
};

/* Bytes to send that have never been on their way. */
static inline uint32_t conn_unsent(const struct conn *c)
{
    return c->fin_sent ? 0 : c->queue.end - c->snd_nxt; /* the FIN has a number too */
}

enum soon { SOON_RTO, SOON_TLP, SOON_RACK, SOON_PERSIST };

struct tcp {
    struct tcp_options options;
    struct ip *ip;
    struct device *device;
    const struct tcp_cc *cc;
    struct map conns, waits;
    struct slots slots;
    struct wheel wheel;
    struct prng prng;
    uint64_t now_ns, now_us;
    bool behind; /* there is more to receive than we get done */
    uint64_t hash_secret[2];
    struct conn *list[LISTS];
    struct conn *last;              /* of the segment before */
    TAILQ_HEAD(, tcp_wait) waiting; /* the one that ends first is the first */
    struct tcp_listener listener[LISTENERS_MAX];
    unsigned listeners;
    struct pools {
        struct queue_pool queue;
        struct sent_pool sent;
    } pools;
    uint32_t frames_kept, frames_kept_max;
    uint64_t bytes_copied;
    uint64_t cookies_until_us; /* cookies are believed until then: some were sent */
    uint16_t next_port;
    struct tcp_stats stats;
};

/* tcp.c */
uint64_t flow_hash(const struct tcp *tcp, const struct flow *flow);
struct conn *conn_find(struct tcp *tcp, const struct flow *flow, uint64_t hash);
struct conn *conn_new(struct tcp *tcp, const struct flow *flow, const struct ip_path *path);
struct conn *conn_of(struct tcp *tcp, uint64_t id);
/* It is over: the last upcall with this error, and it is freed when nothing looks at it any more. */
void conn_end(struct conn *c, int error);
void conn_list(struct conn *c, enum conn_list list);
/* Users who want more get it. */
void conns_resume(struct tcp *tcp);
void conn_established(struct conn *c);

/* tcp_open.c */
enum ip_taken open_passive(struct tcp *tcp, const struct flow *flow, const struct segment *s);
uint32_t open_isn(const struct tcp *tcp, const struct flow *flow);
void open_take_options(struct conn *c, const struct segment *s);
struct tcp_listener *open_listener(struct tcp *tcp, const struct ip_address *local, uint16_t port);

/* tcp_wait.c */
/* Into TIME_WAIT; the connection ends without an error. */
void wait_begin(struct conn *c);
/* True: the segment belonged to a connection in TIME_WAIT and is dealt with. False: none, or a SYN that
 * begins anew. */
bool wait_input(struct tcp *tcp, const struct flow *flow, uint64_t hash, const struct segment *s);
unsigned wait_expire(struct tcp *tcp);
void wait_free(struct tcp *tcp);
uint64_t wait_deadline(const struct tcp *tcp);

/* tcp_data.c */
/* The data of an acceptable segment. Returns whether the buffer is kept. */
bool data_input(struct conn *c, struct segment *s, struct frame *frame);
void data_resume(struct conn *c);
void data_forget(struct conn *c);
void data_consumed(struct conn *c, uint32_t bytes);
/* The window to tell, in bytes. */
uint32_t data_window(const struct conn *c);
bool data_window_grew(const struct conn *c);

/* tcp_ack.c */
/* False: it is of no use, and neither is what it came with. */
bool ack_input(struct conn *c, const struct segment *s);
void ack_detect_losses(struct conn *c);
/* The time for reordering is over. */
void ack_rack_timer(struct conn *c);
uint32_t ack_pipe(const struct conn *c);
void ack_enter_rto(struct conn *c);
void ack_rtt(struct conn *c, uint32_t rtt_us);

/* tcp_out.c */
/* Sends what may be sent now. */
void out_data(struct conn *c);
void out_ack(struct conn *c);
void out_challenge(struct conn *c);
void out_syn(struct conn *c);
/* Without a connection: the answer to a segment (RFC 9293 section 3.10.7.1). */
void out_reset_for(struct tcp *tcp, const struct flow *flow, const struct segment *s);
void out_reset(struct conn *c);
void out_bare(struct tcp *tcp, const struct flow *flow, const struct segment *s);
bool out_retransmit(struct conn *c, struct sent *sent);
void out_keepalive(struct conn *c);
void out_set_mss(struct conn *c);
/* Packets to this peer are at most mtu bytes from now on; what was larger and isn't acknowledged is sent
 * again. */
void out_lower_mtu(struct conn *c, uint16_t mtu);
uint32_t out_timestamp(const struct conn *c);
/* One byte beyond a shut window. */
void out_window_probe(struct conn *c);
void out_loss_probe(struct conn *c);
uint32_t out_initial_window(const struct conn *c);
uint16_t out_offered_mss(const struct ip_path *path);

/* tcp_timer.c */
void timer_soon(struct conn *c, enum soon kind, uint64_t at_us);
void timer_no_soon(struct conn *c);
void timer_late(struct conn *c, uint64_t at_us);
/* Sets the retransmission timer as the state wants it. */
void timer_rearm(struct conn *c);
void timer_idle(struct conn *c);
void timer_cancel_all(struct conn *c);

/* tcp_cc.c */
const struct tcp_cc *cc_find(const char *name);
