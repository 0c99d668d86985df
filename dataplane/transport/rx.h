/*
 * Receive chunks: the memory into which one front's transport reads, shared by all its streams, so that an
 * idle connection holds none of it. A chunk in use is known by an epoch; what was handed up with it stays
 * untouched until rx_release() gives that epoch back. Of the free chunks the one given back last is taken
 * first: it is in the cache.
 *
 * What data() did not use up of a stream is its rest. It stays where it is while its stream is the last to
 * have received (so a single busy stream is never copied), and is moved to a stash of its own when another
 * one receives.
 *
 * One thread. The happy path of a read:
 *     at = rx_begin(rx, &stream->rest, &room);          room behind the rest
 *     n = recv(fd, at, room, ...);
 *     bytes = rx_received(rx, &stream->rest, n);        the rest and the new bytes, in one piece
 *     used = up.data(owner, user, bytes, rx_epoch(rx));
 *     rx_keep(rx, &stream->rest, bytes.len - used);
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "base/span.h"

/* The most that one read puts behind a rest, and the least room it is made with. */
#define RX_READ_MAX (RX_CHUNK_BYTES / 4)
#define RX_READ_MIN (RX_CHUNK_BYTES / 16)
/* A stream with a larger rest is not read from: its owner has stopped taking. */
#define RX_REST_MAX (RX_CHUNK_BYTES / 2)

/* Of one stream; zeroed at its start. */
struct rx_rest {
    uint8_t *stash; /* malloc'd; NULL while there is no rest or it lies at the end of the current chunk */
    uint32_t len;   /* bytes */
};

struct rx {
    uint8_t *memory; /* RX_CHUNKS of RX_CHUNK_BYTES; the kernel gives pages as they are touched */
    uint8_t *at;     /* the current chunk */
    uint32_t fill;   /* bytes of it received into */
    uint32_t free_count;
    uint64_t epoch;          /* of the current chunk, from 1 */
    uint64_t oldest;         /* epochs from here to the current one have not been given back */
    uint64_t stashed;        /* bytes in stashes */
    struct rx_rest *tail;    /* whose rest ends at fill, or NULL */
    uint8_t used[RX_CHUNKS]; /* chunk of epoch e at e % RX_CHUNKS */
    uint8_t free[RX_CHUNKS]; /* a stack */
};

static_assert(RX_CHUNKS <= UINT8_MAX, "chunks are numbered in a byte");
static_assert(FRAME_BYTES_MAX <= RX_REST_MAX, "the beginning of a frame is never too large a rest");

void rx_init(struct rx *rx);
/* The stashes are the streams' own: rx_forget them before. */
void rx_free(struct rx *rx);

/* Where to put more of a stream, behind its rest; *room: how much of it (RX_READ_MIN to RX_READ_MAX bytes).
 * NULL: every chunk is in use, try again after rx_release. */
uint8_t *rx_begin(struct rx *rx, struct rx_rest *rest, size_t *room);
/* n bytes (0 and up) were put there. Returns the rest with them. */
struct span rx_received(struct rx *rx, struct rx_rest *rest, size_t n);
/* The last n bytes of what rx_received returned are not used up. */
void rx_keep(struct rx *rx, struct rx_rest *rest, size_t n);
/* The stream is gone. */
void rx_forget(struct rx *rx, struct rx_rest *rest);

/* Returns whether rx_begin may succeed again after it has not. */
bool rx_release(struct rx *rx, uint64_t epoch);

static inline uint64_t rx_epoch(const struct rx *rx)
{
    return rx->epoch;
}
