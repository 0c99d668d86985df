/*
 * The body of a delivery, for every codec: its parts in order, if it is a large one, and behind them what
 * stands in the message itself. Each of them keeps a page, which is given back once.
 */
#pragma once

#include <stdint.h>
#include <stdlib.h>

#include "codec/host.h"
#include "router/command.h"
#include "router/message.h"

/* A piece of this size and more is lent to the output; a smaller one is copied. */
#define LEND_MIN 1024u

static inline uint64_t body_bytes(const struct event_deliver *event)
{
    const struct parts *parts = event->parts;
    uint64_t len = event->message->body_len;
    for (uint32_t i = 0; parts && i < parts->n; i++)
        len += parts->part[i].len;
    return len;
}

/* Nothing of it is written. */
static inline void body_drop(struct host *host, unsigned router, const struct event_deliver *event)
{
    struct parts *parts = event->parts;
    for (uint32_t i = 0; parts && i < parts->n; i++)
        host_done(host, router, parts->part[i].page);
    free(parts);
    host_done(host, router, event->page);
}

static inline void body_write_piece(struct host *host, unsigned router, struct span piece, uint64_t page)
{
    if (piece.len >= LEND_MIN) {
        host_lend(host, router, page, piece);
        return;
    }
    host_write(host, piece);
    host_done(host, router, page);
}

/* All of it, as it is. */
static inline void body_write(struct host *host, unsigned router, const struct event_deliver *event)
{
    struct parts *parts = event->parts;
    for (uint32_t i = 0; parts && i < parts->n; i++)
        body_write_piece(host, router, span_of(parts->part[i].at, parts->part[i].len), parts->part[i].page);
    free(parts);
    body_write_piece(host, router, message_body(event->message), event->page);
}
