/*
 * What the broker says in its log of the channels and connections that it gives up: it lets go of all they
 * hold when it says so, and its channel.close may stand behind much output that the client doesn't take.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* channel: 0, the whole connection. closed: NULL, nobody listens any more. */
void sim_log_watch(void (*closed)(void *owner, uint64_t stream, unsigned channel), void *owner);
/* Of consumers that it cancels as they took too long: it gives back all they have when it says so. */
void sim_log_watch_lapses(void (*lapsed)(void *owner, uint64_t stream, unsigned channel, const char *tag));
/* While it is held, what is said waits: for the frames that led to it to be heard first. */
void sim_log_hold(bool held);
