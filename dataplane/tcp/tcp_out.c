/*
 * What is sent. The happy path: out_data → send_new → send_segment: header and slices of the user's memory →
 * ip_send, and a note in the list of what is on its way.
 */
#include <string.h>

#include "tcp/tcp_inside.h"

/* ---- segments ---------------------------------------------------------------------------------------- */

uint32_t out_timestamp(const struct conn *c)
{
    return (uint32_t)(c->tcp->now_us / 1000) + c->ts_offset;
}

static unsigned ip_header(const struct ip_path *path)
{
    return path->v6 ? 40 : 20;
}

/* RFC 6928 section 2. */
uint32_t out_initial_window(const struct conn *c)
{
    uint32_t most = 2u * c->mss > INITIAL_BYTES ? 2u * c->mss : INITIAL_BYTES;
    return INITIAL_SEGMENTS * c->mss < most ? INITIAL_SEGMENTS * c->mss : most;
}

uint16_t out_offered_mss(const struct ip_path *path)
{
    return (uint16_t)(path->mtu - ip_header(path) - SEGMENT_HEADER);
}

void out_set_mss(struct conn *c)
{
    uint32_t fits = out_offered_mss(&c->path);
    c->mss = c->peer_mss < fits ? c->peer_mss : fits;
    c->mss -= c->timestamps ? SEGMENT_TIMESTAMPS : 0;
}

static void begin_segment(const struct conn *c, struct segment *s, uint32_t seq, uint8_t flags)
{
    s->source = c->local_port;
    s->destination = c->peer_port;
    s->seq = seq;
    s->ack = flags & SEG_ACK ? c->rcv_nxt : 0;
    s->flags = flags;
    s->sacks = 0;
    s->timestamps = c->timestamps;
    if (c->timestamps) {
        s->ts_value = out_timestamp(c);
        s->ts_echo = flags & SEG_ACK ? c->ts_recent : 0;
    }
}

/* The window, and what telling it means. */
static void tell_window(struct conn *c, struct segment *s)
{
    uint32_t window = data_window(c);
    if (s->flags & SEG_SYN) {
        s->window = window < UINT16_MAX ? (uint16_t)window : UINT16_MAX;
        window = s->window;
    } else {
        /* What is told is whole units of the scale. */
        s->window = (uint16_t)(window >> c->scale_out);
        window = (uint32_t)s->window << c->scale_out;
    }
    if (!(s->flags & SEG_ACK))
        return;
    if (seq_lt(c->rcv_adv, c->rcv_nxt + window))
        c->rcv_adv = c->rcv_nxt + window;
    c->last_ack_sent = c->rcv_nxt;
    c->ack_owed = c->ack_now = false;
}

/* Sends header and payload; false: the device has no room. */
static bool emit(struct conn *c, struct segment *s, struct tx_frame *frame)
{
    uint8_t head[IP_HEAD_ROOM + SEGMENT_HEADER_MAX];
    struct tcp *tcp = c->tcp;
    tell_window(c, s);
    frame->head = head + IP_HEAD_ROOM;
    frame->head_len = (uint16_t)segment_write(s, frame->head);
    if (ip_send(tcp->ip, &c->path, frame, IP_PROTOCOL_TCP, SEGMENT_SUM_AT) == IP_FULL) {
        c->ack_owed = true;
        return false;
    }
    tcp->stats.segments_out++;
    c->sent_us = tcp->now_us;
    return true;
}

static bool emit_bare(struct conn *c, struct segment *s)
{
    struct tx_frame frame = {0};
    return emit(c, s, &frame);
}

/* Up to len bytes from seq on; fewer if they lie in too many pieces. Returns how many, 0: the device has no
 * room. */
static uint32_t send_segment(struct conn *c, uint32_t seq, uint32_t len, uint8_t flags)
{
    struct tcp *tcp = c->tcp;
    struct iovec iov[TX_PIECES_MAX];
    struct segment s;
    unsigned most = tcp->device->pieces_max < TX_PIECES_MAX ? tcp->device->pieces_max : TX_PIECES_MAX,
             pieces = most;
    uint32_t got = queue_gather(&c->queue, seq, len, iov, &pieces);
    struct tx_frame frame = {.piece = iov, .pieces = (uint16_t)pieces, .payload = got};
    if (got > c->mss) {
        frame.flags = TX_TSO;
        frame.mss = (uint16_t)c->mss;
    }
    begin_segment(c, &s, seq, (uint8_t)(SEG_ACK | (seq + got == c->queue.end ? SEG_PSH | flags : 0)));
    if (!emit(c, &s, &frame))
        return 0;
    tcp->stats.bytes_out += got;
    return got;
}

static void note_sent(struct conn *c, uint32_t end, uint8_t flags)
{
    struct sent *sent = sent_add(&c->sent, &c->tcp->pools.sent);
    *sent = (struct sent){.seq = c->snd_nxt, .end = end, .at_us = (uint32_t)c->tcp->now_us, .flags = flags};
    c->snd_nxt = end;
    if (!c->stalled_us)
        c->stalled_us = c->tcp->now_us;
}

/* ---- acknowledgements and the like --------------------------------------------------------------------- */

void out_ack(struct conn *c)
{
    struct segment s;
    begin_segment(c, &s, c->snd_nxt, SEG_ACK);
    s.sacks = c->sacks;
    memcpy(s.sack, c->sack_block, c->sacks * sizeof *s.sack);
    if (!emit_bare(c, &s)) {
        c->ack_owed = true;
        conn_list(c, LIST_ACK);
        return;
    }
    if (c->dsack) {
        memmove(c->sack_block, c->sack_block + 1, --c->sacks * sizeof *c->sack_block);
        c->dsack = false;
    }
}

/* RFC 5961 sections 3.2, 4.2, 5.2, and 7: so many in a second. */
void out_challenge(struct conn *c)
{
    uint32_t now_s = (uint32_t)(c->tcp->now_us / 1000000);
    if (c->challenge_s != now_s) {
        c->challenge_s = now_s;
        c->challenges = 0;
    }
    if (c->challenges >= CHALLENGES_PER_S)
        return;
    c->challenges++;
    c->tcp->stats.challenge_acks++;
    out_ack(c);
}

static bool send_syn(struct conn *c)
{
    struct segment s;
    begin_segment(c, &s, c->iss, c->state == TCP_SYN_SENT ? SEG_SYN : SEG_SYN | SEG_ACK);
    s.mss = out_offered_mss(&c->path);
    s.sack_permitted = c->sack;
    s.scaled = c->state == TCP_SYN_SENT || c->scale_out;
    s.scale = WINDOW_SCALE;
    return emit_bare(c, &s);
}

void out_syn(struct conn *c)
{
    (void)send_syn(c);
    note_sent(c, c->iss + 1, SENT_SYN);
    timer_rearm(c);
}

void out_reset(struct conn *c)
{
    struct segment s;
    begin_segment(c, &s, c->snd_nxt, SEG_RST | SEG_ACK);
    c->tcp->stats.resets_out++;
    (void)emit_bare(c, &s);
}

void out_bare(struct tcp *tcp, const struct flow *flow, const struct segment *s)
{
    uint8_t head[IP_HEAD_ROOM + SEGMENT_HEADER_MAX];
    struct tx_frame frame = {.head = head + IP_HEAD_ROOM};
    struct ip_path path;
    if (!ip_find_path(tcp->ip, &flow->local, &flow->peer, &path))
        return;
    frame.head_len = (uint16_t)segment_write(s, frame.head);
    if (ip_send(tcp->ip, &path, &frame, IP_PROTOCOL_TCP, SEGMENT_SUM_AT) != IP_FULL)
        tcp->stats.segments_out++;
}

void out_reset_for(struct tcp *tcp, const struct flow *flow, const struct segment *s)
{
    bool acked = s->flags & SEG_ACK;
    struct segment answer = {
        .source = flow->local_port,
        .destination = flow->peer_port,
        .seq = acked ? s->ack : 0,
        .ack = acked ? 0 : s->seq + segment_length(s),
        .flags = acked ? SEG_RST : SEG_RST | SEG_ACK,
    };
    if (s->flags & SEG_RST)
        return;
    tcp->stats.resets_out++;
    out_bare(tcp, flow, &answer);
}

/* RFC 9293 section 3.8.4: a sequence number that is through, so that it is answered. */
void out_keepalive(struct conn *c)
{
    struct segment s;
    begin_segment(c, &s, c->snd_una - 1, SEG_ACK);
    c->tcp->stats.keepalives++;
    (void)emit_bare(c, &s);
}

/* ---- what was sent before ------------------------------------------------------------------------------ */

static uint32_t index_of(struct conn *c, const struct sent *sent)
{
    uint32_t i = sent_find(&c->sent, sent->seq);
    return i;
}

/* Sends it again; of one longer than a segment the first part. False: the device has no room. */
bool out_retransmit(struct conn *c, struct sent *sent)
{
    struct tcp *tcp = c->tcp;
    uint32_t at = index_of(c, sent), data = sent->end - sent->seq;
    bool sent_it;
    if (sent->flags & SENT_SYN) {
        sent_it = send_syn(c);
    } else {
        data -= !!(sent->flags & SENT_FIN);
        if (data > c->mss) {
            sent_split(&c->sent, &tcp->pools.sent, at, sent->seq + c->mss);
            sent = sent_at(&c->sent, at);
            data = c->mss;
        }
        uint8_t fin = sent->flags & SENT_FIN ? SEG_FIN : 0;
        if (data == 0) {
            struct segment s;
            begin_segment(c, &s, sent->seq, SEG_ACK | fin);
            sent_it = emit_bare(c, &s);
        } else {
            uint32_t got = send_segment(c, sent->seq, data, fin);
            sent_it = got;
            if (got && got < data) {
                sent_split(&c->sent, &tcp->pools.sent, at, sent->seq + got);
                sent = sent_at(&c->sent, at);
            }
        }
    }
    if (!sent_it)
        return false;
    sent_mark_again(&c->sent, sent, (uint32_t)tcp->now_us);
    tcp->stats.retransmitted++;
    if (c->undo_retransmits >= 0)
        c->undo_retransmits++;
    c->prr_out += sent->end - sent->seq;
    return true;
}

/* False: no more can be sent now. */
static bool send_lost(struct conn *c)
{
    for (uint32_t i = 0; c->sent.lost && i < c->sent.count; i++) {
        struct sent *sent = sent_at(&c->sent, i);
        if (!(sent->flags & SENT_LOST))
            continue;
        uint32_t pipe = ack_pipe(c);
        if (pipe && pipe + c->mss > c->cwnd)
            return false;
        if (!out_retransmit(c, sent)) {
            conn_list(c, LIST_OUT);
            return false;
        }
    }
    return true;
}

void out_lower_mtu(struct conn *c, uint16_t mtu)
{
    c->path.mtu = mtu;
    out_set_mss(c);
    c->tcp->stats.pmtu_lowered++;
    for (uint32_t i = 0; i < c->sent.count; i++) {
        struct sent *sent = sent_at(&c->sent, i);
        if (sent->end - sent->seq > c->mss && !(sent->flags & SENT_SACKED))
            sent_mark_lost(&c->sent, sent);
    }
    conn_list(c, LIST_OUT);
}

/* ---- new data ------------------------------------------------------------------------------------------ */

/* RFC 5681 section 4.1: after an idle time the network's state is not known any more. */
static void restart_if_idle(struct conn *c)
{
    uint32_t initial = out_initial_window(c);
    if (c->sent.count == 0 && c->cwnd > initial && c->tcp->now_us - c->sent_us > c->rto_us) {
        if (c->ssthresh < c->cwnd - c->cwnd / 4)
            c->ssthresh = c->cwnd - c->cwnd / 4;
        c->cwnd = initial;
    }
}

static uint32_t segment_max(const struct conn *c)
{
    uint32_t tso = c->tcp->device->tso_max;
    return tso > c->mss ? tso - tso % c->mss : c->mss;
}

/* How much may go out in one segment now; 0: nothing. */
static uint32_t allowed(struct conn *c)
{
    uint32_t left = c->queue.end - c->snd_nxt, used = c->snd_nxt - c->snd_una;
    uint32_t window = c->snd_wnd > used ? c->snd_wnd - used : 0;
    uint32_t most = segment_max(c), len = left < most ? left : most, pipe = ack_pipe(c);
    if (window < len) {
        /* RFC 9293 section 3.8.6.2.1: no silly ones. */
        if (window < c->mss && window < c->snd_wnd_max / 2)
            return 0;
        len = window;
    }
    uint32_t room = c->cwnd > pipe ? c->cwnd - pipe : 0;
    if (room < len) {
        c->cwnd_limited = true;
        if (room < c->mss && (pipe || room == 0))
            return pipe ? 0 : c->mss;
        len = room - room % c->mss;
        if (!len)
            len = room;
    }
    /* RFC 896, if it is wanted. */
    if (c->tcp->options.nagle && len < c->mss && c->sent.count && !c->fin_queued)
        return 0;
    return len;
}

static void send_fin(struct conn *c)
{
    struct segment s;
    begin_segment(c, &s, c->snd_nxt, SEG_ACK | SEG_FIN);
    if (!emit_bare(c, &s)) {
        conn_list(c, LIST_OUT);
        return;
    }
    note_sent(c, c->snd_nxt + 1, SENT_FIN);
    c->fin_sent = true;
}

static void send_new(struct conn *c)
{
    uint32_t len;
    c->cwnd_limited = false;
    while (conn_unsent(c) && (len = allowed(c))) {
        uint32_t left = c->queue.end - c->snd_nxt;
        bool last = len >= left && c->fin_queued;
        uint32_t got = send_segment(c, c->snd_nxt, len < left ? len : left, last ? SEG_FIN : 0);
        if (!got) {
            conn_list(c, LIST_OUT);
            return;
        }
        c->fin_sent = last && got == left;
        note_sent(c, c->snd_nxt + got + c->fin_sent, c->fin_sent ? SENT_FIN : 0);
        if (c->recovery)
            c->prr_out += got;
    }
    if (c->fin_queued && !c->fin_sent && c->queue.end == c->snd_nxt)
        send_fin(c);
}

static void after_fin(struct conn *c)
{
    if (c->state == TCP_ESTABLISHED)
        c->state = TCP_FIN_WAIT_1;
    else if (c->state == TCP_CLOSE_WAIT)
        c->state = TCP_LAST_ACK;
}

void out_data(struct conn *c)
{
    uint32_t before = c->snd_nxt;
    uint64_t again = c->tcp->stats.retransmitted;
    if (c->state < TCP_ESTABLISHED)
        return;
    if ((!c->sent.lost || send_lost(c)) && !c->fin_sent) {
        restart_if_idle(c);
        send_new(c);
        if (c->fin_sent)
            after_fin(c);
    }
    /* Only what was sent moves the timer: a user who goes on writing must not. */
    bool waits = c->sent.count || conn_unsent(c);
    if (c->snd_nxt != before || again != c->tcp->stats.retransmitted || (waits && !c->soon_us))
        timer_rearm(c);
}

/* One byte beyond a shut window, or what is on its way: RFC 9293 section 3.8.6.1. What fits one that is open,
 * but so little that nothing was sent: section 3.8.6.2.1, the override. */
void out_window_probe(struct conn *c)
{
    if (c->sent.count) {
        (void)out_retransmit(c, sent_at(&c->sent, 0));
        return;
    }
    uint32_t len = conn_unsent(c);
    if (!len)
        return;
    if (len > c->snd_wnd)
        len = c->snd_wnd ? c->snd_wnd : 1;
    if (len > c->mss)
        len = c->mss;
    uint32_t got = send_segment(c, c->snd_nxt, len, 0);
    if (got)
        note_sent(c, c->snd_nxt + got, 0);
}

/* RFC 8985 section 7.3: new data if there is any, else the last segment again. */
void out_loss_probe(struct conn *c)
{
    uint32_t used = c->snd_nxt - c->snd_una, left = c->queue.end - c->snd_nxt;
    uint32_t window = c->snd_wnd > used ? c->snd_wnd - used : 0;
    uint32_t len = left < c->mss ? left : c->mss;
    c->tcp->stats.tlp++;
    c->tlp_again = false;
    if (!c->fin_sent && len && window >= len) {
        uint32_t got = send_segment(c, c->snd_nxt, len, 0);
        if (got)
            note_sent(c, c->snd_nxt + got, 0);
    } else {
        for (uint32_t i = c->sent.count; i--;)
            if (!(sent_at(&c->sent, i)->flags & SENT_SACKED)) {
                c->tlp_again = out_retransmit(c, sent_at(&c->sent, i));
                break;
            }
    }
    c->tlp_out = true;
    c->tlp_end = c->snd_nxt;
}
