/*
 * A single-producer single-consumer ring of 64-byte entries: the only way from one agent to another.
 * One entry is one cache line, copied in and out (DPDK's rte_ring in SP/SC mode, which needs no EAL).
 * The producer's side is used by one thread, the consumer's by one thread; they may be the same.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define RING_ENTRY_BYTES 64u

struct ring;

/* A ring of RING_SLOTS entries (one fewer usable). Never fails: start-up memory, aborts if there is none. */
struct ring *ring_new(void);
void ring_free(struct ring *ring);

/* Producer. Puts up to n entries; returns how many fitted. */
unsigned ring_put(struct ring *ring, const void *entries, unsigned n);
/* Producer. Up to n places to be filled in where they are, side by side at *entries; returns how many. They
 * become entries with ring_publish, which must come before the next call of the producer's: of the first m,
 * in order. */
unsigned ring_reserve(struct ring *ring, unsigned n, void **entries);
void ring_publish(struct ring *ring, unsigned m);
/* Producer. How many entries would fit now; only grows until the producer puts again. */
unsigned ring_room(const struct ring *ring);
/* Consumer. Takes up to n entries; returns how many there were. */
unsigned ring_take(struct ring *ring, void *entries, unsigned n);
/* Consumer. Up to n entries to be read where they are, side by side at *entries; returns how many.
 * ring_release gives the places of the first m back, and must come before the next call of the consumer's. */
unsigned ring_peek(struct ring *ring, unsigned n, const void **entries);
void ring_release(struct ring *ring, unsigned m);
/* Either side: entries waiting to be taken, those being read among them (a snapshot). */
unsigned ring_waiting(const struct ring *ring);

/* How long entries stand in the ring is measured on some of them: the producer stamps one that it is about to
 * make visible, the consumer learns when it has given that one's place back. One stamp is under way at a
 * time; while it is, others are left out. */
struct ring_stamp {
    uint64_t ns;    /* the producer's time */
    uint32_t count; /* for how many entries it stands: as the producer says */
};

/* Producer, between ring_reserve and ring_publish: stamps the last of the next `ahead` entries, at least 1.
 */
void ring_stamp(struct ring *ring, unsigned ahead, uint64_t ns, uint32_t count);
/* Consumer. True: the stamped entry has been released; the stamp is taken off. */
bool ring_stamped(struct ring *ring, struct ring_stamp *stamp);
