/*
 * Publishes that wait for the disk: a FIFO in order of the log, one row for a run of consecutive publishes of
 * one channel in the same write. Bounded by the log that is not yet safe.
 */
#pragma once

#include <stdint.h>

struct router;

struct confirm {
    uint64_t lsn; /* safe up to here: answer */
    uint64_t conn;
    uint64_t seq;
    uint32_t count : 24, flags : 8; /* flags: CONFIRM_* */
    uint16_t front, channel; /* front: FRONTS_MAX and up, another router: then conn and seq are its ticket */
};

/* The publish is answered when all that is appended so far is safe. flags: CONFIRM_* */
void confirm_when_safe(struct router *router, unsigned front, uint64_t conn, uint16_t channel, uint64_t seq,
                       uint8_t flags);
/* The publish is answered now. flags: CONFIRM_* */
void confirm_now(struct router *router, unsigned front, uint64_t conn, uint16_t channel, uint64_t seq,
                 uint8_t flags);
/* The same for what another router has asked for (repost.h). */
struct ticket;
void confirm_to_router(struct router *router, unsigned peer, struct ticket ticket);
/* Answers what is safe, or everything, refused, when the journal has failed. Returns how many rows. */
unsigned confirm_poll(struct router *router);
