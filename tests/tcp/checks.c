#include "play.h"

static bool before(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) < 0;
}

/* What the stack is allowed to send. */
static void check_limits(struct flow *f, const struct segment *s)
{
    struct play *p = f->play;
    uint32_t mss = f->peer_mss ? f->peer_mss : p->hosts.v6 ? 1220 : 536;
    if (s->len && s->len + s->options_len > mss)
        play_fail(p, "a segment is larger than the peer's MSS (RFC 9293 section 3.7.1): %u", s->len);
    uint32_t end = s->seq + s->len;
    if (s->len > 1 && f->known && before(f->right_edge, end))
        play_fail(p, "sent beyond the peer's window, which ends at %u", f->right_edge - f->relative.our_isn);
}

static void check_payload(struct flow *f, const struct segment *s, const uint8_t *payload)
{
    uint32_t first = s->seq + (s->flags & SYN ? 1 : 0) - f->relative.our_isn - 1;
    for (uint32_t i = 0; i < s->len; i++) {
        uint32_t at = s->seq + i;
        /* What is acknowledged may be anything: it is a keep-alive's. */
        if (f->known && before(at, f->peer_acked))
            continue;
        if (payload[i] != our_byte(first + i))
            play_fail(f->play, "sent byte %u is wrong", first + i);
    }
}

static void check_ack(struct flow *f, const struct segment *s)
{
    struct play *p = f->play;
    if (!(s->flags & ACK) || s->flags & RST)
        return;
    uint32_t edge = s->ack + ((uint32_t)s->win << (s->flags & SYN ? 0 : f->relative.our_scale));
    if (f->has_acked && before(s->ack, f->acked))
        play_fail(p, "its acknowledgement goes back");
    /* A unit of the scale is lost to rounding. */
    if (f->has_edge && f->live && before(edge + (1u << f->relative.our_scale) - 1, f->acked_edge))
        play_fail(p, "it takes its window back (RFC 9293 section 3.8.6)");
    f->acked = s->ack;
    f->acked_edge = edge;
    f->has_acked = true;
    f->has_edge = !(s->flags & SYN);
}

static void learn_syn(struct flow *f, const struct segment *s)
{
    struct play *p = f->play;
    if (!f->known || f->reopened) {
        f->relative.our_isn = s->seq;
        f->right_edge = s->seq + 1 + f->win;
        f->peer_acked = s->seq;
        f->known = true;
        f->reopened = false;
    } else if (f->relative.our_isn != s->seq) {
        play_fail(p, "its SYN has another sequence number than before");
    }
    if (s->options_len && !(s->has & HAS_MSS))
        play_fail(p, "its SYN has options, but not the MSS");
    if (s->flags & ACK && f->peer_mss) {
        if (s->has & HAS_TS && !f->peer_ts)
            play_fail(p, "its SYN-ACK has timestamps, which the peer didn't offer");
        if (s->has & HAS_WSCALE && !f->scales)
            play_fail(p, "its SYN-ACK has a window scale, which the peer didn't offer");
        if (s->has & HAS_SACK_OK && !f->sack_ok)
            play_fail(p, "its SYN-ACK permits SACK, which the peer didn't offer");
    }
    f->our_ts = s->has & HAS_TS;
    f->relative.our_scale = s->has & HAS_WSCALE ? s->wscale : 0;
    if (f->relative.our_scale > 14)
        play_fail(p, "it offers a window scale above 14");
}

static void check_timestamp(struct flow *f, const struct segment *s)
{
    struct relative *r = &f->relative;
    bool both = f->peer_ts && f->our_ts;
    if (!(s->has & HAS_TS)) {
        if (both && !(s->flags & (RST | SYN)))
            play_fail(f->play, "it has no timestamp (RFC 7323 section 3.2)");
        return;
    }
    if (!both && !(s->flags & SYN))
        play_fail(f->play, "it has a timestamp, which was not agreed on");
    if (r->ts_first == 0)
        r->ts_first = r->ts_last = s->ts_val;
    /* Half of the numbers are passed in 24 days. */
    if (before(s->ts_val, r->ts_last) && f->play->now_ns - f->stamped_ns < 1000000 * SECOND)
        play_fail(f->play, "its timestamp goes back");
    f->stamped_ns = f->play->now_ns;
    r->ts_last = s->ts_val;
}

void check_ours(struct flow *f, const struct segment *s, const uint8_t *payload)
{
    if (s->flags & SYN)
        learn_syn(f, s);
    if (!(s->flags & (ACK | SYN | RST)))
        play_fail(f->play, "it has no ACK (RFC 9293 section 3.10.7.4)");
    if (s->flags & URG)
        play_fail(f->play, "it is urgent");
    if (s->flags & RST)
        return;
    check_timestamp(f, s);
    check_limits(f, s);
    check_payload(f, s, payload);
    check_ack(f, s);
}

void note_peers(struct flow *f, const struct segment *s)
{
    if (s->flags & RST || s->bad_sum)
        return;
    if (s->flags & SYN && (!f->live || f->reopened || !f->peer_mss)) {
        f->peer_mss = s->has & HAS_MSS && s->mss ? s->mss : f->play->hosts.v6 ? 1220 : 536;
        f->peer_ts = s->has & HAS_TS;
        f->scales = s->has & HAS_WSCALE;
        f->sack_ok = s->has & HAS_SACK_OK;
        f->peer_scale = s->has & HAS_WSCALE ? s->wscale > 14 ? 14 : s->wscale : 0;
    }
    uint32_t edge = s->ack + ((uint32_t)s->win << (s->flags & SYN || !f->scales ? 0 : f->peer_scale));
    if (!(s->flags & ACK) || !f->known)
        return;
    if (before(f->right_edge, edge))
        f->right_edge = edge;
    if (before(f->peer_acked, s->ack) && !before(f->relative.our_isn + 1 + (uint32_t)f->sent + 1, s->ack))
        f->peer_acked = s->ack;
}
