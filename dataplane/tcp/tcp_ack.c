/*
 * Acknowledgements. The happy path: ack_input → take_cumulative: segments are through, their round trip is
 * known → cwnd grows → more is sent at the end of the turn.
 *
 * Losses are found by time (RACK, RFC 8985): a segment is lost when one sent later has been delivered and
 * some time, for reordering, has passed since. Peers without SACK are counted on their duplicates (RFC 5681,
 * 6582). What is sent while recovering follows the rate at which data is delivered (RFC 6937).
 */
#include <errno.h>

#include "tcp/tcp_inside.h"

/* What one acknowledgement told. */
struct news {
    uint32_t acked, sacked; /* bytes newly so */
    uint32_t rtt_us;        /* of the segment sent last among them that was sent once; 0: none */
    bool advanced, dsack;
};

/* ---- round-trip time (RFC 6298) --------------------------------------------------------------------- */

static void set_rto(struct conn *c)
{
    uint32_t spread = 4 * c->rttvar_us;
    uint32_t rto = c->srtt_us + (spread ? spread : 1);
    if (rto < c->tcp->options.rto_min_us)
        rto = c->tcp->options.rto_min_us;
    c->rto_us = rto < RTO_MOST_US ? rto : RTO_MOST_US;
}

void ack_rtt(struct conn *c, uint32_t rtt_us)
{
    rtt_us += !rtt_us;
    if (!c->srtt_us) {
        c->srtt_us = rtt_us;
        c->rttvar_us = rtt_us / 2;
    } else {
        uint32_t off = rtt_us > c->srtt_us ? rtt_us - c->srtt_us : c->srtt_us - rtt_us;
        c->rttvar_us = (3 * c->rttvar_us + off) / 4;
        c->srtt_us = (uint32_t)((7 * (uint64_t)c->srtt_us + rtt_us) / 8);
    }
    uint32_t now_s = (uint32_t)(c->tcp->now_us / 1000000);
    if (!c->min_rtt_us || rtt_us <= c->min_rtt_us || now_s - c->min_rtt_s > MIN_RTT_S) {
        c->min_rtt_us = rtt_us;
        c->min_rtt_s = now_s;
    }
    set_rto(c);
}

/* To the millisecond of timestamps, at most what the clock allows. */
static uint32_t echo_rtt(const struct conn *c, const struct segment *s)
{
    uint32_t ms = out_timestamp(c) - s->ts_echo;
    return ms < RTO_MOST_US / 1000 ? (ms + 1) * 1000 : RTO_FIRST_US;
}

/* ---- RACK (RFC 8985 section 6.2) -------------------------------------------------------------------- */

static bool sent_after(uint32_t at_us, uint32_t end, uint32_t other_us, uint32_t other_end)
{
    return seq_lt(other_us, at_us) || (at_us == other_us && seq_lt(other_end, end));
}

static void rack_delivered(struct conn *c, const struct sent *sent)
{
    struct rack *r = &c->rack;
    uint32_t rtt_us = (uint32_t)c->tcp->now_us - sent->at_us;
    if (seq_lt(sent->end, r->fack)) {
        if (!(sent->flags & SENT_RETRANSMITTED))
            r->reordering = true;
    } else {
        r->fack = sent->end;
    }
    /* Step 2: the acknowledgement of an earlier sending tells nothing about this one. */
    if (sent->flags & SENT_RETRANSMITTED && rtt_us < c->min_rtt_us)
        return;
    if (r->valid && !sent_after(sent->at_us, sent->end, r->xmit_us, r->end_seq))
        return;
    r->valid = true;
    r->rtt_us = rtt_us;
    r->xmit_us = sent->at_us;
    r->end_seq = sent->end;
}

/* Section 6.2 step 4. */
static uint32_t reordering_window(const struct conn *c)
{
    const struct rack *r = &c->rack;
    if (!r->reordering && (c->recovery || c->sent.sacked >= DUPLICATES * c->mss))
        return 0;
    uint32_t window = c->min_rtt_us / 4 * (r->window_mult + 1);
    return window < c->srtt_us ? window : c->srtt_us;
}

static void rack_dsack(struct conn *c, bool dsack)
{
    struct rack *r = &c->rack;
    if (dsack && (!r->dsack_seen || seq_leq(r->dsack_round, c->snd_una))) {
        r->dsack_seen = true;
        r->dsack_round = c->snd_nxt;
        r->window_mult++;
        r->window_persist = 16;
    }
    if (!c->recovery && r->window_persist == 0)
        r->window_mult = 0;
}

/* Section 6.2 step 5. Behind what was delivered furthest, only what was sent again can be lost by this
 * measure. */
void ack_detect_losses(struct conn *c)
{
    const struct rack *r = &c->rack;
    uint32_t now_us = (uint32_t)c->tcp->now_us, wait_us = 0;
    if (c->soon_kind == SOON_RACK)
        timer_no_soon(c);
    if (!r->valid || !c->sack || (!c->sent.sacked && !c->sent.again && !c->recovery))
        return;
    uint32_t limit_us = r->rtt_us + reordering_window(c);
    for (uint32_t i = 0; i < c->sent.count; i++) {
        struct sent *sent = sent_at(&c->sent, i);
        if (seq_lt(r->fack, sent->end) && !c->sent.again)
            break;
        if (sent->flags & (SENT_SACKED | SENT_LOST) ||
            !sent_after(r->xmit_us, r->end_seq, sent->at_us, sent->end))
            continue;
        int32_t left_us = (int32_t)(sent->at_us + limit_us - now_us);
        if (left_us <= 0)
            sent_mark_lost(&c->sent, sent);
        else if ((uint32_t)left_us > wait_us)
            wait_us = (uint32_t)left_us;
    }
    if (wait_us)
        timer_soon(c, SOON_RACK, c->tcp->now_us + wait_us);
}

/* ---- the scoreboard --------------------------------------------------------------------------------- */

static void delivered(struct conn *c, const struct sent *sent, struct news *news)
{
    if (!(sent->flags & SENT_RETRANSMITTED))
        news->rtt_us = (uint32_t)c->tcp->now_us - sent->at_us;
    rack_delivered(c, sent);
}

static void take_cumulative(struct conn *c, uint32_t ack, struct news *news)
{
    struct tcp *tcp = c->tcp;
    uint32_t bytes = ack - c->snd_una;
    while (c->sent.count) {
        struct sent *sent = sent_at(&c->sent, 0);
        if (seq_lt(ack, sent->end)) {
            /* A part of it, of a segment cut on its way. */
            if (seq_lt(sent->seq, ack)) {
                uint8_t flags = sent->flags;
                sent_unmark(&c->sent, sent);
                news->acked += flags & SENT_SACKED ? 0 : ack - sent->seq;
                sent->seq = ack;
                if (flags & SENT_LOST)
                    sent_mark_lost(&c->sent, sent);
            }
            break;
        }
        if (!(sent->flags & SENT_SACKED)) {
            delivered(c, sent, news);
            news->acked += sent->end - sent->seq;
        }
        bytes -= !!(sent->flags & SENT_SYN) + !!(sent->flags & SENT_FIN);
        sent_unmark(&c->sent, sent);
        sent_drop(&c->sent, &tcp->pools.sent);
    }
    c->snd_una = ack;
    c->acked += bytes;
    queue_release(&c->queue, &tcp->pools.queue, ack);
    conn_list(c, LIST_LENT);
    news->advanced = true;
}

static void take_block(struct conn *c, const struct sack_block *block, struct news *news)
{
    for (uint32_t i = sent_find(&c->sent, block->left); i < c->sent.count; i++) {
        struct sent *sent = sent_at(&c->sent, i);
        if (seq_lt(block->right, sent->end))
            break;
        if (sent->flags & SENT_SACKED || seq_lt(sent->seq, block->left))
            continue;
        delivered(c, sent, news);
        sent_mark_sacked(&c->sent, sent);
        news->sacked += sent->end - sent->seq;
    }
}

/* RFC 2883 section 4: the first block tells of a duplicate if it is acknowledged already, or lies in the
 * second. */
static bool is_dsack(const struct segment *s)
{
    const struct sack_block *b = s->sack;
    if (seq_lt(b[0].left, s->ack))
        return true;
    return s->sacks > 1 && seq_leq(b[1].left, b[0].left) && seq_leq(b[0].right, b[1].right);
}

static void take_sacks(struct conn *c, const struct segment *s, struct news *news)
{
    for (unsigned i = 0; i < s->sacks; i++) {
        const struct sack_block *b = &s->sack[i];
        if (!seq_lt(b->left, b->right) || seq_lt(c->snd_nxt, b->right))
            continue;
        if (i == 0 && is_dsack(s)) {
            news->dsack = true;
            continue;
        }
        if (seq_lt(c->snd_una, b->right))
            take_block(c, b, news);
    }
}

/* ---- recovery ---------------------------------------------------------------------------------------- */

/* Without SACK each duplicate says that one segment is through, we don't know which. */
uint32_t ack_pipe(const struct conn *c)
{
    uint32_t flight = c->snd_nxt - c->snd_una - c->sent.sacked - c->sent.lost;
    uint32_t gone = c->sack ? 0 : c->duplicates * c->mss;
    return flight > gone ? flight - gone : 0;
}

static void begin_recovery(struct conn *c, enum recovery kind)
{
    if (c->recovery == RECOVERY_NONE) {
        c->undo_cwnd = c->cwnd;
        c->undo_ssthresh = c->ssthresh;
        c->undo_at = c->snd_una;
        c->undo_retransmits = 0;
        c->retransmit_ts = out_timestamp(c);
    }
    c->prr_flight = c->snd_nxt - c->snd_una;
    c->prr_flight += !c->prr_flight;
    c->prr_delivered = c->prr_out = 0;
    c->ssthresh = c->tcp->cc->lost(c);
    c->recover = c->snd_nxt;
    c->recovery = (uint8_t)kind;
    c->backoff = kind == RECOVERY_RTO ? c->backoff : 0;
}

static void enter_fast(struct conn *c)
{
    c->tcp->stats.fast_recoveries++;
    begin_recovery(c, RECOVERY_FAST);
    /* Room for the first retransmission, whatever the rate allows. */
    uint32_t pipe = ack_pipe(c);
    c->cwnd = pipe + c->mss;
}

/* RFC 6298 section 5, RFC 8985 section 6.3: all that isn't known to be through is lost. */
void ack_enter_rto(struct conn *c)
{
    if (c->recovery != RECOVERY_RTO)
        begin_recovery(c, RECOVERY_RTO);
    c->recover = c->snd_nxt;
    for (uint32_t i = 0; i < c->sent.count; i++) {
        struct sent *sent = sent_at(&c->sent, i);
        if (!(sent->flags & SENT_SACKED))
            sent_mark_lost(&c->sent, sent);
    }
    c->duplicates = 0;
    c->cwnd = c->mss;
}

/* It was no loss, as the peer tells by D-SACK or by its echo of a timestamp (RFC 3522): as if nothing had
 * been. */
static void undo(struct conn *c)
{
    c->tcp->stats.spurious++;
    c->cwnd = c->undo_cwnd > c->cwnd ? c->undo_cwnd : c->cwnd;
    c->ssthresh = c->undo_ssthresh;
    c->recovery = RECOVERY_NONE;
    c->undo_retransmits = -1;
    c->backoff = 0;
    for (uint32_t i = 0; i < c->sent.count; i++) {
        struct sent *sent = sent_at(&c->sent, i);
        if (sent->flags & SENT_LOST)
            sent_unmark(&c->sent, sent);
    }
}

static void end_recovery(struct conn *c)
{
    if (c->recovery == RECOVERY_FAST)
        c->cwnd = c->ssthresh;
    c->recovery = RECOVERY_NONE;
    c->duplicates = 0;
    c->undo_retransmits = -1;
    if (c->rack.window_persist)
        c->rack.window_persist--;
}

/* RFC 6937: in proportion while there is more in flight than ssthresh, then slow start up to it. */
static void prr(struct conn *c, uint32_t delivered_bytes, bool progress)
{
    uint32_t pipe = ack_pipe(c), send;
    c->prr_delivered += delivered_bytes;
    if (pipe > c->ssthresh) {
        uint64_t want = ((uint64_t)c->prr_delivered * c->ssthresh + c->prr_flight - 1) / c->prr_flight;
        send = want > c->prr_out ? (uint32_t)want - c->prr_out : 0;
    } else {
        uint32_t limit = c->prr_delivered > c->prr_out ? c->prr_delivered - c->prr_out : 0;
        if (limit < delivered_bytes)
            limit = delivered_bytes;
        if (progress)
            limit += c->mss;
        send = c->ssthresh - pipe < limit ? c->ssthresh - pipe : limit;
    }
    /* The first retransmission always goes out. */
    if (!c->prr_out && send < c->mss)
        send = c->mss;
    c->cwnd = pipe + send;
}

/* RFC 5681 section 3.2, 6582: duplicates of peers that have no SACK. */
static void count_duplicate(struct conn *c)
{
    if (c->sack || !c->sent.count)
        return;
    c->duplicates++;
    if (c->duplicates == DUPLICATES && !c->recovery)
        sent_mark_lost(&c->sent, sent_at(&c->sent, 0));
}

/* RFC 6582 section 3.2 step 3: a partial acknowledgement tells of the next loss. */
static void after_partial(struct conn *c, const struct news *news)
{
    uint32_t segments = news->acked / c->mss;
    if (c->sack || c->recovery != RECOVERY_FAST)
        return;
    c->duplicates = c->duplicates > segments ? c->duplicates - segments : 0;
    if (c->sent.count && !(sent_at(&c->sent, 0)->flags & (SENT_AGAIN | SENT_LOST)))
        sent_mark_lost(&c->sent, sent_at(&c->sent, 0));
}

void ack_rack_timer(struct conn *c)
{
    ack_detect_losses(c);
    if (c->sent.lost && c->recovery == RECOVERY_NONE)
        enter_fast(c);
}

static void recover(struct conn *c, struct news *news)
{
    if (news->dsack && c->undo_retransmits > 0 && --c->undo_retransmits == 0 && c->recovery) {
        undo(c);
        return;
    }
    if (c->recovery && !seq_lt(c->snd_una, c->recover)) {
        end_recovery(c);
        return;
    }
    if (news->advanced)
        after_partial(c, news);
    ack_detect_losses(c);
    if (c->sent.lost && c->recovery == RECOVERY_NONE)
        enter_fast(c);
    if (c->recovery == RECOVERY_FAST)
        prr(c, news->acked + news->sacked, news->advanced);
}

/* RFC 3522: the first acknowledgement after a timeout echoes a segment sent before. */
static bool timeout_was_spurious(const struct conn *c, const struct segment *s)
{
    return c->recovery == RECOVERY_RTO && c->timestamps && s->timestamps && c->undo_retransmits >= 0 &&
           c->snd_una == c->undo_at && seq_lt(s->ts_echo, c->retransmit_ts) && seq_lt(c->undo_at, s->ack);
}

/* RFC 8985 section 7.4.2: if the probe was what mended the end of the flight, that was a loss; it was not if
 * the peer has had both. An acknowledgement of all, alone, doesn't say which. */
static void end_probe(struct conn *c, const struct segment *s, const struct news *news)
{
    bool behind = seq_lt(c->tlp_end, s->ack), again = !news->advanced && !s->sacks;
    if (c->tlp_again && !news->dsack && !behind && !again)
        return;
    c->tlp_out = false;
    if (!c->tlp_again || news->dsack || !behind || c->recovery)
        return;
    c->ssthresh = c->tcp->cc->lost(c);
    if (c->cwnd > c->ssthresh)
        c->cwnd = c->ssthresh;
}

/* ---- one acknowledgement ----------------------------------------------------------------------------- */

/* RFC 9293 section 3.10.7.4. Returns whether it opened. */
static bool update_window(struct conn *c, const struct segment *s)
{
    uint32_t window = (uint32_t)s->window << c->scale_in, before = c->snd_wnd;
    if (seq_lt(s->seq, c->snd_wl1) || (s->seq == c->snd_wl1 && seq_lt(s->ack, c->snd_wl2)))
        return false;
    c->snd_wnd = window;
    c->snd_wl1 = s->seq;
    c->snd_wl2 = s->ack;
    if (window > c->snd_wnd_max)
        c->snd_wnd_max = window;
    if (!window && before)
        c->tcp->stats.zero_windows++;
    return window > before;
}

/* A probe of a shut window was not taken: now it may be. */
static void window_opened(struct conn *c)
{
    c->probing = false;
    c->backoff = 0;
    if (!c->sent.count)
        return;
    struct sent *first = sent_at(&c->sent, 0);
    /* The probe's byte was not lost, there was no room for it: it goes out with what follows. */
    if (c->sent.count == 1 && !c->fin_sent && first->end - first->seq == 1) {
        sent_unmark(&c->sent, first);
        sent_drop(&c->sent, &c->tcp->pools.sent);
        c->snd_nxt = c->snd_una;
        c->tlp_out = false;
        return;
    }
    if (!(first->flags & (SENT_LOST | SENT_SACKED)))
        sent_mark_lost(&c->sent, first);
}

static void grow(struct conn *c, const struct news *news)
{
    if (c->recovery == RECOVERY_FAST || !news->acked)
        return;
    /* RFC 5681 section 4.1, 7661: only what is used grows. */
    if (c->cwnd_limited || c->recovery)
        c->tcp->cc->acked(c, news->acked);
}

static void settle(struct conn *c, const struct news *news)
{
    struct tcp *tcp = c->tcp;
    if (news->advanced) {
        c->stalled_us = c->sent.count ? tcp->now_us : 0;
        c->backoff = 0;
        c->black_holes = 0;
        if (!c->recovery)
            c->duplicates = 0;
        if (c->wants_room && !c->detached) {
            c->wants_room = false;
            c->up.progress(c->up.owner, c->user);
        }
    }
    if (c->dead)
        return;
    if (news->advanced || news->sacked)
        timer_rearm(c);
    conn_list(c, LIST_OUT);
}

bool ack_input(struct conn *c, const struct segment *s)
{
    struct news news = {0};
    /* RFC 5961 section 5.2. */
    if (seq_lt(c->snd_nxt, s->ack) || seq_lt(s->ack, c->snd_una - c->snd_wnd_max)) {
        out_challenge(c);
        return false;
    }
    bool spurious = timeout_was_spurious(c, s);
    uint32_t window_before = c->snd_wnd;
    bool opened = !seq_lt(s->ack, c->snd_una) && update_window(c, s);
    if (seq_lt(c->snd_una, s->ack))
        take_cumulative(c, s->ack, &news);
    if (c->sack && s->sacks)
        take_sacks(c, s, &news);
    if (news.rtt_us)
        ack_rtt(c, news.rtt_us);
    else if (news.advanced && !c->srtt_us && c->timestamps && s->timestamps)
        ack_rtt(c, echo_rtt(c, s)); /* what was sent twice: the echo says which came (RFC 7323 section 4.1) */
    /* Also when it was a part of what it had been: no probe is wanted any more. */
    if (c->probing && (opened || (news.advanced && c->snd_wnd)))
        window_opened(c);
    if (!news.advanced && !c->probing && s->ack == c->snd_una && !s->len && !(s->flags & SEG_FIN) &&
        c->snd_wnd == window_before)
        count_duplicate(c);
    rack_dsack(c, news.dsack);
    if (c->tlp_out && !seq_lt(s->ack, c->tlp_end))
        end_probe(c, s, &news);
    if (spurious)
        undo(c);
    else if (c->recovery || c->sent.sacked || c->sent.lost || c->sent.again || news.dsack)
        recover(c, &news);
    grow(c, &news);
    if (news.advanced || news.sacked || opened || c->sent.lost || c->duplicates)
        settle(c, &news);
    /* The time for reordering was over, and nothing was lost. */
    if (!c->dead && !c->soon_us && c->sent.count)
        timer_rearm(c);
    /* A peer with a shut window that answers is there. */
    if (c->probing)
        c->stalled_us = c->tcp->now_us;
    return true;
}
