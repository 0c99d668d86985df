/*
 * Publishes that can't go on yet: a ring is full, or a router is short of something and has shut its gate.
 * Input of their connections stops there, and only of theirs; who is held by a gate is told what is short.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "front_inside.h"

bool front_is_shut(struct host *host, unsigned router, uint8_t flags)
{
    uint8_t shut = host->front->gate[router];
    shut &= GATE_ALL | (flags & PUBLISH_PERSISTENT ? GATE_DURABLE : 0);
    if (host->admitted >> router & 1)
        shut &= GATE_ALL;
    if (!shut)
        return false;
    host->gate = shut;
    host->gate_router = (uint8_t)router;
    return true;
}

static void list(struct host *host)
{
    struct front *front = host->front;
    host->parked_next = NULL;
    *front->parked_end = host;
    front->parked_end = &host->parked_next;
}

void front_unlist_parked(struct host *host)
{
    struct front *front = host->front;
    struct host **at = &front->parked;
    while (*at && *at != host)
        at = &(*at)->parked_next;
    if (*at) {
        *at = host->parked_next;
        if (front->parked_end == &host->parked_next)
            front->parked_end = at;
    }
    if (host->told_blocked)
        stat_add(&front->stats.blocked, -1);
}

static void tell_blocked(struct host *host)
{
    char reason[64];
    snprintf(reason, sizeof reason, "low on %s (router %u)", host->gate & GATE_ALL ? "memory" : "disk",
             host->gate_router);
    host->told_blocked = true;
    stat_add(&host->front->stats.blocked, 1);
    host->codec->blocked(host->state, host, reason);
}

void front_park(struct host *host)
{
    struct front *front = host->front;
    host->parked_ns = host->parked_ns ? host->parked_ns : front->now_ns;
    if (host->waits == WAIT_RATE) {
        host->transport->ops->pause(host->transport, host->stream);
        return;
    }
    list(host);
    stat_add(&front->stats.parked, 1);
    host->transport->ops->pause(host->transport, host->stream);
    if (host->waits == WAIT_GATE && !host->told_blocked && !host->asked)
        tell_blocked(host);
}

/* ---- reservations -------------------------------------------------------------------------------- */

static void send_room(struct host *host, struct op *op)
{
    op->tag = ++host->room_asked;
    host->asked = true;
    front_command(host->front, host->gate_router)->op = (struct command_op){.kind = COMMAND_OP, .op = op};
}

void front_ask_room(struct host *host, const struct exchange_row *exchange,
                    const struct command_publish *publish)
{
    bool asks = host->waits == WAIT_GATE && host->gate == GATE_DURABLE;
    if (!asks || !(host->front->gate[host->gate_router] & GATE_RESERVED))
        return;
    size_t len = publish->body_at;
    struct op *op = host_op(host);
    struct command_publish copy = *publish;
    uint8_t *at = malloc(sizeof copy + len);
    CHECK(at);
    copy.exchange = exchange->id;
    memcpy(at, &copy, sizeof copy);
    memcpy(at + sizeof copy, publish->bytes, len);
    op->kind = OP_ROOM;
    op->vhost = exchange->vhost;
    op->arguments = span_of(at, sizeof copy + len);
    send_room(host, op);
}

/* While there is none it is asked for again, in case the queue's consumers make some. What was asked for an
 * earlier publish, which has gone on by itself, counts no more. */
void front_on_room(struct host *host, struct op *op)
{
    struct front *front = host->front;
    bool counts = host->asked && op->tag == host->room_asked;
    bool shut = front->gate[host->gate_router] & GATE_DURABLE;
    if (counts && !op->got && shut && !host->closing) {
        if (!host->told_blocked)
            tell_blocked(host);
        op->got = true;
        send_room(host, op);
        return;
    }
    if (counts && op->got) {
        host->admitted |= UINT64_C(1) << host->gate_router;
        host->gate = 0; /* front_unpark lets it go on */
    }
    host->asked = host->asked && !counts;
    front_free_op(front, op);
}

static void go_on(struct host *host)
{
    if (host->told_blocked) {
        host->told_blocked = false;
        stat_add(&host->front->stats.blocked, -1);
        host->codec->blocked(host->state, host, NULL);
    }
    host->waits = WAIT_NOTHING;
    host->asked = false;
    front_resume(host);
    front_touch(host);
}

/* At the end clients are read from again, whose answer to our farewell stands behind the publish. */
unsigned front_unpark(struct front *front)
{
    unsigned n = 0;
    struct host *host = front->parked, *next;
    front->parked = NULL;
    front->parked_end = &front->parked;
    for (; host; host = next) {
        next = host->parked_next;
        bool shut = host->waits == WAIT_GATE && front->gate[host->gate_router] & host->gate;
        if (shut && !front->stopping) {
            list(host);
            continue;
        }
        go_on(host);
        n++;
    }
    return n;
}
