/* Congestion control: how much may be on its way. One row of a table each. */
#include <math.h>
#include <string.h>

#include "tcp/tcp_inside.h"

/* ---- NewReno (RFC 5681) ---------------------------------------------------------------------------------
 */

static void reno_begin(struct conn *c)
{
    (void)c;
}

/* Slow start. Returns what is left of bytes when it is over. RFC 3465 with L = all that one acknowledgement
 * covers, as RFC 9438 section 4.10 and common practice have it. */
static uint32_t slow_start(struct conn *c, uint32_t bytes)
{
    if (c->cwnd >= c->ssthresh)
        return bytes;
    uint32_t room = c->ssthresh - c->cwnd, n = bytes < room ? bytes : room;
    c->cwnd += n;
    return bytes - n;
}

static void grow(struct conn *c, uint32_t bytes)
{
    c->cwnd = c->cwnd < UINT32_MAX / 4 ? c->cwnd + bytes : c->cwnd;
}

static void reno_acked(struct conn *c, uint32_t bytes)
{
    bytes = slow_start(c, bytes);
    if (bytes)
        grow(c, (uint32_t)((uint64_t)c->mss * bytes / c->cwnd) + 1);
}

static uint32_t at_least_two(const struct conn *c, uint32_t bytes)
{
    return bytes > 2 * c->mss ? bytes : 2 * c->mss;
}

static uint32_t reno_lost(struct conn *c)
{
    return at_least_two(c, (c->snd_nxt - c->snd_una) / 2);
}

/* ---- CUBIC (RFC 9438) -------------------------------------------------------------------------------------
 */

static const double cubic_c = 0.4, cubic_beta = 0.7; /* section 5 and 4.6 */

static void cubic_begin(struct conn *c)
{
    c->cubic = (struct cubic){0};
}

static void begin_epoch(struct conn *c, double cwnd)
{
    struct cubic *q = &c->cubic;
    q->epoch_us = c->tcp->now_us;
    if (q->w_max < cwnd) {
        q->w_max = cwnd;
        q->k = 0;
    } else {
        q->k = cbrt((q->w_max - cwnd) / cubic_c);
    }
    q->w_est = cwnd;
}

static void cubic_acked(struct conn *c, uint32_t bytes)
{
    struct cubic *q = &c->cubic;
    bytes = slow_start(c, bytes);
    if (!bytes)
        return;
    double mss = c->mss, cwnd = c->cwnd / mss;
    if (!q->epoch_us)
        begin_epoch(c, cwnd);
    double t = (double)(c->tcp->now_us - q->epoch_us + c->srtt_us) / 1e6 - q->k;
    double target = q->w_max + cubic_c * t * t * t;
    /* Section 4.4: between what is, and half as much again in a round trip. */
    target = target < cwnd ? cwnd : target > 1.5 * cwnd ? 1.5 * cwnd : target;
    /* Section 4.3: never slower than Reno would be. */
    double alpha = q->w_est < q->w_max ? 3 * (1 - cubic_beta) / (1 + cubic_beta) : 1;
    q->w_est += alpha * (bytes / mss) / cwnd;
    double more = (target - cwnd) / cwnd * bytes;
    if (q->w_est > cwnd + more / mss)
        more = (q->w_est - cwnd) * mss;
    if (more >= 1)
        grow(c, (uint32_t)more);
}

static uint32_t cubic_lost(struct conn *c)
{
    struct cubic *q = &c->cubic;
    double cwnd = (double)c->cwnd / c->mss;
    q->epoch_us = 0;
    /* Fast convergence, section 4.7. */
    q->w_max = cwnd < q->w_max ? cwnd * (1 + cubic_beta) / 2 : cwnd;
    return at_least_two(c, (uint32_t)(c->cwnd * cubic_beta));
}

/* ---- the table
 * ---------------------------------------------------------------------------------------------- */

static const struct tcp_cc controls[] = {
    {"cubic", cubic_begin, cubic_acked, cubic_lost},
    {"newreno", reno_begin, reno_acked, reno_lost},
};

const struct tcp_cc *cc_find(const char *name)
{
    for (unsigned i = 0; i < sizeof controls / sizeof *controls; i++)
        if (strcmp(controls[i].name, name) == 0)
            return &controls[i];
    return NULL;
}
