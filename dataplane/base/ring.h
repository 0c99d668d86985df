/*
 * A single-producer single-consumer ring of 64-byte entries: the only way from one agent to another.
 * One entry is one cache line, copied in and out (DPDK's rte_ring in SP/SC mode, which needs no EAL).
 * The producer's side is used by one thread, the consumer's by one thread; they may be the same.
 */
#pragma once

#include <stdint.h>

#define RING_ENTRY_BYTES 64u

struct ring;

/* A ring of RING_SLOTS entries (one fewer usable). Never fails: start-up memory, aborts when there is none. */
struct ring *ring_new(void);
void ring_free(struct ring *ring);

/* Producer. Puts up to n entries; returns how many fitted. */
unsigned ring_put(struct ring *ring, const void *entries, unsigned n);
/* Producer. How many entries would fit now; only grows until the producer puts again. */
unsigned ring_room(const struct ring *ring);
/* Consumer. Takes up to n entries; returns how many there were. */
unsigned ring_take(struct ring *ring, void *entries, unsigned n);
/* Either side: entries waiting to be taken (a snapshot). */
unsigned ring_waiting(const struct ring *ring);
