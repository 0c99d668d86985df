/*
 * What time brings. Each connection has two nodes in the wheel: `soon`, one of retransmission (RFC 6298),
 * loss probe and reordering (RFC 8985) or window probe; and `late`, for idleness and ends. A node that fires
 * before its time, because the time was moved back, is set again: so an acknowledgement costs no work in the
 * wheel.
 */
#include <errno.h>

#include "tcp/tcp_inside.h"

enum { BACKOFF_MOST = 12, BLACK_HOLE_TIMEOUTS = 2, KEEPALIVE_PROBES = 6 };

static void set(struct conn *c, struct conn_timer *timer, bool is_late, uint64_t at_us)
{
    uint64_t at_ns = at_us * 1000;
    timer->is_late = is_late;
    if (!timer->node.link || timer->node.at > at_ns >> WHEEL_TICK_SHIFT)
        wheel_set(&c->tcp->wheel, &timer->node, at_ns);
}

void timer_soon(struct conn *c, enum soon kind, uint64_t at_us)
{
    c->soon_kind = (uint8_t)kind;
    c->soon_us = at_us + !at_us;
    set(c, &c->soon, false, c->soon_us);
}

void timer_no_soon(struct conn *c)
{
    c->soon_us = 0;
    c->soon_kind = SOON_RTO;
}

void timer_late(struct conn *c, uint64_t at_us)
{
    c->late_us = at_us + !at_us;
    set(c, &c->late, true, c->late_us);
}

void timer_cancel_all(struct conn *c)
{
    wheel_cancel(&c->tcp->wheel, &c->soon.node);
    wheel_cancel(&c->tcp->wheel, &c->late.node);
}

static uint64_t backed_off(const struct conn *c)
{
    uint64_t rto = (uint64_t)c->rto_us << (c->backoff < BACKOFF_MOST ? c->backoff : BACKOFF_MOST);
    return rto < RTO_MOST_US ? rto : RTO_MOST_US;
}

/* RFC 8985 section 7.2. */
static bool wants_loss_probe(const struct conn *c, uint64_t *at_us)
{
    if (!c->sack || c->recovery || c->backoff || c->tlp_out || !c->srtt_us || c->state < TCP_ESTABLISHED ||
        c->sent.sacked)
        return false;
    uint64_t wait = 2 * (uint64_t)c->srtt_us;
    /* The peer may be waiting for a second segment before it acknowledges. */
    if (c->sent.count == 1)
        wait += c->tcp->options.rto_min_us;
    if (wait < TLP_LEAST_US)
        wait = TLP_LEAST_US;
    *at_us = c->tcp->now_us + wait;
    return wait < backed_off(c);
}

/* Several probes are unanswered before the peer is given up. */
static uint64_t probe_interval(const struct conn *c)
{
    uint64_t most = c->tcp->options.give_up_ms * UINT64_C(1000) / 4, us = backed_off(c);
    return us < most ? us : most;
}

void timer_rearm(struct conn *c)
{
    uint64_t now_us = c->tcp->now_us, at_us;
    if (c->soon_us && c->soon_kind == SOON_RACK)
        return;
    if (c->sent.count == 0 || c->probing) {
        if (c->state >= TCP_ESTABLISHED && (conn_unsent(c) || c->probing))
            timer_soon(c, SOON_PERSIST, now_us + probe_interval(c));
        else
            timer_no_soon(c);
    } else if (wants_loss_probe(c, &at_us)) {
        timer_soon(c, SOON_TLP, at_us);
    } else {
        timer_soon(c, SOON_RTO, now_us + backed_off(c));
    }
}

void timer_idle(struct conn *c)
{
    const struct tcp_options *o = &c->tcp->options;
    if (o->keepalive_ms != UINT32_MAX)
        timer_late(c, c->heard_us + o->keepalive_ms * UINT64_C(1000));
}

/* ---- what is due ----------------------------------------------------------------------------------------
 */

static void give_up(struct conn *c)
{
    if (c->state != TCP_SYN_SENT)
        out_reset(c);
    conn_end(c, ETIMEDOUT);
}

static void syn_timeout(struct conn *c)
{
    if (++c->backoff > SYN_TRIES) {
        conn_end(c, ETIMEDOUT);
        return;
    }
    c->syn_again = true;
    (void)out_retransmit(c, sent_at(&c->sent, 0));
    timer_rearm(c);
}

/* Nothing large comes through, and nobody says why: RFC 4821 section 7.7, RFC 2923 section 2.1. */
static void look_for_black_hole(struct conn *c)
{
    static const uint16_t plateau[] = {4352, 1492, 1280, 1006, 576};
    uint16_t least = c->path.v6 ? MTU_LEAST_V6 : MTU_LEAST;
    struct sent *first = sent_at(&c->sent, 0);
    if (first->end - first->seq < c->mss || c->backoff < BLACK_HOLE_TIMEOUTS)
        return;
    for (unsigned i = 0; i < sizeof plateau / sizeof *plateau; i++)
        if (plateau[i] < c->path.mtu && plateau[i] >= least) {
            c->black_holes++;
            out_lower_mtu(c, plateau[i]);
            return;
        }
}

static void rto_timeout(struct conn *c)
{
    struct tcp *tcp = c->tcp;
    if (c->state == TCP_SYN_SENT || c->state == TCP_SYN_RECEIVED) {
        syn_timeout(c);
        return;
    }
    if (!c->sent.count)
        return;
    if (c->stalled_us && tcp->now_us - c->stalled_us > tcp->options.give_up_ms * UINT64_C(1000)) {
        give_up(c);
        return;
    }
    tcp->stats.rto++;
    ack_enter_rto(c);
    if (c->backoff < BACKOFF_MOST)
        c->backoff++;
    look_for_black_hole(c);
    out_data(c);
    timer_rearm(c);
}

static void persist_timeout(struct conn *c)
{
    struct tcp *tcp = c->tcp;
    if (c->queue.end == c->snd_una || (!c->probing && c->sent.count))
        return;
    if (tcp->now_us - c->heard_us > tcp->options.give_up_ms * UINT64_C(1000)) {
        give_up(c);
        return;
    }
    /* It has opened a little: small segments are better than none. */
    c->probing = true;
    out_window_probe(c);
    if (c->backoff < BACKOFF_MOST)
        c->backoff++;
    timer_rearm(c);
}

static void on_soon(struct conn *c)
{
    enum soon kind = c->soon_kind;
    timer_no_soon(c);
    switch (kind) {
    case SOON_RTO:
        rto_timeout(c);
        break;
    case SOON_PERSIST:
        persist_timeout(c);
        break;
    case SOON_TLP:
        if (!c->sent.count)
            break;
        out_loss_probe(c);
        timer_rearm(c);
        break;
    case SOON_RACK:
        ack_rack_timer(c);
        out_data(c);
        timer_rearm(c);
        break;
    }
}

/* RFC 9293 section 3.8.4. */
static void idle(struct conn *c)
{
    const struct tcp_options *o = &c->tcp->options;
    uint64_t idle_us = c->tcp->now_us - c->heard_us, first_us = o->keepalive_ms * UINT64_C(1000);
    if (idle_us < first_us) {
        timer_late(c, c->heard_us + first_us);
        return;
    }
    if (c->keepalives >= KEEPALIVE_PROBES) {
        give_up(c);
        return;
    }
    c->keepalives++;
    out_keepalive(c);
    timer_late(c, c->tcp->now_us + o->give_up_ms * UINT64_C(1000) / KEEPALIVE_PROBES);
}

static void on_late(struct conn *c)
{
    c->late_us = 0;
    if (c->fin_queued)
        give_up(c);
    else
        idle(c);
}

static void on_timer(struct tcp *tcp, struct wheel_node *node)
{
    struct conn_timer *timer = container_of(node, struct conn_timer, node);
    struct conn *c =
        timer->is_late ? container_of(timer, struct conn, late) : container_of(timer, struct conn, soon);
    uint64_t due_us = timer->is_late ? c->late_us : c->soon_us;
    if (c->dead || !due_us)
        return;
    if (due_us > tcp->now_us)
        set(c, timer, timer->is_late, due_us);
    else if (timer->is_late)
        on_late(c);
    else
        on_soon(c);
}

unsigned tcp_run_timers(struct tcp *tcp, uint64_t now_ns)
{
    unsigned n = wait_expire(tcp);
    conns_resume(tcp);
    for (struct wheel_node *node; (node = wheel_due(&tcp->wheel, now_ns)); n++)
        on_timer(tcp, node);
    return n;
}

uint64_t tcp_deadline(struct tcp *tcp)
{
    uint64_t wheel = wheel_next(&tcp->wheel), wait = wait_deadline(tcp);
    return wheel < wait ? wheel : wait;
}
