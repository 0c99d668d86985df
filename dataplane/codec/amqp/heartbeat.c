/*
 * Heartbeats (section 4.2.7 of the specification): one is sent when nothing else was for half the interval,
 * and a peer of which nothing came for two intervals is gone.
 */
#include "codec/amqp/connection.h"

#define SECOND_NS 1000000000ull

void heartbeat_start(struct amqp *c)
{
    c->input_ns = c->output_ns = host_now(c->host);
    heartbeat_tick(c);
}

static void send_heartbeat(struct amqp *c)
{
    uint8_t *p = host_reserve(c->host, FRAME_EXTRA_BYTES);
    *put_frame_head(p, FRAME_HEARTBEAT, 0, 0) = FRAME_END;
    host_commit(c->host, FRAME_EXTRA_BYTES);
    c->wrote = true;
}

/* A peer whose frames we let wait, or that takes what we send, is alive though nothing comes. Frames that
 * wait for much output to be taken don't count: it is the peer that lets us wait. */
static void judge_peer(struct amqp *c, uint64_t now)
{
    size_t backlog = host_backlog(c->host);
    bool waits = c->parked && backlog <= OUTPUT_HIGH_BYTES / 2;
    if (waits || backlog < c->backlog)
        c->input_ns = now;
    c->backlog = backlog;
}

void heartbeat_tick(struct amqp *c)
{
    if (!c->heartbeat_s) {
        host_wake_at(c->host, 0);
        return;
    }
    uint64_t now = host_now(c->host), interval = c->heartbeat_s * SECOND_NS;
    judge_peer(c, now);
    if (now >= c->input_ns + 2 * interval) {
        amqp_drop(c, "missed heartbeats from client");
        return;
    }
    if (now >= c->output_ns + interval / 2) {
        send_heartbeat(c);
        c->output_ns = now;
    }
    uint64_t next = c->output_ns + interval / 2, late = c->input_ns + 2 * interval;
    host_wake_at(c->host, next < late ? next : late);
}
