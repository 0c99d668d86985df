/*
 * TIME_WAIT (RFC 9293 section 3.6): what is left of a connection that we closed first, so that old segments
 * of it do no harm to the next one of the same addresses and ports. All wait equally long: a queue. Bounded:
 * the oldest goes for a new one.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "tcp/tcp_inside.h"

struct tcp_wait {
    struct map_node node;          /* of tcp->waits */
    TAILQ_ENTRY(tcp_wait) waiting; /* of tcp->waiting */
    struct flow flow;
    uint64_t until_us;
    uint32_t snd_nxt, rcv_nxt, ts_recent, ts_offset;
    bool timestamps;
};

static bool same_flow(const struct map_node *node, const void *key)
{
    return memcmp(&container_of(node, struct tcp_wait, node)->flow, key, sizeof(struct flow)) == 0;
}

static void drop(struct tcp *tcp, struct tcp_wait *w)
{
    TAILQ_REMOVE(&tcp->waiting, w, waiting);
    map_remove(&tcp->waits, &w->node);
    tcp->stats.time_wait--;
    free(w);
}

/* From now on, twice the longest life of a segment. */
static void wait(struct tcp *tcp, struct tcp_wait *w)
{
    w->until_us = tcp->now_us + tcp->options.time_wait_ms * UINT64_C(1000);
    TAILQ_INSERT_TAIL(&tcp->waiting, w, waiting);
}

void wait_begin(struct conn *c)
{
    struct tcp *tcp = c->tcp;
    if (tcp->options.time_wait_max && tcp->stats.time_wait >= tcp->options.time_wait_max)
        drop(tcp, TAILQ_FIRST(&tcp->waiting));
    struct tcp_wait *w = calloc(1, sizeof *w);
    CHECK(w);
    w->flow.local = c->path.local;
    w->flow.peer = c->path.peer;
    w->flow.local_port = c->local_port;
    w->flow.peer_port = c->peer_port;
    w->snd_nxt = c->snd_nxt;
    w->rcv_nxt = c->rcv_nxt;
    w->ts_recent = c->ts_recent;
    w->ts_offset = c->ts_offset;
    w->timestamps = c->timestamps;
    wait(tcp, w);
    tcp->stats.time_wait++;
    map_add(&tcp->waits, &w->node, c->node.hash);
    conn_end(c, 0);
}

/* RFC 9293 section 3.10.7.4, RFC 6191: a SYN that can't be an old one ends the waiting. */
static bool begins_anew(const struct tcp_wait *w, const struct segment *s)
{
    if (!(s->flags & SEG_SYN) || s->flags & (SEG_ACK | SEG_RST))
        return false;
    if (w->timestamps && s->timestamps && s->ts_value != w->ts_recent)
        return seq_lt(w->ts_recent, s->ts_value);
    return seq_lt(w->rcv_nxt, s->seq);
}

static void acknowledge(struct tcp *tcp, const struct tcp_wait *w)
{
    struct segment answer = {
        .source = w->flow.local_port,
        .destination = w->flow.peer_port,
        .seq = w->snd_nxt,
        .ack = w->rcv_nxt,
        .flags = SEG_ACK,
        .timestamps = w->timestamps,
        .ts_value = (uint32_t)(tcp->now_us / 1000) + w->ts_offset,
        .ts_echo = w->ts_recent,
    };
    out_bare(tcp, &w->flow, &answer);
}

bool wait_input(struct tcp *tcp, const struct flow *flow, uint64_t hash, const struct segment *s)
{
    struct map_node *node = map_find(&tcp->waits, hash, same_flow, flow);
    if (!node)
        return false;
    struct tcp_wait *w = container_of(node, struct tcp_wait, node);
    if (begins_anew(w, s)) {
        drop(tcp, w);
        return false;
    }
    /* Resets are ignored: RFC 1337 section 3, fix F1. */
    if (s->flags & SEG_RST)
        return true;
    /* Our acknowledgement of the FIN was lost: RFC 9293 section 3.10.7.4. */
    if (s->flags & SEG_FIN) {
        TAILQ_REMOVE(&tcp->waiting, w, waiting);
        wait(tcp, w);
    }
    /* What carries nothing is an answer to something: two who wait don't talk for ever. */
    if (segment_length(s))
        acknowledge(tcp, w);
    return true;
}

unsigned wait_expire(struct tcp *tcp)
{
    unsigned n = 0;
    for (struct tcp_wait *w; (w = TAILQ_FIRST(&tcp->waiting)) && w->until_us <= tcp->now_us; n++)
        drop(tcp, w);
    return n;
}

uint64_t wait_deadline(const struct tcp *tcp)
{
    const struct tcp_wait *w = TAILQ_FIRST(&tcp->waiting);
    return w ? w->until_us * 1000 : UINT64_MAX;
}

void wait_free(struct tcp *tcp)
{
    for (struct tcp_wait *w; (w = TAILQ_FIRST(&tcp->waiting));)
        drop(tcp, w);
}
