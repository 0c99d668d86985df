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
    struct map_node node; /* of tcp->waits */
    struct tcp_wait *next;
    struct flow flow;
    uint64_t until_us;
    uint32_t snd_nxt, rcv_nxt, ts_recent, ts_offset;
    bool timestamps, gone; /* gone: begun anew, only the queue still has it */
};

static bool same_flow(const struct map_node *node, const void *key)
{
    return memcmp(&container_of(node, struct tcp_wait, node)->flow, key, sizeof(struct flow)) == 0;
}

static void drop_first(struct tcp *tcp)
{
    struct tcp_wait *w = tcp->wait_first;
    tcp->wait_first = w->next;
    if (!tcp->wait_first)
        tcp->wait_end = &tcp->wait_first;
    if (!w->gone)
        map_remove(&tcp->waits, &w->node);
    tcp->stats.time_wait--;
    free(w);
}

void wait_begin(struct conn *c)
{
    struct tcp *tcp = c->tcp;
    if (tcp->options.time_wait_max && tcp->stats.time_wait >= tcp->options.time_wait_max)
        drop_first(tcp);
    struct tcp_wait *w = calloc(1, sizeof *w);
    CHECK(w);
    w->flow.local = c->path.local;
    w->flow.peer = c->path.peer;
    w->flow.local_port = c->local_port;
    w->flow.peer_port = c->peer_port;
    w->until_us = tcp->now_us + tcp->options.time_wait_ms * UINT64_C(1000);
    w->snd_nxt = c->snd_nxt;
    w->rcv_nxt = c->rcv_nxt;
    w->ts_recent = c->ts_recent;
    w->ts_offset = c->ts_offset;
    w->timestamps = c->timestamps;
    *tcp->wait_end = w;
    tcp->wait_end = &w->next;
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
        map_remove(&tcp->waits, &w->node);
        w->gone = true;
        return false;
    }
    /* Resets are ignored: RFC 1337 section 3, fix F1. */
    if (s->flags & SEG_RST)
        return true;
    /* What carries nothing is an answer to something: two who wait don't talk for ever. */
    if (segment_length(s))
        acknowledge(tcp, w);
    return true;
}

unsigned wait_expire(struct tcp *tcp)
{
    unsigned n = 0;
    for (; tcp->wait_first && tcp->wait_first->until_us <= tcp->now_us; n++)
        drop_first(tcp);
    return n;
}

uint64_t wait_deadline(const struct tcp *tcp)
{
    return tcp->wait_first ? tcp->wait_first->until_us * 1000 : UINT64_MAX;
}

void wait_free(struct tcp *tcp)
{
    while (tcp->wait_first)
        drop_first(tcp);
}
