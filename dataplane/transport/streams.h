/*
 * The table of one transport's streams. Slots stay where they are; a stream's id is its slot and a
 * generation, so an id that outlived its stream is recognised. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "transport/rx.h"

enum stream_state {
    STREAM_FREE,
    STREAM_OPEN,
    STREAM_CLOSING, /* close() was called: what was sent is on its way, what comes is thrown away */
    STREAM_GONE,    /* told, or aborted; only the loop still knows it */
};

/* Owner: the transport. */
struct stream {
    uint64_t id;
    void *user; /* the front's */
    struct rx_rest rest;
    uint64_t sent;                 /* bytes, ever */
    uint64_t deadline_ns;          /* CLOSING: given up then */
    TAILQ_ENTRY(stream) ready;     /* while listed; while free: next free slot */
    TAILQ_ENTRY(stream) lingering; /* while CLOSING */
    int fd;
    int broken; /* an errno that ends the stream when it is next served */
    uint8_t state;
    uint8_t watches; /* requests to the loop that are under way, a bit each */
    bool listed;     /* on the ready list */
    bool input;      /* recv may find something */
    bool paused;
    bool replay; /* resumed: the rest comes again even if nothing new does */
};

TAILQ_HEAD(stream_list, stream);

/* Whether its owner still knows it. */
static inline bool stream_alive(const struct stream *stream)
{
    return stream->state == STREAM_OPEN || stream->state == STREAM_CLOSING;
}

enum { STREAM_SLOT_BITS = 28, STREAMS_PER_SLAB = 256 };

struct streams {
    struct stream **slabs;
    uint32_t slab_count;
    uint32_t used;
    struct stream_list free;
};

void streams_init(struct streams *streams);
/* The streams' own resources are the caller's to free first. */
void streams_free(struct streams *streams);
/* A fresh stream, zeroed but for its id. */
struct stream *streams_open(struct streams *streams);
void streams_close(struct streams *streams, struct stream *stream);
/* NULL: it is gone. */
struct stream *streams_find(const struct streams *streams, uint64_t id);
void streams_each(struct streams *streams, void (*visit)(struct stream *stream, void *owner), void *owner);
