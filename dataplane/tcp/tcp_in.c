/*
 * A segment has come (RFC 9293 section 3.10.7). The happy path:
 *   tcp_input → conn_find → conn_input: its sequence number is acceptable → ack_input → data_input → FIN →
 * answer at once, or at the end of the turn
 */
#include <errno.h>
#include <string.h>

#include "tcp/tcp_inside.h"

enum { PAWS_IDLE_MS = 24 * 24 * 3600 * 1000 /* RFC 7323 section 5.5 */ };

/* ---- what is not acceptable -------------------------------------------------------------------------- */

/* RFC 7323 section 5.3. True: an old duplicate. */
static bool paws_drops(struct conn *c, const struct segment *s)
{
    if (!c->timestamps || s->flags & SEG_RST)
        return false;
    /* Section 3.2: without the option it may be dropped, and is. */
    if (!s->timestamps)
        return true;
    if (!seq_lt(s->ts_value, c->ts_recent))
        return false;
    uint32_t idle_ms = (uint32_t)(c->tcp->now_us / 1000) - c->ts_recent_ms;
    if (idle_ms > PAWS_IDLE_MS)
        return false;
    c->tcp->stats.paws_drops++;
    return true;
}

/* RFC 7323 section 4.3: the timestamp of the segment that the last acknowledgement sent was for. */
static void take_timestamp(struct conn *c, const struct segment *s)
{
    if (s->timestamps && seq_leq(s->seq, c->last_ack_sent) && !seq_lt(s->ts_value, c->ts_recent)) {
        c->ts_recent = s->ts_value;
        c->ts_recent_ms = (uint32_t)(c->tcp->now_us / 1000);
    }
}

/* RFC 9293 section 3.4, with the window that was told. */
static bool acceptable(const struct conn *c, const struct segment *s)
{
    uint32_t length = segment_length(s);
    uint32_t window = seq_lt(c->rcv_nxt, c->rcv_adv) ? c->rcv_adv - c->rcv_nxt : 0;
    if (length == 0)
        return s->seq == c->rcv_nxt || s->seq - c->rcv_nxt < window;
    if (window == 0)
        return false;
    return s->seq - c->rcv_nxt < window || s->seq + length - 1 - c->rcv_nxt < window;
}

static void refuse_unacceptable(struct conn *c, struct segment *s)
{
    c->tcp->stats.out_of_window++;
    if (s->flags & SEG_RST)
        return;
    /* RFC 9293 section 3.10.7.4: with a shut window, acknowledgements are still taken. */
    if (s->seq == c->rcv_nxt && s->flags & SEG_ACK && c->state >= TCP_ESTABLISHED)
        ack_input(c, s);
    if (c->dead)
        return;
    if (s->len && seq_lt(s->seq, c->rcv_nxt) && seq_leq(s->seq + s->len, c->rcv_nxt)) {
        s->flags &= (uint8_t)~SEG_FIN;
        /* All of it is old: the trimming tells it as a duplicate. */
        (void)data_input(c, s, NULL);
        out_ack(c);
        return;
    }
    out_challenge(c);
}

/* RFC 5961 section 3.2. */
static void take_reset(struct conn *c, const struct segment *s)
{
    if (s->seq != c->rcv_nxt) {
        out_challenge(c);
        return;
    }
    c->tcp->stats.resets_in++;
    conn_end(c, c->state == TCP_SYN_RECEIVED ? ECONNREFUSED : ECONNRESET);
}

/* ---- SYN-SENT (section 3.10.7.3) --------------------------------------------------------------------- */

static void input_syn_sent(struct conn *c, const struct segment *s)
{
    bool acked = s->flags & SEG_ACK;
    if (acked && s->ack != c->snd_nxt) {
        if (!(s->flags & SEG_RST)) {
            struct flow flow = {c->path.local, c->path.peer, c->local_port, c->peer_port};
            out_reset_for(c->tcp, &flow, s);
        }
        return;
    }
    if (s->flags & SEG_RST) {
        if (acked) {
            c->tcp->stats.resets_in++;
            conn_end(c, ECONNREFUSED);
        }
        return;
    }
    if (!(s->flags & SEG_SYN))
        return;
    open_take_options(c, s);
    if (!acked) {
        /* Both began (section 3.5, figure 8). */
        c->state = TCP_SYN_RECEIVED;
        sent_free(&c->sent, &c->tcp->pools.sent);
        c->snd_nxt = c->snd_una;
        out_syn(c);
        return;
    }
    c->snd_wl2 = s->ack;
    ack_input(c, s);
    c->ack_now = true;
    conn_established(c);
}

/* ---- the other states --------------------------------------------------------------------------------- */

/* Our FIN, or all but it, is acknowledged. */
static void after_ack(struct conn *c)
{
    bool fin_acked = c->fin_sent && c->snd_una == c->snd_nxt;
    if (!fin_acked)
        return;
    switch (c->state) {
    case TCP_FIN_WAIT_1:
        c->state = TCP_FIN_WAIT_2;
        break;
    case TCP_CLOSING:
        wait_begin(c);
        break;
    case TCP_LAST_ACK:
        conn_end(c, 0);
        break;
    default:
        break;
    }
}

static void after_fin(struct conn *c)
{
    switch (c->state) {
    case TCP_ESTABLISHED:
        c->state = TCP_CLOSE_WAIT;
        break;
    case TCP_FIN_WAIT_1:
        c->state = TCP_CLOSING;
        break;
    case TCP_FIN_WAIT_2:
        out_ack(c);
        wait_begin(c);
        break;
    default:
        break;
    }
}

/* The acknowledgement of our SYN. False: the connection is gone, or not open. */
static bool open_if_acked(struct conn *c, const struct segment *s)
{
    if (!seq_lt(c->snd_una, s->ack) || seq_lt(c->snd_nxt, s->ack)) {
        struct flow flow = {c->path.local, c->path.peer, c->local_port, c->peer_port};
        out_reset_for(c->tcp, &flow, s);
        return false;
    }
    c->snd_wnd = (uint32_t)s->window << c->scale_in;
    c->snd_wnd_max = c->snd_wnd;
    c->snd_wl1 = s->seq;
    c->snd_wl2 = s->ack;
    ack_input(c, s);
    conn_established(c);
    return !c->dead;
}

/* The first checks, in their order. True: the segment goes on. */
static bool passes(struct conn *c, struct segment *s)
{
    if (paws_drops(c, s)) {
        if (s->timestamps && segment_length(s))
            out_ack(c);
        return false;
    }
    if (c->state == TCP_SYN_RECEIVED && s->flags & SEG_SYN && s->seq == c->irs && c->sent.count) {
        /* Our SYN-ACK was lost. */
        if (!(s->flags & SEG_ACK)) {
            out_retransmit(c, sent_at(&c->sent, 0));
            return false;
        }
        /* Both began: this is the answer to our SYN as well. */
        s->flags &= (uint8_t)~SEG_SYN;
        s->seq++;
    }
    if (!acceptable(c, s)) {
        refuse_unacceptable(c, s);
        return false;
    }
    if (s->flags & SEG_RST) {
        take_reset(c, s);
        return false;
    }
    /* RFC 5961 section 4.2. */
    if (s->flags & SEG_SYN) {
        out_challenge(c);
        return false;
    }
    return s->flags & SEG_ACK;
}

/* Returns whether the buffer is kept. */
static bool input_synchronized(struct conn *c, struct segment *s, struct frame *frame)
{
    bool kept = false;
    if (!passes(c, s))
        return false;
    take_timestamp(c, s);
    if (c->state == TCP_SYN_RECEIVED) {
        if (!open_if_acked(c, s))
            return false;
    } else {
        if (!ack_input(c, s) || c->dead)
            return false;
        after_ack(c);
    }
    if (c->dead)
        return false;
    if (s->len || s->flags & SEG_FIN) {
        bool had_fin = c->fin_received;
        if (!had_fin)
            kept = data_input(c, s, frame);
        else
            c->ack_now = true;
        if (!c->dead && c->fin_received && !had_fin) {
            c->ack_now = true;
            after_fin(c);
        }
    }
    return kept;
}

static bool conn_input(struct conn *c, struct segment *s, struct frame *frame)
{
    bool kept = false;
    c->heard_us = c->tcp->now_us;
    c->keepalives = 0;
    if (c->state == TCP_SYN_SENT)
        input_syn_sent(c, s);
    else
        kept = input_synchronized(c, s, frame);
    if (c->dead)
        return kept;
    if (c->ack_now)
        out_ack(c);
    else if (c->ack_owed)
        conn_list(c, LIST_ACK);
    return kept;
}

static void make_flow(struct flow *flow, const struct ip_packet *packet, const struct segment *s)
{
    flow->local = packet->local;
    flow->peer = packet->peer;
    flow->local_port = s->destination;
    flow->peer_port = s->source;
}

enum ip_taken tcp_input(struct tcp *tcp, const struct ip_packet *packet, struct frame *frame)
{
    struct segment s;
    struct flow flow;
    tcp->stats.segments_in++;
    if (!segment_parse(&s, frame->at, frame->len))
        return IP_DONE;
    make_flow(&flow, packet, &s);
    uint64_t hash = flow_hash(tcp, &flow);
    struct conn *c = conn_find(tcp, &flow, hash);
    if (!c) {
        if (wait_input(tcp, &flow, hash, &s))
            return IP_DONE;
        enum ip_taken taken = open_passive(tcp, &flow, &s);
        /* The acknowledgement of a cookie may carry data. */
        c = s.flags & SEG_ACK && taken == IP_DONE ? conn_find(tcp, &flow, hash) : NULL;
        if (!c)
            return taken;
    }
    return conn_input(c, &s, frame) ? IP_KEPT : IP_DONE;
}

void tcp_refuse(struct tcp *tcp, const struct ip_packet *packet, const struct frame *frame)
{
    struct segment s;
    struct flow flow;
    if (!segment_parse(&s, frame->at, frame->len) || s.flags & SEG_RST)
        return;
    make_flow(&flow, packet, &s);
    out_reset_for(tcp, &flow, &s);
}

/* RFC 5927: only what quotes something that is on its way is believed. */
void tcp_on_error(struct tcp *tcp, const struct ip_error *error)
{
    struct flow flow = {error->local, error->peer, error->local_port, error->peer_port};
    struct conn *c = conn_find(tcp, &flow, flow_hash(tcp, &flow));
    if (!c || seq_lt(error->seq, c->snd_una) || !seq_lt(error->seq, c->snd_nxt)) {
        tcp->stats.icmp_ignored++;
        return;
    }
    if (error->kind == IP_ERROR_TOO_BIG) {
        uint16_t least = c->path.v6 ? MTU_LEAST_V6 : MTU_LEAST;
        uint16_t mtu = error->mtu < least ? least : error->mtu;
        if (mtu >= c->path.mtu) {
            tcp->stats.icmp_ignored++;
            return;
        }
        out_lower_mtu(c, mtu);
        return;
    }
    /* RFC 1122 section 4.2.3.9, RFC 5927 section 4.3: only a connection that isn't open yet gives up. */
    if (c->state == TCP_SYN_SENT || c->state == TCP_SYN_RECEIVED)
        conn_end(c, error->kind == IP_ERROR_REFUSED ? ECONNREFUSED : EHOSTUNREACH);
    else
        tcp->stats.icmp_ignored++;
}
